"""Rules about arrays: dtypes, axes, buffers."""

from typing import Any

import numpy as np

from xent._check.options import is_whole
from xent._errors import ArgumentError, AxisError, DTypeError, ShapeError
from xent._typing import Array, Storage

_STORAGE: dict[np.dtype[Any], Storage] = {
    np.dtype(np.float16): "float16",
    np.dtype(np.float32): "float32",
    np.dtype(np.float64): "float64",
}


def as_array(value: Any, name: str) -> Array:
    """An array of anything NumPy reads without losing meaning; a mask would be lost, objects have no numbers."""
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(f"{name} must be a plain array", "found a masked array", "Fill it, or mark rows with ignore_index.")
    if hasattr(value, "tocsr"):
        raise DTypeError(f"{name} must be a dense array", f"found {type(value).__name__}", "Use .toarray(), if it fits memory.")
    try:
        return np.asarray(value)
    except RuntimeError as error:
        raise DTypeError(f"{name} must be readable by NumPy", f"it says: {error}", "A tensor? Use tensor.detach().") from error
    except TypeError as error:
        remedy = "Convert it first: tensor.float().numpy()."
        raise DTypeError(f"{name} must be readable by NumPy", f"it says: {error}", remedy) from error
    except ValueError as error:
        raise ShapeError(f"{name} must be one rectangular array", f"NumPy says: {error}", "Are all rows equally long?") from error


def as_floats(value: Any, name: str) -> tuple[Array, Storage]:
    """The array and its storage; integers are not logits, whatever their values."""
    array = as_array(value, name)
    storage = _STORAGE.get(array.dtype)
    if storage is None and array.dtype.name == "bfloat16":
        storage = "bfloat16"
    if storage is None:
        raise _no_floats(array, name)
    return array, storage


def _no_floats(array: Array, name: str) -> DTypeError:
    if array.dtype.kind == "f" and not array.dtype.isnative:
        return DTypeError(
            f"{name} must be in native byte order", f"found {array.dtype.str}", 'Use astype(dtype.newbyteorder("=")).'
        )
    return DTypeError(
        f"{name} must be float16, bfloat16, float32 or float64",
        f"found {array.dtype}",
        f"Were {name} and target swapped? Otherwise {name}.astype(numpy.float32)."
        if array.dtype.kind in "iub"
        else f"Convert {name} with astype.",
    )


def bits(array: Array, storage: Storage) -> Array:
    """The array as kernels take it: bfloat16 as its uint16 bits."""
    return array.view(np.uint16) if storage == "bfloat16" else array


def axis_of(axis: object, ndim: int, name: str) -> int:
    """A class axis in [0, ndim)."""
    if ndim == 0:
        raise ShapeError(f"{name} must have a class axis", "found a single number", "One row is shaped (C,).")
    if type(axis) is int and -ndim <= axis < ndim:
        return axis % ndim
    if is_whole(axis) and -ndim <= axis < ndim:
        return int(axis) % ndim
    raise AxisError(f"axis must be a whole number in [{-ndim}, {ndim})", f"found {axis!r}", f"{name} has {ndim} axes.")


def has_classes(classes: int, name: str) -> None:
    """At least one class."""
    if classes == 0:
        raise ShapeError(f"{name} must hold at least one class", "the class axis has length 0", "Is axis the class axis?")


def same_shape(array: Array, like: Array, name: str, like_name: str) -> None:
    """No broadcasting."""
    if array.shape != like.shape:
        raise ShapeError(
            f"{name} must have the shape of {like_name}, {like.shape}",
            f"found {array.shape}",
            "xent does not broadcast: a (N,) against a (N, 1) would silently become (N, N).",
        )


def class_weights(weight: Any, classes: int, name: str = "weight") -> Array:
    """[C] float64, finite and not negative."""
    vector = as_array(weight, name)
    if vector.shape != (classes,):
        raise ShapeError(
            f"{name} must hold one number a class, ({classes},)",
            f"found shape {vector.shape}",
            f"numpy.ones({classes}) weighs all classes alike.",
        )
    return not_negative(vector, name)


def not_negative(values: Array, name: str, what: str = "class") -> Array:
    """Float64, finite and not negative."""
    if values.dtype.kind not in "fiub" and values.dtype.name != "bfloat16":
        raise DTypeError(f"{name} must hold numbers", f"found {values.dtype}", "Convert it with astype.")
    wide = values.astype(np.float64)
    bad = ~(np.isfinite(wide) & (wide >= 0.0))
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        place = where[0] if len(where) == 1 else where
        raise ArgumentError(
            f"{name} must be finite and not negative", f"{name}[{place}] is {wide[where]}", f"A weight of 0 leaves a {what} out."
        )
    return wide


def buffer(out: Array, like: Array, name: str = "out") -> Array:
    """A writable array of the same shape and dtype."""
    if type(out) is not np.ndarray or out.shape != like.shape or out.dtype != like.dtype:
        found = f"{out.dtype} {out.shape}" if hasattr(out, "dtype") else type(out).__name__
        raise ShapeError(
            f"{name} must be a NumPy array of the logits' dtype and shape, {like.dtype} {like.shape}",
            f"found {found}",
            f"numpy.empty_like(logits) fits; {name}=logits overwrites them.",
        )
    if not out.flags.writeable:
        raise ArgumentError(f"{name} must be writable", "found a read-only array", "Leave it out, or pass a fresh buffer.")
    if not overlap_free(out):
        raise ArgumentError(f"{name} must not overlap itself", f"found strides {out.strides}", "Pass a fresh buffer.")
    return out


def overlap_free(array: Array) -> bool:
    """Whether every element has its own memory; strides of zero do not."""
    return array.size == 0 or all(step != 0 or length <= 1 for step, length in zip(array.strides, array.shape, strict=True))


def apart(out: Array, other: Array, name: str) -> None:
    """Memory that out does not touch, unless it is the logits' very array."""
    if (out is other and name == "logits") or not np.may_share_memory(out, other):
        return
    same = out.ctypes.data == other.ctypes.data and out.strides == other.strides and out.shape == other.shape
    if not (same and name == "logits") and np.shares_memory(out, other):
        raise ArgumentError(
            f"out must not overlap {name} in part", "their memory overlaps", "Pass out=logits itself, or a fresh buffer."
        )
