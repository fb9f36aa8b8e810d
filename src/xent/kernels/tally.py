"""What the evaluation of predictions asks of compiled code: exact sums, and one visit to each row.

Compiled code is loaded when a function is first called.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Limbs: TypeAlias = tuple[Integers, int]
"""[n, W] limbs of sums, and the place of the first."""

BRIER, ENTROPY, CONFIDENCE, OWN, SUM, LEAST = range(6)
"""Rows of the numbers that `judge` fills: ``Σ (p − y)²``, ``−Σ p log p``, p of leader and target, sum and least of p."""
PREDICTED, RANK = range(2)
"""Rows of the places that `judge` fills: the class that leads, and how many stand before the target."""


def span(values: Floats) -> tuple[int, int]:
    """Places of the last bits of the least and the greatest positive number, in bits above 2^-1074; (0, -1) for none."""
    from xent.kernels.cpu import exact

    least, most = exact.span(values)
    return int(least), int(most)


def add(values: Floats, index: Integers | None, limbs: Integers, low: int) -> None:
    """Add numbers, finite and not negative, to the sums that the index names, or to the first."""
    from xent.kernels.cpu import exact

    exact.add(values, np.zeros(0, np.int64) if index is None else index, limbs, low)


def carry(limbs: Integers) -> None:
    """Move carries on: every limb but the last ends in [0, 2^32)."""
    from xent.kernels.cpu import exact

    exact.carry(limbs)


def judge(scores: Floats, log_probs: Floats, probs: Floats, target: Integers, numbers: Floats, places: Integers) -> None:
    """Fill numbers [6, N] and places [2, N] for predictions [N, C], but where the target is -1."""
    from xent.kernels.cpu import judged

    judged.judge(scores, log_probs, probs, target, numbers, places)


def add_by_class(
    probs: Floats, target: Integers, weight: Floats | None, probability: Limbs, weights: Limbs, counts: Integers
) -> None:
    """Add p, times weight, of every class and row to the sum of class and bin, and weights, or counts, of rows likewise."""
    from xent.kernels.cpu import judged

    bins = counts.shape[0] // probs.shape[1]
    judged.add_by_class(probs, target, np.zeros(0) if weight is None else weight, bins, *probability, *weights, counts)
