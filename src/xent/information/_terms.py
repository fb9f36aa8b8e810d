"""The terms that every definition sums, in nats, for arrays already checked and of one library ``xp``."""

from typing import Any

from xent.information._arguments import Array

# 1/3, 1/5, …, 1/15: for |v| < 0.1 what follows is below float64's rounding.
_ATANH_TAIL = tuple(1.0 / n for n in range(3, 17, 2))


def surprisal(xp: Any, p: Array) -> Array:
    """−ln p; 0 at p = 0, which each caller settles for itself, and where rounding put p above 1."""
    return 0.0 - xp.log(xp.where((p > 0) & (p <= 1), p, xp.ones_like(p)))


def divergence_terms(xp: Any, p: Array, q: Array) -> Array:
    """Each p ln(p/q) − p + q, never negative: q where p = 0, +inf where only q = 0."""
    both = (p > 0) & (q > 0)
    a, b = (xp.where(both, x, xp.ones_like(x)) for x in (p, q))
    terms = xp.where(xp.abs(a - b) < 0.1 * (a + b), _close_terms(xp, a, b), _apart_terms(xp, a, b))
    return xp.where(both, terms, xp.where(p > 0, xp.full_like(p, float("inf")), q))


def positive(xp: Any, divisor: Array) -> Array:
    """The divisor, with 1 for 0: what it divides there is 0."""
    return xp.where(divisor > 0, divisor, xp.ones_like(divisor))


def _close_terms(xp: Any, a: Array, b: Array) -> Array:
    """(a − b) v + 2 a v (v²/3 + v⁴/5 + …) with v = (a − b)/(a + b): nothing cancels where a ≈ b.

    Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000.
    """
    v = (a - b) / (a + b)
    square, tail = v * v, xp.zeros_like(v)
    for coefficient in reversed(_ATANH_TAIL):
        tail = (tail + coefficient) * square
    return (a - b) * v + 2.0 * a * v * tail


def _apart_terms(xp: Any, a: Array, b: Array) -> Array:
    """Each a ln(a/b) − (a − b), by smaller over larger, which neither overflows nor, up to 2, underflows to 0."""
    larger, smaller = xp.where(a > b, a, b), xp.where(a > b, b, a)
    log_ratio = xp.log(smaller / larger)
    return a * xp.where(a > b, -log_ratio, log_ratio) - (a - b)
