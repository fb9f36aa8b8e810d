"""Kullback-Leibler divergence entry by entry, from log-probabilities. docs/derivations/kl-divergence.md."""

import numpy as np

from xent._typing import Floats
from xent.losses.binary import PointwiseLoss


def divergence(log_p: Floats, y: Floats) -> Floats:
    """``y·(log y − log p)`` in nats; 0 where y is 0, NaN where it is negative."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((y == 0.0) & ~np.isnan(log_p), 0.0, y * (np.log(y) - log_p))


def divergence_slopes(log_p: Floats, y: Floats) -> tuple[Floats, Floats]:
    """``−y`` and ``log y + 1 − log p``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return -y, np.log(y) + 1.0 - log_p


def log_divergence(log_p: Floats, log_y: Floats) -> Floats:
    """``e^log_y·(log y − log p)`` in nats; 0 where y is 0."""
    y = np.exp(log_y)
    with np.errstate(invalid="ignore"):
        return np.where((y == 0.0) & ~np.isnan(log_p), 0.0, y * (log_y - log_p))


def log_divergence_slopes(log_p: Floats, log_y: Floats) -> tuple[Floats, Floats]:
    """``−y`` and ``y·(log y − log p + 1)``."""
    y = np.exp(log_y)
    with np.errstate(invalid="ignore"):
        return -y, np.where(y == 0.0, 0.0, y * (log_y - log_p + 1.0))


DIVERGENCE = PointwiseLoss("divergence", divergence, divergence_slopes)
LOG_DIVERGENCE = PointwiseLoss("log_divergence", log_divergence, log_divergence_slopes)
