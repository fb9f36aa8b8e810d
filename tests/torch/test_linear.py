"""A linear loss is the loss of stored logits: every option and their combinations, every kind of target, every way."""

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import xent
import xent.torch as xt
from tests.functional.linear import plans_taken
from tests.torch.linear import (
    CLASSES_ONLY,
    EVERY_WAY,
    EXACT,
    KERNEL_WAYS,
    C,
    D,
    N,
    assert_dense,
    dense,
    everything,
    head,
    hidden,
    labels,
    mixture,
    pair,
    target_of,
)
from tests.torch.ways import INF, assert_same

W, B = head()
H = hidden(N)
WEIGHT = torch.linspace(0.0, 2.0, C, dtype=torch.float64)
SAMPLE = torch.arange(N).double() % 4 / 2
CHOICES: dict[str, tuple[Any, ...]] = {
    "weight": (None, WEIGHT),
    "sample_weight": (None, SAMPLE),
    "label_smoothing": (0.0, 0.1),
    "z_loss": (0.0, 1e-2),
    "focal": (0.0, 2.0),
    "softcap": (None, 4.0),
    "scale": (1.0, -0.7),
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]
REDUCTIONS: tuple[dict[str, Any], ...] = (
    {"reduction": "none"},
    {"reduction": "sum"},
    {"reduction": "mean"},
    {"reduction": "mean", "normalizer": 3.5},
    {"reduction": "mean", "normalizer": torch.tensor(3.5, dtype=torch.float64)},
)
KINDS = ("labels", "probabilities", "pair")

every_way = pytest.mark.parametrize("way", EVERY_WAY.values(), ids=EVERY_WAY)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
@every_way
def test_every_combination_of_options_is_that_of_stored_logits(way: dict[str, Any], kind: str) -> None:
    target, used = target_of(kind, N), list(EVERY_WAY.values()).index(way)
    for number, options in enumerate(COMBINATIONS):
        if number % 8 != used or (kind != "labels" and options["focal"] and options["weight"] is not None):
            continue
        for reduction in (REDUCTIONS[(number // 8) % 5], REDUCTIONS[(number // 8 + 2) % 5]):
            assert_dense((H, W, B), target, way, **options, **reduction)


@pytest.mark.parametrize("name", KERNEL_WAYS)
def test_each_way_is_the_way_it_says(name: str) -> None:
    order = "classes" if name.endswith("classes") else "rows"
    with plans_taken() as plans:
        everything(xt.linear_cross_entropy, (H, W, B), labels(N), **KERNEL_WAYS[name])
    assert [plan.order for plan in plans] == [order]
    assert (plans[0].rows == 5) is name.endswith("five rows")
    assert plans[0].products == (4 if order == "classes" else 3)


def test_the_memory_limit_decides_as_the_plan_tells() -> None:
    # What NumPy's products take for themselves, PyTorch's do not.
    room = xent.schedules.linear.algebra.NumpyAlgebra.room
    for limit in (CLASSES_ONLY, 20_000, 100_000):
        told = xent.plan_linear(N, C, D, dtype="float64", memory_limit=limit + room)
        with plans_taken() as plans:
            everything(xt.linear_cross_entropy, (H, W), labels(N, ignored=False), memory_limit=limit)
        assert [(plan.order, plan.products) for plan in plans] == [(told.order, told.products)]
        assert plans[0].bytes <= limit


@every_kind
@every_way
@pytest.mark.parametrize("shift", [0, 1, 2, 9])
def test_hidden_states_of_any_leading_shape_and_targets_ahead(way: dict[str, Any], kind: str, shift: int) -> None:
    for lead in ((2, 6), (4, 1, 3)):
        h, target = hidden(*lead), target_of(kind, *lead)
        sample = SAMPLE.reshape(lead)
        for reduction in ("none", "mean"):
            for v in (None, sample):
                assert_dense((h, W, B), target, way, shift=shift, reduction=reduction, sample_weight=v, empty="zero")


@every_kind
@every_way
def test_one_row(way: dict[str, Any], kind: str) -> None:
    target = target_of(kind)
    for reduction in ("none", "mean", "sum"):
        assert_dense((H[0], W, B), target, way, reduction=reduction)
        assert xt.linear_cross_entropy(H[0], W, target, reduction=reduction, **way).shape == ()
    for shift in (1, 2):
        assert_dense((hidden(3), W, B), target_of(kind, 3), way, shift=shift)


@every_kind
@every_way
def test_a_bias_of_minus_infinity_masks_a_class(way: dict[str, Any], kind: str) -> None:
    masked = torch.arange(C) % 3 == 1
    bias = B.masked_fill(masked, -INF)
    target: Any = target_of(kind, N)
    if kind == "labels":
        target = torch.where((target >= 0) & masked[target], target - 1, target)
    if kind == "pair":
        places = torch.where(masked[target[0]], target[0] - 1, target[0])
        target = (places, target[1])
    for options in ({}, {"z_loss": 0.1, "softcap": 4.0}):
        value, by_hidden, by_weight, by_bias = everything(
            xt.linear_cross_entropy, (H, W, bias), target, **options, reduction="sum", **way
        )
        expected = everything(dense, (H, W[~masked], bias[~masked]), without(target, masked), reduction="sum", **options)
        assert not by_weight[masked].any()
        assert not by_bias[masked].any()
        for found, right in zip((value, by_hidden, by_weight[~masked], by_bias[~masked]), expected, strict=True):
            assert_close(found, right, **EXACT)
    if kind == "labels":
        assert xt.linear_cross_entropy(H, W, torch.full((N,), 1), linear_bias=bias, **way) == INF


def without(target: Any, masked: Tensor) -> Any:
    """The target where there are no such classes."""
    number = torch.cumsum(~masked, 0) - 1
    if isinstance(target, tuple):
        return number[target[0]], target[1]
    if target.is_floating_point():
        return target[..., ~masked]
    return torch.where(target < 0, target, number[target.clamp(min=0)])


@every_way
def test_a_pair_is_the_probabilities_it_stands_for(way: dict[str, Any]) -> None:
    few, mass = pair(2, 3)
    whole = torch.zeros(2, 3, C, dtype=torch.float64).scatter_add(-1, few, mass)
    for options in ({}, {"weight": WEIGHT, "label_smoothing": 0.1, "shift": 1}):
        a = everything(xt.linear_cross_entropy, (hidden(2, 3), W, B), (few, mass), **options, **way)
        b = everything(xt.linear_cross_entropy, (hidden(2, 3), W, B), whole, **options, **way)
        for found, right in zip(a, b, strict=True):
            assert_close(found, right, **EXACT)


@every_way
def test_a_mean_over_nothing(way: dict[str, Any]) -> None:
    nothing: tuple[tuple[Tensor, Any, dict[str, Any]], ...] = (
        (H, torch.full((N,), -100), {}),
        (H[:0], labels(0), {}),
        (H, labels(N), {"sample_weight": torch.zeros(N)}),
        (H, torch.zeros(N, dtype=torch.long), {"weight": WEIGHT}),
        (hidden(3, 1), labels(3, 1), {"shift": 1}),
        (H[:0], mixture(0), {}),
        (H[:0], pair(0), {}),
    )
    for h, target, options in nothing:
        for empty, right in (("nan", torch.nan), ("zero", 0.0)):
            value, *gradients = everything(xt.linear_cross_entropy, (h, W, B), target, empty=empty, **options, **way)
            assert_same(value, torch.tensor(right, dtype=torch.float64), empty)
            for found, like in zip(gradients, (h, W, B), strict=True):
                assert_same(found, torch.zeros_like(like), f"{tuple(h.shape)} {empty} {options}")
        with pytest.raises(xent.EmptyMeanError, match="at least one counted row"):
            xt.linear_cross_entropy(h, W, target, empty="raise", **options, **way)
        assert xt.linear_cross_entropy(h, W, target, reduction="sum", **options, **way) == 0.0
        assert not xt.linear_cross_entropy(h, W, target, reduction="none", **options, **way).any()


@every_way
def test_one_class_costs_nothing(way: dict[str, Any]) -> None:
    value, *gradients = everything(xt.linear_cross_entropy, (H, W[:1], B[:1]), torch.zeros(N, dtype=torch.long), **way)
    assert value == 0.0
    assert not any(part.any() for part in gradients)


@every_way
@pytest.mark.parametrize("integer", ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"])
def test_every_integer_dtype_means_class_indices(way: dict[str, Any], integer: str) -> None:
    target = labels(N, classes=100, ignored=False)
    found = everything(xt.linear_cross_entropy, (H, W[:100]), target.to(getattr(torch, integer)), ignore_index=5, **way)
    for ours, right in zip(found, everything(xt.linear_cross_entropy, (H, W[:100]), target, ignore_index=5, **way), strict=True):
        assert_same(ours, right)


def test_a_target_given_as_probabilities_is_checked_where_asked() -> None:
    counts, (few, mass) = 2.0 * mixture(N), pair(N)
    said = r"sums to 2 \(12 such rows\)"
    for target in (counts, (few, 2.0 * mass)):
        for way in ({}, {"backend": "torch"}, {"memory_limit": CLASSES_ONLY}):
            xt.linear_cross_entropy(H, W, target, **way)
            with pytest.raises(xent.DistributionError, match=said):
                xt.linear_cross_entropy(H, W, target, validate="raise", **way)
            with pytest.warns(xent.DistributionWarning, match=said):
                xt.linear_cross_entropy(H, W, target, validate="warn", **way)


@every_way
def test_upstream_goes_into_every_gradient(way: dict[str, Any]) -> None:
    def gradients(factor: float, reduction: str) -> tuple[Tensor, ...]:
        at = [t.clone().requires_grad_() for t in (H, W, B)]
        loss = xt.linear_cross_entropy(at[0], at[1], labels(N), linear_bias=at[2], reduction=reduction, **way)
        return torch.autograd.grad((factor * loss).sum(), at)

    for factor in (0.25, 3.7, -1.0, 0.0, 65536.0):
        for reduction in ("mean", "sum", "none"):
            for found, one in zip(gradients(factor, reduction), gradients(1.0, reduction), strict=True):
                assert_close(found, factor * one, **EXACT)
