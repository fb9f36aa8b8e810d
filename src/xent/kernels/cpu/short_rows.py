"""Rows too short to fill the vector lanes: tiles of rows are transposed, so that rows, not classes, stand side by side.

The same statistics and the same gradient as rows.py, for plain logits and index targets.
"""

import numpy as np
from numba import njit

from xent._typing import Array
from xent.kernels.cpu.blocks import row_at
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.rows import EXCESS, PEAK, SURPRISAL
from xent.kernels.cpu.simd import (
    EXACT,
    PLAIN,
    beyond,
    exp_double,
    exp_minus,
    exp_shifted,
    floor_of,
    full_width,
    log_plus,
    magic,
    near,
    whole_halvings,
)
from xent.kernels.cpu.storage import narrow, widen

WIDEST = 128
"""Classes up to which a tile is faster than the row by itself."""
TILE = 64
"""Rows side by side: four of the widest vectors."""
GROUP = 8
"""Classes summed in their own precision before float64 takes over."""

PEAKS, BASES, ROUNDINGS, FLOORS, SUMS, FACTORS = -1, -2, -3, -4, -5, -6
"""The last rows of a tile [C + 6, TILE]; the first C are the transposed logits."""


def scratch(dtype: type, classes: int) -> tuple[Array, Array]:
    """A tile, and seven float64 numbers a lane."""
    return np.empty((classes + 6, TILE), dtype), np.empty((7, TILE))


@njit(**PLAIN)
def load_lanes(x, step, j, z):
    """Class j of as many rows as z has lanes."""
    full_width()
    for r in range(z.shape[0]):
        z[r] = widen(x[r * step + j])


@njit(**PLAIN)
def load(like, address, stride, classes, lanes, tile):
    """Transpose a tile of rows; lanes beyond the last row hold zeros."""
    step = stride // like.itemsize
    x = row_at(like, address, (lanes - 1) * step + classes)
    for j in range(classes):
        load_lanes(x, step, j, tile[j, :lanes])
        for r in range(lanes, TILE):
            tile[j, r] = 0


@njit(**EXACT)
def peaks(tile, classes, values):
    """Each lane's maximum, in the tile and in float64."""
    full_width()
    peak = tile[PEAKS]
    for r in range(TILE):
        peak[r] = tile[0, r]
    for j in range(1, classes):
        z = tile[j]
        for r in range(TILE):
            peak[r] = z[r] if z[r] > peak[r] else peak[r]
    for r in range(TILE):
        values[r] = float(peak[r])


@njit(**EXACT)
def shifts(tile, values, halvings):
    """Each lane's shift near a value, as `exp_shifted` takes it."""
    full_width()
    lane, base, rounding, floor = tile[0], tile[BASES], tile[ROUNDINGS], tile[FLOORS]
    for r in range(TILE):
        close = near(lane, values[r])
        k = whole_halvings(values[r]) if close else 0.0
        halvings[r], base[r] = k, tile.dtype.type(0.0 if close else values[r])
        rounding[r], floor[r] = magic(lane, k), floor_of(lane, k)


@njit(**EXACT)
def rests(tile, classes, equal, rest):
    """Each lane's ``Σ e^(z − shift)`` over the classes below the peak, and how many reach it."""
    full_width()
    peak, base, rounding, floor, total = tile[PEAKS], tile[BASES], tile[ROUNDINGS], tile[FLOORS], tile[SUMS]
    for r in range(TILE):
        rest[r], equal[r] = 0.0, 0.0
    for group in range(0, classes, GROUP):
        for r in range(TILE):
            total[r] = 0
        for j in range(group, min(classes, group + GROUP)):
            z = tile[j]
            for r in range(TILE):
                d = floor[r] if z[r] == peak[r] else z[r] - base[r]
                total[r] += exp_shifted(d, rounding[r], floor[r])
            for r in range(TILE):
                equal[r] += 1.0 if z[r] == peak[r] else 0.0
        for r in range(TILE):
            rest[r] += float(total[r])


@njit(**EXACT)
def excesses(tile, halvings, equal, rest, excess):
    """Each lane's ``log1p(rest / e^peak)``, further classes at the peak counted in."""
    full_width()
    peak, base = tile[PEAKS], tile[BASES]
    for r in range(TILE):
        own = exp_double(beyond(float(peak[r]), float(base[r]), halvings[r]))
        finite = abs(float(peak[r])) < np.inf
        excess[r] = log_plus(rest[r] / own + (equal[r] - 1.0)) if finite else np.nan


@kernel
def statistics(like, address, stride, classes, target, tile, lanes_of, out):
    """Into out [3, N]: peak, excess, surprisal of the index target; zeros where ignored."""
    full_width()
    halvings, equal, rest, excess, values = lanes_of[0], lanes_of[1], lanes_of[2], lanes_of[3], lanes_of[4]
    for begin in range(0, out.shape[1], TILE):
        lanes = min(TILE, out.shape[1] - begin)
        load(like, address + begin * stride, stride, classes, lanes, tile)
        peaks(tile, classes, values)
        shifts(tile, values, halvings)
        rests(tile, classes, equal, rest)
        excesses(tile, halvings, equal, rest, excess)
        for r in range(lanes):
            i, t = begin + r, target[begin + r] if target.shape[0] else np.int64(0)
            peak, over, gap = (values[r], excess[r], values[r] - float(tile[t, r])) if t >= 0 else (0.0, 0.0, 0.0)
            out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = peak, over, gap + over


@njit(**EXACT)
def scale_exps(tile, classes):
    """``factor · e^(z − shift)`` in place of z."""
    full_width()
    base, rounding, floor, factor = tile[BASES], tile[ROUNDINGS], tile[FLOORS], tile[FACTORS]
    for j in range(classes):
        z = tile[j]
        for r in range(TILE):
            z[r] = factor[r] * exp_shifted(z[r] - base[r], rounding[r], floor[r])


@njit(**EXACT)
def factors(tile, peak, excess, halvings, a, surprisal, slope):
    """``a · e^(shift − lse)``, and the target's ``a·expm1(−surprisal)``."""
    full_width()
    base, factor = tile[BASES], tile[FACTORS]
    for r in range(TILE):
        factor[r] = tile.dtype.type(a[r] * exp_double(-beyond(peak[r], float(base[r]), halvings[r]) - excess[r]))
        slope[r] = a[r] * exp_minus(-surprisal[r])


@njit(**PLAIN)
def spread(source, begin, lanes, lane_values):
    """One number a lane from [N] or [1]; lanes beyond the last row repeat it."""
    for r in range(TILE):
        lane_values[r] = source[min(begin + r, begin + lanes - 1)] if source.shape[0] > 1 else source[0]


@njit(**PLAIN)
def put_lanes(z, step, j, x):
    """Class j back into its rows."""
    full_width()
    for r in range(z.shape[0]):
        x[r * step + j] = narrow(z[r], x)


@njit(**PLAIN)
def put(like, address, stride, classes, lanes, tile):
    """Transpose a tile back into its rows."""
    step = stride // like.itemsize
    x = row_at(like, address, (lanes - 1) * step + classes)
    for j in range(classes):
        put_lanes(tile[j, :lanes], step, j, x)


@kernel
def gradient(
    like, address, stride, out_address, out_stride, classes, target, peak, excess, surprisal, coefficients, tile, lanes_of
):
    """``a·p − b·onehot`` of every row; coefficients [4, N or 1] begin with a and b."""
    full_width()
    halvings, slope = lanes_of[5], lanes_of[6]
    for begin in range(0, peak.shape[0], TILE):
        lanes = min(TILE, peak.shape[0] - begin)
        load(like, address + begin * stride, stride, classes, lanes, tile)
        spread(peak, begin, lanes, lanes_of[0])
        spread(excess, begin, lanes, lanes_of[1])
        spread(surprisal, begin, lanes, lanes_of[2])
        spread(coefficients[0], begin, lanes, lanes_of[3])
        spread(coefficients[1], begin, lanes, lanes_of[4])
        shifts(tile, lanes_of[0], halvings)
        factors(tile, lanes_of[0], lanes_of[1], halvings, lanes_of[3], lanes_of[2], slope)
        scale_exps(tile, classes)
        for r in range(lanes):
            t = target[begin + r] if target.shape[0] else np.int64(classes)
            if t < 0 or lanes_of[1, r] != lanes_of[1, r]:
                for j in range(classes):
                    tile[j, r] = 0.0 if t < 0 else np.nan
            elif t < classes:
                tile[t, r] = tile.dtype.type((lanes_of[3, r] - lanes_of[4, r]) + slope[r])
        put(like, out_address + begin * out_stride, out_stride, classes, lanes, tile)
