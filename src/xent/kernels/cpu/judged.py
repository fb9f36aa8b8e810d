"""What evaluation asks of a matrix of probabilities [C, N]: numbers of each row, exact sums of class and bin."""

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.exact import put
from xent.kernels.cpu.simd import EXACT, full_width

BRIER, ENTROPY, CONFIDENCE, OWN, SUM, LEAST = range(6)
"""Rows of the numbers [6, N]."""
PREDICTED, RANK = 0, 1
"""Rows of the places [2, N]."""


@njit(**EXACT)
def spread(j, probs, target, squares, total, least):
    """What one class adds to the squares, sum and least of every row; rows lie side by side and fill the vector lanes."""
    full_width()
    for i in range(probs.shape[0]):
        p = probs[i]
        gap = 1.0 - p if target[i] == j else p
        squares[i] += gap * gap
        total[i] += p
        least[i] = p if p < least[i] else least[i]


@njit(**EXACT)
def unsure(probs, log_probs, entropy):
    """What one class adds to the entropy of every row."""
    full_width()
    for i in range(probs.shape[0]):
        p, shown = probs[i], log_probs[i]
        entropy[i] -= p * (shown if p > 0.0 else 0.0)


@njit(**EXACT)
def lead(j, scores, best, leader):
    """Whether one class leads the classes before it, row by row."""
    full_width()
    for i in range(scores.shape[0]):
        leads = scores[i] > best[i]
        best[i] = scores[i] if leads else best[i]
        leader[i] = j if leads else leader[i]


@njit(**EXACT)
def outrank(j, scores, own, target, above):
    """Whether one class stands before the target, row by row."""
    full_width()
    for i in range(scores.shape[0]):
        floor = own[i]
        score = scores[i]
        greater, equal = np.int64(score > floor), np.int64(score == floor)
        above[i] += greater | (equal & np.int64(j < target[i]))


@kernel
def leaders(scores, best, leader):
    """The greatest score of each row of [C, N], and whose it is; NaN leads nowhere but shows in the greatest."""
    best[:], leader[:] = -np.inf, 0
    for j in range(scores.shape[0]):
        lead(j, scores[j], best, leader)
        for i in range(best.shape[0]):
            best[i] += scores[j, i] - scores[j, i] if scores[j, i] != scores[j, i] else 0.0


@njit(**EXACT)
def but_leader(j, values, leader, total):
    """Add one class to the sum of every row that another leads."""
    full_width()
    for i in range(values.shape[0]):
        total[i] += 0.0 if leader[i] == j else values[i]


@kernel
def others(values, leader, total):
    """The sum of [C, N] over the classes of each row but its leader."""
    total[:] = 0.0
    for j in range(values.shape[0]):
        but_leader(j, values[j], leader, total)


@kernel
def judge(scores, log_probs, probs, target, numbers, places):
    """Fill the numbers and places above for predictions [C, N]; among equal scores the earlier class leads."""
    n = target.shape[0]
    own, best = np.empty(n), np.full(n, -np.inf)
    numbers[BRIER], numbers[ENTROPY], numbers[SUM], numbers[LEAST] = 0.0, 0.0, 0.0, np.inf
    places[PREDICTED], places[RANK] = 0, 0
    for i in range(n):
        own[i] = scores[max(target[i], 0), i]
    for j in range(scores.shape[0]):
        spread(j, probs[j], target, numbers[BRIER], numbers[SUM], numbers[LEAST])
        unsure(probs[j], log_probs[j], numbers[ENTROPY])
        lead(j, scores[j], best, places[PREDICTED])
        outrank(j, scores[j], own, target, places[RANK])
    for i in range(n):
        numbers[CONFIDENCE, i], numbers[OWN, i] = probs[places[PREDICTED, i], i], probs[max(target[i], 0), i]


@kernel
def count(index, chosen, counts):
    """Count the rows, or the chosen ones, of each place."""
    for i in range(index.shape[0]):
        counts[index[i]] += chosen[i] if chosen.shape[0] else True


@kernel
def add_by_class(probs, target, weight, bins, probability, low, weights, low_weight, counts):
    """Add ``w·p`` [C, N] to the exact sum of its class and bin, and w to another; without weights count the rows."""
    for j in range(probs.shape[0]):
        for i in range(target.shape[0]):
            if target[i] < 0:
                continue
            p = probs[j, i]
            at = j * bins + min(np.int64(p * bins), bins - 1)
            if weight.shape[0]:
                put(p * weight[i], probability[at], low)
                put(weight[i], weights[at], low_weight)
            else:
                put(p, probability[at], low)
                counts[at] += 1
