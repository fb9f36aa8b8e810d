"""The statistics of rows as a caller is told them."""

from typing import Any, NamedTuple

import numpy as np

from xent._calls.linear import Call
from xent._calls.rows import Loss
from xent._typing import Array, RowsN
from xent.kernels.contract import RowCoefficients, RowStatistics, Want
from xent.schedules.linear.head import part_of
from xent.schedules.linear.sums import Gradients, Wanted


class LinearStats(NamedTuple):
    """What each row says beside its loss, shaped like the hidden states without their last axis."""

    lse: Array
    """``log Σ_j e^z_j`` in nats; 0 at ignored rows."""
    log_prob: Array
    """``log p`` of the target in nats, at most 0; for probabilities ``Σ_j T_j·log p_j``; 0 at ignored rows."""
    entropy: Array
    """``−Σ_j p_j·log p_j`` in nats; 0 at ignored rows."""
    rank: Array
    """int64: how many classes score above the target; C in rows that are NaN, −1 where there is no label."""
    dropped: Array
    """Probability that ``tolerance`` left out of the gradient; 0 where it left out nothing."""


def wanted_of(call: Call) -> Want:
    """Entropy, rank where there is a label, and what the loss needs."""
    return Want(smooth=call.loss.want.smooth, entropy=True, rank=call.goal.target is not None)


def told(call: Call, rows: RowStatistics, dropped: RowsN) -> LinearStats:
    """The statistics of counted rows, for all rows."""
    shape, dtype = call.given.row_shape, call.given.loss_dtype
    rank = np.full(call.head.number, -1.0)
    if rows.rank is not None:
        rank = np.where(np.isnan(rows.excess), call.given.classes, rows.rank)
    # Where no row counts, nothing has been asked of any.
    entropy = np.zeros(call.head.number) if rows.entropy is None else rows.entropy
    parts = (rows.lse, 0.0 - rows.surprisal, entropy)
    lse, log_prob, entropy = (call.everywhere(part).reshape(shape).astype(dtype) for part in parts)
    ranks = call.everywhere(rank, -1.0).reshape(shape).astype(np.int64)
    return LinearStats(lse, log_prob, entropy, ranks, call.everywhere(dropped).reshape(shape).astype(dtype))


def value(call: Call) -> tuple[Loss, LinearStats]:
    """The loss and the statistics it came from, in one walk."""
    rows, dropped = call.statistics(wanted_of(call))
    values = call.loss.values(rows, call.head.weight) * call.goal.sample_weight
    return call.reducer.reduce(call.everywhere(values), call.given), told(call, rows, dropped)


def value_and_gradients(call: Call, wanted: Wanted) -> tuple[Loss, Gradients, LinearStats]:
    """The same, and the gradients, in that walk."""
    found, values = _Kept(call.head.number), np.empty(call.head.number)

    def coefficients(rows: RowStatistics, at: slice) -> RowCoefficients:
        found.keep(rows, at)
        weight, factor = part_of(call.head.weight, at), part_of(call.goal.sample_weight, at)
        values[at] = call.loss.values(rows, weight) * factor
        return call.loss.coefficients(rows, weight).times(call.reducer.upstream * factor)

    gradients, dropped = call.gradients(wanted_of(call), coefficients, wanted)
    return call.reducer.reduce(call.everywhere(values), call.given), gradients, told(call, found.rows(), dropped)


class _Kept:
    """Statistics of rows, as they come."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._found: dict[str, RowsN] = {"peak": np.empty(number), "excess": np.empty(number), "surprisal": np.empty(number)}
        self._found["entropy"] = np.empty(number)

    def keep(self, rows: RowStatistics, at: slice) -> None:
        """What is told of some of the rows."""
        for name, values in rows._asdict().items():
            if values is not None:
                self._found.setdefault(name, np.empty(self.number))[at] = values

    def rows(self) -> RowStatistics:
        """All of them."""
        kept: dict[str, Any] = self._found
        return RowStatistics(**kept)
