"""Loss of log-probabilities as a call of the engine."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent._calls import given as calls
from xent._calls.given import Call
from xent._check import options
from xent._errors import DTypeError
from xent.torch import _formula
from xent.torch._arguments import check_mean, check_target, check_weight
from xent.torch._engine import Tensors
from xent.torch._tensors import array_of, input_of, loss_of, numbers_of, room_for, stand_in, targeted, tensor_of


class NLL(NamedTuple):
    """``−w·log p`` at the target; tensors are (log-probabilities, target, weight)."""

    ignore_index: int = -100
    reduction: str = "mean"
    normalizer: float | None = None
    empty: str = "nan"
    validate: str = "raise"
    backend: str | None = None

    by_kernels = (0,)
    """The log-probabilities."""
    one_number = False
    """The gradient, all zeros but one a row, is not worth keeping."""
    keeps_output = False
    """The input says it all."""

    def check(self, tensors: Tensors) -> None:
        """Shapes and dtypes."""
        x, target, weight = targeted(tensors)
        if not check_target(x, target):
            raise DTypeError(
                "nll_loss takes class indices",
                f"found {target.dtype} shaped {tuple(target.shape)}",
                "cross_entropy takes probabilities as target, kl_div compares distributions.",
            )
        check_weight(weight, x)
        check_mean(self.reduction, self.normalizer, self.empty, self.validate)
        options.ignored_label(self.ignore_index)

    def check_values(self, tensors: Tensors) -> None:
        """As the kernels' way: labels, weights, and log-probabilities of at most 0."""
        x, target, weight = targeted(tensors)
        suspect = self.validate != "off" and bool((x.detach() > 0).any())
        inputs = (x.cpu() if suspect else stand_in(x), target.cpu(), None if weight is None else weight.cpu())
        self._replace(backend=None)._call(inputs)

    def value(self, tensors: Tensors) -> Tensor:
        """By the schedule."""
        return loss_of(self._call(tensors).value())

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """Zero but at the target."""
        call, (by_loss, *_) = self._call(tensors), upstream
        factor = (
            array_of(by_loss.reshape(-1).double()) if self.reduction == "none" else float(by_loss.item()) * call.reducer.upstream
        )
        out = room_for(call.given)
        call.gradient_into(out, factor)
        return tensor_of(out, call.given.storage), None, None

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators."""
        x, target, weight = targeted(tensors)
        values, weights = _formula.picked(x, target, weight, self.ignore_index)
        return _formula.reduced(values, weights.sum(), self.reduction, self.normalizer, self.empty)

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.nll_loss(*tensors, *self)

    def _call(self, tensors: Tensors) -> Call:
        x, target, weight = targeted(tensors)
        self.check(tensors)
        rest: Any = self[1:]
        given = input_of(x)
        o = calls.Options(given.axis, None if weight is None else numbers_of(weight), self.ignore_index, *rest)
        return calls.prepared(given, numbers_of(target), o, logarithms=True)
