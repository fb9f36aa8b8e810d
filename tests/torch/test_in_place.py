"""inplace=True: the same loss and gradient in one tensor less, and a refusal wherever autograd would be wrong."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.utils.checkpoint import checkpoint

import xent.torch as xt
from tests.torch.twins import numbers
from xent._errors import ArgumentError, LabelError

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
LABELS = torch.tensor([1, 3, -100, 0, 2])
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.25])
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "sum": {"reduction": "sum"},
    "weight": {"weight": WEIGHT},
    "smoothing": {"label_smoothing": 0.1, "weight": WEIGHT},
    "z_loss": {"z_loss": 0.1},
    "focal": {"focal": 2.0},
    "softcap": {"softcap": 2.5, "scale": 0.7},
    "normalizer": {"normalizer": 3.0},
    "ignore_index": {"ignore_index": 3},
}

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
RULE = "inplace=True writes the gradient over the logits; "


def exactly(found: Any, expected: Any) -> None:
    assert_close(found, expected, rtol=0.0, atol=0.0, equal_nan=True)


def leaf_of(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return numbers(*shape).to(dtype).requires_grad_()


def layer(x: Tensor) -> Tensor:
    """Logits that nobody keeps for a backward pass, as a linear layer gives them."""
    return x * 1.0


def run(leaf: Tensor, target: Tensor, factor: float = 1.0, **options: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, gradient of the leaf, and what the logits hold afterwards."""
    logits = layer(leaf)
    loss = xt.cross_entropy(logits, target, **options)
    (found,) = torch.autograd.grad(factor * loss, leaf)
    return loss.detach(), found, logits.detach()


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@every_dtype
def test_loss_and_gradient_are_those_without_it(dtype: torch.dtype, options: dict[str, Any]) -> None:
    target = LABELS if "ignore_index" not in options else LABELS.clamp(min=0)
    leaf = leaf_of(5, 4, dtype=dtype)
    loss, found, held = run(leaf, target, inplace=True, **options)
    expected, gradient, logits = run(leaf, target, **options)
    exactly(loss, expected)
    exactly(found, gradient)
    exactly(held, gradient)
    exactly(logits, leaf.detach())


@every_dtype
def test_probabilities_as_target(dtype: torch.dtype) -> None:
    leaf, target = leaf_of(5, 4, dtype=dtype), numbers(5, 4, seed=1).softmax(1).to(dtype)
    found, expected = (run(leaf, target, inplace=inplace, label_smoothing=0.1)[:2] for inplace in (True, False))
    exactly(found, expected)


@pytest.mark.parametrize("factor", [0.5, -3.0, 0.3, 65536.0])
@every_dtype
def test_upstream_is_multiplied_in(dtype: torch.dtype, factor: float) -> None:
    leaf = leaf_of(5, 4, dtype=dtype)
    _, found, held = run(leaf, LABELS, factor, inplace=True)
    _, expected, _ = run(leaf, LABELS, factor)
    twice_rounded = {"rtol": 1.01 * torch.finfo(dtype).eps, "atol": 0.0}
    assert_close(found, expected, equal_nan=True, **twice_rounded)
    exactly(held, found)


def test_a_normalizer_that_is_a_tensor() -> None:
    leaf, number = leaf_of(5, 4), torch.tensor(3.0)
    found, expected = (run(leaf, LABELS, inplace=inplace, normalizer=number)[:2] for inplace in (True, False))
    exactly(found, expected)


def test_the_gradient_lies_in_the_logits_own_memory() -> None:
    logits = layer(leaf_of(5, 4))
    (found,) = torch.autograd.grad(xt.cross_entropy(logits, LABELS, inplace=True), logits)
    assert found.data_ptr() == logits.data_ptr()


def test_hooks_and_retained_gradients_see_it() -> None:
    leaf, seen = leaf_of(5, 4), list[Tensor]()
    logits = layer(leaf)
    logits.retain_grad()
    logits.register_hook(seen.append)
    xt.cross_entropy(logits, LABELS, inplace=True).backward()
    exactly(seen, [leaf.grad])
    exactly(logits.grad, leaf.grad)


SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "flattened": lambda h: h.view(-1, 4),
    "transposed": lambda h: h.view(-1, 4).mT.contiguous().mT,
    "images": lambda h: h.view(2, 4, 3, 1).contiguous(memory_format=torch.channels_last),
    "first_rows": lambda h: h.view(-1, 4)[:4],
    "every_second_row": lambda h: h.view(-1, 4)[::2],
    "part_of_the_classes": lambda h: h.view(-1, 4)[:, :3],
    "one_row": lambda h: h.view(-1, 4)[0],
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_views_of_logits(shape: Callable[[Tensor], Tensor]) -> None:
    def gradient(inplace: bool) -> Tensor:
        leaf = leaf_of(2, 3, 4)
        logits = shape(layer(leaf))
        target = torch.ones((logits.shape[0], *logits.shape[2:])[: logits.ndim - 1], dtype=torch.long)
        xt.cross_entropy(logits, target, inplace=inplace).backward()
        assert leaf.grad is not None
        return leaf.grad

    exactly(gradient(True), gradient(False))


def test_one_part_of_a_tensor_beside_another_loss_of_the_rest() -> None:
    def gradient(inplace: bool) -> Tensor:
        leaf = leaf_of(5, 8)
        logits = layer(leaf)
        rest = xt.cross_entropy(logits[:, 4:].clone(), LABELS)
        (found,) = torch.autograd.grad(rest + xt.cross_entropy(logits[:, :4], LABELS, inplace=inplace), leaf)
        return found

    exactly(gradient(True), gradient(False))


def test_a_model_is_trained_alike() -> None:
    def weights(inplace: bool) -> Tensor:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 4))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        for _ in range(5):
            optimizer.zero_grad()
            xt.CrossEntropyLoss(inplace=inplace)(model(numbers(5, 3).float()), LABELS).backward()
            optimizer.step()
        return model[0].weight.detach()

    exactly(weights(True), weights(False))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_nothing_is_written_where_no_gradient_is_asked_for(mode: Callable[[], Any]) -> None:
    logits, plain = layer(leaf_of(5, 4)), numbers(5, 4)
    with mode():
        loss = xt.cross_entropy(logits, LABELS, inplace=True)
    exactly(logits.detach(), leaf_of(5, 4).detach())
    exactly(loss, xt.cross_entropy(logits.detach(), LABELS))
    xt.cross_entropy(plain, LABELS, inplace=True)
    exactly(plain, numbers(5, 4))


def refused(call: Callable[[Tensor], Any], logits: Tensor, match: str) -> None:
    """With its reason, and nothing written."""
    before = logits.detach().clone()
    with pytest.raises(ArgumentError, match=RULE + ".*" + match):
        call(logits)
    exactly(logits.detach(), before)


def loss_of(logits: Tensor, **options: Any) -> Any:
    return xt.cross_entropy(logits, LABELS, inplace=True, **options)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({"reduction": "none"}, 'with reduction="none" the gradient depends on what is asked later'),
    "statistics": ({"return_stats": True}, "with return_stats=True the gradient depends on what is asked later"),
    "formula": ({"backend": "torch"}, 'backend="torch" computes no gradient of its own'),
}


@pytest.mark.parametrize(("options", "match"), REFUSED.values(), ids=REFUSED)
def test_options_that_leave_the_gradient_open_are_refused(options: dict[str, Any], match: str) -> None:
    refused(lambda x: loss_of(x, **options), layer(leaf_of(5, 4)), match)


def test_a_leaf_is_refused() -> None:
    refused(loss_of, leaf_of(5, 4), "the input is a leaf of the graph")


def test_a_view_of_a_leaf_is_refused() -> None:
    leaf = leaf_of(20)
    refused(loss_of, leaf.view(5, 4), "leaf")
    exactly(leaf.detach(), numbers(20).float())


def test_logits_that_overlap_themselves_are_refused() -> None:
    for overlapping in (layer(leaf_of(1, 4)).expand(5, 4), layer(leaf_of(8)).unfold(0, 4, 1)):
        refused(loss_of, overlapping, "the input overlaps itself")


def test_a_target_that_asks_for_a_gradient_is_refused() -> None:
    target = numbers(5, 4).float().softmax(1).requires_grad_()
    refused(lambda x: xt.cross_entropy(x, target, inplace=True), layer(leaf_of(5, 4)), "a gradient is asked for")


def test_a_transform_is_refused() -> None:
    for transform in (torch.func.grad, torch.func.vmap):
        with pytest.raises(ArgumentError, match=r"a torch\.func transform is at work"):
            transform(lambda x: loss_of(x * 1.0))(torch.zeros(5, 4) if transform is torch.func.grad else torch.zeros(2, 5, 4))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_forward_mode_is_refused() -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(torch.zeros(5, 4), torch.ones(5, 4))
        with pytest.raises(ArgumentError, match="forward-mode differentiation is at work"):
            loss_of(dual)


def test_activation_checkpointing_is_refused() -> None:
    with pytest.raises(ArgumentError, match="as under activation checkpointing"):
        checkpoint(lambda x: loss_of(x * 1.0), leaf_of(5, 4), use_reentrant=False)


def test_reentrant_checkpointing_gives_the_gradient() -> None:
    leaf = leaf_of(5, 4)
    checkpoint(lambda x: loss_of(x * 1.0), leaf, use_reentrant=True).backward()
    exactly(leaf.grad, run(leaf, LABELS)[1])


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
def test_compilation_is_refused() -> None:
    with pytest.raises(ArgumentError, match="PyTorch is recording this call"):
        torch.compile(lambda x: loss_of(x * 1.0), backend="eager")(leaf_of(5, 4))


def test_a_second_backward_pass_is_refused() -> None:
    loss = loss_of(layer(leaf_of(5, 4)))
    loss.backward(retain_graph=True)
    with pytest.raises(ArgumentError, match="a second backward pass was asked for"):
        loss.backward()


def test_a_second_derivative_is_refused() -> None:
    leaf = leaf_of(5, 4)
    loss = loss_of(layer(leaf))
    with pytest.raises(ArgumentError, match="a second derivative was asked for"):
        torch.autograd.grad(loss, leaf, create_graph=True)


@pytest.mark.parametrize("bad", [4, -1])
def test_a_bad_label_leaves_the_logits_untouched(bad: int) -> None:
    logits = layer(leaf_of(5, 4))
    with pytest.raises(LabelError, match=f"row 4 holds {bad}"):
        xt.cross_entropy(logits, torch.tensor([0, 1, 2, 3, bad]), inplace=True)
    exactly(logits.detach(), leaf_of(5, 4).detach())
    assert logits._version == 0


def test_a_mean_over_nothing_that_raises_leaves_the_logits_untouched() -> None:
    logits = layer(leaf_of(5, 4))
    with pytest.raises(ValueError, match="at least one counted row"):
        xt.cross_entropy(logits, torch.full((5,), -100), empty="raise", inplace=True)
    exactly(logits.detach(), leaf_of(5, 4).detach())


@pytest.mark.parametrize("saves", [torch.exp, torch.tanh, torch.relu, torch.sigmoid, torch.sqrt], ids=lambda f: f.__name__)
def test_an_operator_that_kept_the_logits_is_told_by_autograd(saves: Callable[[Tensor], Tensor]) -> None:
    leaf = numbers(5, 4).exp().requires_grad_()
    loss = xt.cross_entropy(saves(leaf), LABELS, inplace=True)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        loss.backward()


def test_another_loss_of_the_same_logits_is_told_by_autograd() -> None:
    logits = layer(leaf_of(5, 4))
    loss = xt.cross_entropy(logits, LABELS, label_smoothing=0.1) + loss_of(logits)
    with pytest.raises(RuntimeError, match="has been modified by an inplace operation"):
        loss.backward()


CHANGES: dict[str, Callable[[Tensor], object]] = {
    "zeroed": lambda x: x.detach().zero_(),
    "one_number": lambda x: x.detach()[0, 0].mul_(2.0),
    "overwritten_again": loss_of,
    "overwritten_in_part": lambda x: xt.cross_entropy(x[:1], LABELS[:1], inplace=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_logits_that_change_before_the_backward_pass_are_refused(change: Callable[[Tensor], object]) -> None:
    logits = layer(leaf_of(5, 4))
    loss = loss_of(logits)
    change(logits)
    with pytest.raises(ArgumentError, match=RULE + "the input was changed between the loss and its backward pass"):
        loss.backward()


def test_a_negated_view_is_refused() -> None:
    turned = torch._neg_view(torch.randn(3, 4, requires_grad=True) * 1.0)
    with pytest.raises(ValueError, match=r"stored with its sign turned.*resolve_neg"):
        xt.cross_entropy(turned, torch.tensor([1, 3, 0]), inplace=True)
