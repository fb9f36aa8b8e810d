"""Where a number falls: cells of the confidence, and bins of the loss, both fixed, so that counts of them merge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xent.evaluate.state.spec import CELLS
from xent.kernels import tally

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

FINE, PER_OCTAVE = 64, 2
"""The first and the last cell are parted again, by halvings of the distance from 0 and from 1: predictors crowd there."""
CELL_COUNT = CELLS - 2 + 2 * FINE

LEAST_OCTAVE, OCTAVES, STEPS = -40, 52, 64
"""Losses from 2^-40 to 2^12 nats in bins whose edges are 1.6 % or less apart; one bin below, one above."""
LOSS_BINS = OCTAVES * STEPS + 2


def cells(confidence: Floats) -> Indices:
    """The cell of each probability, in its order."""
    return tally.cells(confidence, CELLS, FINE)


def bin_of_cell(bins: int) -> Indices:
    """The bin of equal width that each cell lies in."""
    inner = np.arange(CELLS) * bins // CELLS
    return np.concatenate([np.zeros(FINE, np.int64), inner[1:-1], np.full(FINE, bins - 1)])


def loss_bins(nats: Floats) -> Indices:
    """The bin of each loss, by the exponent of float64 and the first six digits behind it."""
    bits = np.ascontiguousarray(nats, np.float64).view(np.int64) >> 46
    return np.clip(bits - ((1023 + LEAST_OCTAVE) * STEPS) + 1, 0, LOSS_BINS - 1)


def loss_edges() -> Floats:
    """Edges of the bins of the loss, [bins + 1]: 0, the geometric ones, infinity."""
    whole = np.arange(OCTAVES * STEPS + 1) + (1023 + LEAST_OCTAVE) * STEPS
    return np.concatenate([[0.0], (whole << 46).view(np.float64), [np.inf]])
