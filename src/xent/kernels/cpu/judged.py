"""What evaluation asks of predictions [C, N]: numbers of each row, and sums of class and bin that no order changes.

A matrix is an empty array of its type, the address of its first number, and the bytes from class to class and from row to row.

Rows lie side by side, 64 at a time, and one class after the other is added to what is known of them: few classes fill no vector
lanes, many rows do. Every loop runs over all 64, whatever there is, so that no row depends on those beside it.
"""

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.exact import put
from xent.kernels.cpu.held import hold
from xent.kernels.cpu.memory import lane, row_at
from xent.kernels.cpu.simd import EXACT, INTO, exp_double, full_width, log_plus, log_positive

ROWS = 64
LOGITS, LOG_PROBS, PROBS = range(3)
"""What predictions may be."""
BRIER, ENTROPY, CONFIDENCE, OWN, NATS = range(5)
"""Rows of the numbers [5, N]."""
PREDICTED, RANK = range(2)
"""Rows of the places [2, N]."""
SCORE, LOG, BEST, MARK, OTHERS, SQUARES, UNSURE, TOTAL, LEAST, FIRST, SECOND = range(11)
"""Lanes of what is known of 64 rows: of one class the score and log-probability; of all the greatest score and the target's,
the sum of ``e^(score − greatest)`` but the leader's, and what the numbers are computed from."""
AIM, LEADER, ABOVE = range(3)
"""Lanes of their targets, −1 for none, of the classes that lead, and of how many stand before the target."""
HOTTEST = 700.0


@njit(**EXACT)
def widened(values, scores):
    """The same numbers in float64."""
    full_width()
    for i in range(values.shape[0]):
        scores[i] = values[i]


@njit(**INTO)
def number(matrix, j, i):
    """One number of a class and row."""
    like, address, by_class, by_row = matrix
    return float(row_at(like, address + j * by_class + i * by_row, 1)[0])


@njit(**INTO)
def load(matrix, j, start, count, scores):
    """One class of some rows, in float64; what lies beyond them stays as it was."""
    like, address, by_class, by_row = matrix
    if by_row == like.itemsize:
        widened(row_at(like, address + j * by_class + start * by_row, count), scores)
    else:
        for i in range(count):
            scores[i] = number(matrix, j, start + i)


@njit(**EXACT)
def lead(j, scores, best, leader):
    """Whether one class leads the classes before it, row by row."""
    full_width()
    for i in range(scores.shape[0]):
        leads = scores[i] > best[i]
        best[i] = scores[i] if leads else best[i]
        leader[i] = j if leads else leader[i]


@njit(**EXACT)
def outrank(j, scores, mark, aim, above):
    """Whether one class stands before the target, row by row."""
    full_width()
    for i in range(scores.shape[0]):
        greater, equal = np.int64(scores[i] > mark[i]), np.int64(scores[i] == mark[i])
        above[i] += greater | (equal & np.int64(j < aim[i]))


@njit(**EXACT)
def exponentials(j, scores, best, leader, probs, others):
    """``e^(score − greatest)`` of one class, and its sum but where it leads: there it is exactly 1."""
    full_width()
    for i in range(scores.shape[0]):
        e = exp_double(scores[i] - best[i])
        probs[i] = e
        others[i] += 0.0 if leader[i] == j else e


@njit(**EXACT)
def shares(scores, best, others, log, probs):
    """From exponentials to probabilities, and their logarithms: ``(score − greatest) − log(1 + others)``."""
    full_width()
    for i in range(scores.shape[0]):
        log[i] = (scores[i] - best[i]) - log_plus(others[i])
        probs[i] /= 1.0 + others[i]


@njit(**EXACT)
def raised(scores, log, probs):
    """Probabilities of log-probabilities; what is far above 0 is none, and shows in the sum of its row."""
    full_width()
    for i in range(scores.shape[0]):
        log[i] = scores[i]
        probs[i] = exp_double(HOTTEST if scores[i] > HOTTEST else scores[i])


@njit(**EXACT)
def logarithms(scores, log, probs):
    """Log-probabilities of probabilities; 0 of 0, for they are multiplied by them."""
    full_width()
    for i in range(scores.shape[0]):
        probs[i] = scores[i]
        log[i] = log_positive(scores[i])


@njit(**EXACT)
def square(j, probs, aim, squares):
    """Add one class to ``Σ (p − y)²``."""
    full_width()
    for i in range(probs.shape[0]):
        gap = 1.0 - probs[i] if aim[i] == j else probs[i]
        squares[i] += gap * gap


@njit(**EXACT)
def account(probs, log, entropy, total, least):
    """Add one class to the entropy, the sum and the least of every row."""
    full_width()
    for i in range(probs.shape[0]):
        p = probs[i]
        entropy[i] -= p * (log[i] if p > 0.0 else 0.0)
        total[i] += p
        least[i] = p if p < least[i] else least[i]


@njit(**INTO)
def begin(matrix, target, start, count, lanes, marks):
    """Rows of which nothing is known but the target and its score."""
    lanes[:], marks[:] = 0.0, 0
    lanes[BEST], lanes[LEAST], marks[AIM] = -np.inf, np.inf, -1
    for i in range(count):
        marks[AIM, i] = target[start + i]
        lanes[MARK, i] = number(matrix, max(target[start + i], 0), start + i)


@njit(**INTO)
def soften(matrix, start, count, probs, lanes, marks):
    """The greatest score of each row, and exponentials of all."""
    scores, best, leader = lane(lanes, SCORE), lane(lanes, BEST), lane(marks, LEADER)
    for j in range(probs.shape[0]):
        load(matrix, j, start, count, scores)
        lead(j, scores, best, leader)
    for j in range(probs.shape[0]):
        load(matrix, j, start, count, scores)
        exponentials(j, scores, best, leader, lane(probs, j), lane(lanes, OTHERS))


@njit(**INTO)
def visit(kind, matrix, start, count, probs, lanes, marks):
    """Add every class to what is known of its rows."""
    scores, log, aim = lane(lanes, SCORE), lane(lanes, LOG), lane(marks, AIM)
    for j in range(probs.shape[0]):
        shown = lane(probs, j)
        load(matrix, j, start, count, scores)
        if kind == LOGITS:
            shares(scores, lane(lanes, BEST), lane(lanes, OTHERS), log, shown)
        elif kind == LOG_PROBS:
            raised(scores, log, shown)
        else:
            logarithms(scores, log, shown)
        square(j, shown, aim, lane(lanes, SQUARES))
        account(shown, log, lane(lanes, UNSURE), lane(lanes, TOTAL), lane(lanes, LEAST))
        lead(j, scores, lane(lanes, BEST), lane(marks, LEADER))
        outrank(j, scores, lane(lanes, MARK), aim, lane(marks, ABOVE))


@njit(**INTO)
def loss(kind, mark, best, others):
    """The loss of a row, from its target's score."""
    if kind == LOGITS:
        return log_plus(others) - (mark - best)
    return -mark if kind == LOG_PROBS else -np.log(mark)


@njit(**INTO)
def settle(kind, slack, start, count, probs, lanes, marks, numbers, places, unfit):
    """Write down what is known; rows that are no distribution are unfit, and count in no sum of classes."""
    for i in range(count):
        at, target = start + i, max(marks[AIM, i], 0)
        nats = loss(kind, lanes[MARK, i], lanes[BEST, i], lanes[OTHERS, i])
        numbers[BRIER, at], numbers[ENTROPY, at] = lanes[SQUARES, i], lanes[UNSURE, i]
        numbers[CONFIDENCE, at], numbers[OWN, at] = probs[marks[LEADER, i], i], probs[target, i]
        # A probability above 1 by rounding, within the tolerance, costs nothing; beyond it the row is unfit.
        numbers[NATS, at] = nats if marks[AIM, i] >= 0 and not nats <= 0.0 else 0.0
        places[PREDICTED, at], places[RANK, at] = marks[LEADER, i], marks[ABOVE, i]
        fit = nats >= -slack and abs(lanes[TOTAL, i] - 1.0) <= slack and lanes[LEAST, i] >= 0.0
        unfit[at] = marks[AIM, i] >= 0 and not fit
        marks[AIM, i] = -1 if unfit[at] else marks[AIM, i]


@njit(**INTO)
def add_weighed(j, bins, probs, aim, weight, start, limbs, weights, low):
    """Add ``w·p`` of one class to the sum of its bin, and w to another."""
    for i in range(aim.shape[0]):
        if aim[i] >= 0:
            at = j * bins + min(np.int64(probs[i] * bins), bins - 1)
            term = probs[i] * weight[start + i]
            # Neither 0 nor −0, whose sign would be read as a place, adds anything.
            if term > 0.0:
                put(term, limbs, np.uint64(at), 0)
            if weight[start + i] > 0.0:
                put(weight[start + i], weights, np.uint64(at), low)


@kernel
def judge(matrix, classes, target, weight, kind, slack, numbers, places, unfit, bins, held, limbs, weights, low):
    """Fill numbers, places and unfit for predictions [C, N], and add p to its class and bin; whether limbs were needed."""
    used = weight.shape[0] > 0
    probs, lanes, marks = np.zeros((classes, ROWS)), np.zeros((11, ROWS)), np.zeros((3, ROWS), np.int64)
    for start in range(0, target.shape[0], ROWS):
        count = min(ROWS, target.shape[0] - start)
        begin(matrix, target, start, count, lanes, marks)
        if kind == LOGITS:
            soften(matrix, start, count, probs, lanes, marks)
        visit(kind, matrix, start, count, probs, lanes, marks)
        settle(kind, slack, start, count, probs, lanes, marks, numbers, places, unfit)
        for j in range(classes if bins else 0):
            if weight.shape[0]:
                add_weighed(j, bins, lane(probs, j), lane(marks, AIM), weight, start, limbs, weights, low)
            else:
                used |= hold(j, bins, lane(probs, j), lane(marks, AIM), held, limbs)
    return used


@njit(**EXACT)
def moments(j, inverse, scores, best, leader, others, first, second):
    """Add one class to the sums of ``e^(z − greatest)``, and of it times the gap to the leader and its square; z = score/T."""
    full_width()
    for i in range(scores.shape[0]):
        # The gap is exact where it matters: a constant in all scores leaves no trace.
        behind = scores[i] - best[i]
        e = exp_double(inverse * behind)
        gap = behind if e > 0.0 else 0.0
        others[i] += 0.0 if leader[i] == j else e
        first[i] += e * gap
        second[i] += e * (gap * gap)


@kernel
def temper(matrix, classes, target, inverse, terms):
    """Fill terms [3, N]: the loss of scores [C, N] at 1/T, ``E_p[x] − x_target`` and ``Var_p[x]``, its derivatives by 1/T."""
    lanes, marks = np.zeros((11, ROWS)), np.zeros((3, ROWS), np.int64)
    scores, best, leader = lane(lanes, SCORE), lane(lanes, BEST), lane(marks, LEADER)
    for start in range(0, target.shape[0], ROWS):
        count = min(ROWS, target.shape[0] - start)
        begin(matrix, target, start, count, lanes, marks)
        for j in range(classes):
            load(matrix, j, start, count, scores)
            lead(j, scores, best, leader)
        for j in range(classes):
            load(matrix, j, start, count, scores)
            moments(j, inverse, scores, best, leader, lane(lanes, OTHERS), lane(lanes, FIRST), lane(lanes, SECOND))
        for i in range(count):
            whole, behind = 1.0 + lanes[OTHERS, i], lanes[MARK, i] - best[i]
            mean = lanes[FIRST, i] / whole
            terms[0, start + i] = log_plus(lanes[OTHERS, i]) - inverse * behind
            terms[1, start + i] = mean - behind
            terms[2, start + i] = max(lanes[SECOND, i] / whole - mean * mean, 0.0)


@kernel
def log_softmax(matrix, out):
    """Logarithms of the softmax of scores [C, N]."""
    classes, n = out.shape
    probs, lanes, marks = np.zeros((classes, ROWS)), np.zeros((11, ROWS)), np.zeros((3, ROWS), np.int64)
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        lanes[:], lanes[BEST], marks[:] = 0.0, -np.inf, 0
        soften(matrix, start, stop - start, probs, lanes, marks)
        for j in range(classes):
            load(matrix, j, start, stop - start, lane(lanes, SCORE))
            shares(lane(lanes, SCORE), lane(lanes, BEST), lane(lanes, OTHERS), lane(lanes, LOG), lane(probs, j))
            for i in range(start, stop):
                out[j, i] = lanes[LOG, i - start]


@kernel
def count(index, chosen, counts):
    """Count the rows, or the chosen ones, of each place."""
    for i in range(index.shape[0]):
        counts[index[i]] += chosen[i] if chosen.shape[0] else True
