"""One number that divides all logits: fitted to rows, and what it would gain on others.

With ``z = x / T``, ``Σ w·(lse(z) − z_target)`` is convex in ``1/T``: its slope is ``Σ w·(E_p[x] − x_target)``, and the slope of
that the variance ``Σ w·Var_p[x]``. Newton's steps, kept between ends where the slope has either sign, find its root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate._normalise import normalised
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
        losses = np.empty(len(self.target))

        def work(rows: slice) -> None:
            losses[rows] = row_terms(self.scores(rows), self.target[rows], inverse)[0]

        for_each(work, self._blocks())
        return losses

    def slopes(self, inverse: float) -> tuple[float, float]:
        """The first and the second derivative of the weighted sum of losses with respect to 1/T."""
        found = np.empty((2, len(self.target)))

        def work(rows: slice) -> None:
            found[:, rows] = row_terms(self.scores(rows), self.target[rows], inverse)[1:]

        for_each(work, self._blocks())
        slope, curvature = (found @ self.weight).tolist()
        return slope, curvature

    def _blocks(self) -> list[slice]:
        """A few rows at a time."""
        step = max(1, BLOCK // self.logits.shape[1])
        return [slice(start, start + step) for start in range(0, len(self.target), step)]

    def scores(self, rows: slice = slice(None)) -> Floats:
        """[C, n] of some rows, as many lie side by side."""
        return np.ascontiguousarray(self.logits[rows].T, np.float64)


def row_terms(scores: Floats, target: Indices, inverse: float) -> tuple[Floats, Floats, Floats]:
    """Of each row of scores [C, n]: the loss at 1/T, ``E_p[x] − x_target`` and ``Var_p[x]``, its derivatives by 1/T.

    A class of probability 0 adds nothing. What a row gives does not depend on the rows beside it.
    """
    if len(target) == 1:
        # One row alone would be summed in another order.
        nats, mean, spread = row_terms(np.repeat(scores, 2, axis=1), np.repeat(target, 2), inverse)
        return nats[:1], mean[:1], spread[:1]
    rows = np.arange(len(target))
    log_probs, probs = normalised(inverse * scores)
    with np.errstate(invalid="ignore"):
        gaps = np.where(probs > 0.0, scores - scores[target, rows], 0.0)
    mean = (probs * gaps).sum(axis=0)
    return 0.0 - log_probs[target, rows], mean, (probs * (gaps - mean) ** 2).sum(axis=0)


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
