"""Rows long enough to fill the vector lanes by themselves: statistics, expectations under the target, and the gradient.

Addresses come in place of arrays, so that one compiled function serves contiguous, strided and read-only rows alike.
``like`` is an empty array that brings the storage dtype; ``scratch`` [4, BLOCK] brings the computing one.
"""

import math
from typing import Any

import numpy as np
from numba import njit

from xent.kernels.cpu import blocks
from xent.kernels.cpu.blocks import BLOCK, SLOPE, STRIPE, aside, staged, written
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.memory import lane, loose, part, row_at, upcoming
from xent.kernels.cpu.simd import CHUNK, INTO, PLAIN, beyond, floor_of, full_width, greatest, least, magic
from xent.kernels.cpu.visit import shift_for, visited

LOWERED = 2.0**-60

PEAK, EXCESS, SURPRISAL = 0, 1, 2
"""Rows of the statistics buffer [3, N]."""
TARGET_SURPRISAL, MASS, TARGET_ENTROPY = 0, 1, 2
"""Rows of the target buffer [3, N]."""
SMOOTH, ENTROPY, RANK = 0, 1, 2
"""Rows of the extras buffer [3, N]."""


@kernel
def statistics(like, address, stride, classes, bend, target, scratch, out):
    """Into out [3, N]: peak, excess, surprisal of the index target; zeros where ignored."""
    full_width()
    scratch = loose(scratch)
    for i in range(out.shape[1]):
        t = target[i] if target.shape[0] else np.int64(0)
        if t < 0:
            out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = 0.0, 0.0, 0.0
            continue
        x = row_at(like, address + i * stride, classes)
        peak, excess, at_target, _ = visited(x, address + i * stride, scratch[0, :0], 0, scratch, bend, t)
        out[PEAK, i], out[EXCESS, i], out[SURPRISAL, i] = peak, excess, (peak - at_target) + excess


@njit(**INTO)
def row_target(x, probs, weight, entropy, peak, excess, scratch, bend) -> Any:
    """Surprisal and mass of target probabilities and, where asked, their entropy; every term is non-negative."""
    total, mass, own, stop = 0.0, 0.0, 0.0, 0
    while stop < x.shape[0]:
        start, stop = stop, min(x.shape[0], stop + CHUNK)
        z, y = staged(part(x, start, stop), scratch, bend), upcoming(probs, start, stop)
        if weight.shape[0]:
            w = part(weight, start, stop)
            gap, share = blocks.weighted_gap_sum(z, y, w, peak)
            own += blocks.weighted_entropy_sum(y, w) if entropy else 0.0
        else:
            gap, share = blocks.gap_sum(z, y, peak)
            own += blocks.entropy_sum(y) if entropy else 0.0
        total += gap
        mass += share
    return total + mass * excess, mass, own


@kernel
def target_sums(like, address, stride, classes, bend, rows, t_like, t_address, t_stride, weight, entropy, scratch, out):
    """Into out [3, N]: surprisal, mass and, where asked, entropy of target probabilities."""
    full_width()
    scratch = loose(scratch)
    for i in range(out.shape[1]):
        x, probs = row_at(like, address + i * stride, classes), row_at(t_like, t_address + i * t_stride, classes)
        peak, excess = rows[PEAK, i], rows[EXCESS, i]
        known = row_target(x, probs, weight, entropy, peak, excess, scratch, bend)
        out[TARGET_SURPRISAL, i], out[MASS, i], out[TARGET_ENTROPY, i] = known


@njit(**PLAIN)
def row_entropy(z, peak, excess):
    """A block's share of ``Σ p (peak − z)``."""
    real = z.dtype.type
    base, halvings = shift_for(z, peak)
    rounding, floor, total = magic(z, halvings), floor_of(z, halvings), 0.0
    for c in range(0, z.shape[0], CHUNK):
        total += float(blocks.expected_gap(z[c : min(z.shape[0], c + CHUNK)], real(base), rounding, floor, real(peak)))
    return total * math.exp(-beyond(peak, base, halvings) - excess)


@njit(**INTO)
def row_smooth(x, vector, peak, excess, scratch, bend):
    """``Σ u (lse − z)``."""
    total, stop = 0.0, 0
    while stop < x.shape[0]:
        start, stop = stop, min(x.shape[0], stop + BLOCK)
        gap, mass = blocks.gap_sum(staged(part(x, start, stop), scratch, bend), part(vector, start, stop), peak)
        total += gap + mass * excess
    return total


@njit(**INTO)
def z_at(x, target, scratch, bend):
    """z of one class, rounded as every other z of its row is."""
    start = target // BLOCK * BLOCK
    return float(staged(part(x, start, min(x.shape[0], start + BLOCK)), scratch, bend)[target - start])


@kernel
def extras(like, address, stride, classes, bend, target, rows, vector, want_entropy, want_rank, scratch, out):
    """Into out [3, N]: ``Σ u (lse − z)`` where a vector u is given, entropy and rank where asked; zeros where ignored."""
    full_width()
    scratch = loose(scratch)
    for i in range(out.shape[1]):
        smooth, entropy, rank = 0.0, 0.0, 0.0
        if not (target.shape[0] and target[i] < 0):
            x, peak, excess = row_at(like, address + i * stride, classes), rows[PEAK, i], rows[EXCESS, i]
            at_target, entropy = z_at(x, target[i] if target.shape[0] else np.int64(0), scratch, bend), excess
            if vector.shape[0]:
                smooth = row_smooth(x, vector, peak, excess, scratch, bend)
            stop = 0 if want_entropy or want_rank else classes
            while stop < classes:
                start, stop = stop, min(classes, stop + BLOCK)
                z = staged(part(x, start, stop), scratch, bend)
                if want_entropy:
                    entropy += row_entropy(z, peak, excess)
                if want_rank:
                    rank += blocks.count_above(z, at_target)
            entropy = np.nan if excess != excess else entropy
        out[SMOOTH, i], out[ENTROPY, i], out[RANK, i] = smooth, entropy, rank


@njit(**PLAIN)
def build(z, g, shift, factor):
    """``factor · p`` of a block; the last stripe is written twice rather than one by one."""
    real = z.dtype.type
    if abs(float(real(factor))) == np.inf:
        # Infinity times a probability of 0 would be NaN: the factor is applied in two steps.
        build_in_part(z, g, shift, factor * LOWERED)
        blocks.scale_by(g, real(1.0 / LOWERED))
        return
    build_in_part(z, g, shift, factor)


@njit(**PLAIN)
def build_in_part(z, g, shift, factor):
    """The same for a factor that the computing dtype holds."""
    real, size = z.dtype.type, z.shape[0]
    rounding, floor = magic(z, shift[1]), floor_of(z, shift[1])
    whole = size - size % STRIPE if size >= STRIPE else size
    blocks.scaled_exp(z[:whole], real(shift[0]), rounding, floor, real(factor), g[:whole])
    if whole < size:
        blocks.scaled_exp(z[size - STRIPE :], real(shift[0]), rounding, floor, real(factor), g[size - STRIPE :])


@njit(**PLAIN)
def build_less_target(z, g, shift, factor, probs, b, weight, start):
    """``factor · p − b · T`` of a block, T times class weights where there are any."""
    real = z.dtype.type
    if weight.shape[0] or abs(float(real(factor))) == np.inf:
        build(z, g, shift, factor)
        if weight.shape[0]:
            blocks.subtract_weighted(g, b, probs, weight[start : start + probs.shape[0]])
        else:
            blocks.subtract_scaled(g, b, probs)
        return
    rounding, floor = magic(z, shift[1]), floor_of(z, shift[1])
    blocks.scaled_exp_less(z, real(shift[0]), rounding, floor, real(factor), probs, real(b), g)


@kernel
def gradient(
    like, address, stride, out_address, out_stride, classes, bend,
    target, peak, excess, surprisal, entropy, coefficients, vector, t_like, t_address, t_stride, weight, scratch,
):  # fmt: skip
    """``(a·p − b·T − c·u − d·p·(log p + entropy))·dz/dx`` of every row, T an index or probabilities at t_address (0: none)."""
    full_width()
    scratch = loose(scratch)
    plain, per_row = bend is None, coefficients.shape[1] > 1
    for i in range(peak.shape[0]):
        x, out = row_at(like, address + i * stride, classes), row_at(like, out_address + i * out_stride, classes)
        t = target[i] if target.shape[0] else np.int64(classes)
        if t < 0 or excess[i] != excess[i]:
            blocks.fill(out, scratch.dtype.type(0.0 if t < 0 else np.nan))
            continue
        a, b, c, d = coefficients[:, i if per_row else 0]
        # A single class is subtracted from itself, so that p is exactly 1.
        shift = shift_for(scratch[0], peak[i] + excess[i]) if classes > 1 else (peak[i], 0.0)
        factor = a * math.exp(-beyond(peak[i], shift[0], shift[1]) - excess[i])
        stop = 0
        while stop < classes:
            start, stop = stop, min(classes, stop + BLOCK)
            z, g = aside(part(x, start, stop), scratch, bend), written(part(out, start, stop), scratch)
            if t_address:
                probs = row_at(t_like, t_address + i * t_stride, classes)[start:stop]
                build_less_target(z, g, shift, factor, probs, b, weight, start)
            else:
                build(z, g, shift, factor)
            if start <= t < stop:
                g[t - start] = scratch.dtype.type((a - b) + a * math.expm1(-surprisal[i]))
            if c != 0.0 and vector.shape[0]:
                blocks.subtract_scaled(g, c, vector[start:stop])
            if d != 0.0:
                blocks.subtract_entropy_slope(z, g, d, peak[i], excess[i], entropy[i])
            if not plain:
                blocks.multiply(g, lane(scratch, SLOPE))
            blocks.finish(g, part(out, start, stop))


@kernel
def log_probs(like, address, stride, out_address, out_stride, classes, bend, count, scratch):
    """``z − lse`` of every row as ``(z − peak) − excess``, whose terms never cancel."""
    full_width()
    scratch = loose(scratch)
    apart = address != out_address
    for i in range(count):
        at, out_at = address + i * stride, out_address + i * out_stride
        x, out = row_at(like, at, classes), row_at(like, out_at, classes)
        peak, excess, _, _ = visited(x, at, scratch[0, :0], out_at, scratch, bend, np.int64(0))
        stop = 0
        while stop < classes:
            start, stop = stop, min(classes, stop + BLOCK)
            block = part(x, start, stop)
            z, g = (
                staged(block, scratch, bend) if apart else aside(block, scratch, bend),
                written(part(out, start, stop), scratch),
            )
            blocks.log_of_row(z, peak, excess, g)
            blocks.finish(g, part(out, start, stop))


@kernel
def measure(like, address, stride, classes, scratch, out):
    """Into out [3, N]: sum, least and greatest of every row."""
    full_width()
    scratch = loose(scratch)
    for i in range(out.shape[1]):
        x = row_at(like, address + i * stride, classes)
        total, low, high = 0.0, np.inf, -np.inf
        stop = 0
        while stop < classes:
            start, stop = stop, min(classes, stop + CHUNK)
            block = staged(upcoming(x, start, stop), scratch, None)
            total += blocks.plain_sum(block)
            low, high = min(low, float(least(block))), max(high, float(greatest(block)))
        known = total == total
        out[0, i], out[1, i], out[2, i] = total, (low if known else np.nan), (high if known else np.nan)
