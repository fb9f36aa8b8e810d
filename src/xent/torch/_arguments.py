"""Rules about tensors, read from shapes and dtypes alone, so that they hold while PyTorch records as well."""

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent._check import options
from xent._check.options import is_whole
from xent._check.targets import is_indices, levels_to_caller
from xent._errors import ArgumentError, AxisError, DTypeError, ShapeError
from xent.torch._tensors import STORAGE, has_class_axis, storage_of

_KINDS = {
    **dict.fromkeys((torch.uint8, torch.uint16, torch.uint32, torch.uint64), "u"),
    **dict.fromkeys((torch.int8, torch.int16, torch.int32, torch.int64), "i"),
    torch.bool: "b",
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
        if value.layout != torch.strided:
            raise DTypeError(f"{name} must be a dense tensor", f"found {value.layout}", f"Use {name}.to_dense().")
        if value.dtype not in _KINDS and value.dtype not in STORAGE:
            raise DTypeError(f"{name} must hold real numbers", f"found {value.dtype}", f"Use {name}.to(torch.float32).")
        return value
    raise DTypeError(
        f"{name} must be a torch tensor",
        f"found {type(value).__name__}",
        f"torch.as_tensor({name}) makes one; NumPy arrays belong to the functions of xent itself.",
    )


def check_target(x: Tensor, target: Tensor) -> bool:
    """Whether the target holds class indices; anything that fits neither meaning is refused."""
    storage_of(x, "input")
    has_class_axis(x)
    return is_indices(described(target), tuple(x.shape), min(x.ndim - 1, 1))


def check_weight(weight: Tensor | None, x: Tensor) -> None:
    """One number a class."""
    check_weight_of(weight, x.shape[min(x.ndim - 1, 1)])


def check_weight_of(weight: Tensor | None, classes: int) -> None:
    """One number for each of so many classes."""
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
        warnings.warn(f"size_average and reduce are deprecated: write reduction={meant!r}", UserWarning, stacklevel=_caller())
        return meant
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated: write reduction='mean'", UserWarning, stacklevel=_caller())
        return "mean"
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
        warnings.warn(f"{name} without dim is deprecated: write dim={dim}", UserWarning, stacklevel=_caller())
    if not is_whole(dim) or not -max(ndim, 1) <= dim < max(ndim, 1):
        width = max(ndim, 1)
        raise AxisError(f"dim must lie in [{-width}, {width})", f"found {dim!r}", f"input has {ndim} axes.")
    return dim % max(ndim, 1)


def check_mean(reduction: str, normalizer: float | None, empty: str, validate: str = "off") -> None:
    """The options of a mean, of which none depends on a tensor."""
    options.choice(reduction, "reduction")
    options.choice(empty, "empty")
    options.choice(validate, "validate")
    if normalizer is not None:
        options.number(normalizer, "normalizer", 0.0, open_low=True)


def _caller() -> int:
    """Which line a warning should name; a graph that is recorded has no lines."""
    return 3 if torch.compiler.is_compiling() else levels_to_caller() - 1
