"""Errors of calibration, from the tables of a state."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent.evaluate.means.intervals import NORMAL, Estimate, around
from xent.evaluate.means.means import Means
from xent.evaluate.means.reliability import Bin, Table, smooth_error
from xent.evaluate.state.exact import ratio
from xent.evaluate.state.hashing import BUCKETS
from xent.evaluate.state.places import bin_of_cell
from xent.evaluate.totals import Totals

Floats = npt.NDArray[np.float64]

MOST_TABLES = 100
"""A table of bins is kept for every class where there are at most so many."""


@dataclass(frozen=True, slots=True)
class Band:
    """A bin of the reliability diagram, with the interval of the frequency."""

    bin: Bin
    frequency: Estimate


@dataclass(frozen=True, slots=True)
class CalibrationErrors:
    """How far the probability of the predicted class is from how often it is right; and that of every class."""

    equal_width: Estimate
    """Expected calibration error over bins of equal width. It is above 0 by chance even for a calibrated model."""
    equal_mass: float
    """The same over as many bins of nearly equal weight."""
    smooth: float
    """Without bins: the smooth calibration error."""
    classwise: float | None
    """The mean over classes of their expected calibration errors; None beyond 4096 classes."""
    bins: tuple[Band, ...]
    """The reliability diagram of the predicted class."""
    by_class: tuple[tuple[Bin, ...], ...]
    """That of every class, where there are at most 100."""


def calibration_errors(totals: Totals, means: Means) -> CalibrationErrors:
    """From the cells of the confidence, and the bins of every class."""
    n_bins = totals.spec.bins
    cells = Table(*(totals.sums[f"cell_{name}"] for name in ("weight", "confidence", "hits")))
    wide = cells.pooled(bin_of_cell(n_bins), n_bins)
    drawn = [means.bootstrap.sums(_by_bucket(totals, name)) for name in ("weight", "confidence", "hits")]
    classes = _class_sums(totals)
    several = np.count_nonzero(means.sums("weight")) > 1
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    return CalibrationErrors(
        equal_width=_error(wide.error(), *drawn) if several else Estimate(wide.error()),
        equal_mass=cells.pooled(cells.equal_mass(n_bins), n_bins).error(),
        smooth=smooth_error(cells),
        classwise=None if classes is None else _classwise(classes),
        bins=_bands(wide, edges, _rows_a_weight(totals)),
        by_class=_class_bins(classes, edges) if classes is not None and classes.shape[1] <= MOST_TABLES else (),
    )


def _by_bucket(totals: Totals, name: str) -> Floats:
    """[1024, bins] sums, rounded."""
    return totals.sums[f"bucket_bin_{name}"].floats().reshape(BUCKETS, totals.spec.bins)


def _error(value: float, weight: Floats, confidence: Floats, hits: Floats) -> Estimate:
    """The error with its interval, from replicates [B, bins]."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return around(value, np.abs(confidence - hits).sum(axis=1) / weight.sum(axis=1))


def _rows_a_weight(totals: Totals) -> float:
    """How many rows of equal weight a unit of weight is worth: ``Σw / Σw²``, Kish's effective number over the weight."""
    return ratio(totals.sums["bucket_weight"].total(), totals.sums["square_weight"].total())


def _bands(table: Table, edges: Floats, rows_a_weight: float) -> tuple[Band, ...]:
    """The bins that hold a row, each with the interval of its frequency."""
    return tuple(Band(one, wilson(one.frequency, one.weight * rows_a_weight)) for one in table.bins(edges))


def wilson(share: float, rows: float) -> Estimate:
    """A share of so many rows with its score interval, which has a width where all rows are alike: Wilson, 1927."""
    z = NORMAL**2 / rows
    middle, half = (share + z / 2.0) / (1.0 + z), NORMAL * math.sqrt(share * (1.0 - share) / rows + z / (4.0 * rows)) / (1.0 + z)
    return Estimate(share, max(middle - half, 0.0), min(middle + half, 1.0))


def _class_sums(totals: Totals) -> Floats | None:
    """[3, C, bins] weight, probability and hits of every class, each rounded once."""
    if not totals.spec.binned:
        return None
    shape = (totals.spec.n_classes, totals.spec.bins)
    return np.stack([totals.sums[f"classwise_{name}"].floats().reshape(shape) for name in ("weight", "probability", "hits")])


def _classwise(sums: Floats) -> float:
    """The mean over classes of ``Σ_b |Σ w·p − Σ w·y| / Σ w``."""
    weight, probability, hits = sums
    with np.errstate(invalid="ignore"):
        return float(np.mean(np.abs(probability - hits).sum(axis=1) / weight.sum(axis=1)))


def _class_bins(sums: Floats, edges: Floats) -> tuple[tuple[Bin, ...], ...]:
    """The bins of every class that hold a row."""
    held = [[(n, *column) for n, column in enumerate(table.T.tolist()) if column[0]] for table in sums.transpose(1, 0, 2)]
    ends = edges.tolist()
    return tuple(tuple(Bin(ends[n], ends[n + 1], w, p / w, y / w) for n, w, p, y in rows) for rows in held)
