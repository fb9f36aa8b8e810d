"""Rows too short to fill the vector lanes: a tile of rows is one flat run of numbers, exponentiated under one shift.

A shift by whole halvings changes no bit of an exponential but its exponent, so a row's sums and gradient do not depend on which
rows share its tile. Where a tile spans too much for one shift, or holds NaN or infinities, each of its rows gets its own.
For plain logits and index targets, whose surprisal is ``log1p(Σ_{j≠t} e^{z_j} / e^{z_t})``: no maximum is needed.
"""

import numpy as np
from numba import njit

from xent._typing import Array
from xent.kernels.cpu.blocks import copied, row_at, scaled_exp
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.rows import EXCESS, HEADROOM, PEAK, SURPRISAL, row_statistics, shift_for
from xent.kernels.cpu.simd import (
    EXACT,
    PLAIN,
    beyond,
    exp_double,
    exp_minus,
    floor_of,
    full_width,
    greatest,
    least,
    log_plus,
    magic,
    power_of_two,
    whole_halvings,
)
from xent.kernels.cpu.storage import narrow

WIDEST = 128
"""Classes up to which a tile is faster than the row by itself."""
TILE = 64
"""Rows of a tile: every class count gives whole stripes."""
GROUP = 8
"""Classes summed in their own precision before float64 takes over."""
SPAN, FAR = 60.0, 256.0
"""One shift serves a tile whose numbers lie within SPAN of each other and FAR of 0: no exponential leaves float32's range."""
FAINT = 2.0**-100
"""A target's exponential below this, which one shift for all never gives, is taken from its logit instead."""

BASE, HALVINGS, RATIO, OWN, FACTOR, SLOPE, SCALE = 0, 1, 2, 3, 4, 5, 6
"""Rows of the lane buffer [7, TILE]."""


def scratch(dtype: type, classes: int) -> tuple[Array, Array]:
    """Three flat tiles, for logits, exponentials and sums, and seven float64 numbers a row."""
    return np.empty((3, classes * TILE), dtype), np.empty((7, TILE))


@njit(**PLAIN)
def load(like, address, stride, classes, count, z):
    """A tile's logits one row behind the other; rows beyond the last hold zeros."""
    if stride == classes * like.itemsize:
        copied(row_at(like, address, count * classes), z)
    else:
        for r in range(count):
            copied(row_at(like, address + r * stride, classes), z[r * classes : (r + 1) * classes])
    for k in range(count * classes, z.shape[0]):
        z[k] = 0.0


@njit(**PLAIN)
def exponentials(z, e, classes, lanes):
    """``e^(z − shift)`` of a tile, and each row's shift as base and halvings; NaN where a row has no distribution."""
    low, high = float(least(z)), float(greatest(z))
    if -FAR < low and high < FAR and high - low < SPAN:
        k = whole_halvings(high)
        scaled_exp(z, z.dtype.type(0.0), magic(z, k), floor_of(z, k), z.dtype.type(1.0), e)
        for r in range(TILE):
            lanes[BASE, r], lanes[HALVINGS, r] = 0.0, k
        return
    for r in range(TILE):
        row = z[r * classes : (r + 1) * classes]
        top = float(greatest(row))
        base, k = shift_for(z, top) if -np.inf < top < np.inf else (0.0, 0.0)
        k -= HEADROOM
        lanes[BASE, r], lanes[HALVINGS, r] = base, k
        factor = z.dtype.type(1.0 if -np.inf < top < np.inf else np.nan)
        scaled_exp(row, z.dtype.type(base), magic(z, k), floor_of(z, k), factor, e[r * classes : (r + 1) * classes])


@njit(**EXACT)
def log_ratios(lanes):
    """``log1p`` of each row's ratio, in place."""
    full_width()
    ratio = lanes[RATIO]
    for r in range(TILE):
        ratio[r] = log_plus(ratio[r])


@njit(**PLAIN)
def set_targets_aside(e, classes, target, own):
    """Each row's exponential at its target, which is taken out of the tile for a while."""
    for r in range(target.shape[0]):
        k = r * classes + max(target[r], 0)
        own[r] = e[k]
        e[k] = 0.0


@njit(**PLAIN)
def put_targets_back(e, classes, target, own):
    """Undo `set_targets_aside`."""
    for r in range(target.shape[0]):
        e[r * classes + max(target[r], 0)] = own[r]


@njit(**EXACT)
def divide_sums(e, classes, part, lanes):
    """Each row's sum over its number aside; a few classes at a time in their own precision, then in float64."""
    full_width()
    total, own = lanes[RATIO], lanes[OWN]
    for r in range(TILE):
        total[r] = 0.0
    for group in range(0, classes, GROUP):
        for r in range(TILE):
            part[r] = e[r * classes + group]
        for j in range(group + 1, min(classes, group + GROUP)):
            for r in range(TILE):
                part[r] += e[r * classes + j]
        for r in range(TILE):
            total[r] += float(part[r])
    for r in range(TILE):
        total[r] = total[r] / own[r]


@kernel
def statistics(like, address, stride, classes, target, tile, lanes, whole, out):
    """Into out [3, N]: the target's logit and lse less it, or peak and excess where it is faint; surprisal; 0 where ignored."""
    full_width()
    z, e = tile[0], tile[1]
    for begin in range(0, out.shape[1], TILE):
        count = min(TILE, out.shape[1] - begin)
        load(like, address + begin * stride, stride, classes, count, z)
        exponentials(z, e, classes, lanes)
        goals = target[begin : begin + count]
        set_targets_aside(e, classes, goals, lanes[OWN])
        divide_sums(e, classes, tile[2], lanes)
        put_targets_back(e, classes, goals, lanes[OWN])
        log_ratios(lanes)
        for r in range(count):
            i, t, at = begin + r, target[begin + r], r * classes
            origin, excess = float(z[at + max(t, 0)]), lanes[RATIO, r]
            surprisal = excess
            if t < 0:
                origin, excess, surprisal = 0.0, 0.0, 0.0
            elif not lanes[OWN, r] >= FAINT:
                origin, excess, at_target = row_statistics(z[at : at + classes], whole, 1.0, -1.0, True, t)
                surprisal = (origin - at_target) + excess
            out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = origin, excess, surprisal


@njit(**EXACT)
def factors(lanes, peak, excess, surprisal):
    """Each row's ``a · e^(shift − lse)`` and ``a·expm1(−surprisal)``; halvings beyond the row's own are an exact power of two."""
    full_width()
    base, halvings, factor, slope, a = lanes[BASE], lanes[HALVINGS], lanes[FACTOR], lanes[SLOPE], lanes[SCALE]
    for r in range(peak.shape[0]):
        own = whole_halvings(peak[r]) if base[r] == 0.0 else 0.0
        scale = a[r] * exp_double(-beyond(peak[r], base[r], own) - excess[r])
        factor[r] = scale * power_of_two(halvings[r] - own)
    for r in range(peak.shape[0]):
        slope[r] = a[r] * exp_minus(-surprisal[r])


@njit(**PLAIN)
def put(e, at, factor, out):
    """``factor · e`` of the row that begins at `at`, rounded to the storage dtype; a factor too large for e's is no NaN."""
    real = e.dtype.type
    small = real(factor)
    if abs(float(small)) < np.inf:
        for j in range(out.shape[0]):
            out[j] = narrow(small * e[at + j], out)
    else:
        for j in range(out.shape[0]):
            out[j] = narrow(real(factor * float(e[at + j])), out)


@kernel
def gradient(like, address, stride, out_address, out_stride, classes, target, peak, excess, surprisal, coefficients, tile, lanes):
    """``a·p − b·onehot`` of every row; coefficients [4, N or 1] begin with a and b."""
    full_width()
    z, e, real = tile[0], tile[1], tile.dtype.type
    each = 1 if coefficients.shape[1] > 1 else 0
    for begin in range(0, peak.shape[0], TILE):
        count = min(TILE, peak.shape[0] - begin)
        stop = begin + count
        load(like, address + begin * stride, stride, classes, count, z)
        exponentials(z, e, classes, lanes)
        for r in range(count):
            lanes[SCALE, r] = coefficients[0, (begin + r) * each]
        factors(lanes, peak[begin:stop], excess[begin:stop], surprisal[begin:stop])
        for r in range(count):
            t, known = target[begin + r], excess[begin + r] == excess[begin + r]
            out = row_at(like, out_address + (begin + r) * out_stride, classes)
            if t < 0 or not known:
                for j in range(classes):
                    out[j] = narrow(real(0.0 if t < 0 else np.nan), out)
                continue
            put(e, r * classes, lanes[FACTOR, r], out)
            b = coefficients[1, (begin + r) * each]
            out[t] = narrow(real((lanes[SCALE, r] - b) + lanes[SLOPE, r]), out)
