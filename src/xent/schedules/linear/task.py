"""What a walk needs beside the loss: who computes, what, with which products, in which order, and what it may leave out."""

from typing import NamedTuple

from xent.kernels.contract import Kernel
from xent.schedules.linear.algebra import Algebra
from xent.schedules.linear.filtering import Filter
from xent.schedules.linear.head import Head
from xent.schedules.linear.plan import Plan


class Task(NamedTuple):
    """A linear loss to be computed."""

    kernel: Kernel
    head: Head
    algebra: Algebra
    plan: Plan
    filter: Filter | None = None
    """None leaves out nothing; neither does the order by classes, which never sees a whole row."""
