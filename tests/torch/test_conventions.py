"""The conventions through the PyTorch door: targets, means, ignored rows, infinities, refusals: rows 1 to 14, 21 and 22."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import xent
import xent.torch as xt
from tests import truth
from tests.torch.ways import (
    DTYPES,
    FORMULA,
    INF,
    NAN,
    WAYS,
    array,
    assert_like,
    assert_rows,
    assert_same,
    cross_entropy,
    labels,
    normal,
    probabilities,
    tensor,
    with_gradient,
)

every_way = pytest.mark.parametrize("way", WAYS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"label_smoothing": 0.1},
    {"z_loss": 1e-2},
    {"focal": 2.0},
    {"label_smoothing": 0.1, "z_loss": 1e-2, "focal": 1.5, "softcap": 5.0, "scale": 0.5},
)
WIDTHS = (2, 10, 33)


def spoiled(x: Tensor, where: Tensor) -> Tensor:
    """The logits with rows of NaN, inf, −inf and nothing but −inf in turn."""
    bad = x.clone()
    for r, value in zip(where.nonzero().flatten().tolist(), [NAN, INF, -INF] * len(x), strict=False):
        bad[r, r % x.shape[1] :: 2] = value
    bad[where.nonzero().flatten()[-1]] = -INF
    return bad


@every_way
@every_dtype
def test_1_losses_are_in_nats(way: str, dtype: str) -> None:
    for classes in (2, 10, 1000):
        loss, gradient = cross_entropy(way, tensor(np.full((3, classes), 0.5), dtype), torch.zeros(3, dtype=torch.long))
        nats = np.log(classes)
        truth.assert_near(array(loss), np.full(3, nats), 4 * truth.ulp(nats, truth.computed_in(dtype)))
        truth.assert_near(array(gradient)[:, 0], np.full(3, 1 / classes - 1), 2 * truth.ulp(1.0, dtype))


@every_way
@pytest.mark.parametrize("integer", INTEGERS)
def test_2_every_integer_dtype_means_class_indices(way: str, integer: str) -> None:
    x, target = normal(7, 100), labels(7, 100)
    for found, right in zip(
        cross_entropy(way, x, target.to(getattr(torch, integer))), cross_entropy(way, x, target), strict=True
    ):
        assert_same(found, right)
    picked = xt.nll_loss(x - 10.0, target.to(getattr(torch, integer)), backend=way)
    assert_same(picked, xt.nll_loss(x - 10.0, target, backend=way))


@every_way
@every_dtype
def test_2_floats_shaped_like_the_logits_are_probabilities(way: str, dtype: str) -> None:
    x, y = normal(7, 33), tensor(array(probabilities(7, 33)), dtype)
    assert_rows(way, x, y)
    spatial = x.T.reshape(1, 33, 7)
    value = xt.cross_entropy(spatial, y.T.reshape(1, 33, 7), reduction="none", backend=way)
    assert_like(way, value[0], cross_entropy(way, x, y)[0])


@every_way
def test_2_a_binary_target_may_be_of_any_dtype(way: str) -> None:
    x, yes = normal(7, 5), normal(7, 5, seed=4) > 0
    for loss, given in ((xt.binary_cross_entropy_with_logits, x), (xt.binary_cross_entropy, x.sigmoid())):
        value, gradient = with_gradient(loss, given, yes.float(), backend=way)
        for dtype in (torch.bool, torch.int64, torch.uint8, torch.float64, torch.float16):
            again, slope = with_gradient(loss, given, yes.to(dtype), backend=way)
            assert_like(way, again, value, str(dtype))
            assert_like(way, slope, gradient, str(dtype))


@every_way
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@every_dtype
def test_3_ignored_rows_count_nothing_whatever_they_hold(way: str, dtype: str, options: dict[str, Any]) -> None:
    for classes in WIDTHS:
        x, target, weight = normal(29, classes, 3.0, dtype), labels(29, classes), torch.linspace(0.5, 2.0, classes)
        ignored = torch.arange(29) % 3 == 1
        target[ignored] = -100
        bad = spoiled(x, ignored)
        loss, gradient = cross_entropy(way, bad, target, weight=weight, **options)
        kept, slope = cross_entropy(way, x[~ignored], target[~ignored], weight=weight, **options)
        assert_like(way, loss[~ignored], kept, f"{classes} classes")
        assert_like(way, gradient[~ignored], slope, f"{classes} classes")
        assert not loss[ignored].any()
        assert not gradient[ignored].any()
        mean, gradient = cross_entropy(way, bad, target, weight=weight, reduction="mean", **options)
        expected, slope = cross_entropy(way, x[~ignored], target[~ignored], weight=weight, reduction="mean", **options)
        truth.assert_near(array(mean), array(expected), 16 * truth.ulp(array(expected), truth.computed_in(dtype)))
        rounded = 4 * truth.ulp(array(slope), dtype) + truth.eps(dtype) * (way == FORMULA)
        truth.assert_near(array(gradient[~ignored]), array(slope), rounded)
        assert not gradient[ignored].any()


@every_way
def test_3_ignored_rows_count_nothing_in_anything_else(way: str) -> None:
    x, target = normal(6, 5), labels(6, 5)
    ignored = torch.tensor([False, True, False, True, True, False])
    target[ignored] = 7
    bad = spoiled(x, ignored)
    loss, gradient = with_gradient(xt.nll_loss, bad - 10.0, target, ignore_index=7, validate="off", backend=way)
    kept, slope = with_gradient(xt.nll_loss, x[~ignored] - 10.0, target[~ignored], backend=way)
    assert_like(way, loss, kept)
    assert_like(way, gradient[~ignored], slope)
    assert not gradient[ignored].any()
    leaf = bad.clone().requires_grad_()
    _, stats = xt.cross_entropy(leaf, target, ignore_index=7, return_stats=True, backend=way)
    (by_stats,) = torch.autograd.grad(stats.lse.sum() + stats.log_prob.sum() + stats.entropy.sum(), leaf)
    for part in (stats.lse, stats.log_prob, stats.entropy, by_stats):
        assert not part[ignored].any()
        assert part[~ignored].isfinite().all()
    assert (stats.rank[ignored] == -1).all()
    loss = xt.cross_entropy(leaf, target, ignore_index=7, backend=way)
    (first,) = torch.autograd.grad(loss, leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), leaf)
    assert not second[ignored].any()
    assert second.isfinite().all()


@every_way
@pytest.mark.parametrize("kind", ["index", "probabilities"])
@pytest.mark.parametrize("eps", [0.0, 0.1, 1.0])
def test_4_and_22_means_and_smoothing_are_those_of_torch(way: str, kind: str, eps: float) -> None:
    x, target = normal(57, 10, dtype="float64"), labels(57, 10)
    goal = probabilities(57, 10) if kind == "probabilities" else torch.where(target == 3, -100, target)
    for weight in (None, torch.linspace(0.0, 2.0, 10, dtype=torch.float64)):
        for reduction in ("none", "mean", "sum"):
            options: dict[str, Any] = {"weight": weight, "reduction": reduction, "label_smoothing": eps}
            loss, gradient = cross_entropy(way, x, goal, **options)
            expected, slope = with_gradient(functional.cross_entropy, x, goal, **options)
            truth.assert_near(array(loss), array(expected), 1e-12, f"{options}")
            truth.assert_near(array(gradient), array(slope), 1e-14, f"{options}")


@every_way
def test_4_a_normalizer_is_the_denominator(way: str) -> None:
    x, target = normal(57, 10, dtype="float64"), labels(57, 10)
    whole, slope = cross_entropy(way, x, target, reduction="sum")
    for normalizer in (3.5, 1000, torch.tensor(3.5), torch.tensor(1000)):
        loss, gradient = cross_entropy(way, x, target, reduction="mean", normalizer=normalizer)
        assert loss.dtype == torch.float64
        truth.assert_near(array(loss), array(whole) / float(normalizer), 1e-13)
        truth.assert_near(array(gradient), array(slope) / float(normalizer), 1e-15)


@every_way
@pytest.mark.parametrize("case", ["all ignored", "no rows", "weight 0"])
def test_5_a_mean_over_nothing(way: str, case: str) -> None:
    x = normal(0 if case == "no rows" else 3, 5)
    x[1:2] = NAN if case == "all ignored" else 0.0
    target = torch.full((len(x),), -100 if case == "all ignored" else 2)
    weight = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0]) if case == "weight 0" else None
    for empty, value in (("nan", NAN), ("zero", 0.0)):
        for loss, given in ((xt.cross_entropy, x), (xt.nll_loss, x - 10.0)):
            found, gradient = with_gradient(loss, given, target, weight=weight, empty=empty, backend=way)
            assert_same(found, torch.tensor(value))
            assert_same(gradient, torch.zeros_like(x))
    with pytest.raises(xent.EmptyMeanError, match="at least one counted row"):
        xt.cross_entropy(x, target, weight=weight, empty="raise", backend=way)
    nothing = torch.zeros(0, 3)
    for loss in (xt.mse_loss, xt.binary_cross_entropy_with_logits, xt.binary_cross_entropy, xt.kl_div):
        assert loss(nothing, nothing, backend=way).isnan()
        assert loss(nothing, nothing, empty="zero", backend=way) == 0.0
        with pytest.raises(xent.EmptyMeanError):
            loss(nothing, nothing, empty="raise", backend=way)


@every_way
@every_dtype
def test_6_a_target_of_zero_on_a_logit_of_minus_infinity_is_zero(way: str, dtype: str) -> None:
    for classes in WIDTHS[1:]:
        x, y = normal(7, classes, 1.0, dtype), probabilities(7, classes)
        mask = torch.arange(classes) % 2 == 1
        y[:, mask] = 0.0
        y /= y.sum(1, keepdim=True)
        x[:, mask] = -INF
        for options in ({}, {"z_loss": 1e-2}):
            assert_rows(way, x, y, f"{classes} classes {options}", **options)
        gradient = cross_entropy(way, x, y)[1]
        assert not gradient[:, mask].any()


@every_way
@every_dtype
def test_6_certainty_that_is_right_costs_nothing(way: str, dtype: str) -> None:
    x, y = tensor([-INF, INF, -INF, INF], dtype), torch.tensor([0.0, 1.0, 1.0, 0.0])
    loss, gradient = with_gradient(xt.binary_cross_entropy_with_logits, x, y, reduction="none", backend=way)
    assert loss.tolist() == [0.0, 0.0, INF, INF]
    assert gradient.tolist() == [0.0, 0.0, -1.0, 1.0]
    p = tensor([0.0, 1.0, 0.0, 1.0], dtype)
    assert xt.binary_cross_entropy(p, y, reduction="none", backend=way).tolist() == [0.0, 0.0, INF, INF]
    for log_target in (False, True):
        target = y[:2].log() if log_target else y[:2]
        options: dict[str, Any] = {"log_target": log_target, "reduction": "none", "backend": way}
        for at_zero in (-INF, -3.0, INF):
            loss, gradient = with_gradient(xt.kl_div, tensor([at_zero, -1.0], dtype), target, **options)
            assert loss.tolist() == [0.0, 1.0]
            assert gradient.tolist() == [0.0, -1.0]


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
def test_6_forward_derivatives_of_zero_times_infinity_are_zero() -> None:
    x, y = torch.tensor([[0.0, 0.0, -INF]]), torch.tensor([[0.5, 0.5, 0.0]])
    value, slope = torch.func.jvp(lambda z: xt.cross_entropy(z, y), (x,), (torch.tensor([[1.0, 2.0, 3.0]]),))
    truth.assert_near(array(value), np.log(2.0), 1e-7)
    truth.assert_near(array(slope), 0.0, 1e-7)
    zero = torch.tensor([0.0, 1.0])
    value, slope = torch.func.jvp(lambda z: xt.kl_div(z, zero, reduction="sum"), (torch.tensor([-INF, -1.0]),), (torch.ones(2),))
    assert (value.item(), slope.item()) == (1.0, -1.0)


@every_way
@every_dtype
def test_7_a_target_at_minus_infinity_is_an_infinite_surprise(way: str, dtype: str) -> None:
    for classes in WIDTHS:
        x, target = normal(7, classes, 1.0, dtype), labels(7, classes)
        x[3, target[3]] = -INF
        for options in ({}, {"label_smoothing": 0.1}, {"focal": 2.0}, {"z_loss": 1e-2}, {"softcap": 5.0}):
            assert_rows(way, x, target, f"{classes} {options}", **options)
            loss, gradient = cross_entropy(way, x, target, **options)
            assert loss[3] == INF
            assert gradient.isfinite().all()
        assert xt.cross_entropy(x, target, backend=way) == INF


@every_way
@every_dtype
def test_8_masked_classes_have_no_part(way: str, dtype: str) -> None:
    for classes in WIDTHS:
        x, target = normal(7, classes, 1.0, dtype), labels(7, classes)
        mask = torch.rand(7, classes, generator=torch.Generator().manual_seed(3)) < 0.7
        mask[torch.arange(7), target] = False
        x[mask] = -INF
        for options in ({}, {"focal": 2.0}, {"z_loss": 1e-2}, {"scale": 2.0}):
            assert_rows(way, x, target, f"{classes} {options}", **options)
        assert not cross_entropy(way, x, target)[1][mask].any()
    x, target = normal(2, 5000, 1.0, dtype), torch.tensor([4999, 0])
    x[0, :4990], x[1, 1:] = -INF, -INF
    assert_rows(way, x, target)
    assert cross_entropy(way, x, target)[0][1] == 0.0


@every_way
@every_dtype
def test_9_a_row_without_a_softmax_is_nan_alone(way: str, dtype: str) -> None:
    x, y, rows, rest = normal(7, 10, 3.0, dtype), probabilities(7, 10), [1, 3, 5], [0, 2, 4, 6]
    bad = x.clone()
    bad[1, -1], bad[3], bad[5, 0] = NAN, -INF, INF
    for goal in (labels(7, 10), y):
        for options in ({}, {"label_smoothing": 0.1, "z_loss": 1e-2}, {"focal": 2.0}):
            loss, gradient = cross_entropy(way, bad, goal, **options)
            kept, slope = cross_entropy(way, x, goal, **options)
            assert loss[rows].isnan().all()
            assert gradient[rows].isnan().all()
            assert_like(way, loss[rest], kept[rest])
            assert_like(way, gradient[rest], slope[rest])
    for function in (xt.softmax, xt.log_softmax):
        found, kept = function(bad, 1, backend=way), function(x, 1, backend=way)
        assert found[rows].isnan().all()
        assert_like(way, found[rest], kept[rest])


@every_way
@pytest.mark.parametrize("offset", [30.0, 1000.0, 1e7])
def test_10_an_offset_of_all_logits_costs_no_digits(way: str, offset: float) -> None:
    """The rounding of x + offset is in the logits, not in the loss."""
    x, target = normal(57, 10) + offset, labels(57, 10)
    for goal in (target, probabilities(57, 10)):
        for options in ({}, {"label_smoothing": 0.1}, {"weight": torch.linspace(0.5, 2.0, 10)}):
            assert_rows(way, x, goal, f"{options}", **options)


@every_way
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_10_logits_of_any_magnitude_do_not_overflow(way: str, dtype: str) -> None:
    for classes in (2, 3, 33):
        big, x = 3e38, tensor(np.zeros((6, classes)), dtype)
        target = torch.tensor([0, 0, classes - 1, 0, classes - 1, 0])
        x[0], x[1], x[2, -1], x[3, 1:] = big, -big, big, -big
        x[4], x[4, 0], x[5], x[5, 0] = -big / 2, big / 4, big / 4, -big / 4
        assert_rows(way, x, target, f"{classes} classes")
    top = tensor([[big / 2, -big / 2]] * 7, dtype)
    mean = xt.cross_entropy(top, torch.ones(7, dtype=torch.long), backend=way)
    truth.assert_near(array(mean), float(top[0, 0]) * 2, 4 * truth.ulp(big, truth.computed_in(dtype)))
