"""Tensors as NumPy sees them and back, without a copy: bfloat16 as the bits that kernels read."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._calls import buffers
from xent._calls.rows import Input
from xent._check.arrays import has_classes
from xent._errors import DTypeError, ShapeError
from xent._typing import Array, Storage
from xent.kernels.cpu.threads import ThreadsOf

STORAGE: dict[torch.dtype, Storage] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
}


def torch_threads() -> ThreadsOf:
    """Compute on as many threads as `torch.set_num_threads` says."""
    return ThreadsOf(torch.get_num_threads())


def array_of(tensor: Tensor) -> Array:
    """The tensor's memory; bfloat16 as uint16."""
    plain = tensor.detach()
    if plain.dtype == torch.bfloat16:
        plain = plain.view(torch.uint16)
    return plain.resolve_neg().numpy()


def numbers_of(tensor: Tensor) -> Array:
    """The tensor's numbers; half precision in float32."""
    return array_of(tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor)


def input_of(tensor: Tensor) -> Input:
    """The logits of a call as [..., C, ...] with classes on axis 1, or a single row."""
    storage = storage_of(tensor, "input")
    has_class_axis(tensor)
    return Input(array_of(tensor), storage, min(tensor.ndim - 1, 1))


def has_class_axis(x: Tensor, name: str = "input") -> None:
    """At least one class, on axis 1, or on axis 0 of a single row."""
    if x.ndim == 0:
        raise ShapeError(f"{name} must have a class axis", "found a single number", "One row is shaped (C,).")
    has_classes(x.shape[min(x.ndim - 1, 1)], name)


def targeted(tensors: Sequence[Tensor | None]) -> tuple[Tensor, Tensor, Tensor | None]:
    """Input, target and weight of a call, of which the weight alone may be left out."""
    x, target, weight = tensors
    assert x is not None
    assert target is not None
    return x, target, weight


def storage_of(tensor: Tensor, name: str) -> Storage:
    """How kernels name the dtype."""
    storage = STORAGE.get(tensor.dtype)
    if storage is None:
        raise DTypeError(
            f"{name} must be float16, bfloat16, float32 or float64",
            f"found {tensor.dtype}",
            f"Take its real part, or {name}.abs()."
            if tensor.is_complex()
            else f"{name}.float(), unless the arguments are swapped.",
        )
    return storage


def room_for(given: Input) -> Array:
    """A new array for a gradient: laid out as the input where its rows can be seen so, else plainly."""
    like = buffers.empty_like(given.array)
    return like if np.may_share_memory(given.matrix(like), like) else buffers.empty(like.shape, like.dtype)


def tensor_of(array: Array, storage: Storage) -> Tensor:
    """The tensor over an array of that storage."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if storage == "bfloat16" else tensor


def loss_of(value: Any) -> Tensor:
    """A reduced loss, or one a row, as a tensor."""
    return torch.from_numpy(np.asarray(value))


def stand_in(x: Tensor) -> Tensor:
    """A zero seen in the shape of x, where only the shape is asked for."""
    return torch.zeros((), dtype=x.dtype).expand(x.shape)


def loss_dtype(x: Tensor) -> torch.dtype:
    """Float32, or float64 for float64 input."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32
