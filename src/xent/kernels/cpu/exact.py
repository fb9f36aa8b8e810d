"""Sums of float64 numbers kept as integers, so that no order of adding them changes a bit.

A sum is a row of limbs: ``Σ_k limb_k · 2^(32·(low + k) − 1074)``, limbs in int64. A number adds less than 2^33 to each of three
neighbours; carries wait, and 2^29 numbers may be added before they must move on.
"""

import math

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.simd import INTO, bits_of

LIMB_BITS = 32
FRACTION = 52
UNIT_BITS = 1074
MASK = np.int64(0xFFFFFFFF)
EXPONENT, HALF, FIVE = np.uint64(52), np.uint64(32), np.uint64(5)
DIGITS, LOWER, BELOW = np.uint64((1 << 52) - 1), np.uint64(0xFFFFFFFF), np.uint64(31)
UNSIGNED = np.uint64((1 << 63) - 1)
NONE, ONE, TWO = np.uint64(0), np.uint64(1), np.uint64(2)
NOWHERE = 0xFFFFFFFFFFFFFFFF


@kernel
def span(values):
    """Places of the last bits of the least and the greatest positive number, above 2^-1074; (0, -1) where there is none."""
    least, most = np.uint64(NOWHERE), np.int64(0)
    for i in range(values.shape[0]):
        bits = bits_of(values[i])
        # One less, and unsigned: zero and what is negative are the greatest.
        least, most = min(least, np.uint64(bits - 1)), max(most, bits)
    if most == 0:
        return np.int64(0), np.int64(-1)
    lowest = np.int64(least) + 1
    return max((lowest >> FRACTION) - 1, np.int64(0)), max((most >> FRACTION) - 1, np.int64(0))


@njit(**INTO)
def put(value, limbs, at, low):
    """Add a number, finite and positive, to the limbs of one sum; places are unsigned, so that none is looked at for its sign."""
    bits = np.uint64(bits_of(value)) & UNSIGNED
    normal = np.uint64(bits >> EXPONENT != NONE)
    digits = (bits & DIGITS) | (normal << EXPONENT)
    place = (bits >> EXPONENT) - normal
    limb, shift = (place >> FIVE) - np.uint64(low), place & BELOW
    first, second = (digits & LOWER) << shift, (digits >> HALF) << shift
    limbs[at, limb] += np.int64(first & LOWER)
    limbs[at, limb + ONE] += np.int64((first >> HALF) + (second & LOWER))
    limbs[at, limb + TWO] += np.int64(second >> HALF)


@kernel
def add(values, index, limbs, low):
    """Add ``values[i]`` to the sum ``index[i]``, or to the first where there is no index."""
    for i in range(values.shape[0]):
        if values[i] > 0.0:
            put(values[i], limbs, np.uint64(index[i] if index.shape[0] else 0), low)


@kernel
def add_whole(values, place, limbs, low):
    """Add ``values[i]·2^(place − 1074)``, whole numbers not negative, to the sum i."""
    at, shift = (place >> 5) - low, place & 31
    for i in range(values.shape[0]):
        first, second = (values[i] & MASK) << shift, (values[i] >> LIMB_BITS) << shift
        limbs[i, at] += first & MASK
        limbs[i, at + 1] += ((first >> LIMB_BITS) & MASK) + (second & MASK)
        limbs[i, at + 2] += second >> LIMB_BITS


@kernel
def carry(limbs):
    """Move carries on: every limb but the last ends in [0, 2^32)."""
    for i in range(limbs.shape[0]):
        moved = np.int64(0)
        for k in range(limbs.shape[1] - 1):
            whole = limbs[i, k] + moved
            moved = whole >> LIMB_BITS
            limbs[i, k] = whole & 0xFFFFFFFF
        limbs[i, limbs.shape[1] - 1] += moved


@kernel
def rounded(limbs, low, values):
    """The float64 nearest to each sum, below or next to the least normal one perhaps not; limbs lie in [0, 2^32)."""
    for i in range(limbs.shape[0]):
        top, rest = limbs.shape[1] - 1, np.int64(0)
        while top >= 0 and limbs[i, top] == 0:
            top -= 1
        if top < 0:
            values[i] = 0.0
            continue
        first, second = limbs[i, top], limbs[i, top - 1] if top > 0 else rest
        third = limbs[i, top - 2] if top > 1 else rest
        for k in range(top - 2):
            rest |= limbs[i, k]
        # 64 bits from the first that is set; what comes after them shows in the last, which no rounding reaches otherwise.
        empty = 0
        while first >> (LIMB_BITS - 1 - empty) == 0:
            empty += 1
        digits = (np.uint64(first) << np.uint64(LIMB_BITS)) | np.uint64(second)
        digits = (digits << np.uint64(empty)) | (np.uint64(third) >> np.uint64(LIMB_BITS - empty))
        left = rest | ((third << empty) & MASK)
        digits |= np.uint64(left != 0)
        values[i] = math.ldexp(float(digits), LIMB_BITS * (low + top - 1) - empty - UNIT_BITS)
