"""The conventions as checks: plain functions of a backend's name, tests for every registered one.

``@contract(3, 9)`` says which rows of the conventions a check states. It is collected as a test for each backend in the registry,
and listed in `CHECKS`, from where `test_harness.py` runs it against kernels that are wrong.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, wraps
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import xent
from tests import truth
from xent.kernels import select

Array = npt.NDArray[Any]
DTYPES = ("float16", "bfloat16", "float32", "float64")
ROWS = (1, 7, 257)
CLASSES = (1, 2, 10, 33, 100, 507, 50257)
SCALES = (0.1, 1.0, 10.0, 100.0)
KERNEL = 0
"""The row of what DESIGN asks of kernels beyond the numbered conventions."""


@dataclass(frozen=True)
class Check:
    """One check with its cases chosen; calling it with a backend's name passes or raises."""

    rows: tuple[int, ...]
    name: str
    call: Callable[[str], None]


CHECKS: list[Check] = []


def label(value: object) -> str:
    return "+".join(value) or "plain" if isinstance(value, dict) else str(value)


def contract(*rows: int, **cases: Sequence[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Enrol a check of those rows of the conventions, once for each combination of its cases."""

    def enrol(check: Callable[..., None]) -> Callable[..., None]:
        for chosen in itertools.product(*cases.values()):
            name = "-".join([check.__name__, *map(label, chosen)])
            CHECKS.append(Check(rows, name, partial(check, **dict(zip(cases, chosen, strict=True)))))
        test = where_served(check)
        for name, values in cases.items():
            test = pytest.mark.parametrize(name, values, ids=label)(test)
        return pytest.mark.parametrize("backend", select.names())(test)

    return enrol


def where_served(check: Callable[..., None]) -> Callable[..., None]:
    """The check, skipped where the backend has a reason not to serve; the reason is shown."""

    @wraps(check)
    def test(backend: str, **case: Any) -> None:
        reason = select.reason(backend, case.get("dtype", "float32"))
        if reason is not None:
            pytest.skip(reason)
        check(backend, **case)

    return test


def dtype_of(name: str) -> np.dtype[Any]:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def stored(values: npt.ArrayLike, dtype: str) -> Array:
    """The values as an array of that dtype."""
    return np.asarray(values, np.float64).astype(dtype_of(dtype))


def normal(n: int, c: int, scale: float = 1.0, dtype: str = "float32", seed: int = 0) -> Array:
    """[N, C] logits from N(0, scale)."""
    return stored(np.random.default_rng(seed).normal(0.0, scale, (n, c)), dtype)


def labels(n: int, c: int, seed: int = 1) -> Array:
    """[N] class indices; the first and last class among them where there is room."""
    found = np.random.default_rng(seed).integers(0, c, n)
    found[-1:], found[:1] = c - 1, 0
    return found


def probabilities(n: int, c: int, seed: int = 2) -> Array:
    """[N, C] distributions with some zeros where there is room."""
    raw = np.random.default_rng(seed).exponential(1.0, (n, c))
    raw[:, 1 : c // 2 : 3] = 0.0
    return raw / raw.sum(axis=1, keepdims=True)


def poisoned(like: Array) -> Array:
    """A buffer in which nothing that was not written goes unnoticed."""
    return np.full(like.shape, np.nan).astype(like.dtype)


def bits(array: Any) -> Array:
    """What must be equal for bits to be equal."""
    whole = np.ascontiguousarray(array)
    return whole.view(f"uint{8 * whole.dtype.itemsize}")


def assert_same_bits(found: Any, expected: Any, what: str = "") -> None:
    first, second = np.asarray(found), np.asarray(expected)
    assert first.dtype == second.dtype, what
    np.testing.assert_array_equal(bits(first), bits(second), err_msg=what)


def cross_entropy(backend: str, logits: Any, target: Any, **options: Any) -> tuple[Any, Array]:
    """Each row's loss (unless reduced) and the gradient, written into a poisoned buffer."""
    options = {"reduction": "none", "backend": backend} | options
    loss, gradient = xent.cross_entropy_and_grad(logits, target, out=poisoned(logits), **options)
    return loss, gradient


def assert_rows(backend: str, logits: Array, target: Array, what: str = "", *, nan: bool = False, **options: Any) -> None:
    """Losses and gradients of [N, C] logits are as true as their dtype allows; dtypes are those promised."""
    dtype = logits.dtype.name
    loss, gradient = cross_entropy(backend, logits, target, **options)
    assert loss.dtype == truth.computed_in(dtype), what
    assert gradient.dtype == logits.dtype, what
    step = max(1, (1 << 18) // logits.shape[1])
    for part in (slice(i, i + step) for i in range(0, len(logits), step)):
        right = truth.rows(logits[part], target[part], dtype=dtype, **options)
        truth.assert_near(loss[part], right.value, right.value_limit, f"loss {what} from {part.start}", nan=nan)
        truth.assert_near(gradient[part], right.gradient, right.gradient_limit, f"gradient {what} from {part.start}", nan=nan)
