"""Rules about tensors, read from shapes and dtypes alone, so that they hold while PyTorch records as well."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent._check.arrays import has_classes
from xent._check.targets import is_indices
from xent._errors import ArgumentError, AxisError, DTypeError, ShapeError
from xent.torch._tensors import storage_of

_KINDS = {
    **dict.fromkeys((torch.uint8, torch.uint16, torch.uint32, torch.uint64), "u"),
    **dict.fromkeys((torch.int8, torch.int16, torch.int32, torch.int64), "i"),
    torch.bool: "b",
    **dict.fromkeys((torch.complex64, torch.complex128), "c"),
}


class _DType(NamedTuple):
    """A dtype as the rules about arrays ask for it."""

    kind: str
    name: str

    def __str__(self) -> str:
        return self.name


class _Described(NamedTuple):
    """A tensor as the rules about arrays ask for it."""

    dtype: _DType
    shape: tuple[int, ...]


def described(tensor: Tensor) -> Any:
    """Shape and kind of numbers."""
    name = str(tensor.dtype).removeprefix("torch.")
    return _Described(_DType(_KINDS.get(tensor.dtype, "f"), name), tuple(tensor.shape))


def is_tensor(value: Any, name: str) -> Tensor:
    """A tensor; nothing else is one here."""
    if isinstance(value, Tensor):
        return value
    raise DTypeError(
        f"{name} must be a torch tensor",
        f"found {type(value).__name__}",
        f"torch.as_tensor({name}) makes one; NumPy arrays belong to the functions of xent itself.",
    )


def check_input(x: Tensor, name: str = "input") -> None:
    """Floats with a class axis."""
    storage_of(x, name)
    if x.ndim == 0:
        raise ShapeError(f"{name} must have a class axis", "found a single number", "One row is shaped (C,).")
    has_classes(x.shape[min(x.ndim - 1, 1)], name)


def check_target(x: Tensor, target: Tensor) -> bool:
    """Whether the target holds class indices; anything that fits neither meaning is refused."""
    check_input(x)
    return is_indices(described(target), tuple(x.shape), min(x.ndim - 1, 1))


def check_weight(weight: Tensor | None, x: Tensor) -> None:
    """One number a class."""
    classes = x.shape[min(x.ndim - 1, 1)]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(
            f"weight must hold one number a class, ({classes},)",
            f"found shape {tuple(weight.shape)}",
            f"torch.ones({classes}) weighs all classes alike.",
        )


def check_same_shape(x: Tensor, other: Tensor, name: str) -> None:
    """No broadcasting."""
    if x.shape != other.shape:
        raise ShapeError(
            f"{name} must have the shape of input, {tuple(x.shape)}",
            f"found {tuple(other.shape)}",
            "xent does not broadcast: a (N,) against a (N, 1) would silently become (N, N). "
            f"{name}.view_as(input) or .expand_as(input), if that is meant.",
        )


def reduction_of(reduction: str, size_average: bool | None, reduce: bool | None, *more: str) -> str:
    """One of "none", "mean", "sum"; the arguments that PyTorch deprecated decide where they are given, and warn."""
    if size_average is not None or reduce is not None:
        meant = "none" if reduce is False else "sum" if size_average is False else "mean"
        warnings.warn(f"size_average and reduce are deprecated: write reduction={meant!r}", UserWarning, stacklevel=3)
        return meant
    words = ("none", "mean", "sum", *more)
    if reduction not in words:
        raise ArgumentError(
            f"reduction must be one of {', '.join(map(repr, words))}", f"found {reduction!r}", "Write reduction='mean', say."
        )
    return reduction


def softmax_dim(dim: int | None, ndim: int, name: str) -> int:
    """The axis; the implicit choice that PyTorch deprecated still holds, and warns."""
    if dim is None:
        dim = 0 if ndim in (0, 1, 3) else 1
        warnings.warn(f"{name} without dim is deprecated: write dim={dim}", UserWarning, stacklevel=3)
    if isinstance(dim, bool) or not -max(ndim, 1) <= dim < max(ndim, 1):
        width = max(ndim, 1)
        raise AxisError(f"dim must lie in [{-width}, {width})", f"found {dim!r}", f"input has {ndim} axes.")
    return dim % max(ndim, 1)
