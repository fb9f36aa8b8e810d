"""CSV and JSON lines, a block at a time; numbers of CSV stay text until they are read as strictly as they should be."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.json as pa_json

from xent.evaluate.inputs.reader import Reader

BLOCK_BYTES = 8 << 20
"""Read at once; a line must fit."""
MOST_BRACKETS, MOST_DIGITS = 1000, 308


_QUOTED = pa_csv.ParseOptions(newlines_in_values=True)
"""A cell in quotes may hold line breaks, wherever a block ends."""


def _csv(path: str, names: Sequence[str] | None = None) -> pa_csv.CSVStreamingReader:
    """Every column as text, an empty cell as nothing."""
    header = _header(path)
    convert = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(header, pa.string()),
        include_columns=list(names or []),
        null_values=[""],
        strings_can_be_null=True,
    )
    return pa_csv.open_csv(path, pa_csv.ReadOptions(block_size=BLOCK_BYTES), _QUOTED, convert)


def _header(path: str) -> list[str]:
    """Names of the columns, from the first line."""
    with open(path, "rb") as file:
        start = file.read(4)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in start:
        raise pa.ArrowInvalid("it is written as UTF-16, and UTF-8 is needed: save it anew as UTF-8")
    return pa_csv.open_csv(path, pa_csv.ReadOptions(block_size=BLOCK_BYTES), _QUOTED).schema.names


def _csv_schema(path: str) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in _header(path)])


def _csv_batches(path: str, names: Sequence[str], size: int) -> Iterator[pa.RecordBatch]:
    with _csv(path, names) as reader:
        yield from reader


CSV = Reader(_csv_schema, _csv_batches)


class _Shallow:
    """A file none of whose lines opens more brackets, or writes longer numbers, than a row can need.

    For each bracket Arrow's reader goes a call deeper, until it crashes; a number of too many digits it takes for infinite.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Read from this file."""
        self.file, self.open, self.digits, self.closed = file, 0, 0, False

    def read(self, size: int = -1) -> bytes:
        """The next bytes, looked through."""
        data = self.file.read(size)
        marks = np.frombuffer(data, np.uint8)
        brackets = np.cumsum((marks == ord("[")) | (marks == ord("{")))
        ends = brackets[marks == ord("\n")]
        lines = np.diff(ends, prepend=-self.open, append=brackets[-1] if marks.size else 0)
        if lines.max() > MOST_BRACKETS:
            raise pa.ArrowInvalid(f"a line opens more than {MOST_BRACKETS} brackets")
        between = np.diff(np.flatnonzero((marks < ord("0")) | (marks > ord("9"))), prepend=-1 - self.digits, append=marks.size)
        if between.max() > MOST_DIGITS + 1:
            raise pa.ArrowInvalid(f"a number has more than {MOST_DIGITS} digits, and would be read as infinite")
        self.open, self.digits = int(lines[-1]), int(between[-1]) - 1
        return data

    def close(self) -> None:
        """Nothing: whoever opened the file closes it."""


@contextmanager
def _json(path: str, schema: pa.Schema | None = None) -> Generator[pa_json.JSONStreamingReader]:
    """Lines of a file, of these columns alone where there is a schema."""
    parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore")
    with open(path, "rb") as file, pa_json.open_json(_Shallow(file), _BLOCKS, parse) as reader:
        yield reader


_BLOCKS = pa_json.ReadOptions(block_size=BLOCK_BYTES)


def _json_schema(path: str) -> pa.Schema:
    """Types as the first block has them; whole numbers may be followed by fractions."""
    with _json(path) as reader:
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
    with _json(path, pa.schema([schema.field(name) for name in names])) as reader:
        yield from reader


JSON_LINES = Reader(_json_schema, _json_batches)
