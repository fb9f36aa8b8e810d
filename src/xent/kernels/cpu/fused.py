"""Statistics and gradient in one visit a row, where the gradient's coefficients are known before the statistics.

The row's exponentials wait where the gradient goes, or in ``spare`` [C] where that is of half precision or the logits themselves.
Plain logits only: no scale, no soft cap.
"""

from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from xent.kernels.cpu import blocks
from xent.kernels.cpu.blocks import BLOCK
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.memory import loose, part, row_at
from xent.kernels.cpu.rows import EXCESS, PEAK, SURPRISAL, row_smooth, row_target
from xent.kernels.cpu.simd import EXACT, INTO, exp_minus, full_width
from xent.kernels.cpu.storage import narrow
from xent.kernels.cpu.visit import visited

A, B, C = 0, 1, 2
"""Rows of the coefficients [3, N or 1]: the gradient is ``(a + b·mass)·p − b·T − c·u``."""
MASS, TARGET_ENTROPY, SMOOTH = 3, 4, 5
"""Rows of the statistics buffer [6, N] beyond peak, excess and surprisal."""


def keeping(out, spare, in_place) -> Any:
    """Where a row's exponentials wait."""


@overload(keeping)
def _keeping(out, spare, in_place):
    if out.dtype == spare.dtype:
        return lambda out, spare, in_place: part(spare if in_place else out, 0, out.shape[0])
    return lambda out, spare, in_place: part(spare, 0, out.shape[0])


def settle(e, factor, out, in_place) -> Any:
    """``e · factor`` in out, which may be e."""


@overload(settle)
def _settle(e, factor, out, in_place):
    def elsewhere(e, factor, out, in_place):
        first, second = in_two(factor)
        multiplied(e, e.dtype.type(first), e.dtype.type(second), out)

    def here(e, factor, out, in_place):
        first, second = in_two(factor)
        if in_place:
            multiplied(e, e.dtype.type(first), e.dtype.type(second), out)
        else:
            scaled(e, e.dtype.type(first), e.dtype.type(second))

    return here if out.dtype == e.dtype else elsewhere


@njit(**INTO)
def in_two(factor) -> Any:
    """A factor as a product of two: exponentials times the first stay within float32 wherever the gradient does."""
    size = abs(factor)
    if 2.0**-66 < size < 2.0**100 or size == 0.0:
        return factor, 1.0
    return (factor * 2.0**60, 2.0**-60) if size < 1.0 else (factor * 2.0**-60, 2.0**60)


@njit(**EXACT)
def scaled(e, first, second):
    """``e · first · second`` in place."""
    full_width()
    for j in range(e.shape[0]):
        e[j] = e[j] * first * second


@njit(**EXACT)
def multiplied(e, first, second, out):
    """``e · first · second``, rounded to the storage dtype."""
    full_width()
    for j in range(out.shape[0]):
        out[j] = narrow(e[j] * first * second, out)


@njit(**INTO)
def at_target(like, a, slope, surprisal):
    """``a_total·p − b`` where ``a_total − b = a``: right where p is almost 1."""
    return like.dtype.type(a + slope * exp_minus(-surprisal))


@kernel
def simple(like, address, stride, out_address, out_stride, classes, target, known, spare, scratch, rows):
    """Index targets or none: into rows [3, N] the statistics, zeros where ignored."""
    full_width()
    scratch, spare = loose(scratch), loose(spare)
    each = 1 if known.shape[1] > 1 else 0
    for i in range(rows.shape[1]):
        at, out_at = address + i * stride, out_address + i * out_stride
        x, out = row_at(like, at, classes), row_at(like, out_at, classes)
        t = target[i] if target.shape[0] else np.int64(classes)
        if t < 0:
            rows[PEAK, i], rows[EXCESS, i], rows[SURPRISAL, i] = 0.0, 0.0, 0.0
            blocks.fill(out, scratch.dtype.type(0.0))
            continue
        kept = keeping(out, spare, at == out_at)
        peak, excess, own, total = visited(x, at, kept, out_at, scratch, None, t)
        surprisal = (peak - own) + excess
        a, slope = known[A, i * each], known[A, i * each] + known[B, i * each]
        settle(kept, slope / total, out, at == out_at)
        if t < classes:
            out[t] = narrow(at_target(kept, a, slope, surprisal), out)
        rows[PEAK, i], rows[EXCESS, i], rows[SURPRISAL, i] = peak, excess, surprisal


@kernel
def full(
    like, address, stride, out_address, out_stride, classes, target, known, vector,
    t_like, t_address, t_stride, weight, entropy, spare, scratch, rows,
):  # fmt: skip
    """Targets as probabilities at t_address (0: none), a class vector, or both: into rows [6, N] the statistics."""
    full_width()
    scratch, spare = loose(scratch), loose(spare)
    each = 1 if known.shape[1] > 1 else 0
    for i in range(rows.shape[1]):
        at, out_at = address + i * stride, out_address + i * out_stride
        x, out = row_at(like, at, classes), row_at(like, out_at, classes)
        t = target[i] if target.shape[0] else np.int64(classes)
        if t < 0:
            rows[:, i] = 0.0
            blocks.fill(out, scratch.dtype.type(0.0))
            continue
        kept = keeping(out, spare, at == out_at)
        peak, excess, own, total = visited(x, at, kept, out_at, scratch, None, t)
        surprisal, mass, target_entropy = (peak - own) + excess, 1.0, 0.0
        probs = row_at(t_like, t_address + i * t_stride, classes if t_address else 0)
        if t_address:
            surprisal, mass, target_entropy = row_target(x, probs, weight, entropy, peak, excess, scratch, None)
        if vector.shape[0]:
            rows[SMOOTH, i] = row_smooth(x, vector, peak, excess, scratch, None)
        a, b, c = known[A, i * each], known[B, i * each], known[C, i * each]
        slope = a + b * mass
        first, second = in_two(slope / total)
        stop = 0
        while stop < classes:
            start, stop = stop, min(classes, stop + BLOCK)
            g = part(kept, start, stop)
            lessened(g, first, second, b, part(probs, start, stop if t_address else start), weight, start)
            if vector.shape[0]:
                blocks.subtract_scaled(g, c, part(vector, start, stop))
            if start <= t < stop:
                g[t - start] = at_target(kept, a - c * vector[t] if vector.shape[0] else a, slope, surprisal)
            blocks.move(g, part(out, start, stop), at == out_at)
        rows[PEAK, i], rows[EXCESS, i], rows[SURPRISAL, i] = peak, excess, surprisal
        rows[MASS, i], rows[TARGET_ENTROPY, i] = mass, target_entropy


@njit(**EXACT)
def lessened(e, first, second, b, probs, weight, start):
    """``e · first · second − b · T`` in place, T times class weights where there are any; without probabilities no T."""
    full_width()
    real = e.dtype.type
    if probs.shape[0] == 0 or weight.shape[0]:
        scaled(e, real(first), real(second))
        blocks.subtract_weighted(e, b, probs, part(weight, start, start + probs.shape[0]))
    else:
        for j in range(probs.shape[0]):
            e[j] = real(e[j] * real(first) * real(second) - real(b) * real(probs[j]))
