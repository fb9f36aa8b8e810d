"""Losses of one number at a time, on every backend and dtype, with every weight and reduction."""

import itertools
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import DTYPES, Array, assert_same_bits, contract, normal, poisoned, stored

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (7,), (3, 5), (2, 3, 5), (257, 33))
REDUCTIONS = ("none", "sum", "mean")


def numbers(shape: tuple[int, ...], scale: float, dtype: str, seed: int = 0) -> Array:
    return stored(np.random.default_rng(seed).normal(0.0, scale, shape), dtype)


def compare(found: tuple[Any, Any], right: truth.PointTruth, by: float, reduction: str, dtype: str, what: str) -> None:
    """Value and gradients of a reduced loss within what rounding allows."""
    loss, gradients = found[0], found[1] if isinstance(found[1], tuple) else (found[1],)
    value, limit = right.value / by, right.value_limit / by + truth.smallest_normal(dtype)
    if reduction != "none":
        order = 2.0**-48 if dtype == "float64" else 2.0**-24
        value, limit = value.sum(), limit.sum() + order * np.abs(value).sum()
    assert np.asarray(loss).dtype == truth.computed_in(dtype), what
    truth.assert_near(loss, value, limit, what)
    for slope, exact, error in zip(gradients, right.gradients, right.gradient_limits, strict=True):
        finely = error / by + truth.rounding(exact / by, dtype) + 2 * truth.eps(dtype) * np.abs(exact) / by
        truth.assert_near(slope, exact / by, finely, f"gradient {what}")


@contract(15, 16, dtype=DTYPES, reduction=REDUCTIONS)
def test_binary_cross_entropy_is_right(backend: str, dtype: str, reduction: str) -> None:
    for shape, scale in itertools.product(SHAPES, (0.1, 3.0, 30.0)):
        x, y = numbers(shape, scale, dtype), np.random.default_rng(1).random(shape)
        y = np.where(y < 0.3, 0.0, np.where(y > 0.7, 1.0, y))
        for goal in (y, stored(y, "float32"), y > 0.5, (y > 0.5).astype(np.uint8), stored(y, dtype)):
            right = truth.binary(x.astype(np.float64), np.asarray(goal).astype(np.float64), dtype=dtype)
            found = xent.binary_cross_entropy_and_grad(x, goal, out=poisoned(x), reduction=reduction, backend=backend)
            by = float(x.size) if reduction == "mean" else 1.0
            compare(found, right, by, reduction, dtype, f"{shape} {scale} {np.asarray(goal).dtype}")
            assert_same_bits(xent.binary_cross_entropy(x, goal, reduction=reduction, backend=backend), found[0])


@contract(15, 16, dtype=DTYPES)
def test_binary_cross_entropy_with_weights_is_right(backend: str, dtype: str) -> None:
    x, y = numbers((57, 5), 5.0, dtype), np.random.default_rng(1).random((57, 5))
    kinds = {
        "none": None,
        "a number": 2.5,
        "one a class": np.linspace(0.0, 2.0, 5),
        "one an element": np.random.default_rng(2).random((57, 5)) * 3.0,
        "single precision": np.linspace(0.0, 2.0, 5, dtype=np.float32),
    }
    for (first, weight), (second, positive) in itertools.product(kinds.items(), repeat=2):
        ones = [np.ones(1) if w is None else np.asarray(w, np.float64) for w in (weight, positive)]
        right = truth.binary(x.astype(np.float64), y, *ones, dtype=dtype)
        for reduction, by in (("none", 1.0), ("sum", 1.0), ("mean", float(x.size))):
            found = xent.binary_cross_entropy_and_grad(
                x, y, weight=weight, pos_weight=positive, reduction=reduction, backend=backend
            )
            compare(found, right, by, reduction, dtype, f"{first}, {second}")


@contract(16, dtype=DTYPES)
def test_tiny_binary_losses_are_right_and_not_zero(backend: str, dtype: str) -> None:
    x = stored(np.linspace(14.0, 80.0, 67), dtype)
    for sign, y in ((1.0, np.ones(67)), (-1.0, np.zeros(67))):
        given = (x * np.array(sign, x.dtype)).astype(x.dtype)
        right = truth.binary(given.astype(np.float64), y, dtype=dtype)
        found = xent.binary_cross_entropy_and_grad(given, y, reduction="none", backend=backend)
        compare(found, right, 1.0, "none", dtype, f"sign {sign}")
        assert (found[0] > 0.0).all()


@contract(10, dtype=("bfloat16", "float32", "float64"))
def test_binary_logits_of_any_magnitude_do_not_overflow(backend: str, dtype: str) -> None:
    x, y = stored([3e38, -3e38, 3e38, -3e38], dtype), np.array([1.0, 0.0, 0.0, 1.0])
    loss, gradient = xent.binary_cross_entropy_and_grad(x, y, reduction="none", backend=backend)
    np.testing.assert_array_equal(loss.astype(np.float64), [0.0, 0.0, float(x[0]), float(x[0])])
    np.testing.assert_array_equal(np.abs(gradient.astype(np.float64)), [0.0, 0.0, 1.0, 1.0])


@contract(9, dtype=DTYPES)
def test_a_binary_logit_of_nan_is_nan_alone(backend: str, dtype: str) -> None:
    for y in (0.0, 0.5, 1.0):
        x = numbers((70,), 3.0, dtype)
        kept, slope = xent.binary_cross_entropy_and_grad(x, np.full(70, y), reduction="none", backend=backend)
        x[3] = np.nan
        loss, gradient = xent.binary_cross_entropy_and_grad(x, np.full(70, y), reduction="none", backend=backend)
        assert np.isnan(loss[3])
        assert np.isnan(gradient[3])
        assert_same_bits(np.delete(loss, 3), np.delete(kept, 3))
        assert_same_bits(np.delete(gradient, 3), np.delete(slope, 3))


@contract(15, dtype=DTYPES, reduction=REDUCTIONS)
def test_squared_error_is_right(backend: str, dtype: str, reduction: str) -> None:
    for shape in SHAPES:
        x, y = numbers(shape, 3.0, dtype), numbers(shape, 3.0, dtype, 1)
        for goal in (y, y.astype(np.float64), np.round(y.astype(np.float64)).astype(int)):
            weights = [None, 2.5, np.random.default_rng(2).random(shape) + 0.1]
            weights += [np.linspace(0.0, 2.0, shape[-1])] if shape else []
            for weight in weights:
                w = np.broadcast_to(1.0 if weight is None else weight, shape)
                right = truth.squared(x.astype(np.float64), goal.astype(np.float64), w, dtype=dtype)
                by = 1.0 if reduction != "mean" else float(w.sum())
                if not by:
                    continue
                found = xent.mse_loss_and_grad(x, goal, weight=weight, out=poisoned(x), reduction=reduction, backend=backend)
                compare(found, right, by, reduction, dtype, f"{shape} {goal.dtype} {weight}")
                assert_same_bits(xent.mse_loss(x, goal, weight=weight, reduction=reduction, backend=backend), found[0])


@contract(15, dtype=DTYPES, reduction=REDUCTIONS)
def test_the_gaussian_loss_is_right(backend: str, dtype: str, reduction: str) -> None:
    for shape, full in itertools.product(SHAPES, (False, True)):
        mean, y = numbers(shape, 3.0, dtype), numbers(shape, 3.0, dtype, 1)
        own = stored(np.random.default_rng(2).exponential(1.0, shape) + 0.1, dtype)
        for var in (own, own.astype(np.float64), 0.5):
            spread = np.broadcast_to(np.asarray(var).astype(np.float64), shape)
            right = truth.gaussian(mean.astype(np.float64), y.astype(np.float64), spread, full=full, dtype=dtype)
            by = 1.0 if reduction != "mean" else float(max(1, mean.size))
            found = xent.gaussian_nll_loss_and_grad(mean, y, var, full=full, reduction=reduction, backend=backend)
            compare(found, right, by, reduction, dtype, f"{shape} {full}")
            assert_same_bits(xent.gaussian_nll_loss(mean, y, var, full=full, reduction=reduction, backend=backend), found[0])


@contract()
def test_at_a_fixed_variance_the_gaussian_gradient_is_that_of_squared_error(backend: str) -> None:
    mean, y = normal(57, 5, 3.0, "float64"), normal(57, 5, 3.0, "float64", 1)
    for var in (0.25, 1.0, 9.0):
        _, (to_mean, _) = xent.gaussian_nll_loss_and_grad(mean, y, var, backend=backend)
        _, slope = xent.mse_loss_and_grad(mean, y, backend=backend)
        truth.assert_near(to_mean, slope / (2.0 * var), 1e-15 * np.abs(to_mean))


@contract()
def test_elementwise_gradients_are_the_central_differences_of_losses(backend: str) -> None:
    x, y, step = normal(5, 7, 2.0, "float64"), np.random.default_rng(1).random((5, 7)), 1e-6
    for function, only in (
        (xent.binary_cross_entropy_and_grad, lambda v: xent.binary_cross_entropy(v, y, reduction="none", backend=backend)),
        (xent.mse_loss_and_grad, lambda v: xent.mse_loss(v, y, reduction="none", backend=backend)),
    ):
        _, gradient = function(x, y, reduction="none", backend=backend)
        truth.assert_near(gradient, (only(x + step) - only(x - step)) / (2.0 * step), 1e-8)


@contract()
def test_one_logit_is_two_classes_of_which_one_is_zero(backend: str) -> None:
    x, y = normal(57, 1, 5.0, "float64")[:, 0], np.random.default_rng(1).integers(0, 2, 57)
    loss, gradient = xent.binary_cross_entropy_and_grad(x, y, backend=backend)
    both, slope = xent.cross_entropy_and_grad(np.stack([np.zeros(57), x], axis=1), y, backend=backend)
    truth.assert_near(loss, both, 1e-15)
    truth.assert_near(gradient, slope[:, 1], 1e-16)


@contract()
def test_a_normalizer_replaces_the_count(backend: str) -> None:
    x, y = normal(7, 5), np.random.default_rng(1).random((7, 5))
    for function in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        whole, slope = function(x, y, reduction="sum", backend=backend)
        loss, gradient = function(x, y, normalizer=8.0, backend=backend)
        assert loss == whole / np.float32(8.0)
        assert_same_bits(gradient, slope / np.float32(8.0))


@pytest.mark.parametrize("function", [xent.binary_cross_entropy, xent.mse_loss])
def test_lists_are_read(function: Any) -> None:
    assert function([0.0, 0.0], [0, 1], reduction="none").shape == (2,)
