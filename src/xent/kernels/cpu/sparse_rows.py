"""The gradient of a row without its least entries, in one visit: what stays is computed anew, as the dense gradient is.

Logits are of the computing dtype: they are a schedule's own product.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from xent.kernels.cpu import blocks
from xent.kernels.cpu.blocks import BLOCK, PAD, SLOPE, STRIPE, G, staged
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.memory import lane, loose, part, row_at, upcoming
from xent.kernels.cpu.rows import build
from xent.kernels.cpu.selection import boundary, collect, compact, sum_below
from xent.kernels.cpu.simd import CHUNK, INTO, PLAIN, beyond
from xent.kernels.cpu.visit import shift_for

RESERVE = 2.0**-18
"""The share of a tolerance that is not spent: more than float32 rounds in 512 exponentials and their sum."""


@njit(**INTO)
def spendable(tolerance, z, peak, plain):
    """The tolerance without what rounding may hide: a little, and what z itself was rounded by where it is not x."""
    bent = 0.0 if plain else abs(peak) * (2.0**-22 if z.itemsize == 4 else 2.0**-51)
    return tolerance * max(0.0, 1.0 - RESERVE - bent)


@njit(**PLAIN)
def candidates(x, t, shift, norm, cut, scratch, bend, column, p) -> Any:
    """How many probabilities reach the cut, left in p with their columns, the target's as infinity; the sum of the others."""
    count, total, stop, g = 0, 0.0, 0, lane(scratch, G)
    while stop < x.shape[0]:
        start, stop = stop, min(x.shape[0], stop + CHUNK)
        size = stop - start
        build(staged(upcoming(x, start, stop), scratch, bend), part(g, 0, size), shift, norm)
        whole = size + -size % STRIPE
        for j in range(size, whole):
            # Below every probability, so that no cut of 0 takes it for one.
            g[j] = -1.0
        if start <= t < stop:
            g[t - start] = np.inf
        total += float(sum_below(part(g, 0, size), cut))
        count = collect(part(g, 0, whole), cut, start, column, p, count)
    return count, total


@njit(**PLAIN)
def chosen(x, t, peak, excess, tolerance, scratch, bend, column, p, bins) -> Any:
    """How many columns stay, left in column; the probability that goes; and the shift and factor that give probabilities."""
    if excess != excess:
        for j in range(x.shape[0]):
            column[j] = j
        return x.shape[0], 0.0, (0.0, 0.0), np.nan
    # A single class is subtracted from itself, so that p is exactly 1.
    shift = shift_for(scratch[0], peak + excess) if x.shape[0] > 1 else (peak, 0.0)
    norm = math.exp(-beyond(peak, shift[0], shift[1]) - excess)
    budget = spendable(tolerance, x, peak, bend is None)
    cut = x.dtype.type(budget / x.shape[0])
    count, spent = candidates(x, t, shift, norm, cut, scratch, bend, column, p)
    first, spent = boundary(part(p, 0, count), cut, spent, budget, bins)
    stay, spent = compact(column, part(p, 0, count), first, spent, budget)
    return stay, spent, shift, norm


@njit(**PLAIN)
def entries(x, t, at_target, shift, factor, scratch, bend, column, value) -> None:
    """The gradient at the columns that stay."""
    stop = 0
    while stop < column.shape[0]:
        start, stop, own = stop, min(column.shape[0], stop + BLOCK), -1
        gathered, g = part(lane(scratch, PAD), 0, stop - start), part(value, start, stop)
        for k in range(gathered.shape[0]):
            gathered[k] = x[column[start + k]]
            own = k if column[start + k] == t else own
        build(staged(gathered, scratch, bend), g, shift, factor)
        if own >= 0:
            g[own] = at_target
        if bend is not None:
            blocks.multiply(g, lane(scratch, SLOPE))


@kernel
def sparse_gradient(
    like, address, stride, classes, bend, target, peak, excess, surprisal, coefficients, tolerance,
    start, column, value, dropped, stays, p, bins, scratch,
):  # fmt: skip
    """Entries of every row into start [N + 1], column, value and dropped [N]; whether column had room for them."""
    scratch, column, value, stays, p = loose(scratch), loose(column), loose(value), loose(stays), loose(p)
    end, per_row = 0, coefficients.shape[1] > 1
    for i in range(dropped.shape[0]):
        start[i + 1], dropped[i] = end, 0.0
        t = target[i] if target.shape[0] else np.int64(classes)
        if t < 0:
            continue
        x = row_at(like, address + i * stride, classes)
        stay, dropped[i], shift, norm = chosen(x, t, peak[i], excess[i], tolerance, scratch, bend, stays, p, bins)
        begin, end = end, end + stay
        if end > column.shape[0]:
            return False
        mine = part(column, begin, end)
        mine[:] = part(stays, 0, stay)
        a, b = coefficients[0, i if per_row else 0], coefficients[1, i if per_row else 0]
        at_target = value.dtype.type((a - b) + a * math.expm1(-surprisal[i]))
        entries(x, t, at_target, shift, a * norm, scratch, bend, mine, part(value, begin, end))
        start[i + 1] = end
    return True
