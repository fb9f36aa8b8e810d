"""One number that divides all logits: fitted to rows, and what it would gain on others.

With ``z = x / T``, ``Σ w·(lse(z) − z_target)`` is convex in ``1/T``: its slope ``Σ w·(E_p[x] − x_target)`` has one root.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from xent.functional.from_logits import cross_entropy
from xent.functional.normalise import softmax

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

WIDEST = 1000.0
"""Temperatures are sought in [1/1000, 1000]; a predictor that is never wrong has its best at 0."""
BLOCK = 1 << 18


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
        return np.concatenate([_nats(part, target, inverse) for part, target in self._blocks()])

    def slope(self, inverse: float) -> float:
        """The derivative of the weighted sum of losses with respect to 1/T."""
        slopes = [_slopes(part, target, inverse) for part, target in self._blocks()]
        return float(self.weight @ np.concatenate(slopes))

    def _blocks(self) -> list[tuple[Floats, Indices]]:
        step = max(1, BLOCK // self.logits.shape[1])
        starts = range(0, len(self.target), step)
        return [(self.logits[n : n + step].astype(np.float64), self.target[n : n + step]) for n in starts]


def _nats(logits: Floats, target: Indices, inverse: float) -> Floats:
    return cross_entropy(logits, target, scale=inverse, reduction="none")


def _slopes(logits: Floats, target: Indices, inverse: float) -> Floats:
    """``E_p[x] − x_target``; a class of probability 0 adds nothing."""
    probs = softmax(inverse * logits)
    own = np.take_along_axis(logits, target[:, None], axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(probs > 0.0, probs * (logits - own), 0.0).sum(axis=1)


def fitted(rows: Scored, near: float = 1.0) -> float:
    """1/T at which the loss of these rows is least, within [1/1000, 1000]; 1 where there are none."""
    if not rows.weight.any():
        return 1.0
    low, high = near / 1.25, near * 1.25
    while low > 1.0 / WIDEST and rows.slope(low) > 0.0:
        low, high = low / 2.0, low
    while high < WIDEST and rows.slope(high) < 0.0:
        low, high = high, high * 2.0
    low, high = max(low, 1.0 / WIDEST), min(high, WIDEST)
    if rows.slope(low) > 0.0:
        return low
    if rows.slope(high) < 0.0:
        return high
    found: Any = brentq(rows.slope, low, high, xtol=1e-9, rtol=np.float64(1e-7))
    return float(found)
