"""A module of xent stands where PyTorch's own stood: its class, state, copies, moves, and what it prints."""

import copy
import inspect
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.twins import LABELS, numbers
from xent._errors import ArgumentError

WEIGHT = torch.tensor([0.5, 2.0, 1.0, 1.25])
X, Y = numbers(5, 4).float(), numbers(5, 4, seed=1).float()

MODULES: dict[str, tuple[dict[str, Any], tuple[Tensor, ...]]] = {
    "CrossEntropyLoss": ({"weight": WEIGHT, "ignore_index": -1, "label_smoothing": 0.1}, (X, LABELS.clamp(min=-1))),
    "NLLLoss": ({"weight": WEIGHT, "reduction": "sum"}, (X.log_softmax(1), LABELS)),
    "BCEWithLogitsLoss": ({"weight": WEIGHT, "pos_weight": WEIGHT.flip(0)}, (X, torch.sigmoid(Y))),
    "BCELoss": ({"weight": WEIGHT, "reduction": "none"}, (torch.sigmoid(X), torch.sigmoid(Y))),
    "KLDivLoss": ({"reduction": "batchmean", "log_target": True}, (X.log_softmax(1), Y.log_softmax(1))),
    "MSELoss": ({"reduction": "sum"}, (X, Y)),
    "GaussianNLLLoss": ({"full": True, "eps": 1e-3}, (X, Y, Y.exp())),
    "LogSoftmax": ({"dim": 1}, (X,)),
    "Softmax": ({"dim": 0}, (X,)),
    "LogSigmoid": ({}, (X,)),
}

every_module = pytest.mark.parametrize("name", MODULES)


def pair_of(name: str) -> tuple[nn.Module, nn.Module, tuple[Tensor, ...]]:
    options, inputs = MODULES[name]
    return getattr(xt, name)(**options), getattr(nn, name)(**options), inputs


def exactly(found: Tensor, expected: Tensor) -> None:
    assert_close(found, expected, rtol=0.0, atol=0.0)


def test_every_module_is_compared() -> None:
    public = {name for name in xt.__all__ if inspect.isclass(getattr(xt, name)) and issubclass(getattr(xt, name), nn.Module)}
    # With parameters of its own: test_linear_twin.py.
    assert public == {*MODULES, "LinearCrossEntropyLoss"}


@every_module
def test_it_computes_what_pytorchs_own_computes(name: str) -> None:
    ours, theirs, inputs = pair_of(name)
    assert_close(ours(*inputs), theirs(*inputs))


@every_module
def test_it_is_an_instance_of_pytorchs_own_class(name: str) -> None:
    ours, theirs, _ = pair_of(name)
    assert isinstance(ours, type(theirs))
    assert type(ours).__name__ == name


@every_module
def test_attributes_and_parameters_are_those_of_pytorch(name: str) -> None:
    ours, theirs, _ = pair_of(name)
    assert set(vars(theirs)) <= set(vars(ours))
    for attribute in getattr(theirs, "__constants__", []):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert list(ours.parameters()) == []
    assert [key for key, _ in ours.named_buffers()] == [key for key, _ in theirs.named_buffers()]


@every_module
def test_positional_arguments_and_their_defaults_are_those_of_pytorch(name: str) -> None:
    ours, theirs = (inspect.signature(getattr(home, name)).parameters.values() for home in (xt, nn))
    head = [(p.name, p.default) for p in ours][: len(theirs)]
    assert head == [(p.name, p.default) for p in theirs]


@every_module
def test_it_prints_as_pytorchs_own(name: str) -> None:
    ours, theirs, _ = pair_of(name)
    assert repr(ours) == repr(theirs)


def test_extras_are_printed_where_they_differ_from_their_defaults() -> None:
    assert repr(xt.CrossEntropyLoss(z_loss=1e-4, softcap=30.0)) == "CrossEntropyLoss(z_loss=0.0001, softcap=30.0)"
    assert repr(xt.NLLLoss(empty="zero", validate="off")) == "NLLLoss(empty='zero', validate='off')"
    assert repr(xt.MSELoss(normalizer=2.0)) == "MSELoss(normalizer=2.0)"
    assert repr(xt.GaussianNLLLoss(backend="torch")) == "GaussianNLLLoss(backend='torch')"


@every_module
def test_copies_and_pickles_compute_the_same_with_memory_of_their_own(name: str) -> None:
    ours, _, inputs = pair_of(name)
    expected = ours(*inputs).clone()
    for copied in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert type(copied) is type(ours)
        exactly(copied(*inputs), expected)
        assert repr(copied) == repr(ours)
        for buffer in copied.buffers():
            buffer.zero_()
    exactly(ours(*inputs), expected)


def test_copies_keep_extras() -> None:
    ours = xt.CrossEntropyLoss(z_loss=0.1, focal=2.0, return_stats=True)
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        loss, rows = copied(X, LABELS)
        expected, expected_rows = ours(X, LABELS)
        exactly(loss, expected)
        exactly(rows.lse, expected_rows.lse)


@every_module
def test_state_goes_to_and_fro_between_the_two(name: str) -> None:
    ours, theirs, inputs = pair_of(name)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    fresh = copy.deepcopy(theirs)
    for buffer in fresh.buffers():
        buffer.mul_(3.0)
    ours.load_state_dict(fresh.state_dict())
    assert_close(ours(*inputs), fresh(*inputs))
    theirs.load_state_dict(ours.state_dict())
    assert_close(theirs(*inputs), fresh(*inputs))


@every_module
def test_state_is_saved_and_loaded(name: str) -> None:
    ours, _, inputs = pair_of(name)
    file = io.BytesIO()
    torch.save(nn.Sequential(ours).state_dict(), file)
    file.seek(0)
    other = copy.deepcopy(ours)
    for buffer in other.buffers():
        buffer.zero_()
    nn.Sequential(other).load_state_dict(torch.load(file, weights_only=True))
    exactly(other(*inputs), ours(*inputs))


@every_module
def test_buffers_follow_to_another_dtype_and_device(name: str) -> None:
    ours, theirs, inputs = pair_of(name)
    ours, theirs = ours.to(torch.float64), theirs.to(torch.float64)
    assert all(buffer.dtype == torch.float64 for buffer in ours.buffers())
    wide = tuple(t.double() if t.is_floating_point() else t for t in inputs)
    assert_close(ours(*wide), theirs(*wide))
    there = copy.deepcopy(ours).to("meta")(*(t.to("meta") for t in wide))
    assert there.device.type == "meta"
    assert there.shape == theirs(*wide).shape
    assert there.dtype == torch.float64


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss", "BCEWithLogitsLoss", "BCELoss", "MSELoss", "KLDivLoss"])
def test_deprecated_arguments_still_decide_and_warn(name: str) -> None:
    for old, meant in (({"size_average": False}, "sum"), ({"reduce": False}, "none"), ({"size_average": True}, "mean")):
        with pytest.warns(UserWarning, match="size_average and reduce"):
            module = getattr(xt, name)(**old)
        assert module.reduction == meant


def test_attributes_may_be_changed_afterwards() -> None:
    ours, theirs = xt.CrossEntropyLoss(), nn.CrossEntropyLoss()
    for module in (ours, theirs):
        module.reduction, module.label_smoothing, module.ignore_index, module.weight = "sum", 0.2, 2, WEIGHT
    assert_close(ours(X, LABELS.clamp(min=0)), theirs(X, LABELS.clamp(min=0)))


def test_a_model_that_holds_one_is_trained_as_with_pytorchs_own() -> None:
    def trained(loss: nn.Module) -> list[float]:
        torch.manual_seed(0)
        model = nn.Linear(4, 4)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        found: list[float] = []
        for _ in range(20):
            optimizer.zero_grad()
            value = loss(model(X), LABELS)
            value.backward()
            optimizer.step()
            found.append(value.item())
        return found

    ours, theirs = trained(xt.CrossEntropyLoss()), trained(nn.CrossEntropyLoss())
    assert ours[-1] < 0.7 * ours[0]
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_gradients_go_through_a_module_in_training_and_evaluation() -> None:
    for mode in (True, False):
        module, leaf = xt.CrossEntropyLoss(weight=WEIGHT).train(mode), X.clone().requires_grad_()
        module(leaf, LABELS).backward()
        assert leaf.grad is not None
        assert_close(leaf.grad.sum(1), torch.zeros(5), atol=1e-6, rtol=0.0)


def test_extras_reach_the_function() -> None:
    extras: dict[str, Any] = {"z_loss": 0.1, "focal": 0.5, "softcap": 3.0, "scale": 0.5, "normalizer": 7.0}
    exactly(xt.CrossEntropyLoss(**extras)(X, LABELS), xt.cross_entropy(X, LABELS, **extras))
    with pytest.raises(ArgumentError, match="inplace=True writes the gradient over the logits"):
        xt.CrossEntropyLoss(inplace=True)(X.clone().requires_grad_(), LABELS)
    for name, (options, inputs) in MODULES.items():
        if not name.endswith(("max", "Sigmoid")):
            module = getattr(xt, name)(**options, backend="torch")
            assert_close(module(*inputs), getattr(xt, name)(**options)(*inputs))
