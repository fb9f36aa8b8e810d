"""From the sums of a state to its means: the only place where anything is divided."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from xent.evaluate.means.intervals import Bootstrap, Estimate
from xent.evaluate.state.exact import ratio
from xent.evaluate.state.hashing import BUCKETS
from xent.evaluate.totals import Totals

Floats = npt.NDArray[np.float64]

LN2 = math.log(2.0)


class Means:
    """Means over all counted rows of a state, with intervals."""

    def __init__(self, totals: Totals) -> None:
        """Of these totals."""
        self.totals, self.bootstrap = totals, Bootstrap()
        self.weight = totals.sums["bucket_weight"].total()
        self._by_bucket: dict[str, Floats] = {}

    def sums(self, name: str) -> Floats:
        """[1024] the sums of the buckets, rounded."""
        if name not in self._by_bucket:
            self._by_bucket[name] = self.totals.sums[f"bucket_{name}"].floats()
        return self._by_bucket[name]

    def mean(self, name: str) -> Estimate:
        """``Σ w·quantity / Σ w``."""
        value = ratio(self.totals.sums[f"bucket_{name}"].total(), self.weight)
        return self.bootstrap.mean(value, self.sums(name), self.sums("weight"))

    def log_loss(self) -> Estimate:
        """In nats; infinite where a row of some weight is, and then without an interval."""
        if self.totals.sums["infinite_weight"].total():
            return Estimate(math.inf)
        return self.mean("nats")

    def finite_log_loss(self) -> float:
        """In nats, over the rows whose loss is finite."""
        infinite = self.totals.sums["infinite_weight"].total()
        return ratio(self.totals.sums["bucket_nats"].total(), self.weight - infinite)

    def accuracy(self) -> Estimate:
        """The share of rows whose target leads."""
        hits = self.totals.sums["bucket_bin_hits"]
        return self._share(hits.total(), hits.floats().reshape(BUCKETS, -1).sum(axis=1))

    def top(self, k: int) -> Estimate:
        """The share of rows whose target is among the k that lead."""
        return self.mean(f"top_{k}")

    def _share(self, hits: int, by_bucket: Floats) -> Estimate:
        return self.bootstrap.mean(ratio(hits, self.weight), by_bucket, self.sums("weight"))

    def bits_per_byte(self) -> Estimate:
        """``Σ w·ℓ / (ln 2 · Σ w·bytes)``."""
        if self.totals.sums["infinite_weight"].total():
            return Estimate(math.inf)
        size = self.totals.sums["bucket_size"]
        value = ratio(self.totals.sums["bucket_nats"].total(), size.total()) / LN2
        return self.bootstrap.mean(value, self.sums("nats") / LN2, self.sums("size"))
