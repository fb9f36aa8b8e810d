"""From record batches of Arrow to batches of an evaluation, without a copy where the memory allows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import ArgumentError, DTypeError
from xent.evaluate.inputs.columns import Layout
from xent.evaluate.inputs.ids import Place, Texts, first_null, groups, id_keys
from xent.evaluate.inputs.labels import Names, labelled
from xent.evaluate.inputs.plain import NUMBER, plain
from xent.evaluate.state.batch import Batch

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def batch_of(rows: pa.RecordBatch, layout: Layout, *, source: int = 0, first: int = 0, name: str = "the table") -> Batch:
    """The rows of a record batch; `first` is the number of its first row in its source.

    Raises:
        XentError: a cell that is missing or of no use; names column, row and value.
    """
    place = Place(name, first)
    rows = _plain(rows, layout, name)
    target, placed = _target(rows, layout, place)
    return Batch(
        values=_predictions(rows, layout, place),
        target=target,
        source=source,
        first=first,
        name=name,
        keys=None if layout.id is None else id_keys(rows.column(layout.id), layout.id, place),
        ids=None if layout.id is None else Texts(rows.column(layout.id)),
        weight=_amounts(rows, layout.weight, place),
        size=_amounts(rows, layout.size, place),
        group=None if layout.by is None else groups(rows.column(layout.by), layout.by, place),
        placed=placed,
    )


def _plain(rows: pa.RecordBatch, layout: Layout, name: str) -> pa.RecordBatch:
    """The same with every column of one of the few types that are read; a dictionary of groups stays one."""
    others = {*layout.predictions, layout.target, layout.weight, layout.size, layout.id}
    for number, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type) and field.name not in others:
            continue
        column = plain(rows.column(number), f"column {field.name!r} of {name}")
        if column.type != field.type:
            rows = rows.set_column(number, field.name, column)
    return rows


def _predictions(rows: pa.RecordBatch, layout: Layout, place: Place) -> npt.NDArray[Any]:
    """[N, C] numbers, or [N] where they are the target's alone."""
    columns = [rows.column(name) for name in layout.predictions]
    if len(columns) > 1:
        numbers = [_numbers(column, name, place) for column, name in zip(columns, layout.predictions, strict=True)]
        # One copy a column, side by side: a transposed view is read block by block.
        return np.stack(numbers).T
    kind = columns[0].type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(columns[0], layout, place)
    numbers = _numbers(columns[0], layout.predictions[0], place)
    return numbers if layout.spec.kind == "target-log-probs" else both_classes(numbers, layout.spec.kind)


def both_classes(second: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """[N, 2] from the score of the second of two classes."""
    if kind == "logits":
        return np.stack([np.zeros_like(second), second], axis=1)
    wide = second.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = _log_rest(wide) if kind == "log-probs" else 1.0 - wide
    return np.stack([first, wide], axis=1)


def _log_rest(log_probs: Floats) -> Floats:
    """``log(1 − e^x)``, right for x near 0 as well."""
    near = log_probs > -np.log(2.0)
    return np.where(near, np.log(-np.expm1(log_probs)), np.log1p(-np.exp(np.where(near, -1.0, log_probs))))


def _lists(column: pa.Array, layout: Layout, place: Place) -> npt.NDArray[Any]:
    """A column of lists, all as long as there are classes; NaN where a row has none."""
    name, n = layout.predictions[0], layout.spec.n_classes
    valid = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    held = column.drop_null() if column.null_count else column
    if not pa.types.is_fixed_size_list(column.type):
        lengths = pc.list_value_length(held).to_numpy(zero_copy_only=False)
        if (lengths != n).any():
            at = int(np.argmax(lengths != n))
            found = f"{place.of(int(valid[at]))} has {lengths[at]} in {name!r}"
            raise ArgumentError(f"a row of predictions needs {n} numbers, one a class", found, "Repair or remove the row.")
    numbers = _numbers(held.flatten(), name, Place(place.name, place.first, valid, n)).reshape(-1, n)
    if not column.null_count:
        return numbers
    spread = np.full((len(column), n), np.nan, numbers.dtype)
    spread[valid] = numbers
    return spread


def _numbers(column: pa.Array, name: str, place: Place) -> npt.NDArray[Any]:
    """A column of numbers, NaN where one is missing; integers as float64."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return _strict_numbers(column.cast(pa.string()), name, place)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        rule = f"predictions, weights and bytes must be numbers; column {name!r} must hold them"
        raise DTypeError(rule, f"in {place.name} it holds {kind}", "Convert it, or name another column.")
    numbers = column if pa.types.is_floating(kind) else column.cast(pa.float64(), safe=False)
    return numbers.to_numpy(zero_copy_only=False)


ZERO = r"^[+-]?[0.]+([eE]|$)"
"""What is 0 as it is written, not only as float64 has it."""


def _strict_numbers(column: pa.Array, name: str, place: Place) -> Floats:
    """Text as float64, NaN where there is none; a cell that is no number, or beyond float64, is refused with its row."""
    written = pc.match_substring_regex(column, NUMBER).fill_null(True)
    if not pc.all(written).as_py():
        raise _strange_number(column, name, place, ~written.to_numpy(zero_copy_only=False), "is no number")
    values = pc.cast(pc.utf8_ltrim(column, "+"), pa.float64()).to_numpy(zero_copy_only=False)
    for beyond, meant in ((np.isinf(values), "inf"), (values == 0.0, ZERO)):
        if beyond.any():
            beyond &= ~pc.match_substring_regex(column, meant).fill_null(True).to_numpy(zero_copy_only=False)
        if beyond.any():
            raise _strange_number(column, name, place, beyond, "is beyond float64")
    return values


def _strange_number(column: pa.Array, name: str, place: Place, bad: npt.NDArray[np.bool_], fault: str) -> ArgumentError:
    row = int(np.argmax(bad))
    text = column[row].as_py()
    shown = repr(text if len(text) <= 40 else text[:40] + "...")
    found = f"in {place.of(row)} column {name!r} holds {shown}, which {fault} ({int(bad.sum())} such cells)"
    return ArgumentError("numbers are written as 0.5, 5e-1, inf or nan", found, "Repair or remove the row.")


def _amounts(rows: pa.RecordBatch, name: str | None, place: Place) -> Floats | None:
    """Weights, or numbers of bytes; none may be missing."""
    if name is None:
        return None
    column = rows.column(name)
    if column.null_count:
        found = f"{place.of(first_null(column))} has none in {name!r} ({column.null_count} such cells)"
        raise ArgumentError("every row needs a number in this column", found, "Fill the cells or remove the rows.")
    return _numbers(column, name, place).astype(np.float64)


def _target(rows: pa.RecordBatch, layout: Layout, place: Place) -> tuple[Indices, int]:
    """Class indices, and how many labels were places; -1 where a row has no class, and 0 where there is one number a row."""
    if layout.spec.kind == "target-log-probs":
        return np.zeros(rows.num_rows, np.int64), 0
    if layout.target is None:
        return np.full(rows.num_rows, -1), 0
    score = len(layout.predictions) == 1 and layout.spec.n_classes == 2
    return labelled(rows.column(layout.target), Names(layout.spec.classes, layout.target, score), place)
