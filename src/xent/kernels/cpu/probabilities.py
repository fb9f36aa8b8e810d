"""Losses of numbers that are probabilities already or their logarithms, one at a time, in float64."""

import numpy as np
from numba import njit

from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.delivery import settle
from xent.kernels.cpu.memory import part, upcoming
from xent.kernels.cpu.simd import CHUNK, EXACT, full_width, log_positive
from xent.kernels.cpu.storage import widen


@njit(**EXACT)
def log_loss_chunk(x, y, weight, factor, v, g):
    """``−w·(y·log p + (1−y)·log(1−p))`` in v, its derivative times factor in g; what has weight 0 says nothing."""
    full_width()
    for j in range(x.shape[0]):
        p, w = float(widen(x[j])), weight[j]
        yes = w * float(widen(y[j]))
        no, q = w - yes, 1.0 - p
        # What q lost of p matters where p is tiny.
        log_p, log_q = log_positive(p), log_positive(q) + ((1.0 - q) - p) / (q if q > 0.0 else 1.0)
        here = (np.inf if p == 0.0 else -log_p) if yes != 0.0 else 0.0
        there = (np.inf if q == 0.0 else -log_q) if no != 0.0 else 0.0
        v[j] = (yes * here if yes != 0.0 else 0.0) + (no * there if no != 0.0 else 0.0) + (p - p)
        slope = (no / q if no != 0.0 else 0.0) - (yes / p if yes != 0.0 else 0.0)
        g[j] = g.dtype.type(factor * slope)


@njit(**EXACT)
def divergence_chunk(x, y, factor, v, g, h):
    """``y·(log y − x)`` in v; derivatives by x and y times factor in g and h; 0 of y = 0, NaN of what is negative."""
    full_width()
    for j in range(x.shape[0]):
        log_p, t = float(widen(x[j])), float(widen(y[j]))
        log_t = (np.nan if t < 0.0 or t != t else -np.inf) if not t > 0.0 else log_positive(t)
        v[j] = 0.0 if t == 0.0 and log_p == log_p else t * (log_t - log_p)
        g[j] = g.dtype.type(-factor * t)
        h[j] = h.dtype.type(factor * (log_t + 1.0 - log_p))


@njit(**EXACT)
def log_divergence_chunk(x, y, factor, v, g, h):
    """The same where log y is given."""
    full_width()
    for j in range(x.shape[0]):
        log_p, log_t = float(widen(x[j])), float(widen(y[j]))
        t = np.exp(log_t)
        v[j] = 0.0 if t == 0.0 and log_p == log_p else t * (log_t - log_p)
        g[j] = g.dtype.type(-factor * t)
        h[j] = h.dtype.type(factor * (0.0 if t == 0.0 else t * (log_t - log_p + 1.0)))


@kernel
def log_loss(x, y, weight, values, gradient, factor, real):
    """Sum of binary log losses of a flat block."""
    v, g, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), 0.0
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        w = part(weight, c, stop) if weight.shape[0] else np.ones(stop - c)
        value, slope = part(v, 0, stop - c), part(g, 0, stop - c)
        log_loss_chunk(upcoming(x, c, stop), upcoming(y, c, stop), w, factor, value, slope)
        total += settle(value, slope, values, gradient, c)
    return total


@kernel
def divergence(x, y, values, by_x, by_y, factor, real):
    """Sum of divergences of a flat block."""
    v, g, h, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), np.empty(CHUNK, real.dtype), 0.0
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        value, to_x, to_y = part(v, 0, stop - c), part(g, 0, stop - c), part(h, 0, stop - c)
        divergence_chunk(upcoming(x, c, stop), upcoming(y, c, stop), factor, value, to_x, to_y)
        total += settle(value, to_x, values, by_x, c)
        settle(value, to_y, values[:0], by_y, c)
    return total


@kernel
def log_divergence(x, y, values, by_x, by_y, factor, real):
    """The same where log y is given."""
    v, g, h, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), np.empty(CHUNK, real.dtype), 0.0
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        value, to_x, to_y = part(v, 0, stop - c), part(g, 0, stop - c), part(h, 0, stop - c)
        log_divergence_chunk(upcoming(x, c, stop), upcoming(y, c, stop), factor, value, to_x, to_y)
        total += settle(value, to_x, values, by_x, c)
        settle(value, to_y, values[:0], by_y, c)
    return total
