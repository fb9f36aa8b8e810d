"""What callers give to calibrators, as plain arrays: predictions, labels and weights that lose no meaning on the way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, time, timedelta
from numbers import Integral
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DTypeError, LabelError, ShapeError, XentError
from xent.evaluate.calibration._entries import shown
from xent.evaluate.calibration._parameters import real
from xent.evaluate.inputs.values import as_array

Array = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]

REAL = "iubf"
"""Kinds of dtypes that hold real numbers."""
OTHER = (str, bytes, date, time, timedelta, np.datetime64, np.timedelta64)
"""What NumPy would read as numbers, or as nearly so, and what is none."""
WIDEST = 2**63
"""Beyond every label in int64."""


def predictions(X: Any) -> Any:
    """X for scikit-learn: a frame as it is, for its names, or anything else as an array; refused where it holds no numbers."""
    _check_unmasked(X, "X")
    if hasattr(X, "tocsr"):
        # scikit-learn says what to do with sparse matrices.
        return X
    array = plain(X, "X")
    rule, remedy = "X must be real numbers", "Give them as floats."
    if array.dtype.kind == "c":
        raise ArgumentError(rule, f"Complex data not supported: found {array.dtype}", remedy)
    if array.dtype.kind not in REAL + "O":
        raise DTypeError(rule, f"found {array.dtype}", remedy)
    strange = next((value for value in array.flat if isinstance(value, OTHER)), None) if array.dtype.kind == "O" else None
    if strange is not None:
        raise DTypeError(rule, f"found {shown(strange)} among them", remedy)
    if array.ndim != 2:
        remedy = "Reshape your data: one row of C classes is shaped (1, C)."
        raise ShapeError("X must be shaped [N, C], a row of predictions for each label", f"found {array.shape}", remedy)
    return X if hasattr(X, "columns") else array


def labels(y: Any, names: list[Any] | None) -> Any:
    """y for scikit-learn: numbers; class indices where classes have names, and -1 where a row has none."""
    if y is None:
        return None
    _check_unmasked(y, "y")
    # A list may mix texts and None, and NumPy would make texts of both.
    listed = names is not None and isinstance(y, list | tuple)
    array = plain(_objects(y) if listed else y, "y")
    if array.dtype.kind == "T":
        array = array.astype(object)
    return _numbered(array) if names is None else _places(array, names)


def _objects(values: Any) -> Array:
    """[N] the elements of a list, whatever they are."""
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _numbered(array: Array) -> Array:
    """Labels without names, as real numbers; `indices` refuses fractions."""
    rule = "without classes= labels must be class indices"
    if array.dtype.kind not in REAL + "O":
        remedy = "Name the classes in the order of the columns: classes=[...]."
        raise LabelError(rule, f"y holds {array.dtype}", remedy)
    flat = array.reshape(-1)
    if array.dtype.kind == "f":
        bad = np.flatnonzero(np.isnan(flat))[:1].tolist()
    elif array.dtype.kind == "O":
        bad = [row for row, label in enumerate(flat.tolist()) if not _is_index(label)][:1]
    else:
        bad = []
    if bad:
        label = flat[bad[0]]
        remedy = "-1 leaves a row out." if _missing(label) else "Name the classes in the order of the columns: classes=[...]."
        raise LabelError(rule, f"row {bad[0]} of y holds {_shown(label)}", remedy)
    return np.array([int(label) for label in flat], np.int64).reshape(array.shape) if array.dtype.kind == "O" else array


def _is_index(label: Any) -> bool:
    """A whole number that int64 holds."""
    whole = isinstance(label, Integral | np.bool_) or real(label).is_integer()
    return whole and -WIDEST <= int(cast(Any, label)) < WIDEST


def _places(array: Array, names: list[Any]) -> Indices:
    """The places of named labels among the classes; -1 for None and NaN."""
    rule, remedy = "labels must be among classes", "Does it need another spelling, or is a column missing? None leaves a row out."
    if array.dtype.kind not in REAL + "OUS":
        # A moment or a complex number may equal a whole number, and is none.
        raise LabelError(rule, f"y holds {array.dtype}", remedy)
    if array.dtype.kind == "O":
        distinct, at = list(array.reshape(-1)), np.arange(array.size)
    else:
        found, at = np.unique(array, return_inverse=True)
        distinct = cast("list[Any]", found.tolist())
    place = {name: n for n, name in enumerate(names)}
    codes = [_place(label, place) for label in distinct]
    if None in codes:
        raise LabelError(rule, f"y holds {_shown(distinct[codes.index(None)])}", remedy)
    return np.array(codes, np.int64)[at].reshape(array.shape)


def _place(label: Any, place: Mapping[Any, int]) -> int | None:
    """Where a label stands; -1 for a missing one, None for one that is no class."""
    try:
        return -1 if _missing(label) else place.get(label)
    except TypeError:
        return None


def _missing(label: Any) -> bool:
    """Whether a label says that there is none: None, NaN, and what pandas writes for them."""
    if isinstance(label, float | np.floating):
        return bool(np.isnan(label))
    return label is None or type(label).__name__ in {"NAType", "NaTType"}


def indices(target: Array, n_classes: int) -> Indices:
    """[N] class indices from numbers; those without a column are refused as they are, before anything is cast."""
    with np.errstate(invalid="ignore"):
        parts = target % 1.0 > 0.0 if target.dtype.kind == "f" else np.zeros(1, np.bool_)
    if parts.any():
        # Callers who know scikit-learn look for its first three words.
        found = f"Unknown label type: row {int(np.argmax(parts))} of y holds {target[np.argmax(parts)]}"
        raise LabelError("labels must be whole numbers", found, "Are these probabilities? Give the class that came true.")
    bad = (target < -1) | (target >= n_classes)
    if bad.any():
        row = int(np.argmax(bad))
        found = f"row {row} of y holds {target[row]} ({int(bad.sum())} such rows)"
        remedy = "Do labels count from 1?" if target[row] == n_classes else "Does the label name a class without a column?"
        raise LabelError(f"labels must lie in [0, {n_classes}), or be -1 where a row does not count", found, remedy)
    return target.astype(np.int64)


def weights(sample_weight: Any, rows: int) -> npt.NDArray[np.float64] | None:
    """[N] weights in float64; `check` looks at their values."""
    if sample_weight is None:
        return None
    _check_unmasked(sample_weight, "sample_weight")
    array = plain(sample_weight, "sample_weight")
    rule, remedy = "sample_weight must be real numbers, one a row", "Give them as integers or floats."
    if array.dtype.kind == "O":
        strange = [row for row, value in enumerate(array.flat) if not _is_float(value)]
        if strange:
            raise DTypeError(rule, f"row {strange[0]} of sample_weight holds {_shown(array.flat[strange[0]])}", remedy)
    elif array.dtype.kind not in REAL:
        raise DTypeError(rule, f"found {array.dtype}", remedy)
    if array.shape != (rows,):
        raise ShapeError(f"sample_weight must be shaped ({rows},), as y is", f"found {array.shape}", "Give a weight a row.")
    with np.errstate(over="ignore"):
        return array.astype(np.float64)


def _is_float(value: Any) -> bool:
    """A real number that float64 reaches."""
    return isinstance(value, float | bool | np.floating | np.bool_) or math.isfinite(real(value))


def plain(value: Any, name: str) -> Array:
    """An array, whatever refuses to be one; tensors leave their graph."""
    try:
        return as_array(value, name)
    except XentError:
        raise
    except Exception as error:
        raise DTypeError(f"{name} must be readable by NumPy", f"it says: {error}", "Convert it to an array.") from error


def _check_unmasked(value: Any, name: str) -> None:
    """Refuse masks, which would be lost, in arrays and in lists of them."""
    parts = cast("list[Any]", [value, *value] if isinstance(value, list | tuple) else [value])
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise DTypeError(f"{name} must be a plain array", "found a masked array", "Fill it, or leave these rows out.")


def _shown(value: Any) -> str:
    """A value as it is written in Python, in one short line."""
    return " ".join(shown(value.item() if isinstance(value, np.generic) else value).split())
