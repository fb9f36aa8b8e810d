"""The conventions through the PyTorch door: refusals, precision, layouts, size, bits, forks and threads: rows 11 to 21."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import xent
import xent.torch as xt
from tests import truth
from tests.contract.test_precision import hard_rows
from tests.torch.ways import (
    DTYPES,
    FORMULA,
    INF,
    KERNELS,
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
every_kernel = pytest.mark.parametrize("way", KERNELS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
halves = pytest.mark.parametrize("dtype", ["float16", "bfloat16"])


@every_way
def test_11_a_label_out_of_range_is_named_and_nothing_is_written(way: str) -> None:
    x, target = normal(4, 3), torch.tensor([0, 3, -100, 4])
    for loss in (xt.cross_entropy, lambda *a, **o: xt.nll_loss(a[0] - 10.0, *a[1:], **o)):
        for given in (x, x.clone().requires_grad_()):
            with pytest.raises(xent.LabelError) as caught:
                loss(given, target, backend=way)
            assert caught.value.rule == "labels must lie in [0, 3)"
            assert caught.value.found == "row 1 holds 3 (2 such rows)"
    leaf = x.clone().requires_grad_()
    own = leaf * 1.0
    with pytest.raises(ValueError, match=r"row 1 holds 3|computes no gradient of its own"):
        xt.cross_entropy(own, target, inplace=True, backend=way)
    assert_same(own, x)


@every_way
def test_12_weights_are_finite_and_not_negative(way: str) -> None:
    x, y = normal(7, 3), probabilities(7, 3)
    for bad in (-1.0, NAN, INF):
        weight = torch.tensor([1.0, bad, 1.0])
        for call in (
            lambda w: xt.cross_entropy(x, labels(7, 3), w, backend=way),
            lambda w: xt.cross_entropy(x, y, w, backend=way),
            lambda w: xt.nll_loss(x - 10.0, labels(7, 3), w, backend=way),
            lambda w: xt.binary_cross_entropy_with_logits(x, y, w, backend=way),
            lambda w: xt.binary_cross_entropy_with_logits(x, y, pos_weight=w, backend=way),
            lambda w: xt.binary_cross_entropy(y, y, w, backend=way),
            lambda w: xt.mse_loss(x, y, weight=w.expand(7, 3), backend=way),
        ):
            with pytest.raises(ValueError, match="finite and not negative"):
                call(weight)


@every_way
@every_dtype
def test_12_a_class_of_weight_zero_says_nothing(way: str, dtype: str) -> None:
    x, target, weight = normal(7, 10, dtype=dtype), labels(7, 10), torch.ones(10)
    weight[target[2]] = 0.0
    x[2] = -INF
    loss, gradient = cross_entropy(way, x, target, weight=weight)
    assert loss[2] == 0.0
    assert not gradient[2].any()
    assert loss.isfinite().all()


@every_way
def test_13_distributions_are_checked_where_asked(way: str) -> None:
    x, y = normal(2, 3), torch.tensor([[0.5, 0.5, 0.5], [1.0, 0.0, 0.0]])
    taken = xt.cross_entropy(x, y, backend=way)
    torch.testing.assert_close(taken, torch.nn.functional.cross_entropy(x, y))
    with pytest.raises(xent.DistributionError, match=r"row 0 sums to 1\.5"):
        xt.cross_entropy(x, y, validate="raise", backend=way)
    with pytest.warns(xent.DistributionWarning, match=r"row 0 sums to 1\.5"):
        warned = xt.cross_entropy(x, y, validate="warn", backend=way)
    assert_same(warned, taken)
    rounded = torch.tensor([[0.3, 0.3, 0.4], [1 / 3, 1 / 3, 1 / 3]])
    for dtype in DTYPES.values():
        assert xt.cross_entropy(x, rounded.to(dtype), validate="raise", backend=way).isfinite()


@every_way
@every_dtype
def test_14_one_class_none_and_no_rows(way: str, dtype: str) -> None:
    x = normal(7, 1, 100.0, dtype)
    for target in (torch.zeros(7, dtype=torch.long), torch.ones(7, 1)):
        loss, gradient = cross_entropy(way, x, target)
        assert_same(loss.abs(), torch.zeros(7, dtype=DTYPES[truth.computed_in(dtype)]))
        assert_same(gradient.abs(), torch.zeros_like(x))
    for loss in (xt.cross_entropy, xt.nll_loss):
        for rows in (0, 3):
            with pytest.raises(ValueError, match="at least one class"):
                loss(x.new_zeros(rows, 0), torch.zeros(rows, dtype=torch.long), backend=way)
    none, gradient = cross_entropy(way, x.new_zeros(0, 5), torch.zeros(0, dtype=torch.long))
    assert (none.shape, gradient.shape) == ((0,), (0, 5))


@every_way
@every_dtype
def test_15_results_come_in_the_dtypes_promised(way: str, dtype: str) -> None:
    wide = DTYPES[truth.computed_in(dtype)]
    x, y = normal(5, 4, dtype=dtype), probabilities(5, 4)
    p = x.sigmoid()
    for reduction in ("none", "mean"):
        for loss, given, *rest in (
            (xt.cross_entropy, x, labels(5, 4)),
            (xt.cross_entropy, x, y),
            (xt.nll_loss, x - 60.0, labels(5, 4)),
            (xt.binary_cross_entropy_with_logits, x, y),
            (xt.binary_cross_entropy, p, y),
            (xt.kl_div, x, y),
            (xt.mse_loss, x, y),
            (xt.gaussian_nll_loss, x, y, y + 1.0),
        ):
            value, gradient = with_gradient(loss, given, *rest, reduction=reduction, backend=way)
            assert (value.dtype, gradient.dtype) == (wide, x.dtype), loss.__name__
    for function in (lambda z: xt.softmax(z, 1, backend=way), lambda z: xt.log_softmax(z, 1, backend=way), xt.logsigmoid):
        assert function(x).dtype == x.dtype


@every_way
@halves
def test_15_half_precision_is_rounded_once_upstream_inside(way: str, dtype: str) -> None:
    single = truth.ulp(1.0, "float32")
    for scale in (1.0, 10.0, 100.0):
        x, target, upstream = normal(57, 33, scale, dtype), labels(57, 33), torch.linspace(0.3, 3.0, 57)
        for factor, reduction in ((upstream, "none"), (torch.tensor(0.7), "sum"), (torch.tensor(0.7), "mean")):
            leaf = x.clone().requires_grad_()
            xt.cross_entropy(leaf, target, reduction=reduction, backend=way).backward(factor)
            right = truth.rows(array(x), target.numpy())
            by = array(factor)[:, None] if reduction == "none" else 0.7 / (57 if reduction == "mean" else 1)
            exact, limit = right.gradient * by, right.gradient_limit * by
            assert leaf.grad is not None
            finest = 8 * single * (1 + (way == FORMULA) * scale) * by
            truth.assert_near(array(leaf.grad), exact, 0.5 * truth.ulp(exact, dtype) + limit + finest, f"{scale} {reduction}")


@every_way
@halves
def test_15_the_mean_of_many_halves_neither_overflows_nor_drifts(way: str, dtype: str) -> None:
    x, ones = tensor(np.tile([19.0, 0.0], (8192, 1)), dtype), torch.ones(8192, dtype=torch.long)
    far, near = 19.0 + np.log1p(np.exp(-19.0)), 4 * truth.ulp(19.0, "float32")
    truth.assert_near(array(xt.cross_entropy(x, ones, backend=way)), far, near)
    binary = xt.binary_cross_entropy_with_logits(x, torch.zeros(8192, 2), backend=way)
    truth.assert_near(array(binary), (far + np.log(2.0)) / 2, near)
    squared = xt.mse_loss(x * 100.0, torch.zeros_like(x), backend=way)
    truth.assert_near(array(squared), float(x[0, 0] * 100.0) ** 2 / 2, 1.0)


@halves
def test_15_other_tensors_keep_their_own_dtype(dtype: str) -> None:
    """The gradient of a float32 variance or target does not pass through the half precision of the means."""
    x, y, var = (normal(7, 5, dtype=dtype, seed=s) for s in (1, 2, 3))
    y, var = y.float(), var.float().abs() * 1e-3
    for call, place in (
        (lambda a, b, v: xt.gaussian_nll_loss(a, b, v, eps=1e-12), 2),
        (lambda a, b, v: xt.gaussian_nll_loss(a, b, v), 1),
        (lambda a, b, v: xt.mse_loss(a, b), 1),
        (lambda a, b, v: xt.kl_div(a, v, reduction="sum"), 2),
    ):
        found, right = [], []
        for into, wide in ((found, lambda t: t), (right, Tensor.double)):
            tensors = [wide(t).clone().requires_grad_() for t in (x, y, var)]
            call(*tensors).backward()
            into.append(tensors[place].grad)
        assert found[0].dtype == torch.float32
        exact = array(right[0])
        truth.assert_near(array(found[0]), exact, 1e-5 * np.abs(exact) + 1e-6)


@every_way
@every_dtype
def test_16_tiny_losses_are_right_and_not_zero(way: str, dtype: str) -> None:
    for classes in (2, 10, 33):
        x, target = array(normal(57, classes, dtype="float64")) - 1.0, labels(57, classes)
        x[np.arange(57), target] = x.max(axis=1) + np.linspace(14.0, 80.0, 57)
        given = tensor(x, dtype)
        assert_rows(way, given, target, f"{classes} classes")
        loss, gradient = cross_entropy(way, given, target)
        assert (loss > 0.0).all()
        assert (gradient.gather(1, target[:, None]) < 0.0).all() or dtype == "float16"
        onehot = torch.nn.functional.one_hot(target, classes).double()
        assert (cross_entropy(way, given, onehot)[0] > 0.0).all()
        for options in ({"label_smoothing": 0.1}, {"focal": 1.0}, {"weight": torch.linspace(0.5, 2.0, classes)}):
            assert_rows(way, given, target, str(options), **options)


@every_kernel
def test_16_hard_rows_come_out_as_kept(way: str) -> None:
    for row in hard_rows():
        dtype, x = row["dtype"], tensor(row["logits"], row["dtype"])[None]
        loss, gradient = cross_entropy(way, x, torch.tensor([row["target"]]))
        limit = row["max_ulp"] * truth.ulp(row["loss"], truth.computed_in(dtype))
        truth.assert_near(array(loss)[0], row["loss"], limit, row["name"])
        ulps = row["max_ulp"] if dtype in ("float32", "float64") else 1.0
        slope = array(gradient)[0, row["target"]]
        truth.assert_near(slope, row["gradient"], ulps * truth.ulp(row["gradient"], dtype), row["name"])


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "transposed": lambda x: x.T.contiguous().T,
    "every second row": lambda x: x.repeat_interleave(2, 0)[::2],
    "every third class": lambda x: x.repeat_interleave(3, 1)[:, ::3],
    "part of wider rows": lambda x: torch.nn.functional.pad(x, (3, 2), value=NAN)[:, 3:-2],
    "a negative view": lambda x: torch.complex(x, -x).conj().imag if x.itemsize > 2 else x,
}


@every_way
@every_dtype
def test_17_any_layout_gives_the_same_bits_and_nothing_is_modified(way: str, dtype: str) -> None:
    x, y, target = normal(7, 10, 3.0, dtype), tensor(array(probabilities(7, 10)), dtype), labels(7, 10)
    for name, laid in LAYOUTS.items():
        for loss, given, goal in (
            (xt.cross_entropy, x, target),
            (xt.cross_entropy, x, y),
            (xt.nll_loss, x - 60.0, target),
            (xt.binary_cross_entropy_with_logits, x, y),
            (xt.kl_div, x, y),
            (xt.mse_loss, x, y),
            (lambda a, b, **o: xt.softmax(a, 1, backend=o["backend"]), x, y),
        ):
            other, its_goal = laid(given), laid(goal) if goal.is_floating_point() else goal.repeat_interleave(2)[::2]
            for found, right in zip(
                with_gradient(loss, other, its_goal, reduction="none", backend=way),
                with_gradient(loss, given, goal, reduction="none", backend=way),
                strict=True,
            ):
                assert_like(way, found, right, name)
            assert_same(other, given)
            assert torch.equal(its_goal, goal)


@every_kernel
def test_17_expanded_mapped_and_spatial_logits_are_read(way: str, tmp_path: Path) -> None:
    row, target = normal(1, 33), labels(7, 33)
    plain = cross_entropy(way, row.repeat(7, 1), target)
    value = xt.cross_entropy(row.expand(7, 33), target, reduction="none", backend=way)
    assert_same(value, plain[0])
    mapped = torch.from_file(str(tmp_path / "logits"), shared=True, size=7 * 33, dtype=torch.float32).view(7, 33)
    mapped.copy_(row.expand(7, 33))
    before = (tmp_path / "logits").read_bytes()
    for found, right in zip(cross_entropy(way, mapped, target), plain, strict=True):
        assert_same(found, right)
    assert (tmp_path / "logits").read_bytes() == before
    maps, masks = normal(24, 33).reshape(2, 3, 4, 33), labels(24, 33).reshape(2, 3, 4)
    flat = cross_entropy(way, maps.reshape(24, 33), masks.reshape(24))
    for images in (maps.movedim(3, 1), maps.movedim(3, 1).contiguous()):
        value, gradient = cross_entropy(way, images, masks)
        assert_same(value.reshape(24), flat[0])
        assert_same(gradient.movedim(1, 3).reshape(24, 33), flat[1])


@every_kernel
@every_dtype
def test_17_overwriting_is_asked_for_and_gives_the_same_bits(way: str, dtype: str) -> None:
    x, target = normal(57, 33, 3.0, dtype), labels(57, 33)
    expected, slope = cross_entropy(way, x, target, reduction="mean")
    leaf = x.clone().requires_grad_()
    own = leaf * 1.0
    loss = xt.cross_entropy(own, target, inplace=True, backend=way)
    loss.backward()
    assert leaf.grad is not None
    for found, right in ((loss.detach(), expected), (leaf.grad, slope), (own.detach(), slope)):
        assert_same(found, right)


def test_18_more_than_two_to_the_31_elements_are_counted() -> None:
    row = normal(1, 32768)
    x, target = row.expand(70_000, 32768), torch.arange(70_000) * 7 % 32768
    assert x.numel() > 2**31
    loss = xt.cross_entropy(x, target, reduction="none", backend="numba")
    surprisals = truth.softmax(array(row)).surprisals[0][target.numpy()]
    truth.assert_near(array(loss), surprisals, 4 * truth.ulp(surprisals, "float32"))
