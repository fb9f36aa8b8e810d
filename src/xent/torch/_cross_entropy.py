"""Cross-entropy of logits as a call of the engine: by kernels, and by formula."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from xent._calls import softmax as calls
from xent._calls.softmax import Call
from xent._check import options
from xent._errors import ArgumentError
from xent._typing import Array, PerRow
from xent.kernels.contract import RowCoefficients, RowStatistics, Want
from xent.schedules import dense
from xent.schedules.dense import Block
from xent.torch import _formula
from xent.torch import _small as small
from xent.torch._arguments import check_mean, check_target, check_weight
from xent.torch._engine import Tensors, times_upstream
from xent.torch._tensors import STORAGE, array_of, input_of, loss_of, numbers_of, room_for, stand_in, targeted, tensor_of

EVERYTHING = Want(entropy=True, rank=True)


class CrossEntropy(NamedTuple):
    """The options; tensors are (input, target, weight)."""

    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0
    reduction: str = "mean"
    normalizer: float | None = None
    empty: str = "nan"
    validate: str = "off"
    backend: str | None = None

    by_kernels = (0,)
    """The logits."""

    @property
    def one_number(self) -> bool:
        """Unless each row is asked for."""
        return self.reduction != "none"

    keeps_output = False
    """The logits say it all."""

    def check(self, tensors: Tensors) -> None:
        """Shapes and dtypes."""
        x, target, weight = targeted(tensors)
        indices = check_target(x, target)
        check_weight(weight, x)
        if not indices and self.ignore_index >= 0:
            raise ArgumentError(
                "ignore_index belongs to class indices",
                f"found ignore_index={self.ignore_index} with a target of probabilities",
                "Leave it out; a row of zeros in the target counts nothing.",
            )
        check_mean(self.reduction, self.normalizer, self.empty, self.validate)
        options.ignored_label(self.ignore_index)
        options.number(self.label_smoothing, "label_smoothing", 0.0, 1.0)
        options.number(self.z_loss, "z_loss", 0.0)
        options.number(self.focal, "focal", 0.0)
        options.finite(self.scale, "scale")
        if self.softcap is not None:
            options.number(self.softcap, "softcap", 0.0, open_low=True)
        if self.focal and weight is not None and not indices:
            raise calls.weighted_mixture(self.focal, x.shape[min(x.ndim - 1, 1)])

    def check_values(self, tensors: Tensors) -> None:
        """What the kernels' way refuses; the logits may hold anything."""
        x, target, weight = targeted(tensors)
        self._replace(backend=None).prepared((stand_in(x), target.cpu(), None if weight is None else weight.cpu()))

    def value(self, tensors: Tensors) -> Tensor:
        """By kernels."""
        call = self.prepared(tensors)
        return loss_of(call.value())

    def value_and_gradients(self, tensors: Tensors, needed: tuple[bool, ...]) -> tuple[Tensor, Tensors]:
        """In one visit, into a fresh gradient."""
        x, target, weight = targeted(tensors)
        if weight is None and self[1:] in _PLAIN and small.serves(x, target):
            found = small.value_and_gradient(x, target, self.ignore_index, self.reduction == "mean")
            if found is not None:
                return found[0], (found[1], None, None)
        call = self.prepared(tensors)
        out = room_for(call.given)
        values = call.gradient_into(out, call.reducer.upstream)
        return loss_of(call.reducer.reduce(values, call.given)), (tensor_of(out, call.given.storage), None, None)

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """With upstream inside where half precision must be rounded once; else as what was kept is made, bit for bit."""
        call = self.prepared(tensors)
        out = room_for(call.given)
        later = self.one_number and out.itemsize > 2
        call.gradient_into(out, call.reducer.upstream if later else _per_row(upstream[0], call))
        found: Tensors = (tensor_of(out, call.given.storage), None, None)
        return times_upstream(found, upstream[0]) if later else found

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators."""
        return self.formula_rows(tensors)[0]

    def formula_rows(self, tensors: Tensors) -> tuple[Tensor, _formula.Rows]:
        """The loss, and the rows it came from."""
        x, target, weight = targeted(tensors)
        o = _formula.Options(self.ignore_index, self.label_smoothing, self.z_loss, self.focal, self.softcap, self.scale)
        rows = _formula.rows_of(x, target, weight, o)
        values = _formula.loss_rows(rows, o)
        return _formula.reduced(values, _formula.weight_sum(rows), self.reduction, self.normalizer, self.empty), rows

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.cross_entropy(*tensors, *self)

    def prepared(self, tensors: Tensors) -> Call:
        """The call in NumPy arrays, checked."""
        x, target, weight = targeted(tensors)
        if target.is_floating_point():
            self.check(tensors)
        rest: Any = self[6:]
        given = input_of(x)
        o = calls.Options(given.axis, None if weight is None else numbers_of(weight), *self[:6], *rest)
        return calls.prepared(given, numbers_of(target), o, STORAGE.get(target.dtype))


_PLAIN = CrossEntropy()[1:], CrossEntropy(reduction="sum")[1:]


class WithStatistics(NamedTuple):
    """The same, with the statistics of each row beside the loss: lse, log-probability, entropy, rank."""

    loss: CrossEntropy

    @property
    def backend(self) -> str | None:
        """As the loss says."""
        return self.loss.backend

    by_kernels = (0,)
    """The logits."""
    one_number = False
    """Never: each row has numbers of its own."""
    keeps_output = False
    """The logits say it all."""

    def check(self, tensors: Tensors) -> None:
        """As the loss does."""
        self.loss.check(tensors)

    def check_values(self, tensors: Tensors) -> None:
        """As the loss does."""
        self.loss.check_values(tensors)

    def value(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """Loss, lse, log-probability, entropy, rank."""
        call = self.loss.prepared(tensors)
        rows = dense.statistics(call.kernel, call.rows, _wanted(call))
        values = call.loss.values(rows, call.rows.weight)
        shape, dtype = call.given.row_shape, call.given.loss_dtype
        rank = np.full(call.rows.number, -1.0)
        if call.rows.target is not None and rows.rank is not None:
            rank = np.where(call.rows.target < 0, -1.0, np.nan_to_num(rows.rank, nan=call.given.classes))
        assert rows.entropy is not None
        floats = (torch.from_numpy(part.reshape(shape).astype(dtype)) for part in (rows.lse, 0.0 - rows.surprisal, rows.entropy))
        return loss_of(call.reducer.reduce(values, call.given)), *floats, torch.from_numpy(rank.reshape(shape).astype(np.int64))

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """All four upstreams in one visit: the coefficients of a sum are the sums of coefficients."""
        call = self.loss.prepared(tensors)
        by_loss = _per_row(upstream[0], call)
        by_lse, by_log_prob, by_entropy = (_rows(part) for part in upstream[1:4])

        def coefficients(rows: RowStatistics, block: Block) -> RowCoefficients:
            base = call.loss.coefficients(rows, block.part(call.rows.weight)).times(block.part(by_loss))
            hit, here = block.part(by_log_prob), block.part(by_lse)
            return RowCoefficients(a=base.a + here - hit * rows.mass, b=base.b - hit, c=base.c, d=base.d + block.part(by_entropy))

        out = room_for(call.given)
        dense.gradient(call.kernel, call.rows, _wanted(call), coefficients, call.given.matrix(out))
        return tensor_of(out, call.given.storage), None, None

    def formula(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """In torch operators."""
        loss, rows = self.loss.formula_rows(tensors)
        z = rows.z
        _, target, _ = targeted(tensors)
        dim = min(z.ndim - 1, 1)
        mute = torch.zeros_like(rows.lse, dtype=torch.bool) if rows.counted is None else ~rows.counted
        parts = (rows.lse, 0.0 - rows.surprisal, _formula.entropy_of(rows, dim))
        floats = tuple(part.masked_fill(mute, 0.0) for part in parts)
        rank = torch.full_like(mute, -1, dtype=torch.int64)
        if rows.counted is not None:
            here = z.gather(dim, target.long().masked_fill(mute, 0).unsqueeze(dim))
            rank = (z > here).sum(dim).masked_fill(rows.lse.isnan(), z.shape[dim]).masked_fill(mute, -1)
        return loss, *floats, rank.detach()

    def operator(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """As one node of a graph."""
        return torch.ops.xent.cross_entropy_stats(*tensors, *self.loss)


def _wanted(call: Call) -> Want:
    """Entropy, rank where there is a label, and what the loss needs."""
    return EVERYTHING._replace(smooth=call.loss.want.smooth, rank=call.rows.target is not None)


def _rows(upstream: Tensor) -> Array:
    """[N] float64, rows in the order of the schedule."""
    return array_of(upstream.reshape(-1).double())


def _per_row(upstream: Tensor, call: Call) -> PerRow:
    """What each row's gradient is multiplied by."""
    if upstream.ndim == 0 and call.reducer.reduction != "none":
        return float(upstream.item()) * call.reducer.upstream
    return _rows(upstream)
