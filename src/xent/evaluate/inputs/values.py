"""What a caller holds of each row, as an array or as a column of Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xent._check import arrays as rules
from xent._errors import DTypeError, ShapeError
from xent.evaluate.inputs.plain import plain

Floats = npt.NDArray[np.float64]


def as_array(value: Any, name: str = "predictions") -> npt.NDArray[Any]:
    """An array in this machine's byte order; a tensor is taken from its graph and device, and bfloat16 becomes float32.

    Raises:
        XentError: no array can be made of it, or it is masked.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be a plain array", "found a masked array", "Fill it, or leave its rows out.")
    array = rules.as_array(value, name)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def amounts_of(value: Any, name: str, n: int) -> Floats | None:
    """Numbers, one a row; None of None."""
    if value is None:
        return None
    array = as_array(value, name)
    _check_one_a_row(array.shape, name, n)
    if array.dtype.kind not in "iubf":
        raise DTypeError(f"{name} must be numbers, one a row", f"found {array.dtype}", "Convert it, with astype(float) say.")
    return array.astype(np.float64)


def column_of(value: Any, name: str, n: int) -> pa.Array | None:
    """Texts or numbers, one a row; None of None.

    NumPy would cut texts at zeros, make texts of numbers beside them, and floats of whole numbers beside none.

    Raises:
        XentError: values of several kinds, or not one a row.
    """
    if value is None:
        return None
    try:
        column = _column(value, name)
    except (pa.ArrowException, OverflowError, UnicodeError) as error:
        found = f"Arrow says: {' '.join(str(error).split())[:200]}"
        raise DTypeError(f"{name} must be texts or numbers, all of one kind", found, "Convert it.") from error
    shape = (len(column),) if isinstance(column, pa.Array) else column.shape
    _check_one_a_row(shape, name, n)
    return plain(column, name)


def _column(value: Any, name: str) -> Any:
    """A column of Arrow, or an array that is none as it has not one dimension."""
    if isinstance(value, pa.Array):
        return value
    if hasattr(value, "__arrow_c_stream__"):
        return pa.chunked_array(value).combine_chunks()
    if isinstance(value, list | tuple) and not any(_is_list(item) for item in value):
        return pa.array(value, from_pandas=True)
    array = as_array(value, name)
    if array.ndim != 1:
        return array
    return pa.array(array.tolist() if array.dtype.kind in "OUST" else array, from_pandas=True)


def _is_list(item: Any) -> bool:
    """Whether an item is no number and no text: a row, an array, or a tensor, of one number as well."""
    return hasattr(item, "shape") or (isinstance(item, Sequence) and not isinstance(item, str | bytes))


def _check_one_a_row(shape: tuple[int, ...], name: str, n: int) -> None:
    """Refuse what has not one value a row."""
    if shape != (n,):
        remedy = "Give a list or an array of them; a name of a column serves with a table."
        if name == "target" and len(shape) == 2:
            remedy = "Are predictions and target swapped? One-hot rows become classes by argmax(axis=1)."
        raise ShapeError(f"with arrays {name} must have one value a row", f"found {shape} for {n} rows", remedy)
