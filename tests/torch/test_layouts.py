"""How a tensor lies in memory, what it stands for, and how many rows it has: numbers and gradients stay the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.twins import LABELS, ONE_NUMBER, TWINS, Twins, gradient, numbers
from xent._errors import EmptyMeanError

every_function = pytest.mark.parametrize("pair", TWINS.values(), ids=TWINS)
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def transposed(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def sliced(x: Tensor) -> Tensor:
    longer = torch.full((2 * x.shape[0], x.shape[1] + 3, *x.shape[2:]), 7.0, dtype=x.dtype)
    view = longer[::2, 1:-2]
    return view.copy_(x)


def permuted(x: Tensor) -> Tensor:
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def from_numpy(x: Tensor) -> Tensor:
    return torch.from_numpy(np.asfortranarray(x.numpy()))


def offset(x: Tensor) -> Tensor:
    """Not aligned to more than its own numbers."""
    return torch.cat([torch.zeros(1, dtype=x.dtype), x.reshape(-1)])[1:].view(x.shape)


LAYOUTS = {layout.__name__: layout for layout in (transposed, sliced, permuted, from_numpy, offset)}
every_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def exactly(found: Any, expected: Any) -> None:
    assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)


def value_and_gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """With the tensor itself as the leaf, however it lies."""
    leaf = x.detach().requires_grad_()
    value = function(leaf)
    (found,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), found


@every_layout
@every_function
def test_a_layout_changes_no_bit(pair: Twins, layout: Callable[[Tensor], Tensor]) -> None:
    placed = layout(pair.x)
    before = placed.clone()
    exactly(value_and_gradient(pair.ours, placed), value_and_gradient(pair.ours, pair.x.contiguous()))
    exactly(placed.detach(), before)


@every_reduction
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 3, 1, 1), (2, 1, 3, 2)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_images_are_read_in_either_memory_format(dtype: torch.dtype, shape: tuple[int, ...], reduction: Any) -> None:
    x = numbers(*shape).to(dtype)
    y = torch.randint(shape[1], (shape[0], *shape[2:]), generator=torch.Generator().manual_seed(0))

    def loss(z: Tensor) -> Tensor:
        return xt.cross_entropy(z, y, reduction=reduction)

    plain = value_and_gradient(loss, x)
    last = value_and_gradient(loss, x.contiguous(memory_format=torch.channels_last))
    exactly(last, plain)
    expected = value_and_gradient(lambda z: functional.cross_entropy(z, y, reduction=reduction), x.float())
    assert_close(plain[0], expected[0])
    assert_close(plain[1], expected[1].to(dtype))


@every_reduction
def test_expanded_logits_get_the_sum_of_their_gradients(reduction: Any) -> None:
    row = numbers(1, 4)
    for size in ((5, 4), (5, -1)):
        ours, theirs = (
            gradient(lambda z: loss(z.expand(size), LABELS, reduction=reduction).sum(), row)  # noqa: B023
            for loss in (xt.cross_entropy, functional.cross_entropy)
        )
        assert_close(ours, theirs)


def test_expanded_classes_and_targets_are_read() -> None:
    x, y = numbers(5, 1).expand(5, 4), torch.tensor(2).expand(5)
    assert_close(xt.cross_entropy(x, y), functional.cross_entropy(x, y))
    mixture = numbers(1, 4).softmax(1).expand(5, 4)
    assert_close(xt.cross_entropy(x, mixture), functional.cross_entropy(x, mixture))
    assert_close(xt.mse_loss(x, mixture), functional.mse_loss(x, mixture))


@every_reduction
def test_one_row_without_a_batch_is_the_row_of_a_batch(reduction: Any) -> None:
    x, y = numbers(4), torch.tensor(2)
    found = value_and_gradient(lambda z: xt.cross_entropy(z, y, reduction=reduction), x)
    batch = value_and_gradient(lambda z: xt.cross_entropy(z, y[None], reduction=reduction), x[None])
    assert found[0].shape == ()
    exactly(found, (batch[0].reshape(()), batch[1][0]))
    assert_close(xt.nll_loss(x.log_softmax(0), y, reduction=reduction), functional.nll_loss(x.log_softmax(0), y))
    assert_close(xt.cross_entropy(x, x.softmax(0), reduction=reduction), functional.cross_entropy(x, x.softmax(0)))


@every_reduction
@pytest.mark.parametrize("shape", [(0, 3), (0, 3, 2), (2, 3, 0)], ids=str)
def test_an_empty_batch(shape: tuple[int, ...], reduction: Any) -> None:
    x, y = torch.zeros(shape), torch.zeros((shape[0], *shape[2:]), dtype=torch.long)
    for target in (y, torch.zeros(shape)):
        found = value_and_gradient(lambda z: xt.cross_entropy(z, target, reduction=reduction), x)  # noqa: B023
        exactly(found, value_and_gradient(lambda z: functional.cross_entropy(z, target, reduction=reduction), x))  # noqa: B023


WITHOUT_ROWS: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": lambda x, **o: xt.cross_entropy(x, torch.zeros(0, dtype=torch.long), **o),
    "mixture": lambda x, **o: xt.cross_entropy(x, torch.zeros(0, 3), **o),
    "ignored": lambda x, **o: xt.cross_entropy(torch.cat([x, torch.ones(2, 3)]), torch.full((2,), -100), **o),
    "weightless": lambda x, **o: xt.cross_entropy(
        torch.cat([x, torch.ones(2, 3)]), torch.tensor([1, 1]), torch.tensor([1.0, 0.0, 1.0]), **o
    ),
    "nll_loss": lambda x, **o: xt.nll_loss(x, torch.zeros(0, dtype=torch.long), **o),
    "bce_logits": lambda x, **o: xt.binary_cross_entropy_with_logits(x, torch.zeros(0, 3), **o),
    "bce": lambda x, **o: xt.binary_cross_entropy(x, torch.zeros(0, 3), **o),
    "kl_div": lambda x, **o: xt.kl_div(x, torch.zeros(0, 3), **o),
    "mse_loss": lambda x, **o: xt.mse_loss(x, torch.zeros(0, 3), **o),
    "gaussian_nll": lambda x, **o: xt.gaussian_nll_loss(x, torch.zeros(0, 3), torch.ones(0, 3), **o),
}


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("loss", WITHOUT_ROWS.values(), ids=WITHOUT_ROWS)
def test_a_mean_over_nothing_is_as_asked_and_its_gradient_0(loss: Callable[..., Tensor], backend: str | None) -> None:
    for empty, expected in (("nan", float("nan")), ("zero", 0.0)):
        x = torch.zeros(0, 3, requires_grad=True)
        value = loss(x, empty=empty, backend=backend)
        exactly(value, torch.tensor(expected))
        (found,) = torch.autograd.grad(value, x)
        exactly(found, torch.zeros(0, 3))
    with pytest.raises(EmptyMeanError, match="a mean needs at least one counted row"):
        loss(torch.zeros(0, 3), empty="raise", backend=backend)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("empty", ["nan", "zero"])
@pytest.mark.parametrize("weight", [None, torch.tensor([1.0, 0.0, 1.0])], ids=["ignored", "weightless"])
def test_rows_that_do_not_count_have_gradient_0(weight: Tensor | None, empty: Any, backend: str | None) -> None:
    x = torch.tensor([[1.0, 2.0, float("nan")], [float("inf"), 0.0, 1.0]])
    y = torch.tensor([-100, -100] if weight is None else [1, 1])
    value, found = value_and_gradient(lambda z: xt.cross_entropy(z, y, weight, empty=empty, backend=backend), x)
    exactly(value, torch.tensor(0.0 if empty == "zero" else float("nan")))
    exactly(found, torch.zeros(2, 3))


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable:UserWarning")
@every_function
def test_arrays_shared_with_numpy_are_read_and_not_written(pair: Twins) -> None:
    array = pair.x.numpy().copy()
    array.flags.writeable = False
    exactly(pair.ours(torch.from_numpy(array)), pair.ours(pair.x))
    np.testing.assert_array_equal(array, pair.x.numpy())


def test_a_target_of_any_integer_dtype_is_the_same_target() -> None:
    x, y = numbers(4, 4), torch.tensor([1, 3, 0, 2])
    expected = xt.cross_entropy(x, y)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64):
        exactly(xt.cross_entropy(x, y.to(dtype)), expected)
        exactly(xt.nll_loss(x.log_softmax(1), y.to(dtype)), xt.nll_loss(x.log_softmax(1), y))
        exactly(xt.cross_entropy(x, y.to(dtype), backend="torch"), xt.cross_entropy(x, y, backend="torch"))


def test_bool_targets_are_yes_and_no() -> None:
    x, y = numbers(5, 4), numbers(5, 4, seed=1) > 0
    for backend in (None, "torch"):
        found = xt.binary_cross_entropy_with_logits(x, y, backend=backend)
        assert_close(found, functional.binary_cross_entropy_with_logits(x, y.double()))
        p = torch.sigmoid(x)
        assert_close(xt.binary_cross_entropy(p, y, backend=backend), functional.binary_cross_entropy(p, y.double()))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("pair", ONE_NUMBER.values(), ids=ONE_NUMBER)
def test_half_precision_losses_are_float32_and_their_gradients_half(pair: Twins, dtype: torch.dtype) -> None:
    x = pair.x.to(dtype)
    value, found = value_and_gradient(pair.ours, x)
    wide, exact = value_and_gradient(pair.ours, x.double())
    assert value.dtype == torch.float32
    assert_close(value, wide.float(), rtol=4e-7, atol=0.0)
    assert_close(found, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=0.0)


@pytest.mark.parametrize("backend", [None, "torch"])
@pytest.mark.parametrize("other", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_input_and_target_get_gradients_in_dtypes_of_their_own(dtype: torch.dtype, other: torch.dtype, backend: Any) -> None:
    x, y = numbers(5, 4).to(dtype), numbers(5, 4, seed=1).softmax(1).to(other)
    for loss, exact in ((xt.cross_entropy, functional.cross_entropy), (xt.mse_loss, functional.mse_loss)):
        tensors, wide = (x.clone().requires_grad_(), y.clone().requires_grad_()), (x.double(), y.double())
        value, expected = loss(*tensors, backend=backend), exact(*(t.requires_grad_() for t in wide))
        assert value.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        assert_close(value.double(), expected, rtol=1e-6, atol=0.0)
        for found, true in zip(torch.autograd.grad(value, tensors), torch.autograd.grad(expected, wide), strict=True):
            ulp = max(1e-6, torch.finfo(found.dtype).eps)
            assert_close(found.double(), true, rtol=ulp, atol=1e-6)
        assert [g.dtype for g in torch.autograd.grad(loss(*tensors, backend=backend), tensors)] == [dtype, other]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_under_autocast_a_loss_reads_what_a_layer_gives(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(3, 4), torch.randn(5, 3)
    with torch.autocast("cpu", dtype=dtype):
        logits = layer(x)
        loss = xt.cross_entropy(logits, LABELS)
        losses = [xt.mse_loss(logits, x[:, :1].expand(5, 4)), xt.binary_cross_entropy_with_logits(logits, logits > 0)]
    assert logits.dtype == dtype
    assert_close(loss, functional.cross_entropy(logits.float(), LABELS))
    sum(losses, loss).backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    assert layer.weight.grad.isfinite().all()


def test_autocast_makes_no_difference_to_the_loss_itself() -> None:
    for pair in TWINS.values():
        for dtype in (torch.float32, torch.float64):
            x = pair.x.to(dtype)
            expected = value_and_gradient(pair.ours, x)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                exactly(value_and_gradient(pair.ours, x), expected)
                formula = torch.func.grad(lambda z: pair.ours(z).sum())(x)  # noqa: B023
            assert_close(formula, expected[1])
