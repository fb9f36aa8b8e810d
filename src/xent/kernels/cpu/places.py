"""Where rows fall: bits that look random, and the cells of a probability, finer towards 0 and 1."""

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.simd import INTO, bits_of

FIRST_SHIFT, SECOND_SHIFT, LAST_SHIFT = np.uint64(30), np.uint64(27), np.uint64(31)
STEP, FIRST_FACTOR, SECOND_FACTOR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
MINUS, ZERO, NINE = np.uint8(ord("-")), np.uint8(ord("0")), np.uint8(ord("9"))
MOST = np.uint64(2**63 - 1)
ROOT = 1.4142135623730951
"""The float64 next above √2."""


@njit(**INTO)
def mixed(value):
    """SplitMix64 of one number: Steele, Lea and Flood, 2014."""
    z = value + STEP
    z = (z ^ (z >> FIRST_SHIFT)) * FIRST_FACTOR
    z = (z ^ (z >> SECOND_SHIFT)) * SECOND_FACTOR
    return z ^ (z >> LAST_SHIFT)


@kernel
def mix(values, salt, out):
    """SplitMix64 of each number and a salt."""
    for i in range(values.shape[0]):
        out[i] = mixed(values[i] ^ salt)


@njit(**INTO)
def whole(data, start, stop):
    """Whether a text is how an int64 is written, and its bits: no sign but a minus, no zeros before, and no ``-0``."""
    below = np.int64(stop > start and data[start] == MINUS)
    first = start + below
    if not 1 <= stop - first <= 19:
        return False, np.uint64(0)
    if data[first] == ZERO:
        return stop - start == 1, np.uint64(0)
    size = np.uint64(0)
    for at in range(first, stop):
        if not ZERO <= data[at] <= NINE:
            return False, np.uint64(0)
        size = size * np.uint64(10) + np.uint64(data[at] - ZERO)
    return size <= MOST + np.uint64(below), np.uint64(0) - size if below else size


@njit(**INTO)
def hashed(data, start, stop):
    """SplitMix64 of a text's length, and then of each eight of its bytes and what came before."""
    key = mixed(np.uint64(stop - start))
    for begin in range(start, stop, 8):
        word = np.uint64(0)
        for j in range(min(8, stop - begin)):
            word |= np.uint64(data[begin + j]) << np.uint64(8 * j)
        key = mixed(key ^ word)
    return key


@kernel
def text_keys(data, ends, out):
    """A number for each text: that of the whole number it writes, or a hash of its bytes."""
    for i in range(out.shape[0]):
        number, bits = whole(data, ends[i], ends[i + 1])
        out[i] = mixed(bits) if number else hashed(data, ends[i], ends[i + 1])


@kernel
def fingerprint(keys, target, marks):
    """The sum of what mixes key and target of each row, whatever their order."""
    total = np.uint64(0)
    for i in range(keys.shape[0]):
        total += mixed(keys[i] ^ marks[target[i]])
    return total


@njit(**INTO)
def halvings(share, most):
    """Half-octaves from 1 down to a share in (0, 1]: the whole part of ``−2·log2``, at most `most`."""
    bits = bits_of(share)
    octaves = np.int64(1023) - (bits >> 52)
    digits = (bits & ((np.int64(1) << 52) - 1)) | (np.int64(1023) << 52)
    above = np.int64(digits > (np.int64(1023) << 52)) + np.int64(digits >= bits_of(ROOT))
    return min(max(2 * octaves - above, np.int64(0)), most)


@kernel
def cells(confidence, inner, fine, out):
    """The cell of each probability: `inner` of equal width, of which the first and the last are parted in `fine`."""
    for i in range(confidence.shape[0]):
        scaled = confidence[i] * inner
        whole = min(np.int64(scaled), inner - 1)
        if whole == 0:
            out[i] = fine - 1 - halvings(scaled, fine - 1)
        elif whole == inner - 1:
            out[i] = inner - 2 + fine + halvings((1.0 - confidence[i]) * inner, fine - 1)
        else:
            out[i] = whole + fine - 1
