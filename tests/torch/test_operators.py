"""The registered operators hold what PyTorch asks of any: schema, shapes without data, derivatives, tracing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.testing._internal.optests import OpCheckError
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

import xent.torch as xt
from tests.torch.twins import TWINS, gradient, numbers

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")

UTILITIES = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_static")
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.25])
IMAGES = torch.arange(12).reshape(1, 3, 4) % 3
Call = tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Calls(TorchDispatchMode):
    """Every call of an operator of xent, as PyTorch sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Call] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if str(function).startswith("xent."):
            apart = tree_map_only(Tensor, lambda t: t.detach().clone(), args)
            self.seen.append((str(function).removesuffix(".default"), function, apart, kwargs or {}))
        return function(*args, **(kwargs or {}))


def statistics(x: Tensor) -> Tensor:
    loss, rows = xt.cross_entropy(x, torch.tensor([1, -100, 0]), WEIGHT.to(x.dtype), return_stats=True)
    return loss + (rows.lse + rows.log_prob * rows.entropy).sum()


def images(x: Tensor) -> Tensor:
    last = x.contiguous(memory_format=torch.channels_last)
    return xt.cross_entropy(last, IMAGES, reduction="none", z_loss=0.1, focal=1.5, softcap=4.0, scale=0.7).sum()


def target_too(x: Tensor) -> Tensor:
    return xt.mse_loss(x, 2.0 * x) + xt.gaussian_nll_loss(x, x * 0.5, x.exp()) + xt.kl_div(x, x.softmax(1), reduction="sum")


def linear(x: Tensor) -> Tensor:
    w, b = (10.0 * x[:1] + numbers(9, 4, seed=2).to(x.dtype), numbers(9, seed=3).to(x.dtype))
    target, few = torch.tensor([1, -100, 8]), (torch.tensor([[0, 3]] * 3), numbers(3, 2, seed=4).softmax(1))
    options: Any = {"z_loss": 0.1, "focal": 1.5, "softcap": 4.0, "scale": 0.7}
    loss = xt.linear_cross_entropy(x, w, target, linear_bias=b, **options, tolerance=0.1)
    rows = xt.linear_cross_entropy(x, w, few, sample_weight=numbers(3, seed=5).exp(), reduction="none", memory_limit=1 << 16)
    return loss + rows.sum() + xt.linear_cross_entropy(x[None], w, target[None], shift=1, label_smoothing=0.1)


def linear_statistics(x: Tensor) -> Tensor:
    loss, rows = xt.linear_cross_entropy(x, 2.0 * x.detach(), torch.tensor([1, -100, 0]), return_stats=True)
    return loss + (rows.lse + rows.log_prob * rows.entropy).sum()


CALLERS: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    **{name: (lambda x, pair=pair: pair.ours(x).sum(), pair.x) for name, pair in TWINS.items()},
    "statistics": (statistics, numbers(3, 4)),
    "images": (images, numbers(1, 3, 3, 4)),
    "target_too": (target_too, numbers(3, 4)),
    "linear": (linear, numbers(3, 4)),
    "linear_half": (linear, numbers(3, 4).bfloat16()),
    "linear_statistics": (linear_statistics, numbers(3, 4)),
    "half": (lambda x: xt.cross_entropy(x, torch.tensor([1, 0, 3]), label_smoothing=0.1), numbers(3, 4).bfloat16()),
    "one_row": (lambda x: xt.cross_entropy(x, torch.tensor(1)), numbers(4)),
    "transposed": (lambda x: xt.softmax(x.T, 0).square().sum(), numbers(3, 4)),
}


def calls_of(name: str) -> list[Call]:
    """What a forward and a backward pass call."""
    function, x = CALLERS[name]
    leaf = x.detach().clone().requires_grad_()
    with Calls() as calls:
        value = function(leaf)
        value.backward()
    return calls.seen


def asking(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The first tensor asks for a gradient."""
    first, *rest = args
    return (first.requires_grad_(), *rest) if isinstance(first, Tensor) else args


@pytest.mark.parametrize("name", CALLERS)
def test_calls_hold_what_pytorch_asks_of_operators(name: str) -> None:
    seen = calls_of(name)
    assert len(seen) >= 2
    for _, operator, args, kwargs in seen:
        torch.library.opcheck(operator, asking(args), kwargs, test_utils=UTILITIES)


def test_every_operator_is_called() -> None:
    registered = {name.replace("::", ".") for name in torch._C._dispatch_get_all_op_names() if name.startswith("xent::")}
    called = {name for caller in CALLERS for name, *_ in calls_of(caller)}
    assert called == registered
    assert len(registered) >= 16


@pytest.mark.parametrize("name", CALLERS)
def test_what_is_recorded_is_what_is_run(name: str) -> None:
    function, x = CALLERS[name]
    expected = function(x), gradient(function, x)
    with Calls() as calls:
        found = function(x), gradient(function, x)
    assert calls.seen
    assert_close(found, expected, rtol=0.0, atol=0.0)


def test_an_operator_with_wrong_shapes_is_seen() -> None:
    define = torch.library.custom_op
    wrong = define("xent_tests::wrong", lambda x: x.sum(0), mutates_args=(), schema="(Tensor x) -> Tensor")
    wrong.register_fake(torch.empty_like)
    with pytest.raises(OpCheckError, match="fake"):
        torch.library.opcheck(torch.ops.xent_tests.wrong.default, (numbers(3, 4),), test_utils="test_faketensor")


def penalised(x: Tensor) -> Tensor:
    """The gradient of a loss and the square of its gradient."""
    leaf = x.clone().requires_grad_()
    loss = xt.cross_entropy(leaf, torch.tensor([1, 0, 3]))
    (slope,) = torch.autograd.grad(loss, leaf, create_graph=True)
    (found,) = torch.autograd.grad(loss + slope.square().sum(), leaf)
    return found


def test_a_second_derivative_of_what_is_recorded_is_right_or_refused() -> None:
    x = numbers(3, 4)
    try:
        with Calls():
            found = penalised(x)
    except RuntimeError as error:
        assert "autograd" in str(error) or "second derivative" in str(error)  # noqa: PT017
    else:
        assert_close(found, penalised(x))
