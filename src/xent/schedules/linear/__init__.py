"""Logits that never all exist: hidden states meet a classifier a tile at a time, in the order that a plan has chosen."""

from xent._typing import PerRow, RowsN
from xent.kernels.contract import Kernel, RowStatistics, Want
from xent.schedules.dense import RowLoss
from xent.schedules.linear.algebra import Algebra
from xent.schedules.linear.by_classes import ByClasses
from xent.schedules.linear.by_rows import ByRows
from xent.schedules.linear.head import Head
from xent.schedules.linear.plan import Plan
from xent.schedules.linear.room import Room
from xent.schedules.linear.sums import Gradients, Sums, Wanted
from xent.schedules.linear.targets import Coefficients


def statistics(kernel: Kernel, head: Head, want: Want, algebra: Algebra, plan: Plan) -> RowStatistics:
    """What a loss may know of each row, each [n] float64."""
    return _walk(kernel, head, algebra, plan).statistics(want)


def values(kernel: Kernel, head: Head, loss: RowLoss, algebra: Algebra, plan: Plan) -> RowsN:
    """Each row's loss, [n] float64."""
    return loss.values(statistics(kernel, head, loss.want, algebra, plan), head.weight)


def values_and_gradients(
    kernel: Kernel, head: Head, loss: RowLoss, upstream: PerRow, wanted: Wanted, algebra: Algebra, plan: Plan, room: Room
) -> tuple[RowsN, Gradients]:
    """Each row's loss, and the gradients of ``Σ_r upstream_r · loss_r``."""
    sums = Sums(head, wanted, plan.order, algebra, room)
    found = _walk(kernel, head, algebra, plan).values_and_gradients(loss, upstream, sums)
    return found, sums.result()


def gradients(
    kernel: Kernel, head: Head, want: Want, coefficients: Coefficients, wanted: Wanted, algebra: Algebra, plan: Plan, room: Room
) -> Gradients:
    """The gradients whose coefficients are what is said of the statistics of rows."""
    sums = Sums(head, wanted, plan.order, algebra, room)
    _walk(kernel, head, algebra, plan).gradients(want, coefficients, sums)
    return sums.result()


def _walk(kernel: Kernel, head: Head, algebra: Algebra, plan: Plan) -> ByRows | ByClasses:
    return (ByRows if plan.order == "rows" else ByClasses)(kernel, head, algebra, plan)
