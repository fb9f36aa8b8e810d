"""Columns of the many types that Arrow knows, as the few that are read: numbers, booleans, and texts of one kind."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import ArgumentError

NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?inf$|^nan$"
"""How numbers are written in text: a point, an exponent, inf, nan; nothing else, and no spaces."""


def plain(column: pa.Array, called: str) -> pa.Array:
    """The same values: dictionaries written out, UUIDs as texts, and other extension types as what they are stored as.

    Raises:
        ArgumentError: a text that is not UTF-8.
    """
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return column
    if isinstance(kind, pa.BaseExtensionType):
        column = _stored(column)
    elif pa.types.is_run_end_encoded(kind):
        column = pc.run_end_decode(column)
    elif pa.types.is_dictionary(kind):
        column = pc.take(plain(column.dictionary, called), column.indices)
    elif pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _narrow(column, called)
    if pa.types.is_string(column.type):
        _check_text(column, called)
    return column if column.type == kind else plain(column, called)


def _stored(column: pa.ExtensionArray) -> pa.Array:
    """What an extension type stands for, where Arrow defines it, and else what it is stored as."""
    if column.type.extension_name == "arrow.uuid":
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    stored = column.storage
    return pc.not_equal(stored, 0) if column.type.extension_name == "arrow.bool8" else stored


def _narrow(column: pa.Array, called: str) -> pa.Array:
    """Long texts with short offsets."""
    _check_text(column, called)
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        # A few rows that lie far behind in a long column.
        return pa.array(column.to_pylist(), pa.string())


def _check_text(column: pa.Array, called: str) -> None:
    """Refuse text that is none: a file may hold any bytes where it declares text."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ArgumentError("text must be UTF-8", f"{called} holds other bytes", "Write it anew, from texts.") from error


def without_nan(column: pa.Array) -> pa.Array:
    """Floats whose NaN is no value, as an empty cell is none."""
    if not pa.types.is_floating(column.type):
        return column
    wide = column.cast(pa.float32()) if pa.types.is_float16(column.type) else column
    return pc.if_else(pc.is_nan(wide), pa.scalar(None, wide.type), wide)
