"""One number that divides all logits: fitted to rows, and what it would gain on others.

With ``z = x / T``, ``Σ w·(lse(z) − z_target)`` is convex in ``1/T``: its slope is ``Σ w·(E_p[x] − x_target)``, and the slope of
that the variance ``Σ w·Var_p[x]``. Newton's steps, kept between ends where the slope has either sign, find its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.kernels import tally
from xent.kernels.cpu.threads import for_each

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WIDEST = 1000.0
"""Temperatures are sought in [1/1000, 1000]; a predictor that is never wrong has its best at 0."""
CLOSE = 1e-8
"""Relative to 1/T, at which a step is the last."""
MOST_STEPS = 60
BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probabilities or logits [N, C] of counted rows, their targets and weights."""

    logits: npt.NDArray[Any]
    target: Indices
    weight: Floats

    def part(self, rows: npt.NDArray[np.bool_]) -> Scored:
        """Some of the rows."""
        return Scored(self.logits[rows], self.target[rows], self.weight[rows])

    def nats(self, inverse: float) -> Floats:
        """The loss of each row at a temperature."""
        return self.terms(inverse)[0]

    def slopes(self, inverse: float) -> tuple[float, float]:
        """The first and the second derivative of the weighted sum of losses with respect to 1/T."""
        slope, curvature = (self.terms(inverse)[1:] @ self.weight).tolist()
        return slope, curvature

    def terms(self, inverse: float) -> Floats:
        """[3, N] of each row: the loss at 1/T, ``E_p[x] − x_target`` and ``Var_p[x]``, its derivatives by 1/T.

        A class of probability 0 adds nothing. What a row gives does not depend on the rows beside it.
        """
        found, columns = np.empty((3, len(self.target))), self.logits.T

        def work(rows: slice) -> None:
            found[:, rows] = tally.temper(columns[:, rows], self.target[rows], inverse)

        for_each(work, self._blocks())
        return found

    def _blocks(self) -> list[slice]:
        """A few rows at a time, in whole visits."""
        step = tally.ROWS * max(1, BLOCK // (tally.ROWS * self.logits.shape[1]))
        return [slice(start, start + step) for start in range(0, len(self.target), step)]


def fitted(rows: Scored, near: float = 1.0) -> float:
    """1/T at which the loss of these rows is least, within [1/1000, 1000]; 1 where no row has weight."""
    if not rows.weight.any():
        return 1.0
    low, high, here = 1.0 / WIDEST, WIDEST, near
    for _ in range(MOST_STEPS):
        slope, curvature = rows.slopes(here)
        if slope == 0.0:
            return here
        low, high = (low, here) if slope > 0.0 else (here, high)
        step = here - slope / curvature if curvature > 0.0 else np.inf
        # A step beyond the ends, or more than eightfold, is no better than the middle in proportion.
        there = step if low < step < high and here / 8.0 < step < here * 8.0 else float(np.sqrt(low * high))
        if abs(there - here) <= CLOSE * here:
            return there
        here = there
    return here
