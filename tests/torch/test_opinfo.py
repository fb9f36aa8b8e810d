"""PyTorch's own samples of its operators: xent's function answers each as PyTorch's does, to every order and under transforms."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils import _pytree as pytree

import xent.torch as xt

pytestmark = [
    pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss by both:UserWarning"),
    # PyTorch's own rules of forward mode are compiled on first use.
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
]

TWINS: dict[str, tuple[Callable[..., Any], int]] = {
    "nn.functional.cross_entropy": (xt.cross_entropy, 21),
    "nn.functional.binary_cross_entropy_with_logits": (xt.binary_cross_entropy_with_logits, 26),
    "nn.functional.binary_cross_entropy": (xt.binary_cross_entropy, 11),
    "nn.functional.nll_loss": (partial(xt.nll_loss, validate="off"), 61),
    "nn.functional.kl_div": (xt.kl_div, 16),
    "nn.functional.mse_loss": (xt.mse_loss, 6),
    "nn.functional.gaussian_nll_loss": (xt.gaussian_nll_loss, 18),
    "nn.functional.logsigmoid": (xt.logsigmoid, 3),
    "log_softmax": (xt.log_softmax, 14),
    "softmax": (xt.softmax, 14),
}
"""PyTorch's name of an operator -> xent's function, and how many samples at least are compared in PyTorch 2.13."""


class Case(NamedTuple):
    """One sample: both functions, of nothing but the tensors that a gradient may be asked for."""

    ours: Callable[..., Tensor]
    theirs: Callable[..., Tensor]
    tensors: tuple[Tensor, ...]
    what: str


def not_negative(sample: Any) -> Any:
    """The sample with weights that xent's contract takes."""
    names = sample.kwargs.keys() & {"weight", "pos_weight"}
    sample.kwargs.update({name: sample.kwargs[name].detach().abs() for name in names if sample.kwargs[name] is not None})
    return sample


def case_of(ours: Callable[..., Any], theirs: Callable[..., Any], sample: Any) -> Case:
    leaves, spec = pytree.tree_flatten(((sample.input, *sample.args), sample.kwargs))
    places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor) and leaf.requires_grad]

    def of(function: Callable[..., Any], *tensors: Tensor) -> Tensor:
        whole = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            whole[place] = tensor
        arguments, keywords = pytree.tree_unflatten(whole, spec)
        return function(*arguments, **keywords)

    tensors = tuple(leaves[place].detach().clone().requires_grad_() for place in places)
    return Case(partial(of, ours), partial(of, theirs), tensors, sample.summary())


def broadcasts(sample: Any) -> bool:
    """Whether input and target have two shapes, which PyTorch's Gaussian makes one and xent refuses."""
    return sample.input.shape != sample.args[0].shape


@cache
def cases(name: str, dtype: torch.dtype) -> tuple[Case, ...]:
    ours, _ = TWINS[name]
    found: list[Case] = []
    torch.manual_seed(0)
    for op in op_db:
        if op.name == name:
            samples = list(op.sample_inputs_func(op, "cpu", dtype, True))
            if name.endswith("gaussian_nll_loss"):
                samples = [sample for sample in samples if not broadcasts(sample)][::6]
            found += [case_of(ours, op.op, not_negative(sample)) for sample in samples]
    return tuple(found)


def answered(name: str, dtype: torch.dtype = torch.float64) -> Iterator[Case]:
    """The samples, of which there must be enough; what PyTorch refuses, xent must refuse."""
    count = 0
    for case in cases(name, dtype):
        try:
            case.theirs(*case.tensors)
        except (RuntimeError, ValueError, IndexError):
            with pytest.raises((RuntimeError, ValueError, IndexError, TypeError)):
                case.ours(*case.tensors)
            continue
        yield case
        count += 1
    assert count >= TWINS[name][1], f"only {count} samples were compared"


def assert_alike(found: Any, expected: Any, what: str) -> None:
    """Close in each tensor, shape and dtype too; a gradient of None is a gradient of 0."""
    for ours, theirs in zip(found, expected, strict=True):
        if ours is not None or theirs is not None:
            one = torch.zeros_like(theirs) if ours is None else ours
            other = torch.zeros_like(ours) if theirs is None else theirs
            assert_close(one, other, equal_nan=True, msg=partial(told, what))


def gradients(output: Tensor, tensors: tuple[Tensor, ...], seed: int = 0, again: bool = False) -> tuple[Tensor | None, ...]:
    """Of the output times random numbers."""
    generator = torch.Generator().manual_seed(seed)
    upstream = torch.randn(output.shape, dtype=output.dtype, generator=generator)
    return torch.autograd.grad(output, tensors, upstream, create_graph=again, allow_unused=True)


def second_gradients(function: Callable[..., Tensor], tensors: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
    first = gradients(function(*tensors), tensors, again=True)
    parts = [g for g in first if g is not None and g.requires_grad]
    if not parts:
        return tuple(None for _ in tensors)
    weighed = [(g * torch.linspace(0.5, 1.5, g.numel(), dtype=g.dtype).reshape(g.shape)).sum() for g in parts]
    total = torch.stack(weighed).sum()
    return torch.autograd.grad(total, tensors, allow_unused=True)


def tangent(tensor: Tensor) -> Tensor:
    return torch.cos(torch.arange(tensor.numel(), dtype=tensor.dtype)).reshape(tensor.shape)


every_operator = pytest.mark.parametrize("name", TWINS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@every_operator
def test_value_and_gradients_are_those_of_pytorch(name: str, dtype: torch.dtype) -> None:
    for ours, theirs, tensors, what in answered(name, dtype):
        found, expected = ours(*tensors), theirs(*tensors)
        assert_alike([found], [expected], what)
        assert_alike(gradients(found, tensors), gradients(expected, tensors), what)


@every_operator
def test_the_formula_gives_the_same_value_and_gradients(name: str) -> None:
    for case in answered(name):
        formula = partial(case.ours.func, partial(case.ours.args[0], backend="torch"))
        found, expected = formula(*case.tensors), case.theirs(*case.tensors)
        assert_alike([found], [expected], case.what)
        assert_alike(gradients(found, case.tensors), gradients(expected, case.tensors), case.what)


@every_operator
def test_second_derivatives_are_those_of_pytorch(name: str) -> None:
    for ours, theirs, tensors, what in answered(name):
        assert_alike(second_gradients(ours, tensors), second_gradients(theirs, tensors), what)


@every_operator
def test_forward_mode_is_that_of_pytorch(name: str) -> None:
    for ours, theirs, tensors, what in answered(name):
        plain = tuple(t.detach() for t in tensors)
        along = tuple(tangent(t) for t in plain)
        assert_alike(torch.func.jvp(ours, plain, along), torch.func.jvp(theirs, plain, along), what)


@every_operator
def test_vmap_is_a_loop(name: str) -> None:
    for ours, _, (first, *others), what in answered(name):
        rest = [t.detach() for t in others]
        batch = torch.stack([first.detach() / part for part in (1, 2, 3)])
        one = partial(of_first, ours, rest)
        assert_alike([torch.func.vmap(one)(batch)], [torch.stack([one(x) for x in batch])], what)


def of_first(function: Callable[..., Tensor], rest: list[Tensor], x: Tensor) -> Tensor:
    return function(x, *rest)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@every_operator
def test_half_precision_is_float32_of_the_same_numbers(name: str, dtype: torch.dtype) -> None:
    for case in answered(name, torch.float32):
        half = tuple(t.detach().to(dtype) for t in case.tensors)
        found, expected = case.ours(*half), case.theirs(*(t.float() for t in half))
        assert found.dtype in (dtype, expected.dtype)
        ulp = max(1.3e-6, torch.finfo(found.dtype).eps)
        assert_close(found.to(expected.dtype), expected, rtol=ulp, atol=1e-5, equal_nan=True, msg=partial(told, case.what))


def told(what: str, said: str) -> str:
    return f"{said}\n{what}"


def test_what_pytorch_refuses_is_refused() -> None:
    (op,) = (op for op in op_db if op.name == "nn.functional.gaussian_nll_loss")
    errors = list(op.error_inputs("cpu"))
    assert len(errors) >= 3
    for error in errors:
        sample = error.sample_input
        with pytest.raises(ValueError, match="must"):
            xt.gaussian_nll_loss(sample.input, *sample.args, **sample.kwargs)


def test_samples_that_broadcast_targets_are_refused() -> None:
    (op,) = (op for op in op_db if op.name == "nn.functional.gaussian_nll_loss")
    wide = [sample for sample in op.sample_inputs("cpu", torch.float32, requires_grad=False) if broadcasts(sample)]
    assert len(wide) >= 100
    for sample in wide[::10]:
        with pytest.raises(ValueError, match="xent does not broadcast"):
            xt.gaussian_nll_loss(sample.input, *sample.args, **sample.kwargs)


def test_a_number_that_is_off_is_seen() -> None:
    one, off, nan = torch.ones(2), torch.tensor([1.0, 1.001]), torch.tensor([1.0, float("nan")])
    for wrong in (off, nan, one.double(), one[:1]):
        with pytest.raises(AssertionError):
            assert_alike([wrong], [one], "")
    with pytest.raises(AssertionError):
        assert_alike([None], [one], "")
