"""Whether predicted probabilities happen as often as they say: tables of bins, and the errors computed from them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from xent.evaluate.state.exact import ExactSums, ratio, rounded
from xent.evaluate.state.places import bin_of_cell
from xent.evaluate.state.spec import CELLS

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose probability lies between two edges: their weight, mean probability, and how often it came true."""

    low: float
    high: float
    weight: float
    confidence: float
    frequency: float


@dataclass(frozen=True, slots=True)
class Table:
    """Exact sums [bins] of weight, of probability, and of what came true."""

    weight: ExactSums
    confidence: ExactSums
    hits: ExactSums

    def pooled(self, place: Indices, bins: int) -> Table:
        """Bins together, each in the place that is named for it."""
        whole = Table(ExactSums(bins), ExactSums(bins), ExactSums(bins))
        for sums, parts in ((whole.weight, self.weight), (whole.confidence, self.confidence), (whole.hits, self.hits)):
            sums.merge(parts, place)
        return whole

    def error(self) -> float:
        """The expected calibration error: ``Σ_b |Σ w·p − Σ w·y| / Σ w``."""
        gaps = (abs(p - y) for p, y in zip(self.confidence.wholes(), self.hits.wholes(), strict=True))
        return ratio(sum(gaps), self.weight.total())

    def bins(self, edges: Floats) -> list[Bin]:
        """The bins that hold a row, between these edges."""
        ends = zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        rows = zip(ends, self.weight.wholes(), self.confidence.wholes(), self.hits.wholes(), strict=True)
        return [Bin(low, high, rounded(w), ratio(p, w), ratio(y, w)) for (low, high), w, p, y in rows if w]

    def equal_mass(self, bins: int) -> Indices:
        """For each bin the place among so many of nearly equal weight; neighbours stay together and none is parted."""
        weight = self.weight.floats()
        before = np.cumsum(weight)
        middle = (before - weight / 2.0) * (bins / before[-1]) if before[-1] > 0.0 else before
        return np.minimum(middle.astype(np.int64), bins - 1)


def smooth_error(cells: Table) -> float:
    """The smooth calibration error: no bins, but a kernel as wide as the error itself.

    The signed gaps are spread by a Gaussian, reflected at 0 and 1, and the size of what stays is summed; the width is the fixed
    point at which that sum equals it. Błasiok and Nakkiran, "Smooth ECE", 2023.
    """
    total = rounded(cells.weight.total())
    if not total:
        return float("nan")
    line = np.bincount(bin_of_cell(CELLS), (cells.hits.floats() - cells.confidence.floats()) / total, CELLS)

    def left(width: float) -> float:
        return float(np.abs(gaussian_filter1d(line, width * CELLS, mode="reflect", truncate=6.0)).sum())

    low, high = 0.25 / CELLS, 1.0
    if left(low) <= low:
        return left(low)
    while high - low > 1e-6:
        middle = (low + high) / 2.0
        low, high = (middle, high) if left(middle) > middle else (low, middle)
    return (low + high) / 2.0
