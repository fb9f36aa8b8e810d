"""First and second derivatives of every function and option against central differences, in float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.autograd.gradcheck import GradcheckError

import xent.torch as xt

# PyTorch's own rules of forward mode are compiled on first use.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

BACKENDS = (None, "torch")
REDUCTIONS = ("mean", "sum", "none")
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.25], dtype=torch.float64)
LABELS = torch.tensor([1, 3, 0])
TOGETHER = {"label_smoothing": 0.1, "z_loss": 0.02, "focal": 1.5, "softcap": 4.0, "scale": 0.7}

ROW_OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "label_smoothing": {"label_smoothing": 0.1},
    "smoothed_away": {"label_smoothing": 1.0},
    "z_loss": {"z_loss": 0.1},
    "focal_half": {"focal": 0.5},
    "focal_1": {"focal": 1.0},
    "focal_2": {"focal": 2.0},
    "softcap": {"softcap": 2.5},
    "scale": {"scale": 0.7},
    "scale_below_zero": {"scale": -1.5},
    "normalizer": {"normalizer": 2.5},
    "together": TOGETHER,
}
LABEL_OPTIONS = ROW_OPTIONS | {
    "weight": {"weight": WEIGHT},
    "ignore_index": {"ignore_index": 3},
    "weight_and_smoothing": {"weight": WEIGHT, "label_smoothing": 0.2},
    "weight_and_all": TOGETHER | {"weight": WEIGHT, "ignore_index": 0},
}
MIXTURE_OPTIONS = ROW_OPTIONS | {"weight": {"weight": WEIGHT}, "weight_and_smoothing": {"weight": WEIGHT, "label_smoothing": 0.2}}

both_backends = pytest.mark.parametrize("backend", BACKENDS)
mean_and_none = pytest.mark.parametrize("reduction", ["mean", "none"])
every_reduction = pytest.mark.parametrize("reduction", REDUCTIONS)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """From N(0, 1)."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def leaves(*tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.clone().requires_grad_() for tensor in tensors)


def assert_derivatives(function: Callable[..., Any], tensors: tuple[Tensor, ...], higher: bool = True) -> None:
    """Backward mode in each direction; forward mode, and backward of backward, in a random one."""
    assert gradcheck(function, tensors)
    if higher:
        assert gradcheck(function, tensors, fast_mode=True, check_forward_ad=True, check_backward_ad=False)
        assert gradgradcheck(function, tensors, fast_mode=True)


@mean_and_none
@both_backends
@pytest.mark.parametrize("options", LABEL_OPTIONS.values(), ids=LABEL_OPTIONS)
def test_cross_entropy_at_labels(options: dict[str, Any], backend: str | None, reduction: Any) -> None:
    loss = partial(xt.cross_entropy, target=LABELS, reduction=reduction, backend=backend, **options)
    # Forward mode and second derivatives are the formula's for either backend.
    assert_derivatives(loss, leaves(numbers(3, 4)), higher=backend is None)


@mean_and_none
@both_backends
@pytest.mark.parametrize("options", MIXTURE_OPTIONS.values(), ids=MIXTURE_OPTIONS)
def test_cross_entropy_at_probabilities(options: dict[str, Any], backend: str | None, reduction: Any) -> None:
    target = numbers(2, 4, seed=1).softmax(1)
    loss = partial(xt.cross_entropy, target=target, reduction=reduction, backend=backend, **options)
    assert_derivatives(loss, leaves(numbers(2, 4)), higher=backend is None)


@both_backends
@pytest.mark.parametrize("options", MIXTURE_OPTIONS.values(), ids=MIXTURE_OPTIONS)
def test_cross_entropy_by_logits_and_target(options: dict[str, Any], backend: str | None) -> None:
    both = leaves(numbers(2, 4), numbers(2, 4, seed=1).softmax(1))
    assert_derivatives(partial(xt.cross_entropy, backend=backend, **options), both)


@every_reduction
@both_backends
def test_cross_entropy_with_trailing_axes_and_of_one_row(backend: str | None, reduction: Any) -> None:
    options: Any = TOGETHER | {"reduction": reduction, "backend": backend}
    target = torch.tensor([[0, 2], [-100, 1]])
    assert_derivatives(lambda x: xt.cross_entropy(x, target, **options), leaves(numbers(2, 3, 2)))
    assert_derivatives(lambda x: xt.cross_entropy(x, torch.tensor(1), **options), leaves(numbers(4)))


@both_backends
def test_cross_entropy_by_a_normalizer(backend: str | None) -> None:
    def loss(x: Tensor, count: Tensor) -> Tensor:
        return xt.cross_entropy(x, LABELS, normalizer=count, backend=backend)

    assert_derivatives(loss, leaves(numbers(3, 4), torch.tensor(2.5, dtype=torch.float64)))


@every_reduction
@both_backends
def test_cross_entropy_and_nll_loss_by_class_weights(backend: str | None, reduction: Any) -> None:
    def loss(x: Tensor, weight: Tensor) -> Tensor:
        options: Any = {"reduction": reduction, "backend": backend}
        smoothed = xt.cross_entropy(x, LABELS, weight, label_smoothing=0.1, z_loss=0.1, **options)
        return smoothed + xt.nll_loss(x.log_softmax(1), LABELS, weight, **options)

    assert_derivatives(loss, leaves(numbers(3, 4), numbers(4, seed=1).exp()))


@every_reduction
@both_backends
@pytest.mark.parametrize("options", [{}, LABEL_OPTIONS["weight_and_all"]], ids=["plain", "all"])
def test_statistics_at_labels(options: dict[str, Any], backend: str | None, reduction: Any) -> None:
    def floats(x: Tensor) -> tuple[Tensor, ...]:
        loss, rows = xt.cross_entropy(x, LABELS, reduction=reduction, return_stats=True, backend=backend, **options)
        return loss, rows.lse, rows.log_prob, rows.entropy

    assert_derivatives(floats, leaves(numbers(3, 4)))


@both_backends
@pytest.mark.parametrize("options", [{}, TOGETHER], ids=["plain", "together"])
def test_statistics_at_probabilities(options: dict[str, Any], backend: str | None) -> None:
    def floats(x: Tensor, target: Tensor) -> tuple[Tensor, ...]:
        loss, rows = xt.cross_entropy(x, target, return_stats=True, backend=backend, **options)
        return loss, rows.lse, rows.log_prob, rows.entropy

    x, target = leaves(numbers(2, 4), numbers(2, 4, seed=1).softmax(1))
    assert_derivatives(partial(floats, target=target.detach()), (x,))
    assert_derivatives(floats, (x, target))


@every_reduction
@both_backends
@pytest.mark.parametrize("options", [{}, {"weight": WEIGHT}, {"ignore_index": 3}, {"normalizer": 2.5}], ids=str)
def test_nll_loss(options: dict[str, Any], backend: str | None, reduction: Any) -> None:
    loss = partial(xt.nll_loss, target=LABELS, reduction=reduction, backend=backend, **options)
    assert_derivatives(loss, leaves(numbers(3, 4).log_softmax(1)))


@both_backends
@pytest.mark.parametrize("function", [xt.softmax, xt.log_softmax])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_softmax_and_its_logarithm(function: Callable[..., Tensor], dim: int, backend: str | None) -> None:
    assert_derivatives(partial(function, dim=dim, backend=backend), leaves(numbers(2, 3, 2)))


@both_backends
def test_logsigmoid(backend: str | None) -> None:
    assert_derivatives(partial(xt.logsigmoid, backend=backend), leaves(3.0 * numbers(7)))


@every_reduction
@both_backends
@pytest.mark.parametrize("weights", [(), ("weight",), ("pos_weight",), ("weight", "pos_weight")], ids=str)
def test_binary_cross_entropy_with_logits(weights: tuple[str, ...], backend: str | None, reduction: Any) -> None:
    options = {name: torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64) for name in weights}
    loss = partial(xt.binary_cross_entropy_with_logits, reduction=reduction, backend=backend, **options)
    x, y = leaves(numbers(2, 3), torch.sigmoid(numbers(2, 3, seed=1)))
    assert_derivatives(lambda x: loss(x, y.detach()), (x,))
    assert_derivatives(loss, (x, y))


@every_reduction
@both_backends
def test_binary_cross_entropy_with_logits_by_its_weights(backend: str | None, reduction: Any) -> None:
    def loss(x: Tensor, weight: Tensor, pos_weight: Tensor) -> Tensor:
        options: Any = {"pos_weight": pos_weight, "reduction": reduction, "backend": backend}
        return xt.binary_cross_entropy_with_logits(x, target, weight, **options)

    target = torch.sigmoid(numbers(2, 3, seed=1))
    assert_derivatives(loss, leaves(numbers(2, 3), numbers(3, seed=2).exp(), numbers(2, 1, seed=3).exp()))


@every_reduction
@both_backends
@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 0.0, 2.0], dtype=torch.float64)], ids=["plain", "weight"])
def test_binary_cross_entropy(weight: Tensor | None, backend: str | None, reduction: Any) -> None:
    loss = partial(xt.binary_cross_entropy, weight=weight, reduction=reduction, backend=backend)
    p, y = leaves(torch.sigmoid(numbers(2, 3)), torch.sigmoid(numbers(2, 3, seed=1)))
    assert_derivatives(lambda p: loss(p, y.detach()), (p,))
    assert_derivatives(loss, (p, y))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@both_backends
@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both:UserWarning")
def test_kl_div(log_target: bool, backend: str | None, reduction: Any) -> None:
    x, y = numbers(2, 3).log_softmax(1), numbers(2, 3, seed=1).log_softmax(1)
    loss = partial(xt.kl_div, reduction=reduction, log_target=log_target, backend=backend)
    both = leaves(x, y if log_target else y.exp())
    assert_derivatives(lambda x: loss(x, both[1].detach()), both[:1])
    assert_derivatives(loss, both)


@every_reduction
@both_backends
@pytest.mark.parametrize("weighted", [False, True])
def test_mse_loss(weighted: bool, backend: str | None, reduction: Any) -> None:
    loss = partial(xt.mse_loss, reduction=reduction, backend=backend)
    tensors = leaves(numbers(2, 3), numbers(2, 3, seed=1))
    if weighted:
        weight = numbers(2, 3, seed=2).exp()
        assert_derivatives(lambda x, y: loss(x, y, weight=weight), tensors)
        assert_derivatives(lambda x, y, w: loss(x, y, weight=w), (*tensors, *leaves(weight)))
    else:
        assert_derivatives(loss, tensors)
        assert_derivatives(lambda y: loss(tensors[0].detach(), y), tensors[1:])


@every_reduction
@both_backends
@pytest.mark.parametrize("spread", [(2, 3), (2, 1), (2,)], ids=str)
def test_gaussian_nll_loss(spread: tuple[int, ...], backend: str | None, reduction: Any) -> None:
    loss = partial(xt.gaussian_nll_loss, full=True, reduction=reduction, backend=backend)
    tensors = leaves(numbers(2, 3), numbers(2, 3, seed=1), numbers(*spread, seed=2).exp())
    assert_derivatives(loss, tensors)
    assert_derivatives(lambda var: loss(tensors[0].detach(), tensors[1].detach(), var), tensors[2:])


def test_a_wrong_derivative_is_seen() -> None:
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return xt.cross_entropy(x.detach(), LABELS)

        @staticmethod
        def backward(ctx: Any, *upstream: Tensor) -> Tensor:
            return upstream[0] * torch.full((3, 4), 0.001, dtype=torch.float64)

    with pytest.raises(GradcheckError):
        gradcheck(Wrong.apply, leaves(numbers(3, 4)))
