"""Losses of numbers that are probabilities already: read as they are, refused where they cannot be, never repaired."""

import itertools

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import DTYPES, Array, assert_same_bits, contract, labels, probabilities, stored

N, C = 13, 7
WEIGHT = np.linspace(0.0, 2.0, C)
MARKED = np.where(np.arange(N) == 5, -100, labels(N, C))


def positive(n: int, c: int) -> Array:
    """[N, C] distributions without zeros."""
    return (probabilities(n, c) + 1.0 / c) / 2.0


def given(dtype: str, logarithms: bool) -> Array:
    p = positive(N, C)
    return stored(np.log(p) if logarithms else p, dtype)


def expected(x: Array, target: Array, weight: Array | None, logarithms: bool) -> tuple[Array, Array]:
    """Values and gradients of the rows."""
    wide, w = x.astype(np.float64), np.ones(C) if weight is None else weight
    surprisal, slope = (-wide, -np.ones_like(wide)) if logarithms else (-np.log(wide), -1.0 / wide)
    T = np.eye(C)[np.maximum(target, 0)] * (target != -100)[:, None] if target.ndim == 1 else target
    return (T * w * surprisal).sum(axis=1), T * w * slope


@contract(21, dtype=DTYPES, logarithms=(False, True), weighted=(False, True))
def test_every_reduction_is_the_truth(backend: str, dtype: str, logarithms: bool, weighted: bool) -> None:
    x, weight = given(dtype, logarithms), WEIGHT if weighted else None
    function = xent.nll_loss_and_grad if logarithms else xent.log_loss_and_grad
    value_only = xent.nll_loss if logarithms else xent.log_loss
    for target, reduction in itertools.product((MARKED, probabilities(N, C)), ("none", "sum", "mean")):
        right, slope = expected(x, target, weight, logarithms)
        count = N if target.ndim == 2 else (np.ones(C) if weight is None else weight)[target[target != -100]].sum()
        by = count if reduction == "mean" else 1.0
        loss, gradient = function(x, target, weight=weight, reduction=reduction, backend=backend)
        assert gradient.dtype == x.dtype
        whole = right if reduction == "none" else right.sum() / by
        truth.assert_near(loss, whole, 4 * truth.ulp(whole, truth.computed_in(dtype)))
        truth.assert_near(gradient, slope / by, 4 * truth.eps(dtype) * np.abs(slope) / by + truth.rounding(slope / by, dtype))
        assert_same_bits(value_only(x, target, weight=weight, reduction=reduction, backend=backend), loss)
        overridden = value_only(x, target, weight=weight, normalizer=2.0, backend=backend)
        truth.assert_near(overridden, right.sum() / 2.0, 4 * truth.ulp(right.sum(), truth.computed_in(dtype)))


@contract(21)
def test_log_probabilities_above_zero_are_refused(backend: str) -> None:
    log_p = np.log(positive(4, 3))
    log_p[2, 1] = 1e-3
    with pytest.raises(xent.DistributionError, match=r"log_probs must be at most 0; row 2 holds 0\.001 \(1 such rows\)"):
        xent.nll_loss(log_p, [0, 1, 2, 0], backend=backend)
    assert np.isfinite(xent.nll_loss(log_p, [0, 1, -100, 0], backend=backend))
    assert np.isfinite(xent.nll_loss(log_p, [0, 1, 2, 0], validate="off", backend=backend))


@contract(21, dtype=DTYPES)
def test_a_logarithm_that_rounded_to_just_above_zero_is_not_refused(backend: str, dtype: str) -> None:
    log_p = stored([[0.0, -40.0], [-1.0, -1.0]], dtype)
    log_p[0, 0] = truth.eps_of(dtype)
    assert np.isfinite(xent.nll_loss(log_p, [0, 1], backend=backend))


@contract(21)
def test_the_worst_row_is_named(backend: str) -> None:
    p = positive(5, 3)
    p[1] *= 1.01
    p[3] *= 1.5
    with pytest.raises(xent.DistributionError, match=r"row 3 sums to 1\.5 \(2 such rows\)"):
        xent.log_loss(p, np.zeros(5, int), backend=backend)
    p[2] = [1.5, -0.25, -0.25]
    with pytest.raises(xent.DistributionError, match=r"row 2 sums to 1 and holds -0\.25 \(3 such rows\)"):
        xent.log_loss(p, np.zeros(5, int), backend=backend)
    p[4, 1] = np.nan
    with pytest.raises(xent.DistributionError, match=r"row 4 sums to nan.* \(4 such rows\)"):
        xent.log_loss(p, np.zeros(5, int), backend=backend)


@contract(21, dtype=DTYPES)
def test_a_softmax_is_accepted_by_log_loss_and_a_log_softmax_by_nll_loss(backend: str, dtype: str) -> None:
    for classes, scale in itertools.product((1, 2, 10, 507, 50257), (0.1, 30.0)):
        x = stored(np.random.default_rng(0).normal(0.0, scale, (3, classes)), dtype)
        target = labels(3, classes)
        xent.log_loss(xent.softmax(x, backend=backend), target, backend=backend)
        xent.nll_loss(xent.log_softmax(x, backend=backend), target, backend=backend)


@contract(21)
def test_nothing_is_clipped(backend: str) -> None:
    p = np.array([[1.0, 0.0], [1.0, 5e-324], [1.0, 1e-300]])
    loss = xent.log_loss(p, [1, 1, 1], reduction="none", backend=backend)
    assert_same_bits(loss, np.array([np.inf, -np.log(5e-324), -np.log(1e-300)]))
    _, gradient = xent.log_loss_and_grad(p, [1, 1, 1], reduction="sum", backend=backend)
    np.testing.assert_array_equal(gradient[:, 0], [0.0, 0.0, 0.0])
    assert gradient[0, 1] == -np.inf
    with np.errstate(divide="ignore"):
        assert xent.nll_loss(np.log(p), [1, 0, 0], backend=backend) == np.inf


@contract(21)
def test_nothing_is_renormalised(backend: str) -> None:
    p = np.array([[0.3, 0.7]], np.float32) * np.float32(1.0 + 2.0**-21)
    loss = xent.log_loss(p, [0], backend=backend)
    truth.assert_near(loss, -np.log(p[0, 0].astype(np.float64)), truth.ulp(1.2, "float32"))
    off = xent.log_loss(np.array([[0.5, 0.25]]), [0], validate="off", backend=backend)
    truth.assert_near(off, np.log(2.0), 1e-15)


@contract(21)
def test_the_three_inputs_agree(backend: str) -> None:
    x, target = np.random.default_rng(0).normal(0.0, 3.0, (N, C)), labels(N, C)
    for goal in (target, probabilities(N, C)):
        from_logits = xent.cross_entropy(x, goal, backend=backend)
        truth.assert_near(xent.nll_loss(xent.log_softmax(x, backend=backend), goal, backend=backend), from_logits, 1e-14)
        truth.assert_near(xent.log_loss(xent.softmax(x, backend=backend), goal, backend=backend), from_logits, 1e-14)


def test_a_certain_row_costs_zero_and_not_minus_zero() -> None:
    for loss in (xent.nll_loss(np.array([[0.0, -np.inf]]), [0]), xent.log_loss(np.array([[1.0, 0.0]]), [0])):
        assert not np.signbit(loss)


def test_the_class_axis_may_be_any() -> None:
    p = np.moveaxis(positive(6, C).reshape(2, 3, C), -1, 1)
    target = labels(6, C).reshape(2, 3)
    loss, gradient = xent.log_loss_and_grad(p, target, axis=1, reduction="none")
    flat, slope = xent.log_loss_and_grad(positive(6, C), target.reshape(-1), reduction="none")
    np.testing.assert_array_equal(loss.reshape(-1), flat)
    np.testing.assert_array_equal(np.moveaxis(gradient, 1, -1).reshape(-1, C), slope)
