"""The truth for one row or one number at a time: definitions in mpmath, derivatives as differences of them."""

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
from mpmath import mpf

from tests.truth import SIGNIFICANT, SMALLEST_EXPONENT

DIGITS = 400
"""So that 1 + e^−500 is not 1."""


def row(
    logits: Sequence[Any],
    target: int | Sequence[float],
    *,
    weight: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
) -> mpf:
    """One row's loss in nats by its definition."""
    with mpmath.workdps(DIGITS):
        z = [mpf(scale) * mpf(x) for x in logits]
        if softcap is not None:
            z = [mpf(softcap) * mpmath.tanh(x / mpf(softcap)) for x in z]
        classes, w = len(z), [mpf(1)] * len(z) if weight is None else [mpf(x) for x in weight]
        lse = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in z))
        surprise = [lse - x for x in z]
        if not isinstance(target, Sequence):
            s, whole = surprise[target], w[target]
        else:
            s, whole = mpmath.fsum(v * mpf(y) * x for v, y, x in zip(w, target, surprise, strict=True) if y), mpf(1)
        modulated = s * (1 - mpmath.exp(-s)) ** mpf(focal) if focal else s
        smooth = mpmath.fsum(v * x for v, x in zip(w, surprise, strict=True) if v) / classes if label_smoothing else mpf(0)
        kept = 1 - mpf(label_smoothing)
        return whole * kept * modulated + mpf(label_smoothing) * smooth + whole * mpf(z_loss) * lse**2


def gradient(function: Callable[[list[mpf]], mpf], point: Sequence[float]) -> list[mpf]:
    """Central differences with a step of 1e-130: right to 250 digits after the point."""
    with mpmath.workdps(DIGITS):
        step, base = mpf(10) ** -130, [mpf(x) for x in point]

        def at(j: int, moved: mpf) -> mpf:
            return function([*base[:j], base[j] + moved, *base[j + 1 :]])

        return [(at(j, step) - at(j, -step)) / (2 * step) for j in range(len(base))]


def binary(x: Any, y: float, weight: float = 1.0, positive: float = 1.0) -> mpf:
    """Binary cross-entropy of one logit by its definition."""
    with mpmath.workdps(DIGITS):
        p, miss = 1 / (1 + mpmath.exp(-mpf(x))), 1 / (1 + mpmath.exp(mpf(x)))
        return -mpf(weight) * (mpf(positive) * mpf(y) * mpmath.log(p) + (1 - mpf(y)) * mpmath.log(miss))


def nearest(value: mpf, dtype: str) -> float:
    """The number of that dtype nearest to the value, ties to even."""
    with mpmath.workdps(DIGITS):
        if value == 0:
            return 0.0
        exponent = max(int(mpmath.floor(mpmath.log(abs(value), 2))), SMALLEST_EXPONENT[dtype])
        unit = mpf(2) ** (exponent - (SIGNIFICANT[dtype] - 1))
        return float(mpmath.nint(value / unit) * unit)
