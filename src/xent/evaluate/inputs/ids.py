"""What rows and groups are called, as text, and as the keys that draw and pair rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import ArgumentError
from xent.evaluate.inputs.plain import plain, without_nan
from xent.evaluate.state.groups import Groups
from xent.evaluate.state.hashing import Keys, mixed
from xent.kernels.tally import text_keys

MISSING = "(none)"
"""What a cell without a value is called; an empty text is another."""
MOST = np.uint64(2**63 - 1)
EXACT = 2.0**53
"""Below this float64 tells whole numbers apart."""


class Place:
    """Where a cell stands, in words; of lists, which of the rows they are of, and how long each is."""

    def __init__(self, name: str, first: int, rows: npt.NDArray[np.int64] | None = None, each: int = 1) -> None:
        self.name, self.first, self.rows, self.each = name, first, rows, each

    def of(self, cell: int) -> str:
        """``row 12 of a.parquet``."""
        row = cell // self.each
        return f"row {self.first + (row if self.rows is None else int(self.rows[row]))} of {self.name}"


class Texts(Sequence[str]):
    """Values of a column as text, made where they are asked for."""

    def __init__(self, column: pa.Array) -> None:
        """Of this column."""
        self.column = column

    def __len__(self) -> int:
        """How many there are."""
        return len(self.column)

    def __getitem__(self, row: Any) -> Any:
        """One, or those of a slice."""
        return texts(self.column[row]) if isinstance(row, slice) else texts(self.column.slice(row, 1))[0]


def groups(column: pa.Array, name: str, place: Place) -> Groups:
    """Rows of one value together; those without one are a group as well.

    Raises:
        ArgumentError: a float that may be another whole number than was written.
    """
    if pa.types.is_dictionary(column.type):
        names = [*texts(plain(column.dictionary, f"column {name!r} of {place.name}")), MISSING]
        return Groups.coded(names, column.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False))
    column = without_nan(column)
    _check_exact(column, name, place, "groups")
    try:
        coded = column.dictionary_encode(null_encoding="encode")
    except pa.ArrowNotImplementedError:
        # Lists have no dictionaries.
        return Groups.of(texts(column))
    return Groups.coded(texts(coded.dictionary), coded.indices.to_numpy(zero_copy_only=False))


def texts(column: pa.Array) -> list[str]:
    """Values as text."""
    column = _written(without_nan(column))
    if pa.types.is_string(column.type):
        return column.fill_null(MISSING).to_pylist()
    return [_text(value) for value in column.to_pylist()]


def _text(value: Any) -> str:
    """A value as text, whatever stands beside it; whole numbers that a reader made floats are whole: JSON knows one kind."""
    if value is None:
        return MISSING
    return str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else str(value)


def _written(column: pa.Array) -> pa.Array:
    """Dates and times as texts, such as Python writes, also where Python has none: beyond the year 9999, or finer."""
    kind = column.type
    if pa.types.is_duration(kind):
        return pc.binary_join_element_wise(column.cast(pa.int64()).cast(pa.string()), kind.unit, " ")
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return pc.binary_join_element_wise(_written(column.cast(pa.timestamp(kind.unit))), "UTC", " ")
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_time(kind)):
        return column
    return pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "")


def inexact(column: pa.Array) -> npt.NDArray[np.bool_]:
    """Which cells hold a float that may be another whole number than was written."""
    if not pa.types.is_floating(column.type):
        return np.zeros(len(column), np.bool_)
    values = column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
    return np.isfinite(values) & (np.abs(values) >= EXACT)


def _check_exact(column: pa.Array, name: str, place: Place, what: str) -> None:
    """Refuse floats that may be other whole numbers than were written."""
    far = inexact(column)
    if far.any():
        row = int(np.argmax(far))
        found = f"{place.of(row)} holds {column[row].as_py():.0f} in {name!r}, and float64 does not tell it from its neighbours"
        raise ArgumentError(f"{what} must be told apart", found, f"Write {what} as texts.")


def id_keys(column: pa.Array, name: str, place: Place) -> Keys:
    """What decides how a row is drawn: its id."""
    column = without_nan(column)
    if column.null_count:
        found = f"{place.of(first_null(column))} has none in {name!r}"
        raise ArgumentError("every row needs an id", found, "Fill it, or leave --id (id=) out.")
    _check_exact(column, name, place, "ids")
    return keys(column)


def first_null(column: pa.Array) -> int:
    """Where the first cell without a value stands."""
    return int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))


def keys(column: pa.Array) -> Keys:
    """What decides how a row is drawn, and which rows are the same: a whole number and its text have one key."""
    if pa.types.is_integer(column.type):
        return _of_numbers(column.to_numpy(zero_copy_only=False))
    words = column if pa.types.is_string(column.type) else pa.array(texts(column), pa.string())
    _, offsets, data = words.buffers()
    ends = np.frombuffer(offsets, np.int32)[words.offset : words.offset + len(words) + 1]
    return text_keys(np.frombuffer(data or b"", np.uint8), ends)


def _of_numbers(values: npt.NDArray[Any]) -> Keys:
    """Keys of whole numbers; of those beyond int64, the keys of their texts."""
    found = mixed(values.astype(np.int64).view(np.uint64))
    if values.dtype == np.uint64:
        beyond = values > MOST
        found[beyond] = keys(pa.array([str(value) for value in values[beyond].tolist()], pa.string()))
    return found
