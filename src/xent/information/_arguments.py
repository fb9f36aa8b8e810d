"""What a caller hands over, made ready: one library, a floating dtype, axes that exist, numbers that are probabilities."""

import math
from collections.abc import Sequence
from typing import Any, NoReturn, SupportsIndex, TypeAlias

import numpy as np
from array_api_compat import array_namespace

from xent._check.tolerance import ROUNDING_UNIT, slack
from xent._errors import ArgumentError, DistributionError, DTypeError, ShapeError

# Python has no static type for "an array of any array-API library".
Array: TypeAlias = Any

_NATS_PER = {"nat": 1.0, "bit": math.log(2.0), "hartley": math.log(10.0)}
_TO_ROWS = "Counts become probabilities divided by their sum, logits by softmax, log-probabilities by exp."
_TO_EVENTS = "A logit becomes a probability by the sigmoid, a log-probability by exp, a percentage divided by 100."
_TO_NUMBERS = "A NaN often comes from 0/0 in a normalisation: mend or drop it where it arises."


def nats_per(unit: str) -> float:
    """Nats in one ``unit``."""
    if unit not in tuple(_NATS_PER):
        raise ArgumentError('unit must be "nat", "bit" or "hartley"', f"it is {unit!r}", 'Base-2 logarithms are unit="bit".')
    return _NATS_PER[unit]


def open_events(p: Array) -> tuple[Any, Array]:
    """Namespace and array of probabilities of single events, each in [0, 1]."""
    xp, [p], [dtype] = _open(p=p)
    _check_entries(xp, "p", p, 1.0 + slack(dtype, 1), _TO_EVENTS)
    return xp, p


def open_rows(p: Array, axis: int) -> tuple[Any, Array, int]:
    """Namespace, array and axis of distributions along that axis."""
    xp, [p], [dtype] = _open(p=p)
    (axis,) = _axes("p", p, (axis,))
    _check_distribution(xp, "p", p, (axis,), dtype)
    return xp, p, axis


def open_row_pairs(p: Array, q: Array, axis: int) -> tuple[Any, Array, Array, int]:
    """Namespace, two arrays of one shape and axis of distributions along that axis."""
    xp, [p, q], dtypes = _open(p=p, q=q)
    if p.shape != q.shape:
        shapes = f"p is {tuple(p.shape)} and q is {tuple(q.shape)}"
        raise ShapeError("p and q must have the same shape", shapes, "Repeat the smaller one with broadcast_to if that is meant.")
    (axis,) = _axes("p", p, (axis,))
    for name, array, dtype in zip("pq", (p, q), dtypes, strict=True):
        _check_distribution(xp, name, array, (axis,), dtype)
    return xp, p, q, axis


def open_tables(joint: Array, axis: Any) -> tuple[Any, Array, tuple[int, ...]]:
    """Namespace, array and two axes of joint distributions over those axes."""
    xp, [joint], [dtype] = _open(joint=joint)
    axes = _axes("joint", joint, axis) if isinstance(axis, Sequence) else ()
    if not len(axes) == len(set(axes)) == 2:
        raise ShapeError("axis must name two axes of joint", f"it is {axis!r}", "A table has one axis for X and one for Y.")
    _check_distribution(xp, "joint", joint, axes, dtype)
    return xp, joint, axes


def _open(**named: Array) -> tuple[Any, list[Array], list[str]]:
    """The common namespace; each array in the dtype it is computed in; the dtype it came in."""
    arrays = [_as_array(name, value) for name, value in named.items()]
    dtypes = [_dtype_name(name, array) for name, array in zip(named, arrays, strict=True)]
    xp, *others = (array_namespace(array) for array in arrays)
    if any(other is not xp for other in others):
        homes = " and ".join(f"{n} from {type(a).__module__.partition('.')[0]}" for n, a in zip(named, arrays, strict=True))
        raise DTypeError("arrays must come from one library", homes, "Convert one; lists count as numpy.")
    wide = [xp.astype(a, xp.float64 if d == "float64" else xp.float32, copy=False) for a, d in zip(arrays, dtypes, strict=True)]
    return xp, wide, dtypes


def _as_array(name: str, value: Any) -> Array:
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be a plain array", "it is a masked array", "Fill it, or leave masked rows out.")
    try:
        array_namespace(value)
    except TypeError:
        return _from_python(name, value)
    return value


def _from_python(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:
        raise ShapeError(f"{name} must be rectangular", "its rows differ in length", "Fill short rows with zeros.") from None
    # The 1 in [1, 0, 0] is a number, while an integer array holds indices or counts.
    return array.astype(np.float64) if array.dtype.kind in "iu" and isinstance(value, (int, list, tuple)) else array


def _dtype_name(name: str, array: Array) -> str:
    # NumPy and JAX dtypes carry a name; torch and array-api-strict print one after a dot.
    dtype: str = getattr(array.dtype, "name", None) or str(array.dtype).rpartition(".")[2]
    if dtype not in ROUNDING_UNIT:
        remedy = "Convert probabilities to a floating dtype; class indices and counts are no probabilities."
        raise DTypeError(f"{name} must be float16, bfloat16, float32 or float64", f"it is {dtype}", remedy)
    return dtype


def _axes(name: str, array: Array, axes: Any) -> tuple[int, ...]:
    """The axes counted from the front."""
    for axis in axes:
        if not isinstance(axis, SupportsIndex) or not -array.ndim <= int(axis) < array.ndim:
            found = f"axis is {axis!r} and {name} has shape {tuple(array.shape)}"
            raise ShapeError(f"axis must be an axis of {name}", found, "Axes count from 0, or from -1 backwards.")
    return tuple(int(axis) % array.ndim for axis in axes)


def _check_distribution(xp: Any, name: str, p: Array, axes: tuple[int, ...], dtype: str) -> None:
    _check_entries(xp, name, p, math.inf, _TO_ROWS)
    sums = xp.sum(_constant(p), axis=axes)
    allowed = slack(dtype, math.prod(p.shape[axis] for axis in axes))
    fine = xp.abs(sums - 1.0) <= allowed
    if not xp.all(fine):
        _refuse_sum(xp, name, sums, fine, axes)


def _refuse_sum(xp: Any, name: str, sums: Array, fine: Array, axes: tuple[int, ...]) -> NoReturn:
    place, worst = _worst(xp, sums, xp.abs(sums - 1.0), fine)
    kind, along = ("row", f"along axis {axes[0]}") if len(axes) == 1 else ("table", f"over axes {axes[0]} and {axes[1]}")
    which, count = (f"{kind} {place}", f" ({_bad_of_all(xp, fine, kind + 's')})") if place else ("it", "")
    raise DistributionError(f"{name} must sum to 1 {along}", f"{which} sums to {worst:.9g}{count}", _TO_ROWS)


def _check_entries(xp: Any, name: str, p: Array, highest: float, remedy: str) -> None:
    values = _constant(p)
    fine = (values >= 0) & (values <= highest)
    if xp.all(fine):
        return
    unknown = xp.isnan(values)
    distance = xp.where(unknown, xp.full_like(values, math.inf), xp.abs(values - 0.5))
    place, worst = _worst(xp, values, distance, fine)
    found = f"{name}[{place}] is {worst:.9g} ({_bad_of_all(xp, fine, 'entries')})" if place else f"it is {worst:.9g}"
    raise DistributionError(f"{name} must hold probabilities, from 0 to 1", found, _TO_NUMBERS if math.isnan(worst) else remedy)


def _constant(p: Array) -> Array:
    # Checks are no part of a gradient, and torch warns when a number that records one becomes a float.
    return p.detach() if hasattr(p, "detach") else p


def _worst(xp: Any, values: Array, distance: Array, fine: Array) -> tuple[str, float]:
    """Indices and value of the worst entry that is not fine."""
    badness = xp.where(fine, xp.full_like(distance, -1.0), distance)
    flat = int(xp.argmax(xp.reshape(badness, (-1,))))
    place = ", ".join(str(int(i)) for i in np.unravel_index(flat, tuple(values.shape)))
    return place, float(xp.reshape(values, (-1,))[flat])


def _bad_of_all(xp: Any, fine: Array, things: str) -> str:
    return f"{int(xp.sum(xp.astype(~fine, xp.int32)))} of {math.prod(fine.shape)} {things}"
