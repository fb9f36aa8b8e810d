"""Units, target kinds, means, shapes without rows or classes, weights, smoothing: rows 1, 2, 4, 5, 12, 13, 14, 22."""

import numpy as np
import pytest
import torch

import xent
from tests import truth
from tests.contract.conventions import (
    DTYPES,
    assert_rows,
    assert_same_bits,
    contract,
    cross_entropy,
    dtype_of,
    labels,
    normal,
    probabilities,
    stored,
)

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
HALF_ULP = 2.0**-24


@contract(1, dtype=DTYPES)
def test_losses_are_in_nats(backend: str, dtype: str) -> None:
    for classes in (1, 2, 10, 33, 1000):
        loss, _ = cross_entropy(backend, stored(np.full((3, classes), 0.5), dtype), np.zeros(3, int))
        truth.assert_near(loss, np.full(3, np.log(classes)), 4 * truth.ulp(np.log(classes), truth.computed_in(dtype)))


@contract(1)
def test_nats_are_bits_times_ln_2(backend: str) -> None:
    y, logits = probabilities(1, 10), normal(1, 10, dtype="float64")
    nats = xent.cross_entropy(logits, y, backend=backend)
    in_bits = xent.information.cross_entropy(y[0], truth.softmax(logits).p[0], unit="bit")
    truth.assert_near(nats, in_bits * np.log(2.0), 1e-14)


@contract(2, integer=INTEGERS)
def test_every_integer_dtype_means_class_indices(backend: str, integer: str) -> None:
    x, target = normal(7, 100), labels(7, 100)
    for found, expected in zip(cross_entropy(backend, x, target.astype(integer)), cross_entropy(backend, x, target), strict=True):
        assert_same_bits(found, expected)


@contract(2, dtype=DTYPES)
def test_floats_shaped_like_the_logits_are_probabilities(backend: str, dtype: str) -> None:
    x, y = normal(7, 33, dtype="float32"), stored(np.eye(33)[labels(7, 33)] * 0.75 + np.eye(33)[labels(7, 33, 9)] * 0.25, dtype)
    assert_rows(backend, x, y)


@contract(2, dtype=DTYPES)
def test_a_one_hot_distribution_is_its_index(backend: str, dtype: str) -> None:
    x, target = normal(7, 10, dtype=dtype), labels(7, 10)
    right = truth.rows(x, target, dtype=dtype)
    loss, gradient = cross_entropy(backend, x, np.eye(10, dtype=np.float32)[target])
    truth.assert_near(loss, right.value, right.value_limit)
    truth.assert_near(gradient, right.gradient, right.gradient_limit + 4 * truth.eps(dtype))


@contract(2)
def test_lists_and_single_rows_are_read(backend: str) -> None:
    assert xent.cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1], backend=backend) == np.log(2.0)
    assert xent.cross_entropy(np.zeros(4), 3, backend=backend) == np.log(4.0)
    assert xent.cross_entropy([0.0, 0.0], [0.5, 0.5], backend=backend) == np.log(2.0)


@contract(2)
def test_the_class_axis_may_be_any(backend: str) -> None:
    rng = np.random.default_rng(0)
    x, target = rng.normal(size=(3, 5, 4)).astype(np.float32), rng.integers(0, 3, (5, 4))
    for axis in (0, 1, 2, -1, -2, -3):
        moved = np.ascontiguousarray(np.moveaxis(np.moveaxis(x, 0, -1), -1, axis))
        loss, gradient = cross_entropy(backend, moved, target, axis=axis)
        right = truth.rows(np.moveaxis(x, 0, -1).reshape(-1, 3), target.reshape(-1))
        truth.assert_near(loss, right.value.reshape(5, 4), right.value_limit.reshape(5, 4), f"axis {axis}")
        rows = np.moveaxis(gradient, axis, -1).reshape(-1, 3)
        truth.assert_near(rows, right.gradient, right.gradient_limit, f"axis {axis}")


@contract(4, weighted=(False, True), kind=("index", "probabilities"))
def test_a_mean_is_that_of_torch(backend: str, weighted: bool, kind: str) -> None:
    x, target = normal(257, 10, dtype="float64"), labels(257, 10)
    weight = np.linspace(0.0, 2.0, 10) if weighted else None
    goal = probabilities(257, 10) if kind == "probabilities" else np.where(target == 3, -100, target)
    theirs = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(goal), None if weight is None else torch.tensor(weight))
    expected.backward()
    loss, gradient = cross_entropy(backend, x, goal, weight=weight, reduction="mean")
    truth.assert_near(loss, expected.item(), 1e-13)
    truth.assert_near(gradient, theirs.grad.numpy(), 1e-15)


@contract(4, weighted=(False, True), kind=("index", "probabilities"))
def test_a_mean_is_the_sum_over_its_denominator(backend: str, weighted: bool, kind: str) -> None:
    x, target = normal(57, 10), labels(57, 10)
    weight = np.linspace(0.0, 2.0, 10) if weighted else None
    if kind == "probabilities":
        goal, denominator = probabilities(57, 10), 57.0
    else:
        goal = np.where(target == 3, -100, target)
        denominator = (target != 3).sum() if weight is None else weight[target[target != 3]].sum()
    each, _ = cross_entropy(backend, x, goal, weight=weight)
    whole, slope = cross_entropy(backend, x, goal, weight=weight, reduction="sum")
    limit = 2 * truth.rows(x, goal, weight=weight).gradient_limit
    truth.assert_near(whole, each.astype(np.float64).sum(), HALF_ULP * 2 * each.sum())
    for normalizer in (None, 3.5, 1000):
        by = denominator if normalizer is None else normalizer
        loss, gradient = cross_entropy(backend, x, goal, weight=weight, reduction="mean", normalizer=normalizer)
        truth.assert_near(loss, whole / by, 4 * HALF_ULP * whole / by, f"normalizer {normalizer}")
        truth.assert_near(gradient, slope / by, limit / by, f"normalizer {normalizer}")


@contract(5, empty=("nan", "zero", "raise"), case=("all ignored", "no rows", "weight 0"))
def test_a_mean_over_nothing(backend: str, empty: str, case: str) -> None:
    x = normal(0 if case == "no rows" else 3, 5)
    x[1:2] = np.nan if case == "all ignored" else 0.0
    target = np.full(len(x), -100 if case == "all ignored" else 2)
    options = {"reduction": "mean", "empty": empty, "weight": np.array([1.0, 1.0, 0.0, 1.0, 1.0]) if case == "weight 0" else None}
    if empty == "raise":
        with pytest.raises(xent.EmptyMeanError, match="at least one counted row"):
            cross_entropy(backend, x, target, **options)
        return
    loss, gradient = cross_entropy(backend, x, target, **options)
    assert_same_bits(loss, np.float32(0.0 if empty == "zero" else np.nan))
    assert_same_bits(gradient, np.zeros_like(x))


@contract(5)
def test_a_sum_over_nothing_is_zero(backend: str) -> None:
    for x, target in ((normal(3, 5), np.full(3, -100)), (normal(0, 5), np.zeros(0, int))):
        loss, gradient = cross_entropy(backend, x, target, reduction="sum")
        assert_same_bits(loss, np.float32(0.0))
        assert_same_bits(gradient, np.zeros_like(x))


@contract(5)
def test_an_elementwise_mean_over_nothing(backend: str) -> None:
    nothing = np.zeros((0, 3), np.float32)
    for loss in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        assert np.isnan(loss(nothing, nothing, backend=backend)[0])
        value, gradient = loss(nothing, nothing, empty="zero", backend=backend)
        assert value == 0.0
        assert gradient.shape == (0, 3)
        with pytest.raises(xent.EmptyMeanError):
            loss(nothing, nothing, empty="raise", backend=backend)


@contract(12, kind=("index", "probabilities"))
def test_class_weights_are_finite_and_not_negative(backend: str, kind: str) -> None:
    x, goal = normal(7, 3), labels(7, 3) if kind == "index" else probabilities(7, 3)
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"finite and not negative; weight\[1\] is"):
            cross_entropy(backend, x, goal, weight=[1.0, bad, 1.0])


@contract(12, dtype=DTYPES)
def test_a_class_of_weight_zero_says_nothing(backend: str, dtype: str) -> None:
    x, target, weight = normal(7, 10, dtype=dtype), labels(7, 10), np.ones(10)
    weight[target[2]] = 0.0
    x[2] = stored(np.full(10, -np.inf), dtype)
    loss, gradient = cross_entropy(backend, x, target, weight=weight)
    assert loss[2] == 0.0
    assert not gradient[2].astype(np.float64).any()
    assert np.isfinite(loss).all()


@contract(13, dtype=DTYPES)
def test_rounded_distributions_pass_and_others_do_not(backend: str, dtype: str) -> None:
    for classes in (2, 33, 507, 50257):
        x, y = normal(2, classes), stored(probabilities(2, classes), dtype)
        wide = y.astype(np.float64)
        y = stored(wide / wide.sum(axis=1, keepdims=True), dtype)
        assert np.isfinite(cross_entropy(backend, x, y)[0]).all()
        with pytest.raises(xent.DistributionError, match="row 1 sums to"):
            cross_entropy(backend, x, stored(y.astype(np.float64) * [[1.0], [4.0]], dtype))


@contract(13)
def test_a_negative_probability_is_refused_though_the_row_sums_to_one(backend: str) -> None:
    for y in ([[0.5, 0.5, 0.0], [1.25, 0.0, -0.25]], [[0.0, 1.0, 0.0], [np.nan, 0.0, 1.0]]):
        with pytest.raises(xent.DistributionError, match="row 1 "):
            cross_entropy(backend, normal(2, 3), np.array(y))


@contract(13)
def test_validation_warns_or_rests_as_asked(backend: str) -> None:
    x, y = normal(2, 3), np.array([[0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
    with pytest.warns(xent.DistributionWarning, match=r"row 0 sums to 1\.5"):
        warned, _ = cross_entropy(backend, x, y, validate="warn")
    right = truth.rows(x, y)
    truth.assert_near(warned, right.value, right.value_limit)
    assert_same_bits(cross_entropy(backend, x, y, validate="off")[0], warned)


@contract(14, dtype=DTYPES)
def test_one_class_is_certain(backend: str, dtype: str) -> None:
    x = normal(7, 1, 100.0, dtype)
    for target in (np.zeros(7, int), np.ones((7, 1))):
        loss, gradient = cross_entropy(backend, x, target)
        assert_same_bits(loss, np.zeros(7, truth.computed_in(dtype)))
        assert_same_bits(np.abs(gradient), np.zeros((7, 1), dtype_of(dtype)))


@contract(14)
def test_no_class_is_an_error(backend: str) -> None:
    with pytest.raises(ValueError, match="at least one class"):
        cross_entropy(backend, np.zeros((3, 0), np.float32), np.zeros(3, int))


@contract(14, dtype=DTYPES)
def test_no_rows_have_no_losses(backend: str, dtype: str) -> None:
    loss, gradient = cross_entropy(backend, normal(0, 5, dtype=dtype), np.zeros(0, int))
    assert loss.shape == (0,)
    assert gradient.shape == (0, 5)


@contract(22, weighted=(False, True), kind=("index", "probabilities"))
def test_smoothing_is_that_of_torch(backend: str, weighted: bool, kind: str) -> None:
    x, target = normal(57, 10, dtype="float64"), np.where(labels(57, 10) == 3, -100, labels(57, 10))
    goal = probabilities(57, 10) if kind == "probabilities" else target
    weight = np.linspace(0.0, 2.0, 10) if weighted else None
    for eps in (0.1, 0.5, 1.0):
        for reduction in ("none", "mean", "sum"):
            theirs = torch.tensor(x, requires_grad=True)
            expected = torch.nn.functional.cross_entropy(
                theirs,
                torch.tensor(goal),
                None if weight is None else torch.tensor(weight),
                reduction=reduction,
                label_smoothing=eps,
            )
            expected.sum().backward()
            loss, gradient = cross_entropy(backend, x, goal, weight=weight, label_smoothing=eps, reduction=reduction)
            truth.assert_near(loss, expected.detach().numpy(), 1e-12, f"{eps} {reduction}")
            truth.assert_near(gradient, theirs.grad.numpy(), 1e-14, f"{eps} {reduction}")


@contract(22, dtype=DTYPES)
def test_smoothing_is_cross_entropy_with_the_smoothed_target(backend: str, dtype: str) -> None:
    x, target, eps = normal(7, 33, dtype=dtype), labels(7, 33), 0.1
    right = truth.rows(x, (1.0 - eps) * np.eye(33)[target] + eps / 33, dtype=dtype)
    loss, gradient = cross_entropy(backend, x, target, label_smoothing=eps)
    truth.assert_near(loss, right.value, right.value_limit)
    truth.assert_near(gradient, right.gradient, right.gradient_limit)
