"""Blocks of a row: staged for the loops, and the loops over them.

A block is a few pages of the first-level cache. Staging converts half precision, bends by scale and soft cap and pads to whole
stripes with −inf, so that no loop has a scalar remainder; where none of this is needed the block is the row itself.
"""

import math

import numpy as np
from numba import carray, njit
from numba.extending import overload

from xent.kernels.cpu.simd import EXACT, SUMMING, exp_shifted, full_width, log_positive, narrow, pointer_at, widen

BLOCK = 4096
STRIPE = 64
"""A block is padded to a multiple of this, so that no loop has a scalar remainder."""
Z, G, SLOPE = 0, 1, 2
"""Rows of the scratch buffer [3, BLOCK]: staged logits, gradient, dz/dx."""


@njit
def row_at(like, address, classes):
    """The row that starts at an address."""
    return carray(pointer_at(address), (classes,), like.dtype)


def bent(y):
    """tanh y and its derivative."""


@overload(bent)
def _bent(y):
    def tanh(y):
        e = math.exp(-2.0 * abs(y))
        t = (1.0 - e) / (1.0 + e) if abs(y) > 1e-4 else abs(y) * (1.0 - y * y / 3.0)
        return math.copysign(t, y), 4.0 * e / ((1.0 + e) * (1.0 + e))

    def tanh_double(y):
        e = math.exp(-2.0 * abs(y))
        return math.tanh(y), 4.0 * e / ((1.0 + e) * (1.0 + e))

    return tanh_double if y.bitwidth == 64 else tanh


@njit(fastmath=EXACT)
def bend(z, slope, scale, cap):
    """z from x in place, and dz/dx."""
    for j in range(z.shape[0]):
        if cap > 0.0:
            t, d = bent(z.dtype.type(z[j] * (scale / cap)))
            z[j] = z.dtype.type(cap * t)
            slope[j] = z.dtype.type(scale * d)
        else:
            z[j] = z.dtype.type(z[j] * scale)
            slope[j] = z.dtype.type(scale)


@njit
def copied(x, z):
    """Widened elements of x in z, and −inf behind them."""
    for j in range(x.shape[0]):
        z[j] = widen(x[j])
    for j in range(x.shape[0], z.shape[0]):
        z[j] = -np.inf


def staged(x, scratch, scale, cap, direct):
    """z of a block as a multiple of `STRIPE` floats: the block itself where that is allowed, else in scratch."""


@overload(staged)
def _staged(x, scratch, scale, cap, direct):
    def always(x, scratch, scale, cap, direct):
        size = x.shape[0]
        z = scratch[Z][: -(-size // STRIPE) * STRIPE]
        copied(x, z)
        if scale != 1.0 or cap > 0.0:
            bend(z[:size], scratch[SLOPE], scale, cap)
        return z

    def when_needed(x, scratch, scale, cap, direct):
        size = x.shape[0]
        if direct and size % STRIPE == 0:
            return x
        z = scratch[Z][: -(-size // STRIPE) * STRIPE]
        copied(x, z)
        if scale != 1.0 or cap > 0.0:
            bend(z[:size], scratch[SLOPE], scale, cap)
        return z

    return when_needed if x.dtype == scratch.dtype else always


@njit(fastmath=EXACT)
def scaled_exp(z, base, rounding, floor, factor, out):
    """``factor · e^(z − shift)``."""
    full_width()
    for j in range(out.shape[0]):
        out[j] = factor * exp_shifted(z[j] - base, rounding, floor)


@njit(fastmath=EXACT)
def subtract_scaled(out, factor, vector):
    """``out −= factor · vector``, rounded once."""
    full_width()
    for j in range(vector.shape[0]):
        out[j] = out.dtype.type(float(out[j]) - factor * vector[j])


@njit(fastmath=EXACT)
def subtract_weighted(out, factor, probs, weight):
    """``out −= factor · probs · weight``, rounded once."""
    for j in range(probs.shape[0]):
        out[j] = out.dtype.type(float(out[j]) - factor * (probs[j] * weight[j]))


@njit(fastmath=EXACT)
def subtract_entropy_slope(z, out, factor, lse, entropy):
    """``out −= factor · p·(log p + entropy)``, 0 where p is 0."""
    for j in range(out.shape[0]):
        log_p = float(z[j]) - lse
        term = math.exp(log_p) * (log_p + entropy)
        out[j] -= out.dtype.type(factor * (term if log_p > -745.0 else 0.0))


@njit(fastmath=EXACT)
def multiply(out, slope):
    """``out *= slope``."""
    for j in range(out.shape[0]):
        out[j] *= slope[j]


@njit
def store(g, out):
    """g narrowed into out."""
    for j in range(out.shape[0]):
        out[j] = narrow(g[j], out)


@njit
def fill(out, value):
    """One value everywhere."""
    for j in range(out.shape[0]):
        out[j] = narrow(value, out)


def written(out, scratch, size):
    """Where the gradient of a block is built: out itself if it is of the computing dtype and whole stripes."""


@overload(written)
def _written(out, scratch, size):
    if out.dtype == scratch.dtype:
        return lambda out, scratch, size: out if size % STRIPE == 0 else scratch[G][: -(-size // STRIPE) * STRIPE]
    return lambda out, scratch, size: scratch[G][: -(-size // STRIPE) * STRIPE]


def finish(g, out):
    """Store a built gradient, unless it was built in place."""


@overload(finish)
def _finish(g, out):
    if out.dtype == g.dtype:

        def store_padded(g, out):
            if out.shape[0] % STRIPE != 0:
                store(g, out)

        return store_padded
    return lambda g, out: store(g, out)


@njit(fastmath=SUMMING)
def gap_sum(z, probs, peak):
    """``Σ T (peak − z)`` and ``Σ T``; 0 · inf is 0."""
    full_width()
    total, mass = 0.0, 0.0
    for j in range(probs.shape[0]):
        t = float(probs[j])
        gap = peak - float(z[j])
        total += t * (gap if t != 0.0 else 0.0)
        mass += t
    return total, mass


@njit(fastmath=SUMMING)
def weighted_gap_sum(z, probs, weight, peak):
    """The same with T the product of probabilities and class weights."""
    total, mass = 0.0, 0.0
    for j in range(probs.shape[0]):
        t = float(probs[j]) * weight[j]
        gap = peak - float(z[j])
        total += t * (gap if t != 0.0 else 0.0)
        mass += t
    return total, mass


@njit(fastmath=SUMMING)
def entropy_sum(probs):
    """``−Σ y log y``."""
    full_width()
    total = 0.0
    for j in range(probs.shape[0]):
        y = float(probs[j])
        total -= y * log_positive(y)
    return total


@njit(fastmath=SUMMING)
def weighted_entropy_sum(probs, weight):
    """``−Σ w y log y``."""
    total = 0.0
    for j in range(probs.shape[0]):
        y = float(probs[j])
        total -= weight[j] * (y * log_positive(y))
    return total


@njit(fastmath=SUMMING)
def expected_gap(z, base, rounding, floor, peak):
    """``Σ e^(z − shift)·(peak − z)``; 0 where the exponential is."""
    total = z.dtype.type(0)
    for j in range(z.shape[0]):
        e = exp_shifted(z[j] - base, rounding, floor)
        gap = peak - z[j]
        total += e * (gap if e != z.dtype.type(0) else z.dtype.type(0))
    return total


@njit
def count_above(z, value):
    """How many elements are greater than value."""
    count = 0
    for j in range(z.shape[0]):
        count += z[j] > value
    return count


@njit(fastmath=EXACT)
def log_of_row(z, peak, excess, out):
    """``−((peak − z) + excess)``."""
    full_width()
    for j in range(out.shape[0]):
        out[j] = -((peak - float(z[j])) + excess)


@njit(fastmath=SUMMING)
def plain_sum(z):
    """Sum in float64."""
    full_width()
    total = 0.0
    for j in range(z.shape[0]):
        total += float(z[j])
    return total


@njit
def least(z):
    """Minimum; NaN is passed over."""
    low = z.dtype.type(np.inf)
    for j in range(z.shape[0]):
        low = z[j] if z[j] < low else low
    return low
