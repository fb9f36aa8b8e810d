"""What the evaluation of predictions asks of compiled code: exact sums, and one visit to each row.

Compiled code is loaded when a function is first called.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Chosen = npt.NDArray[np.bool_]
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


def leaders(scores: Floats) -> tuple[Floats, Integers]:
    """The greatest score of each row of [C, N], NaN where the row holds one, and the class whose it is."""
    from xent.kernels.cpu import judged

    best, leader = np.empty(scores.shape[1]), np.empty(scores.shape[1], np.int64)
    judged.leaders(scores, best, leader)
    return best, leader


def others(values: Floats, leader: Integers) -> Floats:
    """The sum of [C, N] over the classes of each row but its leader."""
    from xent.kernels.cpu import judged

    total = np.empty(values.shape[1])
    judged.others(values, leader, total)
    return total


def count(index: Integers, chosen: Chosen | None, n: int) -> Integers:
    """How many rows, or chosen ones, each of n places has."""
    from xent.kernels.cpu import judged

    counts = np.zeros(n, np.int64)
    judged.count(index, np.zeros(0, np.bool_) if chosen is None else chosen, counts)
    return counts


def judge(scores: Floats, log_probs: Floats, probs: Floats, target: Integers, numbers: Floats, places: Integers) -> None:
    """Fill numbers [6, N] and places [2, N] for predictions [C, N]; where the target is -1, with anything."""
    from xent.kernels.cpu import judged

    judged.judge(scores, log_probs, probs, target, numbers, places)


def add_by_class(
    probs: Floats, target: Integers, weight: Floats | None, probability: Limbs, weights: Limbs, counts: Integers
) -> None:
    """Add p [C, N], times weight, to the sum of class and bin, and weights, or counts, of rows likewise."""
    from xent.kernels.cpu import judged

    bins = counts.shape[0] // probs.shape[0]
    judged.add_by_class(probs, target, np.zeros(0) if weight is None else weight, bins, *probability, *weights, counts)
