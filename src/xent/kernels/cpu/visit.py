"""One visit to a row long enough to fill the vector lanes: every number is read once and exponentiated once.

The exponentials share one shift, guessed from the row's beginning: a number up to `REACH` above the guess does no harm, and a
row that climbs further is visited again under its own maximum. Where a gradient is wanted they stay where it goes, and one
multiplication turns them into it.
"""

from typing import Any

import numpy as np
from numba import njit

from xent.kernels.cpu.blocks import BLOCK, PAD, STRIPE, G, chunk_end, padded, staged
from xent.kernels.cpu.memory import fetch_lines, lane, part
from xent.kernels.cpu.simd import (
    INTO,
    LN2,
    count_equal,
    exp_shifted,
    exponentials,
    floor_of,
    greatest,
    log_plus,
    magic,
    near,
    sum_shifted_below,
    whole_halvings,
)

HEADROOM = 60.0
"""Doublings by which a row's guessed maximum is lifted above 1: as far below it float32 still tells small ones from 0."""
REACH = 20.0
"""Nats by which the maximum may exceed the guess: 29 doublings, which leaves the sum of a chunk finite."""
CLOSE = 8.0
"""Below this multiple of the peak's exponential the sum of the others is taken without it, for it may be next to nothing."""


@njit(**INTO)
def shift_for(like, value):
    """A base to subtract and a number of halvings K, one of them 0, that bring e^value near 1."""
    if near(like, value):
        return 0.0, whole_halvings(value)
    return float(like.dtype.type(value)), 0.0


@njit(**INTO)
def precisely(value, base, halvings):
    """``e^(value − base)·2^−halvings`` in float64, whose argument never meets the halvings and so loses nothing to them."""
    return exp_shifted(value - base, 6755399441055744.0 + 1023.0 - halvings, (halvings - 1022.8) * LN2)


@njit(**INTO)
def rounded_up(z, base, rounding, floor, pad, out) -> Any:
    """`exponentials` of a chunk; one shorter than a stripe is filled up, or its elements would run one by one."""
    short = z.shape[0] < STRIPE
    source = padded(z, part(pad, 0, STRIPE)) if short else part(z, 0, z.shape[0])
    goal = part(pad, STRIPE, 2 * STRIPE) if short else part(out, 0, out.shape[0])
    total, top = exponentials(source, base, rounding, floor, goal)
    if short:
        for j in range(out.shape[0]):
            out[j] = goal[j]
    return total, top


@njit(**INTO)
def sweep(x, at, kept, out_at, scratch, bend, target, base, halvings) -> Any:
    """Peak, the chunk that holds it, Σ exponentials of the other chunks and of that one, and z at the target.

    The exponentials go to kept, if that is a row; `at` and `out_at` are where x and the gradient lie in memory.
    """
    classes, real, size = x.shape[0], scratch.dtype.type, x.itemsize
    rounding, floor = magic(scratch[0], halvings), floor_of(scratch[0], halvings)
    peak, where, rest, held, at_target = -np.inf, 0, 0.0, 0.0, np.nan
    stop = 0
    while stop < classes:
        start, stop = stop, min(classes, stop + BLOCK)
        z, end = staged(part(x, start, stop), scratch, bend), 0
        if start <= target < stop:
            at_target = float(z[target - start])
        while end < z.shape[0]:
            begin, end = end, chunk_end(end, z.shape[0])
            fetch_lines(at + (start + begin) * size, (end - begin) * size)
            if out_at:
                fetch_lines(out_at + (start + begin) * size, (end - begin) * size)
            room = part(kept, start + begin, start + end) if kept.shape[0] else part(lane(scratch, G), begin, end)
            total, top = rounded_up(part(z, begin, end), real(base), rounding, floor, lane(scratch, PAD), room)
            if top > peak:
                peak, where, rest, held = float(top), start + begin, rest + held, float(total)
            else:
                rest += float(total)
    return peak, where, rest, held, at_target


@njit(**INTO)
def highest(x, scratch, bend):
    """The row's maximum."""
    top, stop = -np.inf, 0
    while stop < x.shape[0]:
        start, stop = stop, min(x.shape[0], stop + BLOCK)
        top = max(top, float(greatest(staged(part(x, start, stop), scratch, bend))))
    return top


@njit(**INTO)
def beside_peak(x, scratch, bend, peak, where, base, halvings):
    """The sum of the chunk that holds the peak, without one of the elements that equal it."""
    start, real = where // BLOCK * BLOCK, scratch.dtype.type
    z = staged(part(x, start, min(x.shape[0], start + BLOCK)), scratch, bend)
    begin = where - start
    chunk = part(z, begin, chunk_end(begin, z.shape[0]))
    chunk = chunk if chunk.shape[0] >= STRIPE else padded(chunk, part(lane(scratch, PAD), 0, STRIPE))
    rounding, floor = magic(z, halvings), floor_of(z, halvings)
    others = float(sum_shifted_below(chunk, real(base), rounding, floor, real(peak)))
    return others + (count_equal(chunk, real(peak)) - 1) * precisely(peak, base, halvings)


@njit(**INTO)
def guess(x, scratch, bend):
    """The maximum of the row's first stripe, or of the row where that is no number."""
    top = float(greatest(staged(part(x, 0, min(x.shape[0], STRIPE)), scratch, bend)))
    return top if abs(top) < np.inf else highest(x, scratch, bend)


@njit(**INTO)
def visited(x, at, kept, out_at, scratch, bend, target) -> Any:
    """Peak, ``lse − peak``, z at the target, and what the exponentials must be divided by to be probabilities."""
    top = guess(x, scratch, bend)
    for attempt in range(2):
        if not abs(top) < np.inf:
            break
        # A single class is subtracted from itself, so that p is exactly 1.
        base, halvings = shift_for(scratch[0], top) if x.shape[0] > 1 else (top, 0.0)
        halvings -= HEADROOM
        peak, where, rest, held, at_target = sweep(x, at, kept, out_at, scratch, bend, target, base, halvings)
        if peak > top + REACH and attempt == 0:
            top = highest(x, scratch, bend)
            continue
        others, own = rest + held, precisely(peak, base, halvings)
        if not others < np.inf:
            break
        if others < CLOSE * own:
            others = rest + beside_peak(x, scratch, bend, peak, where, base, halvings)
        else:
            others -= own
        stored = exp_shifted(scratch.dtype.type(peak - base), magic(scratch[0], halvings), floor_of(scratch[0], halvings))
        return peak, log_plus(others / own), at_target, others + float(stored)
    return np.nan, np.nan, np.nan, np.nan
