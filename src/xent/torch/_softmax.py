"""Softmax and its logarithm as a call of the engine."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xent._calls.rows import Input, matrix_bits
from xent.kernels.select import choose
from xent.losses.binary import LOG_SIGMOID
from xent.schedules import dense, pointwise
from xent.torch import _formula
from xent.torch._arguments import storage_of
from xent.torch._engine import Tensors
from xent.torch._tensors import array_of, room_for, tensor_of


class Softmax(NamedTuple):
    """Softmax along an axis, or its logarithm; one tensor."""

    dim: int
    logarithm: bool
    backend: str | None = None

    by_kernels = (0,)
    """The input."""
    one_number = False
    """As many as the input."""
    keeps_output = True
    """The derivative is written with it."""

    def check(self, tensors: Tensors) -> None:
        """Floats."""
        assert tensors[0] is not None
        storage_of(tensors[0], "input")

    def check_values(self, tensors: Tensors) -> None:
        """Any."""

    def value(self, tensors: Tensors) -> Tensor:
        """By kernels."""
        (x,) = tensors
        assert x is not None
        given = Input(array_of(x), storage_of(x, "input"), self.dim)
        if not given.array.size or not given.array.ndim:
            return self.formula(tensors)
        out = room_for(given)
        fill = dense.log_probabilities if self.logarithm else dense.probabilities
        fill(choose(self.backend, given.storage), dense.Rows(matrix_bits(given), given.storage), given.matrix(out))
        return tensor_of(out, given.storage)

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """``p·(g − Σ p·g)``, or ``g − p·Σ g`` for the logarithm: PyTorch's own operator, given the output."""
        (x, output), (by_output,) = tensors, upstream
        assert x is not None
        assert output is not None
        backward = torch.ops.aten._log_softmax_backward_data if self.logarithm else torch.ops.aten._softmax_backward_data
        return (backward(by_output.contiguous(), output, self.dim, x.dtype),)

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators."""
        (x,) = tensors
        assert x is not None
        return (_formula.log_softmax if self.logarithm else _formula.softmax)(x, self.dim)

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.softmax(*tensors, *self)


class LogSigmoid(NamedTuple):
    """``log σ(x)`` of each number; one tensor."""

    backend: str | None = None

    by_kernels = (0,)
    """The input."""
    one_number = False
    """As many as the input."""
    keeps_output = False
    """The input says it all."""

    def check(self, tensors: Tensors) -> None:
        """Floats."""
        assert tensors[0] is not None
        storage_of(tensors[0], "input")

    def check_values(self, tensors: Tensors) -> None:
        """Any."""

    def value(self, tensors: Tensors) -> Tensor:
        """By kernels."""
        (x,) = tensors
        assert x is not None
        storage = storage_of(x, "input")
        array = array_of(x)
        values = np.empty(array.shape, np.float64 if storage == "float64" else np.float32)
        pointwise.evaluate(choose(self.backend, storage, LOG_SIGMOID.name), LOG_SIGMOID, (array,), storage, values=values)
        return torch.from_numpy(values).to(x.dtype)

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """``σ(−x)·g``."""
        (x,), (by_output,) = tensors, upstream
        assert x is not None
        return ((torch.sigmoid(-_formula.wide(x)) * by_output).to(x.dtype),)

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators."""
        (x,) = tensors
        assert x is not None
        return _formula.log_sigmoid(x)

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.log_sigmoid(*tensors, *self)
