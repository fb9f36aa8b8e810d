"""CSV and JSON lines, a block at a time; numbers of CSV stay text until they are read as strictly as they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

BLOCK_BYTES = 8 << 20
"""Read at once; a line must fit."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Schema and batches of a path."""

    schema: Callable[[str], pa.Schema]
    batches: Callable[[str, Sequence[str], int], Iterator[pa.RecordBatch]]


def _csv(path: str, names: Sequence[str] | None = None) -> pa_csv.CSVStreamingReader:
    """Every column as text, an empty cell as nothing."""
    header = _header(path)
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        include_columns=list(names or []),
        null_values=[""],
        strings_can_be_null=True,
    )
    return pa_csv.open_csv(path, pa_csv.ReadOptions(block_size=BLOCK_BYTES), pa_csv.ParseOptions(), convert)


def _header(path: str) -> list[str]:
    """Names of the columns, from the first line."""
    return pa_csv.open_csv(path, pa_csv.ReadOptions(block_size=BLOCK_BYTES)).schema.names


def _csv_schema(path: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in _header(path)])


def _csv_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with _csv(path, names) as reader:
        yield from reader


CSV = Reader(_csv_schema, _csv_batches)


def _json_schema(path: str) -> pa.Schema:
    """Types as the first block has them; whole numbers may be followed by fractions."""
    with pa_json.open_json(path, pa_json.ReadOptions(block_size=BLOCK_BYTES)) as reader:
        return pa.schema([field.with_type(_widened(field.type)) for field in reader.schema])


def _widened(kind: pa.DataType) -> pa.DataType:
    """Numbers as float64, also in lists; what was only ever missing as text."""
    if pa.types.is_list(kind):
        return pa.list_(_widened(kind.value_type))
    if pa.types.is_integer(kind):
        return pa.float64()
    return pa.string() if pa.types.is_null(kind) else kind


def _json_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    schema = _json_schema(path)
    wanted = pa.schema([schema.field(name) for name in names])
    parse = pa_json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="ignore")
    with pa_json.open_json(path, pa_json.ReadOptions(block_size=BLOCK_BYTES), parse) as reader:
        yield from reader


JSON_LINES = Reader(_json_schema, _json_batches)
