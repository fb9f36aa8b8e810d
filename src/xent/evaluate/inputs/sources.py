"""What Python callers hold, as batches: files, data frames, arrays, tensors, or batches one after the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xent._errors import ArgumentError, LabelError
from xent.evaluate.inputs.arrow import batch_of, both_classes
from xent.evaluate.inputs.columns import Columns, Layout, laid_out
from xent.evaluate.inputs.files import Unit, batches_of, found_files, schema_of
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.spec import Choices, Kind, Spec

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
    """A table that hands itself over as Arrow: of pyarrow, pandas, polars and others."""
    return hasattr(value, "__arrow_c_stream__") or isinstance(value, pa.RecordBatch)


def frame_batches(frame: Any, columns: Columns, choices: Choices, *, source: int = 0) -> tuple[Layout, Iterator[Batch]]:
    """The rows of a data frame; source −1 for a part, whose rows have no numbers among all."""
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    reader = pa.RecordBatchReader.from_stream(frame)
    layout = laid_out(columns, reader.schema, "the table", choices)
    return layout, _numbered(reader, layout, source)


def _numbered(batches: Iterable[pa.RecordBatch], layout: Layout, source: int) -> Iterator[Batch]:
    first = 0
    for rows in batches:
        for start in range(0, rows.num_rows, ROWS):
            part = rows.slice(start, ROWS)
            yield batch_of(part.select(layout.names), layout, source=source, first=first)
            first += part.num_rows


def array_batch(
    kind: Kind, values: Any, target: Any, first: int, weight: Any = None, size: Any = None, classes: Sequence[str] = ()
) -> Batch:
    """Rows from arrays or tensors; one score a row becomes two classes."""
    numbers = as_array(values)
    if numbers.dtype.kind in "iub":
        numbers = numbers.astype(np.float64)
    if numbers.ndim == 1 and kind != "target-log-probs":
        numbers = both_classes(numbers, kind)
    known = np.zeros(len(numbers), np.int64) if target is None else _indices(as_array(target), classes)
    heavy, long = (None if value is None else as_array(value).astype(np.float64) for value in (weight, size))
    return Batch(numbers, known, first=first, name="the arrays", weight=heavy, size=long)


def as_array(value: Any) -> npt.NDArray[Any]:
    """An array; a tensor is taken from its graph and device."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    return np.asarray(value)


def _indices(target: npt.NDArray[Any], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Class indices, -1 where there is none: from whole numbers, from floats without fractions, or from names of classes."""
    if classes and target.dtype.kind in "OUS" and target.ndim == 1:
        place = {name: number for number, name in enumerate(classes)}
        return np.array([-1 if _missing(name) else place.get(str(name), len(classes)) for name in target.tolist()], np.int64)
    if target.ndim == 1 and target.dtype.kind == "f":
        beyond = ~(np.isnan(target) | (np.abs(target) < 2.0**53))
        if beyond.any():
            row = int(np.argmax(beyond))
            found = f"row {row} of the arrays holds {target[row]} ({int(beyond.sum())} such rows)"
            raise LabelError("labels must be classes, or NaN where there is none", found, "Mend or remove these rows.")
        if not (target % 1.0 > 0.0).any():
            target = np.where(np.isnan(target), -1.0, target).astype(np.int64)
    if target.dtype.kind not in "iub" or target.ndim != 1:
        found = f"found {target.dtype} shaped {target.shape}"
        remedy = "Names need classes=, in the order of the columns."
        raise ArgumentError("with arrays the target must be whole numbers or names of classes, one a row", found, remedy)
    if target.dtype == np.uint64:
        target = np.minimum(target, np.uint64(2**62))
    return target.astype(np.int64)


def _missing(label: Any) -> bool:
    """Whether a label says that there is none."""
    return label is None or label != label


def given_batches(kind: Kind, batches: Iterable[Any], classes: Sequence[str] = ()) -> Iterator[Batch]:
    """Batches as pairs of predictions and target, or as mappings with `weight` and `size` besides."""
    first = 0
    for item in batches:
        parts = dict(item) if hasattr(item, "keys") else dict(zip(("predictions", "target", "weight"), item, strict=False))
        values, target = parts.pop("predictions"), parts.pop("target", None)
        batch = array_batch(kind, values, target, first, classes=classes, **parts)
        first += len(batch.target)
        yield batch


def spec_for(kind: Kind, classes: Sequence[str], first: Batch, choices: Choices) -> Spec:
    """What arrays like the first batch hold; classes without names are called by their numbers."""
    alone = kind == "target-log-probs"
    n = 0 if alone else first.values.shape[1]
    names = tuple(classes) or tuple(str(number) for number in range(n))
    return Spec(kind, names, weighted=first.weight is not None, sized=first.size is not None, **asdict(choices))


def peeked(batches: Iterator[Batch]) -> tuple[Batch, Iterator[Batch]]:
    """The first batch, and all of them."""
    first = next(batches, None)
    if first is None:
        raise ArgumentError("there must be rows to judge", "there is no batch", "Give at least one.")
    return first, chain([first], batches)
