"""Transforms of functions and higher derivatives are those of PyTorch's own losses."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.twins import LABELS, ONE_NUMBER, TWINS, Twins, gradient, numbers
from xent._errors import BackendError

# PyTorch's own rules of forward mode are compiled on first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

every_function = pytest.mark.parametrize("pair", TWINS.values(), ids=TWINS)
every_loss = pytest.mark.parametrize("pair", ONE_NUMBER.values(), ids=ONE_NUMBER)

DIRECTION = numbers(5, 4, seed=7)
BATCH = 3


def batched(x: Tensor) -> Tensor:
    """Other values in the same domain."""
    return torch.stack([x / part for part in range(1, BATCH + 1)])


@every_loss
def test_grad(pair: Twins) -> None:
    assert_close(grad(pair.ours)(pair.x), grad(pair.theirs)(pair.x))


@every_loss
def test_grad_of_grad(pair: Twins) -> None:
    def second(function: Callable[..., Tensor]) -> Tensor:
        return grad(lambda x: (grad(function)(x) * DIRECTION).sum())(pair.x)

    assert_close(second(pair.ours), second(pair.theirs))


@every_function
def test_vjp(pair: Twins) -> None:
    def pulled(function: Callable[..., Tensor]) -> tuple[Tensor, Any]:
        value, pull = vjp(function, pair.x)
        return value, pull(torch.cos(value))

    assert_close(pulled(pair.ours), pulled(pair.theirs))


@every_function
def test_jvp(pair: Twins) -> None:
    assert_close(jvp(pair.ours, (pair.x,), (DIRECTION,)), jvp(pair.theirs, (pair.x,), (DIRECTION,)))


@every_function
def test_jacobians_by_either_mode(pair: Twins) -> None:
    expected = jacrev(pair.theirs)(pair.x)
    assert_close(jacrev(pair.ours)(pair.x), expected)
    assert_close(jacfwd(pair.ours)(pair.x), expected)


@every_loss
def test_hessian(pair: Twins) -> None:
    assert_close(hessian(pair.ours)(pair.x), hessian(pair.theirs)(pair.x))


@every_function
def test_vmap_is_a_loop(pair: Twins) -> None:
    batch = batched(pair.x)
    assert_close(vmap(pair.ours)(batch), torch.stack([pair.ours(x) for x in batch]))


@every_loss
def test_vmap_of_grad_is_a_loop_of_gradients(pair: Twins) -> None:
    batch = batched(pair.x)
    expected = torch.stack([gradient(pair.ours, x) for x in batch])
    assert_close(vmap(grad(pair.ours))(batch), expected)


@every_loss
def test_forward_over_reverse_and_reverse_over_forward(pair: Twins) -> None:
    expected = hessian(pair.theirs)(pair.x)
    assert_close(jacfwd(grad(pair.ours))(pair.x), expected)
    assert_close(jacrev(jacfwd(pair.ours))(pair.x), expected)


@every_loss
def test_dual_numbers_without_a_transform(pair: Twins) -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(pair.x, DIRECTION)
        found, expected = (torch.autograd.forward_ad.unpack_dual(f(dual)) for f in (pair.ours, pair.theirs))
    assert_close(found.primal, expected.primal)
    assert_close(found.tangent, expected.tangent)


def test_vmap_over_labels_and_per_example_gradients() -> None:
    x, y = numbers(6, 4), torch.tensor([0, 3, 1, -100, 2, 2])
    values = vmap(lambda row, label: xt.cross_entropy(row, label, reduction="sum"))(x, y)
    assert_close(values, xt.cross_entropy(x, y, reduction="none"))
    rows = vmap(grad(lambda row, label: xt.cross_entropy(row, label, reduction="sum")))(x, y)
    assert_close(rows, gradient(lambda z: xt.cross_entropy(z, y, reduction="sum"), x))


def test_vmap_of_a_module_over_stacked_parameters() -> None:
    layers = [torch.nn.Linear(3, 4, dtype=torch.float64) for _ in range(BATCH)]
    x, y = numbers(5, 3), LABELS
    stacked = torch.func.stack_module_state(layers)

    def loss(parameters: Any, buffers: Any) -> Tensor:
        return xt.CrossEntropyLoss()(torch.func.functional_call(layers[0], (parameters, buffers), (x,)), y)

    assert_close(vmap(loss)(*stacked), torch.stack([xt.cross_entropy(layer(x), y) for layer in layers]))


@every_function
def test_create_graph_gives_the_gradient_and_its_gradient(pair: Twins) -> None:
    def two(function: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        leaf = pair.x.clone().requires_grad_()
        (first,) = torch.autograd.grad(torch.cos(function(leaf)).sum(), leaf, create_graph=True)
        (second,) = torch.autograd.grad((first * DIRECTION).sum(), leaf)
        return first.detach(), second

    assert_close(two(pair.ours), two(pair.theirs))


@every_loss
def test_a_third_derivative(pair: Twins) -> None:
    def third(function: Callable[..., Tensor]) -> Tensor:
        x = pair.x.clone().requires_grad_()
        value = torch.exp(function(x))
        for _ in range(3):
            (slope,) = torch.autograd.grad(value, x, create_graph=True)
            value = (slope * DIRECTION).sum()
        return value.detach()

    assert_close(third(pair.ours), third(pair.theirs))


def test_a_gradient_penalty_is_trained_through() -> None:
    def penalty(loss: Callable[..., Tensor]) -> Tensor:
        torch.manual_seed(0)
        layer = torch.nn.Linear(3, 4, dtype=torch.float64)
        x = numbers(5, 3).requires_grad_()
        value = loss(layer(x), LABELS)
        (slope,) = torch.autograd.grad(value, x, create_graph=True)
        (value + slope.square().sum()).backward()
        assert layer.weight.grad is not None
        return layer.weight.grad

    assert_close(penalty(xt.cross_entropy), penalty(torch.nn.functional.cross_entropy))


def test_statistics_have_second_derivatives() -> None:
    x = numbers(5, 4)

    def ours(z: Tensor) -> Tensor:
        loss, rows = xt.cross_entropy(z, LABELS, return_stats=True)
        return loss + (rows.entropy * rows.lse + rows.log_prob.square()).sum()

    def theirs(z: Tensor) -> Tensor:
        log_p, there = z.log_softmax(1), LABELS >= 0
        entropy = -(log_p.exp() * log_p).sum(1)
        at_label = log_p.gather(1, LABELS.clamp(min=0)[:, None])[:, 0]
        rows = (entropy * z.logsumexp(1) + at_label.square())[there].sum()
        return torch.nn.functional.cross_entropy(z, LABELS) + rows

    assert_close(hessian(ours)(x), hessian(theirs)(x))
    assert_close(torch.autograd.functional.hessian(ours, x), hessian(theirs)(x))


@pytest.mark.parametrize("part", ["lse", "log_prob", "entropy"])
def test_a_statistic_alone_has_its_derivative(part: str) -> None:
    def rows(x: Tensor, backend: str | None = None) -> Tensor:
        return getattr(xt.cross_entropy(x, LABELS, return_stats=True, backend=backend)[1], part)

    x, upstream = numbers(5, 4), torch.arange(5.0, dtype=torch.float64)
    expected = gradient(lambda z: rows(z, "torch"), x, upstream)
    assert expected.abs().max() > 0
    assert_close(gradient(rows, x, upstream), expected)
    compiled = torch.compile(rows, fullgraph=True, backend="aot_eager")
    assert_close(gradient(compiled, x, upstream), expected)


def test_vmap_over_weights_or_labels_alone() -> None:
    x, weights, labels = numbers(5, 4), numbers(3, 4).exp(), torch.arange(15).reshape(3, 5) % 4
    by_weight = vmap(lambda weight: xt.cross_entropy(x, LABELS, weight))(weights)
    assert_close(by_weight, torch.stack([xt.cross_entropy(x, LABELS, weight) for weight in weights]))
    by_label = vmap(lambda y: xt.cross_entropy(x, y))(labels)
    assert_close(by_label, torch.stack([xt.cross_entropy(x, y) for y in labels]))


def test_an_example_that_counts_nothing_has_gradient_0_beside_others() -> None:
    x, y = numbers(2, 3, 4), torch.tensor([[-100, -100, -100], [1, 2, -100]])
    values = vmap(lambda a, b: xt.cross_entropy(a, b, empty="zero"))(x, y)
    assert_close(values, torch.stack([torch.zeros((), dtype=torch.float64), xt.cross_entropy(x[1], y[1])]))
    for empty in ("nan", "zero"):
        slopes = vmap(grad(lambda a, b: xt.cross_entropy(a, b, empty=empty)))(x, y)  # noqa: B023
        assert_close(slopes[0], torch.zeros(3, 4, dtype=torch.float64), rtol=0.0, atol=0.0)
        assert_close(slopes[1], gradient(lambda z: xt.cross_entropy(z, y[1]), x[1]))


def test_a_backend_asked_for_by_name_refuses_a_transform() -> None:
    with pytest.raises(BackendError, match=r"numba: a torch\.func transform is at work"):
        grad(lambda x: xt.cross_entropy(x, LABELS, backend="numba"))(numbers(5, 4))


def test_a_backend_asked_for_by_name_refuses_forward_mode() -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(numbers(5, 4), DIRECTION)
        with pytest.raises(BackendError, match="forward-mode differentiation is at work"):
            xt.cross_entropy(dual, LABELS, backend="numba")
