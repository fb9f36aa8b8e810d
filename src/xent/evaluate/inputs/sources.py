"""Tables that Python callers hold, as batches: files and data frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from xent._errors import ArgumentError
from xent.evaluate.inputs.arrow import batch_of
from xent.evaluate.inputs.columns import Columns, Layout, laid_out
from xent.evaluate.inputs.files import Unit, batches_of, found_files, schema_of
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.spec import Choices

ROWS = 1 << 18


def layout_of(paths: Sequence[str], columns: Columns, choices: Choices = Choices()) -> Layout:
    """What the columns of the first file hold; all others must be laid out alike.

    Raises:
        ArgumentError: nothing is declared, or a file has other columns.
    """
    first, *others = paths
    layout = laid_out(columns, schema_of(first), first, choices)
    for path in others:
        other = laid_out(columns, schema_of(path), path, choices)
        if other != layout:
            found = f"{path} has {_difference(layout, other)}"
            raise ArgumentError("all files must have the same columns", found, f"{first} was read first.")
    return layout


def _difference(one: Layout, other: Layout) -> str:
    """What another layout has or lacks."""
    more, fewer = sorted(set(other.names) - set(one.names)), sorted(set(one.names) - set(other.names))
    if more:
        return f"{more[0]!r} besides"
    return f"no {fewer[0]!r}" if fewer else "its columns in another order, or of other kinds"


def file_makers(units: Iterable[Unit], layout: Layout) -> Iterator[Callable[[], Batch]]:
    """The rows of units, in their order: read here, made a batch by whoever calls."""
    for unit in units:
        for first, rows in batches_of(unit, layout.names, layout.spec.n_classes):
            yield partial(batch_of, rows, layout, source=unit.source, first=first, name=unit.path)


def file_batches(units: Iterable[Unit], layout: Layout) -> Iterator[Batch]:
    """The rows of units, in their order."""
    return (make() for make in file_makers(units, layout))


def is_path(value: Any) -> bool:
    """A path, or several."""
    if isinstance(value, list | tuple):
        return bool(value) and all(is_path(item) for item in value)
    return isinstance(value, str | os.PathLike)


def paths_of(value: Any) -> list[str]:
    """The files that a path or several name."""
    return found_files([os.fspath(item) for item in (value if isinstance(value, list | tuple) else [value])])


def is_frame(value: Any) -> bool:
    """A table that hands itself over as Arrow: of pyarrow, pandas, polars and others; a single column is none."""
    one = isinstance(value, pa.ChunkedArray) or len(getattr(value, "shape", (0, 0))) == 1
    return isinstance(value, pa.RecordBatch) or (hasattr(value, "__arrow_c_stream__") and not one)


def frame_batches(frame: Any, columns: Columns, choices: Choices, *, source: int = 0) -> tuple[Layout, Iterator[Batch]]:
    """The rows of a data frame; source −1 for a part, whose rows have no numbers among all.

    Raises:
        ArgumentError: a frame that cannot be handed over, or columns that are not there.
    """
    try:
        reader = pa.RecordBatchReader.from_stream(pa.Table.from_batches([frame]) if isinstance(frame, pa.RecordBatch) else frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        found = f"{type(frame).__name__} says: {' '.join(str(error).split())[:200]}"
        remedy = "Give a frame of the columns that are named alone, each of one kind and one name."
        raise ArgumentError("a data frame must hand its columns over as Arrow", found, remedy) from error
    layout = laid_out(columns, reader.schema, "the table", choices)
    return layout, _numbered(reader, layout, source)


def _numbered(batches: Iterable[pa.RecordBatch], layout: Layout, source: int) -> Iterator[Batch]:
    first = 0
    for rows in batches:
        for start in range(0, rows.num_rows, ROWS):
            part = rows.slice(start, ROWS)
            yield batch_of(part.select(layout.names), layout, source=source, first=first)
            first += part.num_rows
