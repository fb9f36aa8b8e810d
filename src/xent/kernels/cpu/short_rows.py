"""Rows too short to fill the vector lanes: a tile of rows is one flat run of numbers, exponentiated under one shift.

A shift by whole halvings changes no bit of an exponential but its exponent, so a row's sums and gradient do not depend on which
rows share its tile. Where a tile spans too much for one shift, or holds NaN or infinities, each of its rows gets its own.
For plain logits and index targets, whose surprisal is ``log1p(Σ_{j≠t} e^{z_j} / e^{z_t})``: no maximum is needed.
"""

import numpy as np
from numba import njit

from xent._typing import Array
from xent.kernels.cpu.blocks import copied, fill, loose, row_at, scaled_exp
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.fused import in_two
from xent.kernels.cpu.rows import EXCESS, PEAK, SURPRISAL
from xent.kernels.cpu.simd import EXACT, PLAIN, floor_of, full_width, greatest, least, log_plus, magic, whole_halvings
from xent.kernels.cpu.storage import narrow
from xent.kernels.cpu.visit import HEADROOM, shift_for, visited

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

OWN, OTHERS, RATIO, FIRST, SLOPE, FACTOR, GOAL = 0, 1, 2, 3, 4, 5, 6
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
def exponentials_of(z, e, classes):
    """``e^(z − shift)`` of a tile, rows with a shift of their own where one does not serve; NaN where there is no distribution."""
    low, high = float(least(z)), float(greatest(z))
    if -FAR < low and high < FAR and high - low < SPAN:
        k = whole_halvings(high)
        scaled_exp(z, z.dtype.type(0.0), magic(z, k), floor_of(z, k), z.dtype.type(1.0), e)
        return
    for r in range(TILE):
        row = z[r * classes : (r + 1) * classes]
        top = float(greatest(row))
        base, k = shift_for(z, top) if -np.inf < top < np.inf else (0.0, 0.0)
        k -= HEADROOM
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


@njit(**EXACT)
def sum_others(e, classes, part, lanes):
    """Each row's sum and its ratio to the number aside; a few classes at a time in their own precision, then in float64."""
    full_width()
    total = lanes[OTHERS]
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
        lanes[RATIO, r] = total[r] / lanes[OWN, r]


@njit(**PLAIN)
def alone(z, whole, t):
    """Origin, excess and surprisal of a row whose target is too faint to be measured from."""
    peak, excess, at_target, _ = visited(z, 0, whole[0, :0], 0, whole, 1.0, -1.0, True, t)
    return peak, excess, (peak - at_target) + excess


@njit(**PLAIN)
def summed(like, address, stride, classes, count, goals, tile, lanes):
    """A tile's exponentials, each row's number at its target, the sum of the others, and ``log1p`` of their ratio."""
    z, e = tile[0], tile[1]
    load(like, address, stride, classes, count, z)
    exponentials_of(z, e, classes)
    set_targets_aside(e, classes, goals, lanes[OWN])
    sum_others(e, classes, tile[2], lanes)
    log_ratios(lanes)


@njit(**PLAIN)
def put_statistics(z, classes, lanes, goals, whole, out):
    """Into out [3, n]: the target's logit and lse less it, or peak and excess where it is faint; surprisal; 0 where ignored."""
    for r in range(goals.shape[0]):
        t, at = goals[r], r * classes
        if t < 0:
            out[PEAK, r], out[EXCESS, r], out[SURPRISAL, r] = 0.0, 0.0, 0.0
        elif lanes[OWN, r] >= FAINT:
            out[PEAK, r], out[EXCESS, r], out[SURPRISAL, r] = z[at + t], lanes[RATIO, r], lanes[RATIO, r]
        else:
            out[PEAK, r], out[EXCESS, r], out[SURPRISAL, r] = alone(z[at : at + classes], whole, t)


@kernel
def statistics(like, address, stride, classes, target, tile, lanes, whole, out):
    """Statistics of every row, into out [3, N]."""
    full_width()
    tile, whole = loose(tile), loose(whole)
    for begin in range(0, out.shape[1], TILE):
        count = min(TILE, out.shape[1] - begin)
        goals = target[begin : begin + count]
        summed(like, address + begin * stride, stride, classes, count, goals, tile, lanes)
        put_statistics(tile[0], classes, lanes, goals, whole, out[:, begin : begin + count])


@njit(**EXACT)
def factors(lanes):
    """Each row's ``(a + b) / Σ e`` and its target's gradient ``a − (a + b)·(Σ others / Σ e)``."""
    full_width()
    for r in range(TILE):
        own, others, slope = lanes[OWN, r], lanes[OTHERS, r], lanes[SLOPE, r]
        lanes[FACTOR, r] = slope / (own + others)
        lanes[GOAL, r] = lanes[FIRST, r] - slope * (others / (own + others))


@njit(**PLAIN)
def put(e, at, factor, out):
    """``factor · e`` of the row that begins at `at`, rounded to the storage dtype."""
    first, second = in_two(factor)
    one, two = e.dtype.type(first), e.dtype.type(second)
    for j in range(out.shape[0]):
        out[j] = narrow(e[at + j] * one * two, out)


@kernel
def fused(like, address, stride, out_address, out_stride, classes, target, known, tile, lanes, whole, out):
    """Statistics of every row into out [3, N], and the gradient ``(a + b)·p − b·onehot``; known [3, N or 1] begins with a, b."""
    full_width()
    tile, whole = loose(tile), loose(whole)
    e, real, each = tile[1], tile.dtype.type, 1 if known.shape[1] > 1 else 0
    for begin in range(0, out.shape[1], TILE):
        count = min(TILE, out.shape[1] - begin)
        goals = target[begin : begin + count]
        summed(like, address + begin * stride, stride, classes, count, goals, tile, lanes)
        put_statistics(tile[0], classes, lanes, goals, whole, out[:, begin : begin + count])
        for r in range(count):
            a = known[0, (begin + r) * each]
            lanes[FIRST, r], lanes[SLOPE, r] = a, a + known[1, (begin + r) * each]
        factors(lanes)
        for r in range(count):
            g = row_at(like, out_address + (begin + r) * out_stride, classes)
            if goals[r] < 0:
                fill(g, real(0.0))
                continue
            put(e, r * classes, lanes[FACTOR, r], g)
            g[goals[r]] = narrow(real(lanes[GOAL, r]), g)
