"""Which part of the log loss a recalibration would remove, and which part the model does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent.evaluate.means.intervals import Bootstrap, Estimate
from xent.evaluate.means.temperature import Scored, fitted
from xent.evaluate.state.hashing import BUCKETS, FOLDS, buckets, folds
from xent.evaluate.state.kept import Rows

Floats = npt.NDArray[np.float64]

LEAST_ROWS = 20
"""With fewer a temperature says more of chance than of the model."""
CURVE = 2.0 ** (np.arange(-6, 7) / 4.0)
"""Temperatures of the curve, as multiples of the fitted one."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """What temperature alone would gain, judged on rows that it was not fitted to.

    Rows are parted in five by their keys; each part is judged at the temperature of the others. What is left of the loss is an
    estimate of the refinement loss, and what went is the calibration loss: Berta, Holzmüller, Jordan and Bach, "Rethinking early
    stopping: refine, then calibrate", 2025.
    """

    temperature: float
    """Fitted to all rows of the sample."""
    calibration_nats: Estimate
    """What it removes from the loss; below 0 where there is nothing to gain and fitting costs more."""
    refinement_nats: float
    """What stays: the loss less what is removed, if anything is."""
    rows: int
    """Rows of the sample; where these are all rows, nothing is estimated."""
    complete: bool
    curve: tuple[tuple[float, float], ...]
    """Temperature and mean loss in nats on the sample, without folds."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A temperature fitted to all rows of a sample, and what others gain on rows that they were not fitted to."""

    rows: Scored
    inverse: float
    gain: float
    """The mean over rows, in nats; below 0 where fitting costs more than it brings."""
    gain_by_bucket: Floats
    """[1024] Σ w·gain."""
    weight_by_bucket: Floats
    """[1024] Σ w."""
    count: int

    def replicates(self, draws: Bootstrap) -> Floats:
        """The mean gain of rows drawn again."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return draws.sums(self.gain_by_bucket) / draws.sums(self.weight_by_bucket)


def fit(sample: Rows) -> Fit | None:
    """A temperature, and what it gains out of fold; None where fewer than 20 rows have a finite loss and a weight."""
    own = np.take_along_axis(sample.columns["values"], sample.columns["target"][:, None], axis=1)[:, 0]
    finite = np.isfinite(sample.columns["nats"]) & np.isfinite(own) & (sample.columns["weight"] > 0.0)
    kept = sample.taken(np.flatnonzero(finite))
    if len(kept) < LEAST_ROWS:
        return None
    weight, key = kept.columns["weight"], kept.columns["key"]
    rows = Scored(kept.columns["values"], kept.columns["target"], weight)
    inverse = fitted(rows)
    gain, place = rows.nats(1.0) - _cross_fitted(rows, folds(key), inverse), buckets(key)
    above, below = (np.bincount(place, terms, BUCKETS).astype(np.float64) for terms in (weight * gain, weight))
    return Fit(rows, inverse, float(weight @ gain / weight.sum()), above, below, len(kept))


def refinement(sample: Rows, log_loss_nats: float, bootstrap: Bootstrap, *, complete: bool) -> Refinement | None:
    """The split of the log loss, from the sample; None where fewer than 20 rows of it have a finite loss and a weight."""
    found = fit(sample)
    if found is None:
        return None
    gain = bootstrap.mean(found.gain, found.gain_by_bucket, found.weight_by_bucket)
    curve = tuple((float(t / found.inverse), float(_mean(found.rows, found.inverse / t))) for t in CURVE)
    return Refinement(1.0 / found.inverse, gain, log_loss_nats - max(found.gain, 0.0), found.count, complete, curve)


def _cross_fitted(rows: Scored, fold: npt.NDArray[np.int64], near: float) -> Floats:
    """The loss of each row at the temperature of the other folds."""
    after = np.zeros(len(fold))
    for number in range(FOLDS):
        here = fold == number
        if not here.any():
            continue
        after[here] = rows.part(here).nats(fitted(rows.part(~here), near))
    return after


def _mean(rows: Scored, inverse: float) -> float:
    return float(rows.weight @ rows.nats(inverse) / rows.weight.sum())
