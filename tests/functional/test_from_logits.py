"""Losses of logits: every option and every combination of options against the truth, and the laws they keep."""

import itertools
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import DTYPES, assert_same_bits, contract, cross_entropy, labels, normal, poisoned, probabilities

N, C = 13, 7
WEIGHT = np.linspace(0.0, 2.0, C)
CHOICES: dict[str, tuple[Any, ...]] = {
    "weight": (None, WEIGHT),
    "label_smoothing": (0.0, 0.1),
    "z_loss": (0.0, 1e-2),
    "focal": (0.0, 2.0),
    "softcap": (None, 4.0),
    "scale": (1.0, 0.7),
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
REDUCTIONS = (("none", None), ("sum", None), ("mean", None), ("mean", 3.5))


def denominator(kind: str, target: np.ndarray, weight: np.ndarray | None, reduction: str, normalizer: float | None) -> float:
    """What a loss and its gradient are divided by."""
    if reduction != "mean":
        return 1.0
    if normalizer is not None:
        return normalizer
    if kind == "probabilities":
        return float(len(target))
    counted = target[target != -100]
    return float(len(counted) if weight is None else weight[counted].sum())


@contract(dtype=DTYPES, kind=("index", "probabilities"))
def test_every_combination_of_options_is_the_truth(backend: str, dtype: str, kind: str) -> None:
    x = normal(N, C, 3.0, dtype)
    target = np.where(np.arange(N) == 5, -100, labels(N, C)) if kind == "index" else probabilities(N, C)
    for options, (reduction, normalizer) in itertools.product(COMBINATIONS, REDUCTIONS):
        if kind == "probabilities" and options["focal"] and options["weight"] is not None:
            continue
        right = truth.rows(x, target, dtype=dtype, **options)
        by = denominator(kind, target, options["weight"], reduction, normalizer)
        loss, gradient = cross_entropy(backend, x, target, reduction=reduction, normalizer=normalizer, **options)
        what = f"{options} {reduction} {normalizer}"
        if reduction == "none":
            truth.assert_near(loss, right.value, right.value_limit, what)
        else:
            rounding = truth.ulp(right.value.sum() / by, truth.computed_in(dtype)) * (4 if dtype == "float64" else 1)
            truth.assert_near(loss, right.value.sum() / by, right.value_limit.sum() / by + rounding, what)
        # Dividing moves a gradient in half precision to another grid.
        limit = (
            2 * right.gradient_limit / by
            + truth.rounding(right.gradient / by, dtype)
            + 4 * truth.eps(dtype) * np.abs(right.gradient) / by
        )
        truth.assert_near(gradient, right.gradient / by, limit, what)


@contract(kind=("index", "probabilities"))
def test_gradients_are_the_central_differences_of_losses(backend: str, kind: str) -> None:
    x, step = normal(5, C, 2.0, "float64"), 1e-5
    target = labels(5, C) if kind == "index" else probabilities(5, C)
    for options in COMBINATIONS:
        if kind == "probabilities" and options["focal"] and options["weight"] is not None:
            continue
        _, gradient = cross_entropy(backend, x, target, **options)
        for j in range(C):
            moved = step * (np.arange(C) == j)
            up = xent.cross_entropy(x + moved, target, reduction="none", backend=backend, **options)
            down = xent.cross_entropy(x - moved, target, reduction="none", backend=backend, **options)
            truth.assert_near(gradient[:, j], (up - down) / (2.0 * step), 1e-8, f"{options} {j}")


@contract(dtype=DTYPES)
def test_a_divergence_is_the_truth_in_every_reduction(backend: str, dtype: str) -> None:
    for classes, options in itertools.product((1, 2, 10, 33, 507), ({}, {"weight": True}, {"softcap": 4.0, "scale": 0.7})):
        x, y = normal(N, classes, 3.0, dtype), probabilities(N, classes)
        options = options | ({"weight": np.linspace(0.5, 2.0, classes)} if "weight" in options else {})
        right = truth.rows(x, y, dtype=dtype, minus_target_entropy=True, **options)
        for reduction, by in (("none", 1.0), ("sum", 1.0), ("mean", float(N))):
            loss, gradient = xent.kl_divergence_loss_and_grad(
                x, y, out=poisoned(x), reduction=reduction, backend=backend, **options
            )
            value = right.value if reduction == "none" else right.value.sum() / by
            limit = right.value_limit if reduction == "none" else right.value_limit.sum() / by + truth.eps(dtype)
            truth.assert_near(loss, value, limit, f"{classes} {reduction}")
            limit = right.gradient_limit / by + truth.rounding(right.gradient / by, dtype)
            limit = limit + 4 * truth.eps(dtype) * np.abs(right.gradient) / by
            truth.assert_near(gradient, right.gradient / by, limit, f"{classes} {reduction}")
            assert_same_bits(xent.kl_divergence_loss(x, y, reduction=reduction, backend=backend, **options), loss)


@contract()
def test_cross_entropy_is_entropy_plus_divergence(backend: str) -> None:
    for classes in (2, 10, 33, 507):
        x, y = normal(N, classes, 3.0, "float64"), probabilities(N, classes)
        entropy = -truth.weigh(y, np.log(np.where(y == 0.0, 1.0, y))).sum(axis=1)
        ce = xent.cross_entropy(x, y, reduction="none", backend=backend)
        truth.assert_near(ce, entropy + xent.kl_divergence_loss(x, y, reduction="none", backend=backend), 1e-13)


@contract(dtype=DTYPES)
def test_a_divergence_is_never_negative_but_for_rounding_and_zero_at_the_softmax(backend: str, dtype: str) -> None:
    for classes in (2, 10, 507):
        x = normal(N, classes, 1.0, dtype)
        p = truth.softmax(x.astype(np.float64)).p
        own = -(p * np.log(p)).sum(axis=1)
        nothing = xent.kl_divergence_loss(x, p, reduction="none", backend=backend)
        truth.assert_near(nothing, np.zeros(N), 8 * truth.eps(dtype) * own)
        assert (xent.kl_divergence_loss(x, probabilities(N, classes), reduction="none", backend=backend) > 0.0).all()


@contract(dtype=DTYPES)
def test_each_gradient_row_sums_to_zero(backend: str, dtype: str) -> None:
    """Without a soft cap or z-loss: probabilities can only be moved about."""
    for classes in (2, 10, 33, 507):
        x = normal(N, classes, 3.0, dtype)
        for target in (labels(N, classes), probabilities(N, classes)):
            for options in ({}, {"label_smoothing": 0.1}, {"focal": 2.0}, {"scale": 0.5}):
                _, gradient = cross_entropy(backend, x, target, **options)
                wide = gradient.astype(np.float64)
                limit = (truth.ulp(wide, dtype) + 8 * truth.eps(dtype) * np.abs(wide)).sum(axis=1) + 8 * truth.eps(dtype)
                truth.assert_near(wide.sum(axis=1), np.zeros(N), limit, f"{classes} {options}")


@contract()
def test_shifting_logits_changes_nothing(backend: str) -> None:
    for classes in (2, 10, 33, 507):
        x = np.round(normal(N, classes, 3.0, "float64") * 64) / 64
        target = labels(N, classes)
        loss, gradient = cross_entropy(backend, x.astype(np.float32), target)
        for shift in (-1000.0, 0.25, 1000.0):
            moved, slope = cross_entropy(backend, (x + shift).astype(np.float32), target)
            truth.assert_near(moved, loss, 4 * truth.ulp(loss, "float32"), f"{classes} {shift}")
            truth.assert_near(slope, gradient, 1e-6 * np.abs(gradient) + 1e-30, f"{classes} {shift}")


@contract()
def test_a_duplicated_row_counts_twice(backend: str) -> None:
    x, target, weight = normal(N, C, 3.0, "float64"), labels(N, C), np.linspace(0.5, 2.0, C)
    twice, goal = np.concatenate([x, x[3:4]]), np.concatenate([target, target[3:4]])
    loss, gradient = cross_entropy(backend, twice, goal, weight=weight, reduction="mean")
    each = xent.cross_entropy(x, target, weight=weight, reduction="none", backend=backend)
    w = weight[target]
    truth.assert_near(loss, (each.sum() + each[3]) / (w.sum() + w[3]), 1e-14)
    assert_same_bits(gradient[3], gradient[-1])


@contract()
def test_parts_merged_equal_the_whole(backend: str) -> None:
    x, target, weight = normal(N, C, 3.0, "float64"), labels(N, C), np.linspace(0.5, 2.0, C)
    whole, gradient = cross_entropy(backend, x, target, weight=weight, reduction="mean")
    count = weight[target].sum()
    value, slopes = 0.0, []
    for part in (slice(0, 4), slice(4, 5), slice(5, None)):
        loss, slope = cross_entropy(backend, x[part], target[part], weight=weight, reduction="mean", normalizer=count)
        value += loss
        slopes.append(slope)
    truth.assert_near(value, whole, 1e-14)
    truth.assert_near(np.concatenate(slopes), gradient, 1e-16)


@contract()
def test_reordering_classes_reorders_the_gradient(backend: str) -> None:
    for classes in (2, 10, 33, 507):
        x, target, order = normal(N, classes, 3.0), labels(N, classes), np.random.default_rng(0).permutation(classes)
        loss, gradient = cross_entropy(backend, x, target)
        moved, slope = cross_entropy(backend, x[:, order], np.argsort(order)[target])
        truth.assert_near(moved, loss, 4 * truth.ulp(loss, "float32"))
        truth.assert_near(slope, gradient[:, order], 1e-6 * np.abs(gradient[:, order]) + 1e-30)


@contract()
def test_a_scale_is_a_scale_of_the_logits(backend: str) -> None:
    x, target = normal(N, C, 3.0, "float64"), labels(N, C)
    loss, gradient = cross_entropy(backend, x, target, scale=0.25)
    right, slope = cross_entropy(backend, x * 0.25, target)
    truth.assert_near(loss, right, 1e-15)
    truth.assert_near(gradient, slope * 0.25, 1e-16)
    uniform, flat = cross_entropy(backend, x, target, scale=0.0)
    truth.assert_near(uniform, np.full(N, np.log(C)), 1e-15)
    assert not flat.any()


@contract()
def test_a_soft_cap_far_away_changes_nothing(backend: str) -> None:
    x, target = normal(N, C, 3.0, "float64"), labels(N, C)
    loss, gradient = cross_entropy(backend, x, target, softcap=1e8)
    right, slope = cross_entropy(backend, x, target)
    truth.assert_near(loss, right, 1e-12)
    truth.assert_near(gradient, slope, 1e-12)


@contract()
def test_options_that_say_nothing_change_no_bit(backend: str) -> None:
    x, target = normal(N, C), labels(N, C)
    plain = cross_entropy(backend, x, target)
    for options in ({"label_smoothing": 0}, {"z_loss": 0}, {"focal": 0}, {"scale": 1}, {"weight": np.ones(C)}):
        for found, right in zip(cross_entropy(backend, x, target, **options), plain, strict=True):
            assert_same_bits(found, right, str(options))


@pytest.mark.parametrize("name", ["label_smoothing", "z_loss", "focal", "scale", "softcap", "normalizer"])
@pytest.mark.parametrize("bad", ["0.1", [0.1], float("nan"), 1j])
def test_an_option_that_is_no_number_is_refused_by_name(name: str, bad: object) -> None:
    with pytest.raises(xent.ArgumentError, match=f"{name} must be a number"):
        xent.cross_entropy(normal(3, 4), labels(3, 4), **{name: bad})
