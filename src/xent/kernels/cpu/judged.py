"""What the evaluation of predictions asks of a matrix of probabilities: a visit a row, and exact sums a class and bin."""

import numpy as np

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.exact import put

BRIER, ENTROPY, CONFIDENCE, OWN, SUM, LEAST = range(6)
"""Rows of the numbers [6, N]."""
PREDICTED, RANK = 0, 1
"""Rows of the places [2, N]."""


@kernel
def judge(scores, log_probs, probs, target, numbers, places):
    """Of each row the numbers and places above: squared distance to the target and the rest; who leads, and the target's rank.

    Scores order the classes; among equals the first leads. Rows whose target is -1 are left alone.
    """
    for i in range(target.shape[0]):
        t = target[i]
        if t < 0:
            continue
        own, best, leader, above = scores[i, t], scores[i, 0], 0, 0
        squares, entropy, total, least = (1.0 - probs[i, t]) ** 2, 0.0, 0.0, np.inf
        for j in range(scores.shape[1]):
            score, p = scores[i, j], probs[i, j]
            if score > best:
                best, leader = score, j
            above += score > own or (score == own and j < t)
            squares += 0.0 if j == t else p * p
            entropy -= p * log_probs[i, j] if p > 0.0 else 0.0
            total, least = total + p, min(least, p)
        numbers[BRIER, i], numbers[ENTROPY, i], numbers[CONFIDENCE, i] = squares, entropy, probs[i, leader]
        numbers[OWN, i], numbers[SUM, i], numbers[LEAST, i] = probs[i, t], total, least
        places[PREDICTED, i], places[RANK, i] = leader, above


@kernel
def add_by_class(probs, target, weight, bins, probability, low, weights, low_weight, counts):
    """Add ``w·p`` of every class to the exact sum of its class and bin, and w to another; without weights count the rows."""
    for i in range(target.shape[0]):
        if target[i] < 0:
            continue
        for j in range(probs.shape[1]):
            p = probs[i, j]
            at = j * bins + min(np.int64(p * bins), bins - 1)
            if weight.shape[0]:
                put(p * weight[i], probability[at], low)
                put(weight[i], weights[at], low_weight)
            else:
                put(p, probability[at], low)
                counts[at] += 1
