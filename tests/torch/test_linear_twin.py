"""The linear loss of PyTorch and ours are one for the same arguments: names, defaults, values, gradients, state."""

import copy
import inspect
import io
import pickle
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.linear import FIVE_ROWS, head, hidden, labels, leaves, mixture
from tests.torch.twins import numbers
from xent._errors import ArgumentError

N, C, D = 8, 6, 5
H, (W, B) = hidden(N), head(C)
T, Y = labels(N, classes=C), mixture(N, classes=C)
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.25, 1.0, 1.0]).double()
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "plain": (T, {}),
    "no mark": (T, {"ignore_index": None}),
    "mark": (T.clamp(min=0), {"ignore_index": 5}),
    "weight": (T, {"weight": WEIGHT}),
    "sum": (T, {"reduction": "sum", "weight": WEIGHT}),
    "none": (T, {"reduction": "none"}),
    "smoothed": (T, {"label_smoothing": 0.1, "weight": WEIGHT}),
    "probabilities": (Y, {"ignore_index": None}),
    "probabilities, weight": (Y, {"weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": None}),
    "nothing counts": (torch.full((N,), -100), {}),
}
MODULES: dict[str, tuple[dict[str, Any], tuple[int, ...], Any]] = {
    "plain": ({}, (N, D), T),
    "bias": ({"bias": True, "reduction": "sum"}, (N, D), T),
    "one row": ({"bias": True, "weight": WEIGHT.float()}, (D,), torch.tensor(4)),
    "options": ({"weight": WEIGHT.float(), "options": FIVE_ROWS}, (N, D), T),
    "probabilities": ({"label_smoothing": 0.1}, (N, D), Y.float()),
    "mark": ({"ignore_index": 5, "reduction": "none"}, (N, D), T.clamp(min=0)),
    "positions": ({"out_features": (3,), "bias": True}, (N, D), labels(N, 3, classes=C)),
    "two positions": ({"out_features": (3, 2), "reduction": "none"}, (N, D), labels(N, 3, 2, classes=C)),
}

every_call = pytest.mark.parametrize("name", CALLS)
every_module = pytest.mark.parametrize("name", MODULES)


def both(function: Any, given: tuple[Any, ...], target: Any, **options: Any) -> tuple[Any, ...]:
    at = leaves(*given)
    value = function(at[0], at[1], target, linear_bias=at[2] if len(at) > 2 else None, **options)
    upstream = torch.arange(1.0, value.numel() + 1, dtype=value.dtype).reshape(value.shape)
    return value.detach(), *torch.autograd.grad(value, at, upstream)


@every_call
@pytest.mark.parametrize("way", [{}, {"backend": "torch"}, {"options": FIVE_ROWS}], ids=str)
def test_values_and_gradients_are_those_of_pytorch(name: str, way: dict[str, Any]) -> None:
    target, options = CALLS[name]
    expected = both(functional.linear_cross_entropy, (H, W, B), target, **options)
    found = both(xt.linear_cross_entropy, (H, W, B), target, **options, **way)
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        # PyTorch's gradients of a mean over nothing are NaN.
        right = torch.zeros_like(theirs) if name == "nothing counts" and place else theirs
        assert_close(ours, right, equal_nan=True)


def test_pytorchs_chunks_give_what_our_chunks_give() -> None:
    options: dict[str, Any] = {"weight": WEIGHT.float(), "options": FIVE_ROWS}
    given = tuple(t.float() for t in (H, W, B))
    assert_close(both(xt.linear_cross_entropy, given, T, **options), both(functional.linear_cross_entropy, given, T, **options))


@every_call
def test_one_row_is_that_of_pytorch(name: str) -> None:
    target, options = CALLS[name]
    for place in range(2):
        expected = both(functional.linear_cross_entropy, (H[place], W, B), target[place], **options)
        if name != "nothing counts":
            assert_close(both(xt.linear_cross_entropy, (H[place], W, B), target[place], **options), expected, equal_nan=True)


@pytest.mark.parametrize("shape", [(3,), (3, 2)])
@pytest.mark.parametrize("name", [name for name in CALLS if name != "nothing counts"])
def test_classifiers_of_many_positions_are_those_of_pytorch(name: str, shape: tuple[int, ...]) -> None:
    target, options = CALLS[name]
    w, b = numbers(C, *shape, D, seed=6), numbers(C, *shape, seed=7)
    if target.is_floating_point():
        target = numbers(N, C, *shape, seed=8).softmax(1)
    else:
        target = labels(N, *shape, classes=C)
        target = target.clamp(min=0) if options.get("ignore_index") else target
    for given in ((H, w, b), (H, w)):
        expected = both(functional.linear_cross_entropy, given, target, **options)
        assert_close(both(xt.linear_cross_entropy, given, target, **options), expected)


def of(thing: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(thing).parameters.values()]


@pytest.mark.parametrize("name", ["linear_cross_entropy", "LinearCrossEntropyLoss"])
def test_names_kinds_and_defaults_are_those_of_pytorch(name: str) -> None:
    ours, theirs = (of(getattr(home, name)) for home in (xt, functional if name.islower() else nn))
    assert ours[: len(theirs)] == theirs
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(theirs) :])


def pair_of(name: str) -> tuple[Any, Any, Tensor, Any]:
    """Both modules with the same weights, and an input and target."""
    options, shape, target = MODULES[name]
    torch.manual_seed(0)
    ours, theirs = xt.LinearCrossEntropyLoss(D, C, **options), nn.LinearCrossEntropyLoss(D, C, **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs, numbers(*shape, seed=9).float(), target


def run(module: nn.Module, x: Tensor, target: Any) -> tuple[Tensor, ...]:
    leaf = x.clone().requires_grad_()
    module.zero_grad()
    with warnings.catch_warnings():
        # PyTorch says where it does not take its options.
        warnings.simplefilter("ignore")
        value = module(leaf, target)
    value.sum().backward()
    return value.detach(), leaf.grad, *(p.grad for p in module.parameters())  # pyright: ignore


@every_module
def test_a_module_computes_what_pytorchs_own_computes(name: str) -> None:
    ours, theirs, x, target = pair_of(name)
    assert_close(run(ours, x, target), run(theirs, x, target))


@every_module
def test_a_module_is_pytorchs_own_by_class_attributes_and_print(name: str) -> None:
    ours, theirs, _, _ = pair_of(name)
    assert isinstance(ours, nn.LinearCrossEntropyLoss)
    assert set(vars(theirs)) <= set(vars(ours))
    for attribute in (*nn.LinearCrossEntropyLoss.__constants__, "options"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert repr(ours) == repr(theirs)


@every_module
def test_state_goes_to_and_fro(name: str) -> None:
    ours, theirs, x, target = pair_of(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    mine, own = ([(n, p.shape, p.dtype) for n, p in module.named_parameters()] for module in (ours, theirs))
    assert mine == own
    fresh = nn.LinearCrossEntropyLoss(D, C, **MODULES[name][0])
    ours.load_state_dict(fresh.state_dict())
    assert_close(run(ours, x, target), run(fresh, x, target))
    file = io.BytesIO()
    torch.save(ours.state_dict(), file)
    file.seek(0)
    theirs.load_state_dict(torch.load(file, weights_only=True))
    assert_close(run(theirs, x, target), run(ours, x, target))


@every_module
def test_initial_weights_are_those_of_pytorch_for_a_seed(name: str) -> None:
    options = MODULES[name][0]
    found: list[list[Tensor]] = []
    for home in (xt, nn):
        torch.manual_seed(3)
        found.append(list(home.LinearCrossEntropyLoss(D, C, **options).parameters()))
    assert_close(found[0], found[1], rtol=0.0, atol=0.0)


@every_module
def test_copies_and_pickles_compute_the_same_with_memory_of_their_own(name: str) -> None:
    ours, _, x, target = pair_of(name)
    expected = run(ours, x, target)
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(copied) is xt.LinearCrossEntropyLoss
        assert_close(run(copied, x, target), expected, rtol=0.0, atol=0.0)
        assert repr(copied) == repr(ours)
        with torch.no_grad():
            for part in (*copied.parameters(), *copied.buffers()):
                part.zero_()
    assert_close(run(ours, x, target), expected, rtol=0.0, atol=0.0)


def test_extras_reach_the_function_and_are_printed_and_copied() -> None:
    extras: dict[str, Any] = {"z_loss": 0.1, "focal": 0.5, "softcap": 3.0, "scale": 0.5, "shift": 1, "normalizer": 7.0}
    torch.manual_seed(0)
    module = xt.LinearCrossEntropyLoss(D, C, dtype=torch.float64, **extras, memory_limit=1 << 20, tolerance=0.01, backend="numba")
    h, t = hidden(2, 4), labels(2, 4, classes=C)
    expected = xt.linear_cross_entropy(h, module.linear.weight, t, **extras)
    for copied in (module, copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert_close(copied(h, t), expected)
        assert repr(copied).startswith("LinearCrossEntropyLoss(")
        assert "z_loss=0.1, focal=0.5, softcap=3.0, scale=0.5, shift=1, tolerance=0.01, memory_limit=1048576" in repr(copied)
    loss, stats = xt.LinearCrossEntropyLoss(D, C, dtype=torch.float64, return_stats=True)(h, t)
    assert stats.lse.shape == (2, 4)
    assert loss.shape == ()


def test_a_module_moves_to_another_dtype_and_device() -> None:
    ours, theirs, x, target = pair_of("one row")
    assert_close(run(ours.double(), x.double(), target), run(theirs.double(), x.double(), target))
    there = ours.to("meta")(x.double().to("meta"), target.to("meta"))
    assert (there.device.type, there.shape, there.dtype) == ("meta", (), torch.float64)
    on_meta = xt.LinearCrossEntropyLoss(D, C, device="meta", dtype=torch.bfloat16)
    assert (on_meta.linear.weight.device.type, on_meta.linear.weight.dtype) == ("meta", torch.bfloat16)


def test_a_model_that_holds_one_is_trained_as_with_pytorchs_own() -> None:
    def trained(home: Any) -> list[float]:
        torch.manual_seed(0)
        layer, loss = nn.Linear(D, D), home.LinearCrossEntropyLoss(D, C, bias=True)
        optimizer = torch.optim.Adam([*layer.parameters(), *loss.parameters()], lr=0.1)
        found: list[float] = []
        for _ in range(15):
            optimizer.zero_grad()
            value = loss(torch.tanh(layer(H.float())), T)
            value.backward()
            optimizer.step()
            found.append(value.item())
        return found

    ours, theirs = trained(xt), trained(nn)
    assert ours[-1] < 0.7 * ours[0]
    assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_weight_of_another_size_is_refused_when_it_is_made() -> None:
    with pytest.raises(ArgumentError, match=r"weight must hold one number a class, \(6,\); found shape \(5,\)"):
        xt.LinearCrossEntropyLoss(D, C, weight=torch.ones(5))
