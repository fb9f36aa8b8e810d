"""Sums of float64 numbers kept as integers, so that no order of adding them changes a bit.

A sum is a row of limbs: ``Σ_k limb_k · 2^(32·(low + k) − 1074)``, limbs in int64. A number adds less than 2^33 to each of three
neighbours; carries wait, and 2^29 numbers may be added before they must move on.
"""

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.simd import INTO, bits_of

LIMB_BITS = 32
FRACTION = 52
MASK = np.int64(0xFFFFFFFF)
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
def put(value, here, low):
    """Add a number, finite and not negative, to the limbs of one sum."""
    bits = bits_of(value)
    if bits > 0:
        exponent, digits = bits >> FRACTION, bits & ((np.int64(1) << FRACTION) - 1)
        if exponent > 0:
            digits |= np.int64(1) << FRACTION
            exponent -= 1
        at, shift = (exponent >> 5) - low, exponent & 31
        first, second = (digits & MASK) << shift, (digits >> LIMB_BITS) << shift
        here[at] += first & MASK
        here[at + 1] += ((first >> LIMB_BITS) & MASK) + (second & MASK)
        here[at + 2] += second >> LIMB_BITS


@kernel
def add(values, index, limbs, low):
    """Add ``values[i]`` to the sum ``index[i]``, or to the first where there is no index."""
    for i in range(values.shape[0]):
        put(values[i], limbs[index[i] if index.shape[0] else 0], low)


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
