"""Losses of one number at a time, value and derivative in one visit, vectorised.

With ``t = e^−|x|`` and ``L = log1p(t)``: softplus(±x) = max(±x, 0) + L, and σ(|x|) = 1/(1 + t), σ(−|x|) = t/(1 + t).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit
from numba.extending import overload

from xent._typing import Array
from xent.kernels.contract import PointwiseTask
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.delivery import built_in, delivered, settle
from xent.kernels.cpu.memory import part, upcoming
from xent.kernels.cpu.probabilities import divergence, log_divergence, log_loss
from xent.kernels.cpu.simd import CHUNK, EXACT, SUMMING, exp_shifted, f32, full_width, log_positive
from xent.kernels.cpu.storage import widen

_EMPTY: dict[np.dtype[Any], Array] = {}


def decay(x) -> Any:
    """``e^−|x|``."""


@overload(decay, jit_options=EXACT)
def _decay(x):
    if x.bitwidth == 32:
        return lambda x: exp_shifted(-abs(x), f32(12582912.0 + 127.0), f32(-87.9))
    return lambda x: exp_shifted(-abs(x), 6755399441055744.0 + 1023.0, -708.8)


def log_and_share(t) -> Any:
    """``log(1 + t)`` as ``2·artanh(t/(2 + t))``, and ``1/(1 + t)``, for t in [0, 1]."""


@overload(log_and_share, jit_options=EXACT)
def _log_and_share(t):
    def single(t):
        # One division serves both: it takes as long as all the rest.
        one, two = f32(1.0) + t, f32(2.0) + t
        r = f32(1.0) / (one * two)
        s = t * (one * r)
        q = s * s
        p = q * f32(2 / 17) + f32(2 / 15)
        p = p * q + f32(2 / 13)
        p = p * q + f32(2 / 11)
        p = p * q + f32(2 / 9)
        p = p * q + f32(2 / 7)
        p = p * q + f32(2 / 5)
        p = p * q + f32(2 / 3)
        return s * q * p + f32(2.0) * s, two * r

    def double(t):
        w = 1.0 + t
        return log_positive(w) + (t - (w - 1.0)) / w, 1.0 / w

    return single if t.bitwidth == 32 else double


@njit(**EXACT)
def binary_chunk(x, y, weight, positive, factor, v, g):
    """Binary cross-entropy: ``p·y·softplus(−x) + (1−y)·softplus(x)`` in v, its derivative times factor in g."""
    full_width()
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for j in range(x.shape[0]):
        z, yes = widen(x[j]), positive[j] * widen(y[j])
        no = one - widen(y[j])
        t = decay(z)
        log, large = log_and_share(t)
        up, down = z if z > zero else zero, -z if z < zero else zero
        small = t * large
        here, there = (large if z >= zero else small), (small if z >= zero else large)
        loss = yes * ((down if yes != 0.0 else zero) + log) + no * ((up if no != 0.0 else zero) + log)
        w = weight[j] if yes + no != 0.0 else 0.0
        v[j] = w * (loss if w != 0.0 else 0.0)
        slope = no * here - yes * there
        g[j] = g.dtype.type((factor * w) * (slope if w != 0.0 else 0.0))


@njit(**EXACT)
def plain_binary_chunk(x, y, factor, v, g):
    """The same without weights."""
    full_width()
    zero, one = g.dtype.type(0), g.dtype.type(1)
    for j in range(x.shape[0]):
        z, yes = widen(x[j]), widen(y[j])
        no = one - yes
        t = decay(z)
        log, large = log_and_share(t)
        up, down = z if z > zero else zero, -z if z < zero else zero
        small = t * large
        here, there = (large if z >= zero else small), (small if z >= zero else large)
        v[j] = yes * ((down if yes != zero else zero) + log) + no * ((up if no != zero else zero) + log)
        g[j] = g.dtype.type(factor * (no * here - yes * there))


@njit(**SUMMING)
def square_chunk(x, y, factor, g):
    """``Σ (x − y)²`` in float64, which does not overflow, and its derivative times factor in g."""
    full_width()
    total = 0.0
    # A loop that stored too would sum in another order where g lies just behind x or y in memory.
    for j in range(x.shape[0]):
        d = float(widen(x[j])) - float(widen(y[j]))
        total += d * d
    for j in range(x.shape[0]):
        d = float(widen(x[j])) - float(widen(y[j]))
        g[j] = g.dtype.type((factor + factor) * d)
    return total


@njit(**EXACT)
def weighted_square_chunk(x, y, weight, factor, v, g):
    """``w·(x − y)²`` in v, and its derivative times factor in g; 0 where w is 0."""
    full_width()
    for j in range(x.shape[0]):
        d, w = float(widen(x[j])) - float(widen(y[j])), weight[j]
        d = d if w != 0.0 else 0.0
        v[j] = w * (d * d)
        g[j] = g.dtype.type((factor + factor) * w * d)


@njit(**EXACT)
def gaussian_chunk(x, y, var, factor, v, g, h):
    """``½(log var + r²/var)`` in v; derivatives by mean and variance times factor in g and h."""
    full_width()
    for j in range(x.shape[0]):
        s = float(widen(var[j]))
        r = float(widen(x[j])) - float(widen(y[j]))
        v[j] = 0.5 * (log_positive(s) + r * (r / s))
        g[j] = g.dtype.type(factor * (r / s))
        h[j] = h.dtype.type(factor * 0.5 * ((1.0 - r * (r / s)) / s))


@njit(**EXACT)
def sigmoid_chunk(x, v):
    """``σ(x)``."""
    full_width()
    for j in range(x.shape[0]):
        z = widen(x[j])
        t = decay(z)
        large = v.dtype.type(1) / (v.dtype.type(1) + t)
        v[j] = large if z >= 0 else t * large


@njit(**EXACT)
def log_sigmoid_chunk(x, v):
    """``−softplus(−x)``."""
    full_width()
    for j in range(x.shape[0]):
        z = widen(x[j])
        down = -z if z < 0 else v.dtype.type(0)
        v[j] = -(down + log_and_share(decay(z))[0])


@kernel
def binary(x, y, weight, positive, values, gradient, factor, real):
    """Sum of binary cross-entropies of a flat block."""
    v, plain, g, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), np.empty(CHUNK, real.dtype), 0.0
    f = real.dtype.type(factor)
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        at, goal, slope = upcoming(x, c, stop), upcoming(y, c, stop), part(g, 0, stop - c)
        if weight.shape[0]:
            value = part(v, 0, stop - c)
            binary_chunk(at, goal, upcoming(weight, c, stop), upcoming(positive, c, stop), f, value, slope)
            total += settle(value, slope, values, gradient, c)
        else:
            # All of one width: float64 beside float32 would halve the lanes.
            narrow_value = part(plain, 0, stop - c)
            plain_binary_chunk(at, goal, f, narrow_value, slope)
            total += settle(narrow_value, slope, values, gradient, c)
    return total


@kernel
def square(x, y, weight, values, gradient, factor, real):
    """Sum of squared errors of a flat block."""
    v, g, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), 0.0
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        at, goal = upcoming(x, c, stop), upcoming(y, c, stop)
        if weight.shape[0] or values.shape[0]:
            w = part(weight, c, stop) if weight.shape[0] else np.ones(stop - c)
            value, slope = part(v, 0, stop - c), part(g, 0, stop - c)
            weighted_square_chunk(at, goal, w, factor, value, slope)
            total += settle(value, slope, values, gradient, c)
            continue
        built = built_in(gradient, c, stop, g)
        total += square_chunk(at, goal, factor, built)
        delivered(built, gradient, c)
    return total


@kernel
def gaussian(x, y, var, values, by_mean, by_var, factor, real):
    """Sum of Gaussian negative log-likelihoods of a flat block."""
    v, g, h, total = np.empty(CHUNK), np.empty(CHUNK, real.dtype), np.empty(CHUNK, real.dtype), 0.0
    nothing = values[:0]
    for c in range(0, x.shape[0], CHUNK):
        stop = min(x.shape[0], c + CHUNK)
        value, by_m, by_v = part(v, 0, stop - c), part(g, 0, stop - c), part(h, 0, stop - c)
        gaussian_chunk(upcoming(x, c, stop), upcoming(y, c, stop), upcoming(var, c, stop), factor, value, by_m, by_v)
        total += settle(value, by_m, values, by_mean, c)
        settle(value, by_v, nothing, by_var, c)
    return total


@kernel
def sigmoids(x, values, real):
    """``σ`` of a flat block; the sum is not used."""
    for c in range(0, x.shape[0], CHUNK):
        sigmoid_chunk(x[c : c + CHUNK], values[c : c + CHUNK])
    return 0.0


@kernel
def log_sigmoids(x, values, real):
    """``log σ`` of a flat block; the sum is not used."""
    for c in range(0, x.shape[0], CHUNK):
        log_sigmoid_chunk(x[c : c + CHUNK], values[c : c + CHUNK])
    return 0.0


def _with_weights(inputs: tuple[Array, ...], count: int) -> tuple[Array, ...]:
    """Inputs and as many empty arrays as are missing."""
    return inputs + (_empty(np.float64),) * (count - len(inputs))


def _empty(dtype: Any) -> Array:
    return _EMPTY.setdefault(np.dtype(dtype), np.empty(0, dtype))


COMPILED: dict[str, tuple[Callable[..., float], int, int]] = {
    "binary_cross_entropy": (binary, 4, 1),
    "squared_error": (square, 3, 1),
    "gaussian_nll": (gaussian, 3, 2),
    "binary_log_loss": (log_loss, 3, 1),
    "divergence": (divergence, 2, 2),
    "log_divergence": (log_divergence, 2, 2),
    "sigmoid": (sigmoids, 1, 0),
    "log_sigmoid": (log_sigmoids, 1, 0),
}
"""The compiled form of each pointwise loss, how many inputs it takes, and how many gradients it gives."""


def run(name: str, task: PointwiseTask, stored: type) -> float:
    """The compiled form of a pointwise loss over one flat block."""
    function, takes, gives = COMPILED[name]
    real = np.float64 if stored is np.float64 else np.float32
    inputs = tuple(x.view(stored) if x.dtype == task.inputs[0].dtype else x for x in _with_weights(task.inputs, takes))
    gradients = tuple(g.view(stored) for g in task.gradients) or (_empty(stored),) * gives
    values = _empty(real) if task.values is None else task.values
    if not gives:
        return function(*inputs, values, _empty(real))
    return function(*inputs, values, *gradients, task.factor, _empty(real))
