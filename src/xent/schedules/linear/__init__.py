"""Logits that never all exist: hidden states meet a classifier a tile at a time, in the order that a plan has chosen."""

from xent._typing import PerRow, RowsN
from xent.kernels.contract import RowStatistics, Want
from xent.schedules.dense import RowLoss
from xent.schedules.linear.by_classes import ByClasses
from xent.schedules.linear.by_rows import ByRows
from xent.schedules.linear.room import Room
from xent.schedules.linear.sums import Gradients, Sums, Wanted
from xent.schedules.linear.targets import Coefficients
from xent.schedules.linear.task import Task


def statistics(task: Task, want: Want) -> RowStatistics:
    """What a loss may know of each row, each [n] float64."""
    return _walk(task).statistics(want)


def values(task: Task, loss: RowLoss) -> RowsN:
    """Each row's loss, [n] float64."""
    return loss.values(statistics(task, loss.want), task.head.weight)


def values_and_gradients(task: Task, loss: RowLoss, upstream: PerRow, wanted: Wanted, room: Room) -> tuple[RowsN, Gradients]:
    """Each row's loss, and the gradients of ``Σ_r upstream_r · loss_r``."""
    sums = _sums(task, wanted, room)
    found = _walk(task).values_and_gradients(loss, upstream, sums)
    return found, sums.result()


def gradients(task: Task, want: Want, coefficients: Coefficients, wanted: Wanted, room: Room) -> Gradients:
    """The gradients whose coefficients are what is said of the statistics of rows."""
    sums = _sums(task, wanted, room)
    _walk(task).gradients(want, coefficients, sums)
    return sums.result()


def _walk(task: Task) -> ByRows | ByClasses:
    return ByRows(task) if task.plan.order == "rows" else ByClasses(task)


def _sums(task: Task, wanted: Wanted, room: Room) -> Sums:
    return Sums(task.head, wanted, task.plan.order, task.algebra, room)
