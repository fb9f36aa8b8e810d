"""Losses of one number at a time as a call of the engine."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from xent._calls import buffers
from xent._calls.pointwise import Call, unit_interval
from xent._calls.rows import Reducer
from xent._errors import ArgumentError
from xent._typing import Array, Storage
from xent.kernels.contract import Pointwise
from xent.kernels.select import choose
from xent.losses.binary import BINARY_CROSS_ENTROPY, BINARY_LOG_LOSS
from xent.losses.divergence import DIVERGENCE, LOG_DIVERGENCE
from xent.losses.reduction import total
from xent.losses.regression import GAUSSIAN_NLL, SQUARED_ERROR
from xent.torch import _formula
from xent.torch._arguments import check_mean, check_same_shape
from xent.torch._engine import Tensors
from xent.torch._tensors import array_of, loss_dtype, loss_of, numbers_of, storage_of, tensor_of


class Kind(NamedTuple):
    """A loss of one number: for kernels, in torch operators, and which of its tensors it can be differentiated by."""

    kernels: Pointwise
    formula: Callable[..., Tensor]
    takes: int
    """How many tensors."""
    derivatives: tuple[int, ...] = (0,)
    mirrored: bool = False
    """Whether the derivative by the target is minus that by the input."""
    check: Callable[[Tensors], None] = lambda _: None


def _targets_in_unit_interval(tensors: Tensors) -> None:
    assert tensors[1] is not None
    unit_interval(numbers_of(tensors[1].cpu()), "binary targets")
    _not_negative(tensors[2:], ("weight", "pos_weight"))


def _all_in_unit_interval(tensors: Tensors) -> None:
    assert tensors[0] is not None
    unit_interval(numbers_of(tensors[0].cpu()), "probabilities", "Logits belong to binary_cross_entropy_with_logits.")
    _targets_in_unit_interval(tensors)


def _weights_not_negative(tensors: Tensors) -> None:
    _not_negative(tensors[2:], ("weight",))


def _variances(tensors: Tensors) -> None:
    assert tensors[2] is not None
    bad = ~((tensors[2] >= 0) & tensors[2].isfinite())
    if bool(bad.any()):
        found = f"found {float(tensors[2][bad][0]):.9g}"
        raise ArgumentError("var must be finite and not negative", found, "Predict log-variance and pass its exponential.")


def _not_negative(weights: Tensors, names: tuple[str, ...]) -> None:
    for weight, name in zip(weights, names, strict=False):
        if weight is not None and weight.numel() and not bool((weight.isfinite() & (weight >= 0)).all()):
            place = int((~(weight.isfinite() & (weight >= 0))).reshape(-1).int().argmax())
            raise ArgumentError(
                f"{name} must be finite and not negative",
                f"element {place} is {float(weight.reshape(-1)[place]):.9g}",
                "A weight of 0 leaves an element out.",
            )


KINDS = {
    "binary_cross_entropy": Kind(BINARY_CROSS_ENTROPY, _formula.binary, 4, check=_targets_in_unit_interval),
    "binary_log_loss": Kind(BINARY_LOG_LOSS, _formula.binary_log_loss, 3, check=_all_in_unit_interval),
    "squared_error": Kind(SQUARED_ERROR, _formula.squared, 3, mirrored=True, check=_weights_not_negative),
    "gaussian_nll": Kind(GAUSSIAN_NLL, _formula.gaussian, 3, (0, 2), mirrored=True, check=_variances),
    "divergence": Kind(DIVERGENCE, partial(_formula.divergence, log_target=False), 2, (0, 1)),
    "log_divergence": Kind(LOG_DIVERGENCE, partial(_formula.divergence, log_target=True), 2, (0, 1)),
}


class PointwiseLoss(NamedTuple):
    """The options; tensors are (input, target, what weighs or accompanies them ...), all of one shape."""

    name: str
    reduction: str = "mean"
    normalizer: float | None = None
    empty: str = "nan"
    constant: float = 0.0
    weight_in_mean: bool = False
    """Whether the mean divides by the sum of the third tensor."""
    floor: float = 0.0
    """What a variance is raised to, which no gradient notices."""
    backend: str | None = None

    @property
    def by_kernels(self) -> tuple[int, ...]:
        """The input, and what else the kernels give."""
        kind = KINDS[self.name]
        return (*kind.derivatives, 1) if kind.mirrored else kind.derivatives

    @property
    def one_number(self) -> bool:
        """Unless each element is asked for."""
        return self.reduction != "none"

    keeps_output = False
    """The tensors say it all."""

    def check(self, tensors: Tensors) -> None:
        """One shape."""
        x, *others = tensors
        assert x is not None
        storage_of(x, "input")
        for other, name in zip(others, ("target", "weight", "pos_weight"), strict=False):
            if other is not None and not (name.endswith("weight") and other.shape == x.shape[-1:]):
                check_same_shape(x, other, "var" if self.name == "gaussian_nll" and name == "weight" else name)
        check_mean(self.reduction, self.normalizer, self.empty)

    def check_values(self, tensors: Tensors) -> None:
        """As the loss's domain says."""
        KINDS[self.name].check(tensors)
        x, weight = tensors[0], tensors[2] if self.weight_in_mean else None
        assert x is not None
        count = float(x.numel()) if weight is None else float(weight.sum())
        Reducer.checked(self.reduction, count, self.normalizer, self.empty)

    def value(self, tensors: Tensors) -> Tensor:
        """By kernels."""
        return self._run(tensors, ())

    def value_and_gradients(self, tensors: Tensors, needed: tuple[bool, ...]) -> tuple[Tensor, Tensors]:
        """In one visit; all in the widest dtype where another tensor than the input needs more digits than the input has."""
        x = tensors[0]
        assert x is not None
        dtype = x.dtype
        for tensor, need in zip(tensors[1:], needed[1:], strict=True):
            dtype = torch.promote_types(dtype, tensor.dtype) if need and tensor is not None else dtype
        if dtype != x.dtype:
            widened = tuple(t.to(dtype) if t is not None and t.is_floating_point() else t for t in tensors)
            value, found = self.value_and_gradients(widened, needed)
            pairs = zip(found, tensors, strict=True)
            return value.to(loss_dtype(x)), tuple(None if g is None or t is None else g.to(t.dtype) for g, t in pairs)
        built = tuple(buffers.empty_like(array_of(x)) for _ in KINDS[self.name].derivatives)
        value = self._run(tensors, built)
        return value, self._placed(tensors, needed, tuple(tensor_of(g, storage_of(x, "input")) for g in built))

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """Those of the sum in float32 or wider, times upstream, rounded once."""
        whole = tuple(_formula.wide(t) if t is not None and t.is_floating_point() else t for t in tensors)
        _, found = self.value_and_gradients(whole, needed)
        pairs = zip(found, tensors, strict=True)
        return tuple(None if g is None or t is None else g.mul_(upstream[0]).to(t.dtype) for g, t in pairs)

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators."""
        kind, tensors = KINDS[self.name], self._raised(tensors)
        values = kind.formula(*tensors[: kind.takes], **({"constant": self.constant} if self.name == "gaussian_nll" else {}))
        weight = tensors[2] if self.weight_in_mean else None
        count = _formula.number_of(values) if weight is None else weight.to(values.dtype).sum()
        return _formula.reduced(values, count, self.reduction, self.normalizer, self.empty)

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.pointwise(*tensors, *(None,) * (4 - len(tensors)), *self)

    def _run(self, tensors: Tensors, gradients: tuple[Array, ...]) -> Tensor:
        tensors = tuple(None if t is None else t.detach() for t in tensors)
        self.check(tensors)
        KINDS[self.name].check(tensors)
        tensors = self._raised(tensors)
        x = tensors[0]
        assert x is not None
        storage = storage_of(x, "input")
        inputs = _inputs(self.name, tensors, storage)
        kernels = KINDS[self.name].kernels
        counted = total(inputs[2].reshape(-1).astype(np.float64)) if self.weight_in_mean else float(x.numel())
        reducer = Reducer.checked(self.reduction, counted, self.normalizer, self.empty)
        call = Call(kernels, choose(self.backend, storage, kernels.name), storage, inputs, reducer, self.constant)
        return loss_of(call.run(gradients))

    def _raised(self, tensors: Tensors) -> Tensors:
        """With variances of at least the floor; derivatives pass as if nothing had been raised."""
        if not self.floor or tensors[2] is None:
            return tensors
        raised = tensors[2].clone()
        with torch.no_grad():
            raised.clamp_(min=self.floor)
        return (*tensors[:2], raised, *tensors[3:])

    def _placed(self, tensors: Tensors, needed: tuple[bool, ...], built: tuple[Tensor, ...]) -> Tensors:
        """Each gradient where its tensor stands, in that tensor's dtype."""
        kind = KINDS[self.name]
        found: dict[int, Tensor] = dict(zip(kind.derivatives, built, strict=True))
        if kind.mirrored and needed[1]:
            found[1] = -found[0]
        places = zip(range(len(tensors)), tensors, needed, strict=True)
        return tuple(found[i].to(t.dtype) if need and t is not None else None for i, t, need in places)


def _inputs(name: str, tensors: Tensors, storage: Storage) -> tuple[Array, ...]:
    """The first in its storage, others likewise or in float64, one number for each element of the first."""
    x, y, *more = tensors
    assert x is not None
    assert y is not None
    inputs = [array_of(x), array_of(y) if y.dtype == x.dtype else _double(y)]
    if name == "binary_cross_entropy" and any(t is not None for t in more):
        # Both weights or neither, as the kernel takes them.
        return (*inputs, *(np.ones(tuple(x.shape)) if t is None else _double(t) for t in more))
    weights = (t for t in more if t is not None)
    return (*inputs, *((array_of(t) if name == "gaussian_nll" and t.dtype == x.dtype else _double(t)) for t in weights))


def _double(tensor: Tensor) -> Array:
    return array_of(tensor.double())
