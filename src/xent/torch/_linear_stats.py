"""Linear cross-entropy with the statistics of each row beside the loss."""

from typing import NamedTuple

import torch
from torch import Tensor

from xent._calls import linear_stats as told
from xent.kernels.contract import RowCoefficients, RowStatistics
from xent.schedules.linear.head import part_of
from xent.schedules.linear.sums import Wanted
from xent.torch._engine import Tensors
from xent.torch._linear import LinearCrossEntropy, counted, given, per_row, stored, without_autocast
from xent.torch._tensors import loss_of


class LinearWithStatistics(NamedTuple):
    """The loss, and lse, log-probability, entropy, rank and what was dropped of each row."""

    loss: LinearCrossEntropy

    by_kernels = (0, 1, 2)
    """Hidden states, classifier, bias."""
    one_number = False
    """Never: each row has numbers of its own."""
    keeps_output = False
    """The arguments say it all."""

    @property
    def backend(self) -> str | None:
        """As the loss says."""
        return self.loss.backend

    def check(self, tensors: Tensors) -> None:
        """As the loss does."""
        self.loss.check(tensors)

    def check_values(self, tensors: Tensors) -> None:
        """As the loss does."""
        self.loss.check_values(tensors)

    def value(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """All six, in one walk over the logits."""
        with without_autocast():
            loss, rows = told.value(self.loss.prepared(tensors))
        return loss_of(loss), *(torch.from_numpy(part) for part in rows)

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """All upstreams in one walk: the coefficients of a sum are the sums of coefficients."""
        with without_autocast():
            call = self.loss.prepared(tensors)
            factor = per_row(upstream[0], call)
            by_lse, by_log_prob, by_entropy = (counted(part, call) for part in upstream[1:4])

            def coefficients(rows: RowStatistics, at: slice) -> RowCoefficients:
                weight, sample = part_of(call.head.weight, at), part_of(call.goal.sample_weight, at)
                base = call.loss.coefficients(rows, weight).times(part_of(factor, at) * sample)
                a = base.a + by_lse[at] - by_log_prob[at] * rows.mass
                return RowCoefficients(a, base.b - by_log_prob[at], base.c, base.d + by_entropy[at])

            found, _ = call.gradients(told.wanted_of(call), coefficients, Wanted(*needed[:3]))
        return stored(found, given(tensors))

    def formula(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """In torch operators; the formula drops nothing."""
        values, weights, *rows = self.loss.formula_rows(tensors, statistics=True)
        return self.loss.reduced(values, weights), *rows, torch.zeros_like(values).detach()

    def operator(self, tensors: Tensors) -> tuple[Tensor, ...]:
        """As one node of a graph."""
        return torch.ops.xent.linear_cross_entropy_stats(*tensors, *self.loss)
