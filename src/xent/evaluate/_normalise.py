"""Softmax of rows that lie side by side, [C, N]: few classes fill no vector lanes, many rows do.

The leader's own term is exactly 1 and is left out of the sum, so that the loss of a row that is sure and right keeps its digits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xent.kernels import tally

Floats = npt.NDArray[np.float64]


def normalised(scores: Floats) -> tuple[Floats, Floats]:
    """Log-probabilities and probabilities [C, N] of scores; NaN in columns that hold NaN, +inf or nothing finite.

    ``log p_j = (x_j − m) − log(1 + Σ_{k ≠ leader} e^(x_k − m))`` with m the greatest.
    """
    peak, leader = tally.leaders(scores)
    with np.errstate(invalid="ignore"):
        shifted = scores - peak
        probs = np.exp(shifted)
        others = tally.others(probs, leader)
        shifted -= np.log1p(others)
        probs /= 1.0 + others
    return shifted, probs
