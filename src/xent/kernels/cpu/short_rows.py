"""Rows too short to fill the vector lanes: a tile of rows is one flat run of numbers, exponentiated under one shift.

A shift by whole halvings changes no bit of an exponential but its exponent, so a row's sums and gradient do not depend on which
rows share its tile. Where a tile spans too much for one shift, or holds NaN or infinities, each of its rows gets its own.
For plain logits and index targets, whose surprisal is ``log1p(Σ_{j≠t} e^{z_j} / e^{z_t})``: no maximum is needed.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from xent._typing import Array
from xent.kernels.cpu.blocks import copied, fill, scaled_exp, store
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.fused import in_two
from xent.kernels.cpu.lanes import LANES, scale_run, sum_run
from xent.kernels.cpu.memory import lane, loose, part, place, row_at
from xent.kernels.cpu.rows import EXCESS, PEAK, SURPRISAL
from xent.kernels.cpu.simd import EXACT, INTO, extent, floor_of, full_width, greatest, log_plus, magic, whole_halvings
from xent.kernels.cpu.storage import narrow, widen
from xent.kernels.cpu.visit import HEADROOM, shift_for

WIDEST = 128
"""Classes up to which a tile is faster than the row by itself."""
TILE = 64
"""Rows of a tile: every class count gives whole stripes."""
SPAN, FAR = 60.0, 256.0
"""One shift serves a tile whose numbers lie within SPAN of each other and FAR of 0: no exponential leaves float32's range."""
FAINT = 2.0**-100
"""A target's exponential below this, which one shift for all never gives, is taken from its logit instead."""

OWN, ORIGIN, OTHERS, RATIO, A, SLOPE, FIRST, SECOND, GOAL = 0, 1, 2, 3, 4, 5, 6, 7, 8
"""Rows of the lane buffer [9, TILE]."""


def scratch(dtype: type, classes: int) -> tuple[Array, Array]:
    """Two flat tiles, for logits and gradient and for exponentials, with room behind them; nine float64 numbers a row."""
    return np.zeros((2, classes * TILE + LANES), dtype), np.empty((9, TILE))


@njit(**INTO)
def load(like, address, stride, step, classes, count, z):
    """A tile's logits one row behind the other, wherever rows and classes lie; rows beyond the last hold zeros."""
    if step != like.itemsize:
        # Classes lie apart and rows side by side, as in images: turned in the nearest cache, which moves no byte twice.
        for j in range(classes):
            side = row_at(like, address + j * step, count)
            for r in range(count):
                z[r * classes + j] = z.dtype.type(widen(side[r]))
    elif stride == classes * like.itemsize:
        copied(row_at(like, address, count * classes), z)
    else:
        for r in range(count):
            copied(row_at(like, address + r * stride, classes), z[r * classes : (r + 1) * classes])
    for k in range(count * classes, z.shape[0]):
        z[k] = 0.0


@njit(**INTO)
def logits_of(like, address, stride, step, classes, count, tile):
    """A tile's logits: where they lie if that is one run of the computing dtype, else loaded."""
    if like.itemsize == tile.itemsize and stride == classes * like.itemsize and step == like.itemsize and count == TILE:
        return row_at(tile, address, classes * TILE)
    z = part(lane(tile, 0), 0, classes * TILE)
    load(like, address, stride, step, classes, count, z)
    return z


@njit(**INTO)
def exponentials_of(z, e, classes):
    """``e^(z − shift)`` of a tile, or of each row under a shift of its own; NaN where there is no distribution."""
    low, high, total = extent(z)
    if abs(total) < np.inf and -FAR < low and high < FAR and high - low < SPAN:
        k = whole_halvings(float(high))
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


@njit(**INTO)
def set_targets_aside(z, e, classes, target, lanes):
    """Each row's exponential and logit at its target, which leaves the tile; whether some row is ignored or its target faint."""
    odd = False
    for r in range(target.shape[0]):
        k = r * classes + max(target[r], 0)
        own = float(e[k])
        lanes[OWN, r], lanes[ORIGIN, r] = own, float(z[k])
        odd |= target[r] < 0 or not own >= FAINT
        e[k] = 0.0
    for r in range(target.shape[0], TILE):
        lanes[OWN, r] = 1.0
    return odd


@njit(**EXACT)
def sum_others(e, classes, lanes):
    """Each row's sum without the number aside, and its ratio to that."""
    full_width()
    for r in range(TILE):
        lanes[OTHERS, r] = float(sum_run(e, place(e) + r * classes * e.itemsize, classes))
    for r in range(TILE):
        lanes[RATIO, r] = lanes[OTHERS, r] / lanes[OWN, r]


@njit(**INTO)
def alone(z, t):
    """Peak, excess and surprisal of a row whose target is too faint to be measured from, one number at a time."""
    first = 0
    for j in range(z.shape[0]):
        if not z[j] <= z[first]:
            first = j
    peak, others = float(z[first]), 0.0
    for j in range(z.shape[0]):
        others += math.exp(float(z[j]) - peak) if j != first else 0.0
    excess = math.log1p(others) if abs(peak) < np.inf else np.nan
    return peak, excess, (peak - float(z[t])) + excess


@njit(**INTO)
def summed(like, address, stride, step, classes, goals, tile, lanes, begin, out) -> Any:
    """A tile's exponentials without the targets', their sums, and in out the rows' statistics; whether some row is odd."""
    z, e = logits_of(like, address, stride, step, classes, goals.shape[0], tile), part(lane(tile, 1), 0, classes * TILE)
    exponentials_of(z, e, classes)
    odd = set_targets_aside(z, e, classes, goals, lanes)
    sum_others(e, classes, lanes)
    log_ratios(lanes)
    for r in range(goals.shape[0]):
        out[PEAK, begin + r], out[EXCESS, begin + r] = lanes[ORIGIN, r], lanes[RATIO, r]
        out[SURPRISAL, begin + r] = lanes[RATIO, r]
    if odd:
        put_odd(z, classes, goals, lanes, begin, out)
    return odd


@njit(**INTO)
def put_odd(z, classes, goals, lanes, begin, out):
    """Statistics of ignored rows, which are 0, and of those whose target is faint."""
    for r in range(goals.shape[0]):
        i, t, at = begin + r, goals[r], r * classes
        if t < 0:
            out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = 0.0, 0.0, 0.0
        elif not lanes[OWN, r] >= FAINT:
            out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = alone(part(z, at, at + classes), t)


@kernel
def statistics(like, address, stride, step, classes, target, tile, lanes, out):
    """Into out [3, N]: the target's logit and lse less it, or peak and excess where it is faint; surprisal; 0 where ignored."""
    full_width()
    tile, lanes, out, target = loose(tile), loose(lanes), loose(out), part(target, 0, target.shape[0])
    for begin in range(0, out.shape[1], TILE):
        goals = part(target, begin, min(begin + TILE, out.shape[1]))
        summed(like, address + begin * stride, stride, step, classes, goals, tile, lanes, begin, out)


@njit(**INTO)
def factors(known, begin, lanes, count):
    """Each row's ``(a + b) / Σ e``, as a product of two, and its target's gradient ``a − (a + b)·(Σ others / Σ e)``."""
    full_width()
    each = 1 if known.shape[1] > 1 else 0
    for r in range(count):
        a, b = known[0, (begin + r) * each], known[1, (begin + r) * each]
        lanes[A, r], lanes[SLOPE, r] = a, a + b
    for r in range(TILE):
        total = lanes[OWN, r] + lanes[OTHERS, r]
        lanes[FIRST, r] = lanes[SLOPE, r] / total
        lanes[GOAL, r] = lanes[A, r] - lanes[SLOPE, r] * (lanes[OTHERS, r] / total)
    for r in range(count):
        lanes[FIRST, r], lanes[SECOND, r] = in_two(lanes[FIRST, r])


@njit(**INTO)
def build(e, classes, goals, lanes, odd, g):
    """The gradient of a tile, one row behind the other."""
    full_width()
    real = e.dtype.type
    for r in range(goals.shape[0]):
        first, second = real(lanes[FIRST, r]), real(lanes[SECOND, r])
        at = r * classes * e.itemsize
        scale_run(e, place(e) + at, place(g) + at, classes, first, second)
    for r in range(goals.shape[0]):
        g[r * classes + max(goals[r], 0)] = real(lanes[GOAL, r])
    if odd:
        for r in range(goals.shape[0]):
            if goals[r] < 0:
                fill(part(g, r * classes, (r + 1) * classes), real(0.0))


@njit(**INTO)
def save(like, g, classes, count, address, stride, step):
    """A tile's gradient where it goes."""
    if step != like.itemsize:
        for j in range(classes):
            side = row_at(like, address + j * step, count)
            for r in range(count):
                side[r] = narrow(g[r * classes + j], side)
    elif stride == classes * like.itemsize:
        store(g, row_at(like, address, count * classes))
    else:
        for r in range(count):
            store(part(g, r * classes, (r + 1) * classes), row_at(like, address + r * stride, classes))


@kernel
def fused(like, address, stride, step, out_address, out_stride, out_step, classes, target, known, tile, lanes, out):
    """Statistics of every row into out [3, N], and the gradient ``(a + b)·p − b·onehot``; known [3, N or 1] begins with a, b."""
    full_width()
    tile, lanes, out, target = loose(tile), loose(lanes), loose(out), part(target, 0, target.shape[0])
    for begin in range(0, out.shape[1], TILE):
        goals = part(target, begin, min(begin + TILE, out.shape[1]))
        odd = summed(like, address + begin * stride, stride, step, classes, goals, tile, lanes, begin, out)
        factors(known, begin, lanes, goals.shape[0])
        build(part(lane(tile, 1), 0, tile.shape[1]), classes, goals, lanes, odd, part(lane(tile, 0), 0, tile.shape[1]))
        built, goal = part(lane(tile, 0), 0, tile.shape[1]), out_address + begin * out_stride
        save(like, built, classes, goals.shape[0], goal, out_stride, out_step)
