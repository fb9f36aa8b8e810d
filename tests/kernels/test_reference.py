"""The reference against 50 digits and against its own description."""

import ml_dtypes
import numpy as np
import pytest

from tests import exact, truth
from xent.kernels.contract import Problem, RowCoefficients, Transform, Want
from xent.kernels.reference import ReferenceKernel, narrow, transformed, widen

EVERY_HALF = np.arange(1 << 16, dtype=np.uint16)


def every_bfloat16() -> np.ndarray:
    with np.errstate(invalid="ignore"):  # some are signalling NaN
        return widen(EVERY_HALF, "bfloat16")


def test_every_bfloat16_is_widened_exactly() -> None:
    with np.errstate(invalid="ignore"):
        expected = EVERY_HALF.view(ml_dtypes.bfloat16).astype(np.float64)
    np.testing.assert_array_equal(every_bfloat16(), expected)


def test_every_bfloat16_comes_back() -> None:
    out = np.zeros_like(EVERY_HALF)
    wide = every_bfloat16()
    narrow(wide, "bfloat16", out)
    number = ~np.isnan(wide)
    np.testing.assert_array_equal(out[number], EVERY_HALF[number])
    assert (out[~number] & 0x7FFF > 0x7F80).all()


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32"])
def test_numbers_are_rounded_to_nearest_even(storage: str) -> None:
    dtype = np.dtype(ml_dtypes.bfloat16 if storage == "bfloat16" else storage)
    values = np.concatenate([np.random.default_rng(0).normal(0.0, s, 2000) for s in (1e-9, 1.0, 1e5)])
    values = np.concatenate([values.astype(np.float32).astype(np.float64), [0.0, -0.0, np.inf, -np.inf, 1e39, -1e39, 1.00390625]])
    out = np.zeros(len(values), np.uint16 if storage == "bfloat16" else dtype)
    narrow(values, storage, out)
    with np.errstate(over="ignore"):
        expected = values.astype(dtype)
    np.testing.assert_array_equal(out.view(dtype).astype(np.float64), expected.astype(np.float64))


def test_a_row_is_right_to_fifty_digits_worth_of_float64() -> None:
    x = np.array([[3.0, -1.0, 0.5, 30.0], [0.1, 0.2, 0.3, 0.4]])
    found = ReferenceKernel().statistics(Problem(x, "float64", np.array([3, 1])), Want())
    for r, t in enumerate((3, 1)):
        right = float(exact.row(x[r].tolist(), t))
        truth.assert_near(found.surprisal[r], right, 32 * truth.ulp(right, "float64"))


def test_the_gradient_of_the_entropy_term_is_minus_the_slope_of_the_entropy() -> None:
    """``d`` alone gives ``−p·(log p + H)``, the derivative of the entropy."""
    x, step = np.random.default_rng(0).normal(size=(3, 5)), 1e-6
    kernel, out = ReferenceKernel(), np.empty((3, 5))

    def entropy(at: np.ndarray) -> np.ndarray:
        return kernel.statistics(Problem(at, "float64"), Want(entropy=True)).entropy

    problem = Problem(x, "float64")
    kernel.gradient(problem, kernel.statistics(problem, Want(entropy=True)), RowCoefficients(a=0.0, b=0.0, d=1.0), out)
    for j in range(5):
        moved = step * (np.arange(5) == j)
        truth.assert_near(out[:, j], (entropy(x + moved) - entropy(x - moved)) / (2.0 * step), 1e-8)


def test_a_bent_logit_keeps_its_order_and_its_bound_and_a_mask_stays() -> None:
    x = np.array([-np.inf, -1e6, -3.0, 0.0, 3.0, 1e6])
    z, slope = transformed(x, Transform(scale=2.0, softcap=5.0))
    assert z[0] == -np.inf
    assert (np.abs(z[1:]) <= 5.0).all()
    assert (np.diff(z) > 0.0).all()
    assert slope[3] == 2.0


def test_nothing_is_refused() -> None:
    for storage in ("float16", "bfloat16", "float32", "float64"):
        assert ReferenceKernel().refuses(storage, "anything") is None
