"""Which part of the log loss a recalibration would remove, and which part the model does not know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent.evaluate._hashing import BUCKETS, FOLDS, buckets, folds
from xent.evaluate._intervals import Bootstrap, Estimate
from xent.evaluate._kept import Rows
from xent.evaluate._temperature import Scored, fitted

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


def refinement(sample: Rows, log_loss_nats: float, bootstrap: Bootstrap, *, complete: bool) -> Refinement | None:
    """The split of the log loss, from the sample; None where fewer than 20 rows of it have a finite loss and a weight."""
    own = np.take_along_axis(sample.columns["values"], sample.columns["target"][:, None], axis=1)[:, 0]
    finite = np.isfinite(sample.columns["nats"]) & np.isfinite(own) & (sample.columns["weight"] > 0.0)
    kept = sample.taken(np.flatnonzero(finite))
    if len(kept) < LEAST_ROWS:
        return None
    rows = Scored(kept.columns["values"], kept.columns["target"], kept.columns["weight"])
    inverse = fitted(rows)
    before, after = rows.nats(1.0), _cross_fitted(rows, folds(kept.columns["key"]), inverse)
    gain = _mean_gain(kept, before - after, bootstrap)
    curve = tuple((float(t / inverse), float(_mean(rows, inverse / t))) for t in CURVE)
    return Refinement(1.0 / inverse, gain, log_loss_nats - max(gain.value, 0.0), len(kept), complete, curve)


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


def _mean_gain(rows: Rows, gain: Floats, bootstrap: Bootstrap) -> Estimate:
    """The mean gain, with its interval."""
    weight, place = rows.columns["weight"], buckets(rows.columns["key"])
    above = np.bincount(place, weight * gain, BUCKETS).astype(np.float64)
    below = np.bincount(place, weight, BUCKETS).astype(np.float64)
    return bootstrap.mean(float(weight @ gain / weight.sum()), above, below)
