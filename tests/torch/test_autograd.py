"""Backward passes: repeated, accumulated, weighed, checkpointed, batched; and what is refused after a tensor has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import xent.torch as xt
from tests.torch.twins import LABELS, ONE_NUMBER, TWINS, Twins, gradient, numbers

every_function = pytest.mark.parametrize("pair", TWINS.values(), ids=TWINS)
every_loss = pytest.mark.parametrize("pair", ONE_NUMBER.values(), ids=ONE_NUMBER)
every_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)

HALF = (torch.float16, torch.bfloat16)


def exactly(found: Any, expected: Any) -> None:
    assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)


@contextmanager
def threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("upstream", [1.0, 0.3, -7.0])
@every_dtype
@every_loss
def test_a_repeated_backward_pass_gives_the_same_gradient(pair: Twins, dtype: torch.dtype, upstream: float) -> None:
    leaf = pair.x.to(dtype, copy=True).requires_grad_()
    loss = pair.ours(leaf)
    factor = torch.tensor(upstream, dtype=loss.dtype)
    first, second, third = (torch.autograd.grad(loss, leaf, factor, retain_graph=True)[0] for _ in range(3))
    exactly(second, first)
    exactly(third, first)


@every_loss
def test_a_later_pass_does_not_change_the_gradient_of_an_earlier_one(pair: Twins) -> None:
    leaf = pair.x.clone().requires_grad_()
    loss = pair.ours(leaf)
    (first,) = torch.autograd.grad(loss, leaf, retain_graph=True)
    kept = first.clone()
    (second,) = torch.autograd.grad(loss, leaf, torch.tensor(3.0, dtype=torch.float64))
    exactly(first, kept)
    assert_close(second, 3.0 * kept)
    first.zero_()
    assert_close(second, 3.0 * kept)


@every_loss
def test_gradients_accumulate_over_two_backward_passes(pair: Twins) -> None:
    leaf = pair.x.clone().requires_grad_()
    loss = pair.ours(leaf)
    loss.backward(retain_graph=True)
    once = leaf.grad
    assert once is not None
    kept = once.clone()
    loss.backward()
    assert_close(leaf.grad, 2.0 * kept)


@every_loss
def test_the_graph_is_freed_after_one_backward_pass(pair: Twins) -> None:
    loss = pair.ours(pair.x.clone().requires_grad_())
    loss.backward()
    with pytest.raises(RuntimeError, match="Trying to backward through the graph a second time"):
        loss.backward()


@every_function
def test_random_upstream_in_each_place(pair: Twins) -> None:
    upstream = torch.cos(torch.arange(pair.ours(pair.x).numel(), dtype=torch.float64)).reshape(pair.ours(pair.x).shape)
    assert_close(gradient(pair.ours, pair.x, upstream), gradient(pair.theirs, pair.x, upstream))


def test_upstream_may_be_expanded_transposed_or_zero() -> None:
    loss = ONE_NUMBER["cross_entropy"]._replace(ours=lambda x: xt.cross_entropy(x, LABELS[:4].expand(5, 4), reduction="none"))
    x = numbers(5, 4, 4)
    for upstream in (torch.tensor(2.0).double().expand(5, 4), numbers(4, 5).T, torch.zeros(5, 4).double()):
        assert_close(gradient(loss.ours, x, upstream), gradient(loss.ours, x, upstream.clone()))
    exactly(gradient(loss.ours, x, torch.zeros(5, 4).double()), torch.zeros_like(x))


def test_one_tensor_in_two_losses_gets_the_sum() -> None:
    x = numbers(5, 4)

    def both(loss: Callable[..., Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda z: loss(z, LABELS) + 3.0 * loss(z, LABELS, label_smoothing=0.1)

    assert_close(gradient(both(xt.cross_entropy), x), gradient(both(torch.nn.functional.cross_entropy), x))


def test_large_gradients_that_are_held_have_memory_of_their_own() -> None:
    x, y = torch.randn(1100, 1024, generator=torch.Generator().manual_seed(0)), torch.arange(1100) % 1024
    held = [gradient(lambda z: xt.cross_entropy(z, y), part * x) for part in (1.0, 2.0, 3.0, 4.0)]
    copies = [g.clone() for g in held]
    views = [held.pop(1).numpy()[::2], held.pop(1)[1:]]
    gradient(lambda z: xt.cross_entropy(z, y, label_smoothing=0.5), x)
    exactly(held, [copies[0], copies[3]])
    np.testing.assert_array_equal(views[0], copies[1].numpy()[::2])
    exactly(views[1], copies[2][1:])


@every_function
def test_no_grad_and_inference_mode_give_the_same_value(pair: Twins) -> None:
    leaf = pair.x.clone().requires_grad_()
    expected = pair.ours(leaf)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            value = pair.ours(leaf)
        assert not value.requires_grad
        exactly(value, expected.detach())


@pytest.mark.parametrize("reentrant", [False, True])
@every_loss
def test_checkpointing_changes_nothing(pair: Twins, reentrant: bool) -> None:
    def through(z: Tensor) -> Tensor:
        return checkpoint(pair.ours, z, use_reentrant=reentrant)

    leaf = pair.x.clone().requires_grad_()
    loss = through(leaf)
    exactly(loss.detach(), pair.ours(pair.x))
    loss.backward()
    exactly(leaf.grad, gradient(pair.ours, pair.x))


def test_saved_tensors_may_be_moved() -> None:
    x = numbers(5, 4)
    leaf = x.clone().requires_grad_()
    with torch.autograd.graph.save_on_cpu():
        loss = xt.cross_entropy(leaf, LABELS)
    loss.backward()
    exactly(leaf.grad, gradient(lambda z: xt.cross_entropy(z, LABELS), x))


CHANGES: dict[str, Callable[[Tensor, Tensor], object]] = {
    "logits": lambda x, target: x.add_(1.0),
    "target": lambda x, target: target.zero_(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_a_saved_tensor_that_was_changed_is_refused(change: Callable[..., object], reduction: Any) -> None:
    x, target = numbers(5, 4).requires_grad_() * 1.0, LABELS.clone()
    loss = xt.cross_entropy(x, target, reduction=reduction).sum()
    change(x, target)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", [name for name in TWINS if "softmax" not in name])
def test_an_input_that_was_changed_is_refused(name: str) -> None:
    pair = TWINS[name]
    x = pair.x.clone().requires_grad_() * 1.0
    value = pair.ours(x).sum()
    x.mul_(0.5)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        value.backward()


@pytest.mark.parametrize("function", [xt.softmax, xt.log_softmax])
def test_a_softmax_that_was_changed_is_refused(function: Callable[..., Tensor]) -> None:
    value = function(numbers(5, 4).requires_grad_(), 1)
    value.mul_(2.0)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        value.sum().backward()


@pytest.mark.parametrize("dtype", HALF, ids=str)
@every_loss
def test_a_scaled_half_precision_gradient_is_rounded_once(pair: Twins, dtype: torch.dtype) -> None:
    x = pair.x.to(dtype) / 4
    upstream = torch.tensor(65536.0)
    exact = gradient(pair.ours, x.double()) * 65536.0
    found = gradient(pair.ours, x, upstream)
    assert found.dtype == dtype
    finite = exact.abs() < torch.finfo(dtype).max
    assert_close(found[finite].double(), exact[finite], rtol=1.001 * torch.finfo(dtype).eps / 2, atol=1e-6)


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_a_gradient_too_small_for_half_precision_survives_scaling(dtype: torch.dtype) -> None:
    x = torch.zeros(64, 2, dtype=dtype)
    x[:, 0] = 14.0
    y = torch.zeros(64, dtype=torch.long)

    def loss(z: Tensor) -> Tensor:
        return xt.cross_entropy(z, y)

    exact = gradient(loss, x.float()) * 65536.0
    exactly(gradient(loss, x, torch.tensor(65536.0)), exact.to(dtype))


@every_function
def test_bits_do_not_depend_on_the_number_of_threads(pair: Twins) -> None:
    found: list[tuple[Tensor, Tensor]] = []
    for number in (1, 2, 3):
        with threads(number):
            found.append((pair.ours(pair.x), gradient(pair.ours, pair.x)))
    exactly(found[1], found[0])
    exactly(found[2], found[0])


def test_bits_of_many_rows_do_not_depend_on_the_number_of_threads() -> None:
    x, y = torch.randn(4001, 37, generator=torch.Generator().manual_seed(0)), torch.arange(4001) % 37
    found: list[tuple[Tensor, Tensor]] = []
    for number in (1, 2, 3):
        with threads(number):
            found.append((xt.cross_entropy(x, y), gradient(lambda z: xt.cross_entropy(z, y, label_smoothing=0.1), x)))
    exactly(found[1], found[0])
    exactly(found[2], found[0])


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_backward_passes_can_be_batched(reduction: Any) -> None:
    x = numbers(3, 4).requires_grad_()
    loss = xt.cross_entropy(x, LABELS[:3], reduction=reduction)
    upstream = numbers(6, *loss.shape)
    (found,) = torch.autograd.grad(loss, x, upstream, is_grads_batched=True, retain_graph=True)
    assert_close(found, torch.stack([torch.autograd.grad(loss, x, row, retain_graph=True)[0] for row in upstream]))


@every_function
def test_a_vectorized_jacobian_is_that_of_pytorch(pair: Twins) -> None:
    found = torch.autograd.functional.jacobian(pair.ours, pair.x, vectorize=True)
    assert_close(found, torch.autograd.functional.jacobian(pair.theirs, pair.x))


def test_anomaly_detection_and_hooks_see_the_gradient() -> None:
    seen: list[Tensor] = []
    leaf = numbers(5, 4).requires_grad_()
    middle = leaf * 1.0
    middle.register_hook(seen.append)
    middle.retain_grad()
    with pytest.warns(UserWarning, match="Anomaly Detection"), torch.autograd.detect_anomaly(check_nan=True):
        xt.cross_entropy(middle, LABELS).backward()
    exactly(seen[0], leaf.grad)
    exactly(middle.grad, leaf.grad)
