"""Sums of numbers in [0, 2), as pairs of integers: no order of adding changes them, and adding is as cheap as can be.

``p = a·2^−44 + b·2^−88`` with whole a and b holds every float32 above 2^−64 and every float64 above 2^−35; what is left of
others goes, with them, to limbs. 2^18 numbers fit.
"""

from typing import Any

import numpy as np
from numba import njit

from xent.kernels.cpu.exact import put
from xent.kernels.cpu.simd import EXACT, INTO, full_width

DIGIT = float(1 << 44)
FIRST, SECOND, COUNT = range(3)
"""Columns of what is held [n, 3]: sums of a and of b, and how many."""


@njit(**EXACT)
def near(bins, probs, aim) -> Any:
    """Sums of a, of b and of rows, for one class; and whether every p lies in the first bin and leaves nothing."""
    full_width()
    first, second, rows, beyond = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(probs.shape[0]):
        counted = aim[i] >= 0
        p = probs[i] if counted else 0.0
        a = np.int64(p * DIGIT)
        left = (p * DIGIT - float(a)) * DIGIT
        b = np.int64(left)
        first += a
        second += b
        rows += np.int64(counted)
        beyond |= np.int64(p * bins >= 1.0) | np.int64(left != float(b))
    return first, second, rows, beyond == 0


@njit(**INTO)
def each(place, bins, probs, aim, held, limbs):
    """Add one row after the other to its bin; whether limbs were needed."""
    used = False
    for i in range(probs.shape[0]):
        if aim[i] >= 0:
            p = probs[i]
            at = place + min(np.int64(p * bins), bins - 1)
            a = np.int64(p * DIGIT)
            left = (p * DIGIT - float(a)) * DIGIT
            b = np.int64(left)
            held[at, COUNT] += 1
            if left == float(b):
                # Of −0 as well.
                held[at, FIRST] += a
                held[at, SECOND] += b
            else:
                put(p, limbs, np.uint64(at), 0)
                used = True
    return used


@njit(**INTO)
def hold(j, bins, probs, aim, held, limbs):
    """Add p of one class to the sums of its bins, for rows that have an aim; whether limbs were needed."""
    first, second, rows, plain = near(bins, probs, aim)
    if plain:
        held[j * bins, FIRST] += first
        held[j * bins, SECOND] += second
        held[j * bins, COUNT] += rows
        return False
    return each(j * bins, bins, probs, aim, held, limbs)
