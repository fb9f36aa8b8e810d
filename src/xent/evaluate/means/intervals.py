"""Intervals by the bootstrap: buckets of rows are drawn again, each as often as a Poisson variable of mean 1 says.

Rows fall into 1024 buckets by a hash of their key, so an interval depends on which rows there are, never on their order. Drawing
buckets instead of rows leaves every mean unbiased; the width of an interval is itself uncertain by about ``1/√(2·1024)``, 2 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent.evaluate.state.hashing import poisson_counts

Floats = npt.NDArray[np.float64]

REPLICATES, SEED = 1000, 20_260
LEVEL, NORMAL = 0.95, 1.959963984540054
"""The confidence of every interval, and the ends of that share of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and the interval that holds it with a confidence of 95 %; none where there is none to give."""

    value: float
    low: float | None = None
    high: float | None = None

    def map(self, function: Callable[[float], float]) -> Estimate:
        """The same through an increasing function."""
        low, high = (None if end is None else function(end) for end in (self.low, self.high))
        return Estimate(function(self.value), low, high)


class Bootstrap:
    """Replicates of sums over rows."""

    def __init__(self, replicates: int = REPLICATES, seed: int = SEED) -> None:
        """So many replicates; the same seed gives the same ones, whatever is summed."""
        self._draws = poisson_counts(replicates, seed)

    def sums(self, by_bucket: Floats) -> Floats:
        """[B, ...] replicates of the sums of [1024, ...]."""
        return np.einsum("bm,m...->b...", self._draws, by_bucket, optimize=False)

    def mean(self, value: float, above: Floats, below: Floats) -> Estimate:
        """A quotient of two sums over rows, [1024] each."""
        if np.count_nonzero(below) < 2:
            return Estimate(value)
        with np.errstate(divide="ignore", invalid="ignore"):
            return around(value, self.sums(above) / self.sums(below))


def around(value: float, replicates: Floats) -> Estimate:
    """The value with the middle 95 % of its replicates; without an interval where there are fewer than two to tell apart."""
    known = replicates[np.isfinite(replicates)]
    if not np.isfinite(value) or known.size < replicates.size // 2:
        return Estimate(value)
    tail = (1.0 - LEVEL) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return Estimate(value, float(low), float(high))
