"""Squared error, and the Gaussian likelihood it comes from. docs/derivations/gaussian-mse.md."""

import numpy as np

from xent._typing import Floats
from xent.losses.binary import PointwiseLoss, times

HALF_LOG_TWO_PI = 0.9189385332046727


def squared_error(x: Floats, y: Floats, weight: Floats | float = 1.0) -> Floats:
    """``w·(x − y)²`` in squared units of x."""
    return times(weight, np.square(x - y))


def squared_error_slope(x: Floats, y: Floats, weight: Floats | float = 1.0) -> tuple[Floats]:
    """``2·w·(x − y)``."""
    return (times(weight, 2.0 * (x - y)),)


def gaussian_nll(mean: Floats, y: Floats, var: Floats) -> Floats:
    """``½·(log var + (y − mean)²/var)`` in nats, without the constant ``½·log 2π``."""
    return 0.5 * (np.log(var) + (mean - y) * ((mean - y) / var))


def gaussian_nll_slopes(mean: Floats, y: Floats, var: Floats) -> tuple[Floats, Floats]:
    """``(mean − y)/var`` and ``½·(1 − (y − mean)²/var)/var``; at fixed variance the first is squared error's over 2·var."""
    residual = mean - y
    return residual / var, 0.5 * (1.0 - residual * (residual / var)) / var


SQUARED_ERROR = PointwiseLoss("squared_error", squared_error, squared_error_slope)
GAUSSIAN_NLL = PointwiseLoss("gaussian_nll", gaussian_nll, gaussian_nll_slopes)
