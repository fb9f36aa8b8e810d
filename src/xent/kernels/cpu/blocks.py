"""Blocks of a row: staged for the loops, and the loops over them.

A block is a few pages of the first-level cache. Staging converts half precision and bends by scale and soft cap; where neither
is needed the block is the row itself.
"""

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import overload

from xent.kernels.cpu.memory import lane, part
from xent.kernels.cpu.simd import CHUNK, EXACT, INTO, PLAIN, SUMMING, exp_double, exp_shifted, full_width, log_positive
from xent.kernels.cpu.storage import narrow, widen

BLOCK = 4096
STRIPE = 64
"""Elements a vector loop takes at once on the widest machine; what is left of a row would run one by one."""
Z, G, SLOPE, PAD = 0, 1, 2, 3
"""Rows of the scratch buffer [4, BLOCK]: staged logits, gradient, dz/dx, a padded stripe."""


@njit(**INTO)
def chunk_end(start, size):
    """Where the chunk that begins at start ends: whole stripes as long as there are any, then the short rest."""
    left = size - start
    return start + min(CHUNK, left - left % STRIPE) if left >= STRIPE else size


@njit(**EXACT)
def held(x, scale):
    """``x · scale``, and the largest finite number where a finite x overflows: it leads its row as before."""
    product = float(x) * scale
    rounded = type_of(x, product)
    return largest(x, product) if abs(float(rounded)) == np.inf and abs(float(x)) < np.inf else rounded


def type_of(x, value) -> Any:
    """value in x's dtype."""


@overload(type_of)
def _type_of(x, value):
    real = np.float64 if x.bitwidth == 64 else np.float32
    return lambda x, value: real(value)


def largest(x, sign) -> Any:
    """The largest finite number of x's dtype, with a sign."""


@overload(largest)
def _largest(x, sign):
    if x.bitwidth == 64:
        return lambda x, sign: math.copysign(1.7976931348623157e308, sign)
    return lambda x, sign: np.float32(math.copysign(3.4028234663852886e38, sign))


def tanh_of(y) -> Any:
    """tanh y and its derivative, from ``e^−2|y|``."""


@overload(tanh_of, jit_options=EXACT)
def _tanh_of(y):
    def tanh(y):
        size = abs(float(y))
        e = exp_double(-2.0 * size)
        t = (1.0 - e) / (1.0 + e) if size > 1e-4 else size * (1.0 - size * size / 3.0)
        return (t if y >= 0.0 else -t), 4.0 * e / ((1.0 + e) * (1.0 + e))

    def tanh_double(y):
        e = exp_double(-2.0 * abs(y))
        return math.tanh(y), 4.0 * e / ((1.0 + e) * (1.0 + e))

    return tanh_double if y.bitwidth == 64 else tanh


@njit(**EXACT)
def bend(z, slope, scale, cap):
    """z from x in place, and dz/dx; an infinite x stays infinite, for a mask is no number to bend."""
    full_width()
    ratio, real = scale / cap, z.dtype.type
    for j in range(z.shape[0]):
        x = z[j]
        t, d = tanh_of(real(x * ratio))
        z[j] = real(x * scale) if abs(x) == np.inf else held(t, cap)
        slope[j] = real(scale * d)


@njit(**EXACT)
def rescale(z, slope, scale):
    """z from x in place, and dz/dx, without a soft cap."""
    for j in range(z.shape[0]):
        z[j] = held(z[j], scale)
        slope[j] = z.dtype.type(scale)


@njit(**PLAIN)
def transform(z, slope, scale, cap):
    """z from x in place, and dz/dx; a cap below 0 is none."""
    if cap > 0.0:
        bend(z, slope, scale, cap)
    elif scale != 1.0:
        rescale(z, slope, scale)


@njit(**PLAIN)
def copied(x, z):
    """Widened elements of x in z."""
    full_width()
    for j in range(x.shape[0]):
        z[j] = widen(x[j])


@njit(**INTO)
def padded(z, pad):
    """A short rest in a whole stripe, −inf behind it."""
    for j in range(pad.shape[0]):
        pad[j] = z[j] if j < z.shape[0] else -np.inf
    return pad


def aside(x, scratch, bend) -> Any:
    """z of a block in scratch; bend is None for plain logits, or scale and soft cap (below 0: none)."""


@overload(aside)
def _aside(x, scratch, bend):
    def widened(x, scratch, bend):
        z = part(lane(scratch, Z), 0, x.shape[0])
        copied(x, z)
        return z

    def bent(x, scratch, bend):
        z = part(lane(scratch, Z), 0, x.shape[0])
        copied(x, z)
        transform(z, lane(scratch, SLOPE), bend[0], bend[1])
        return z

    return widened if isinstance(bend, types.NoneType) else bent


def staged(x, scratch, bend) -> Any:
    """z of a block to read: the block itself where it is plain and of the computing dtype, else in scratch."""


@overload(staged)
def _staged(x, scratch, bend):
    if isinstance(bend, types.NoneType) and x.dtype == scratch.dtype:
        return lambda x, scratch, bend: part(x, 0, x.shape[0])
    return lambda x, scratch, bend: aside(x, scratch, bend)


@njit(**EXACT)
def scaled_exp(z, base, rounding, floor, factor, out):
    """``factor · e^(z − shift)``."""
    full_width()
    for j in range(out.shape[0]):
        out[j] = factor * exp_shifted(z[j] - base, rounding, floor)


@njit(**EXACT)
def scaled_exp_less(z, base, rounding, floor, factor, vector, share, out):
    """``factor · e^(z − shift) − share · vector``."""
    full_width()
    for j in range(vector.shape[0]):
        p = factor * exp_shifted(z[j] - base, rounding, floor)
        out[j] = out.dtype.type(p - share * out.dtype.type(vector[j]))


@njit(**EXACT)
def subtract_scaled(out, factor, vector):
    """``out −= factor · vector``, rounded once."""
    full_width()
    for j in range(vector.shape[0]):
        out[j] = out.dtype.type(float(out[j]) - factor * vector[j])


@njit(**EXACT)
def subtract_weighted(out, factor, probs, weight):
    """``out −= factor · probs · weight``, rounded once."""
    for j in range(probs.shape[0]):
        out[j] = out.dtype.type(float(out[j]) - factor * (probs[j] * weight[j]))


@njit(**EXACT)
def subtract_entropy_slope(z, out, factor, peak, excess, entropy):
    """``out −= factor · p·(log p + entropy)``, 0 where p is 0."""
    full_width()
    for j in range(out.shape[0]):
        log_p = (float(z[j]) - peak) - excess
        p = exp_double(log_p)
        out[j] = out.dtype.type(float(out[j]) - factor * (p * ((log_p if p > 0.0 else 0.0) + entropy)))


@njit(**EXACT)
def scale_by(out, factor):
    """``out *= factor``."""
    for j in range(out.shape[0]):
        out[j] *= factor


@njit(**EXACT)
def multiply(out, slope):
    """``out *= slope``."""
    for j in range(out.shape[0]):
        out[j] *= slope[j]


@njit(**PLAIN)
def store(g, out):
    """g narrowed into out."""
    for j in range(out.shape[0]):
        out[j] = narrow(g[j], out)


@njit(**PLAIN)
def fill(out, value):
    """One value everywhere."""
    for j in range(out.shape[0]):
        out[j] = narrow(value, out)


def written(out, scratch) -> Any:
    """Where the gradient of a block is built: out itself if it is of the computing dtype, else scratch."""


@overload(written)
def _written(out, scratch):
    if out.dtype == scratch.dtype:
        return lambda out, scratch: out
    return lambda out, scratch: part(lane(scratch, G), 0, out.shape[0])


def finish(g, out) -> Any:
    """Store a built gradient, unless it was built in place."""


@overload(finish)
def _finish(g, out):
    if out.dtype == g.dtype:
        return lambda g, out: None
    return lambda g, out: store(g, out)


def move(g, out, apart) -> Any:
    """Store a gradient that was built where it goes, unless that is of another dtype or, being apart, another place."""


@overload(move)
def _move(g, out, apart):
    if out.dtype != g.dtype:
        return lambda g, out, apart: store(g, out)

    def same_dtype(g, out, apart):
        if apart:
            store(g, out)

    return same_dtype


@njit(**SUMMING)
def gap_sum(z, probs, peak) -> Any:
    """``Σ T (peak − z)`` and ``Σ T``; 0 · inf is 0."""
    full_width()
    total, mass = 0.0, 0.0
    for j in range(probs.shape[0]):
        t = float(probs[j])
        gap = peak - float(z[j])
        total += t * (gap if t != 0.0 else 0.0)
        mass += t
    return total, mass


@njit(**SUMMING)
def weighted_gap_sum(z, probs, weight, peak) -> Any:
    """The same with T the product of probabilities and class weights."""
    total, mass = 0.0, 0.0
    for j in range(probs.shape[0]):
        t = float(probs[j]) * weight[j]
        gap = peak - float(z[j])
        total += t * (gap if t != 0.0 else 0.0)
        mass += t
    return total, mass


@njit(**SUMMING)
def entropy_sum(probs):
    """``−Σ y log y``."""
    full_width()
    total = 0.0
    for j in range(probs.shape[0]):
        y = float(probs[j])
        total -= y * log_positive(y)
    return total


@njit(**SUMMING)
def weighted_entropy_sum(probs, weight):
    """``−Σ w y log y``."""
    total = 0.0
    for j in range(probs.shape[0]):
        y = float(probs[j])
        total -= weight[j] * (y * log_positive(y))
    return total


@njit(**SUMMING)
def expected_gap(z, base, rounding, floor, peak):
    """``Σ e^(z − shift)·(peak − z)``; 0 where the exponential is."""
    total = z.dtype.type(0)
    for j in range(z.shape[0]):
        e = exp_shifted(z[j] - base, rounding, floor)
        gap = peak - z[j]
        total += e * (gap if e != z.dtype.type(0) else z.dtype.type(0))
    return total


@njit(**PLAIN)
def count_above(z, value):
    """How many elements are greater than value."""
    count = 0
    for j in range(z.shape[0]):
        count += z[j] > value
    return count


@njit(**EXACT)
def log_of_row(z, peak, excess, out):
    """``(z − peak) − excess``."""
    full_width()
    for j in range(out.shape[0]):
        out[j] = (float(z[j]) - peak) - excess


@njit(**SUMMING)
def plain_sum(z):
    """Sum in float64."""
    full_width()
    total = 0.0
    for j in range(z.shape[0]):
        total += float(z[j])
    return total
