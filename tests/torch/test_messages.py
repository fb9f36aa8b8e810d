"""Every error of the PyTorch door rendered in full: the rule, what broke it, and a remedy in PyTorch's words."""

import ast
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import xent
import xent.torch as xt
from tests.torch import linear_messages, messages, more_messages
from tests.torch.messages import IMAGES, MASKS, ONEHOT, Refused, T, X, Y
from xent import _errors

PACKAGE = Path(xent.__file__).parent
BY_FORMULA = (
    messages.SHAPES_AND_DTYPES | messages.LABELS | more_messages.NUMBERS | more_messages.OPTIONS | linear_messages.BY_FORMULA
)
CASES = BY_FORMULA | more_messages.ELSEWHERE | more_messages.IN_PLACE | linear_messages.ELSEWHERE
LINEAR = linear_messages.BY_FORMULA | linear_messages.ELSEWHERE
COMPILED = (
    "one-hot",
    "labels as floats",
    "labels as bool",
    "an extra axis",
    "a swapped class axis",
    "whole numbers for logits",
    "a single number",
    "no classes",
    "too few class weights",
    "a mark among probabilities",
    "a row against a column",
    "weights that do not expand",
    "a variance for each column",
    "labels 1..K",
    "a negative class weight",
    "signs for a binary loss",
    "too much smoothing",
)
"""Each costs PyTorch a recording."""


def without_tolerance(text: str) -> str:
    text = re.sub(r"works here is \d+;", "works here is BYTES;", text)
    return re.sub(r"within \d\.\de-\d\d;", "within TOLERANCE;", text)


def assert_refused(case: Refused, call: Callable[[], Any]) -> None:
    """With the rule, what broke it and the remedy, in an error that PyTorch's own users catch."""
    with pytest.raises(case.kind) as caught:
        call()
    error = caught.value
    assert without_tolerance(str(error)) == case.text
    assert f"{error.rule}; {error.found}. {error.remedy}" == str(error)
    assert type(error) is case.kind
    assert isinstance(error, case.like)


@pytest.mark.parametrize("name", CASES)
def test_the_message_states_rule_value_and_remedy(name: str) -> None:
    assert_refused(CASES[name], CASES[name].call)


@pytest.mark.parametrize("name", BY_FORMULA)
def test_the_formula_refuses_in_the_same_words(name: str) -> None:
    assert_refused(BY_FORMULA[name], lambda: BY_FORMULA[name].call(backend="torch"))


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_code_is_refused_in_the_same_words(name: str) -> None:
    torch.compiler.reset()
    case = CASES[name]
    compiled = torch.compile(case.function, backend="eager")
    with warnings.catch_warnings():
        # What PyTorch warns of while it compiles is its own affair.
        warnings.simplefilter("ignore")
        assert_refused(case, lambda: compiled(*case.arguments, **case.options))


@pytest.mark.parametrize("name", CASES)
def test_no_remedy_speaks_of_numpy(name: str) -> None:
    words = re.compile(r"numpy|astype|axis=|\bnp\.|log_loss|logits\b.*\.(?:float|long)\(")
    assert not words.search(CASES[name].text.lower().replace("numpy arrays belong to the functions of xent itself", ""))


@pytest.mark.parametrize("name", LINEAR)
def test_a_linear_loss_names_its_tensors_as_pytorch_does(name: str) -> None:
    words = re.compile(r"\b(?:hidden|classifier|bias) must\b|\b(?:hidden|classifier)\.[a-zT]|\bhidden is|like hidden\b|\barray\b")
    assert not words.search(LINEAR[name].text)


FORMULA_ALONE = (
    "one-hot",
    "labels as floats",
    "a swapped class axis",
    "labels 1..K",
    "a negative class weight",
    "too much smoothing",
)


@pytest.mark.parametrize("name", FORMULA_ALONE)
def test_gradients_do_not_change_what_is_said(name: str) -> None:
    case = CASES[name]
    x, *rest = case.arguments
    assert_refused(case, lambda: case.function(x.clone().requires_grad_(), *rest, **case.options))


def test_a_module_says_what_its_function_says() -> None:
    with pytest.raises(xent.LabelError, match=r"row 2 holds 3 .* Labels 1\.\.K\?"):
        xt.CrossEntropyLoss()(X, T + 1)
    with pytest.raises(xent.ArgumentError, match="z_loss must be a number"):
        xt.CrossEntropyLoss(z_loss=-1.0)(X, T)
    with pytest.raises(xent.DistributionError, match="Labels -1 and"):
        xt.BCEWithLogitsLoss()(X, X - 1.0)


def test_what_overwrote_the_logits_can_be_asked_for_once() -> None:
    def loss() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = X.clone().requires_grad_()
        return leaf, xt.cross_entropy(leaf * 1.0, T, inplace=True)

    leaf, value = loss()
    value.backward(retain_graph=True)
    with pytest.raises(xent.ArgumentError, match=r"a second backward pass was asked for\. The logits it would need are gone"):
        value.backward()
    leaf, value = loss()
    with pytest.raises(xent.ArgumentError, match=r"a second derivative was asked for\. The logits it would need are gone"):
        torch.autograd.grad(value, leaf, create_graph=True)
    leaf = X.clone().requires_grad_()
    own = leaf * 1.0
    value = xt.cross_entropy(own, T, inplace=True)
    own.zero_()
    with pytest.raises(xent.ArgumentError, match="the input was changed between the loss and its backward pass"):
        value.backward()


def test_recomputed_and_recorded_logits_are_not_overwritten() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return xt.cross_entropy(x * 1.0, T, inplace=True)

    x = X.clone().requires_grad_()
    with pytest.raises(xent.ArgumentError, match=r"saved tensors are recomputed or moved, as under activation checkpointing"):
        checkpoint(loss, x, use_reentrant=False)
    with pytest.raises(xent.ArgumentError, match=r"a torch\.func transform is at work"):
        torch.func.grad(loss)(X)
    torch.compiler.reset()
    with pytest.raises(xent.ArgumentError, match="PyTorch is recording this call"):
        torch.compile(loss, backend="eager")(X)


REMEDIES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "one-hot": (lambda: xt.cross_entropy(X, ONEHOT.argmax(1)), lambda: xt.cross_entropy(X, ONEHOT.float())),
    "labels as floats": (lambda: xt.cross_entropy(X, T.float().long()), lambda: xt.cross_entropy(X, T)),
    "an extra axis": (lambda: xt.cross_entropy(X, T[:, None].squeeze(1)), lambda: xt.cross_entropy(X, T)),
    "a swapped class axis": (
        lambda: xt.cross_entropy(IMAGES.movedim(3, 1), MASKS),
        lambda: xt.cross_entropy(IMAGES.reshape(40, 3), MASKS.reshape(40)),
    ),
    "labels 1..K": (lambda: xt.cross_entropy(X, (T + 1) - 1), lambda: xt.cross_entropy(X, T)),
    "-1 for ignored": (
        lambda: xt.cross_entropy(X, torch.tensor([0, -1, 2, -1]), ignore_index=-1),
        lambda: xt.cross_entropy(X[:2], torch.tensor([0, 2])),
    ),
    "a row against a column": (
        lambda: xt.mse_loss(Y[:, :1], X[:, 0].view_as(Y[:, :1])),
        lambda: xt.mse_loss(Y[:, 0], X[:, 0]),
    ),
}


@pytest.mark.parametrize("name", REMEDIES)
def test_the_remedy_mends_the_call(name: str) -> None:
    assert name in CASES
    mended, meant = REMEDIES[name]
    torch.testing.assert_close(mended(), meant())


def error_names() -> set[str]:
    return {name for name, kind in vars(_errors).items() if isinstance(kind, type) and issubclass(kind, xent.XentError)}


def places_of_errors() -> Iterator[tuple[str, int]]:
    """File and line of every place of this door that makes an error."""
    for path in sorted((PACKAGE / "torch").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if path.name != "__init__.py" and isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in error_names():
                    yield str(path.relative_to(PACKAGE)), node.lineno


def test_every_place_that_makes_an_error_is_rendered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, int]] = set()
    original = xent.XentError.__init__

    def remembering(self: xent.XentError, *parts: str) -> None:
        frame = sys._getframe(1)
        path = Path(frame.f_code.co_filename)
        if path.is_relative_to(PACKAGE):
            seen.add((str(path.relative_to(PACKAGE)), frame.f_lineno))
        original(self, *parts)

    monkeypatch.setattr(xent.XentError, "__init__", remembering)
    for name, case in CASES.items():
        for way in ({}, {"backend": "torch"}) if name in BY_FORMULA else ({},):
            with pytest.raises(case.kind):
                case.call(**way)
    test_what_overwrote_the_logits_can_be_asked_for_once()
    expected = set(places_of_errors())
    assert len(expected) > 15
    assert expected - seen == set()


def test_nothing_is_written_when_a_call_in_place_is_refused() -> None:
    refused: tuple[dict[str, Any], ...] = (
        {"target": T + 1},
        {"target": Y * 2, "validate": "raise"},
        {"weight": torch.tensor([1.0, -1.0, 1.0])},
        {"label_smoothing": 2.0},
        {"softcap": -1.0},
        {"reduction": "none"},
    )
    for options in refused:
        leaf = torch.arange(12.0).reshape(4, 3).requires_grad_()
        own = leaf * 1.0
        with pytest.raises(xent.XentError):
            xt.cross_entropy(own, **{"target": T} | options, inplace=True)
        assert torch.equal(own, leaf)


def test_a_warning_says_what_the_error_would_and_points_at_the_caller() -> None:
    counts = torch.tensor([[1.0, 0.0, 0.0]] * 3 + [[2.0, 1.0, 1.0]])
    for x in (X, X.clone().requires_grad_()):
        for loss in (xt.cross_entropy, lambda *a, **o: xt.CrossEntropyLoss(**o)(*a)):
            with pytest.warns(xent.DistributionWarning) as caught:
                loss(x, counts, validate="warn")
            assert without_tolerance(str(caught[0].message)) == CASES["counts"].text
            assert caught[0].filename == __file__
