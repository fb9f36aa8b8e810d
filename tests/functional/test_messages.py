"""Every error rendered in full: the rule, what broke it, and the remedy; and what a wrong target looks like."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xent
from tests.functional import messages
from tests.functional.linear_messages import LINEAR_CASES
from tests.functional.messages import IMAGES, T, X, Y, and_grad, ce
from xent import _errors

PACKAGE = Path(xent.__file__).parent
CASES = messages.CASES | LINEAR_CASES


def without_numbers(text: str) -> str:
    """The tolerance of a distribution depends on dtype and class count, the smallest limit on threads: tested elsewhere."""
    text = re.sub(r"within \d\.\de-\d\d;", "within TOLERANCE;", text)
    return re.sub(r"works here is \d+;", "works here is BYTES;", text)


@pytest.mark.parametrize("case", CASES)
def test_the_message_states_rule_value_and_remedy(case: str) -> None:
    call, kind, text = CASES[case]
    with pytest.raises(kind) as caught:
        call()
    assert without_numbers(str(caught.value)) == text
    assert f"{caught.value.rule}; {caught.value.found}. {caught.value.remedy}" == str(caught.value)
    assert type(caught.value) is kind


def test_a_warning_says_what_the_error_would_and_points_at_the_caller() -> None:
    counts = np.array([[1.0, 0.0, 0.0]] * 3 + [[2.0, 1.0, 1.0]])
    for function, given in ((xent.cross_entropy, X), (xent.kl_divergence_loss, X), (xent.log_loss, np.float64(Y))):
        with pytest.warns(xent.DistributionWarning) as caught:
            function(given, counts, validate="warn")
        assert without_numbers(str(caught[0].message)) == CASES["counts"][2]
        assert caught[0].filename == __file__, function.__name__


REMEDIES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "one-hot": (ce(target=np.eye(3, dtype=int)[T].argmax(1)), ce(target=np.eye(3, dtype=int)[T].astype(float))),
    "labels as floats": (ce(target=T.astype(float).astype(int)), ce()),
    "an extra axis": (ce(target=T[:, None].squeeze(1)), ce()),
    "a swapped class axis": (ce(IMAGES, np.zeros((2, 4, 5), int), axis=1), ce(np.zeros((40, 3), np.float32), np.zeros(40, int))),
    "labels 1..K": (ce(target=np.array([1, 2, 3, 1]) - 1), ce()),
    "-1 for ignored": (ce(target=[0, -1, 2, -1], ignore_index=-1), ce(target=[0, -100, 2, -100])),
    "a mask of 0 and 255": (ce(X[:, :2], np.array([0, 255]).repeat(2) // 255), ce(X[:, :2], [0, 0, 1, 1])),
    "names": (ce(target=np.unique(["cat", "dog", "cat", "cow"], return_inverse=True)[1]), ce(target=[0, 2, 0, 1])),
}


@pytest.mark.parametrize("case", REMEDIES)
def test_the_remedy_mends_the_call(case: str) -> None:
    mended, meant = REMEDIES[case]
    assert mended() == pytest.approx(meant(), rel=1e-6)


def error_names() -> set[str]:
    return {name for name, kind in vars(_errors).items() if isinstance(kind, type) and issubclass(kind, xent.XentError)}


def places_of_errors() -> Iterator[tuple[str, int]]:
    """File and line of every place below the front door's files that makes an error."""
    for folder in ("_check", "functional"):
        for path in sorted((PACKAGE / folder).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in error_names():
                    yield f"{folder}/{path.name}", node.lineno


def test_every_place_that_makes_an_error_is_rendered_here(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[tuple[str, int]] = set()
    original = xent.XentError.__init__

    def remembering(self: xent.XentError, *parts: str) -> None:
        frame = sys._getframe(1)
        path = Path(frame.f_code.co_filename)
        seen.add((f"{path.parent.name}/{path.name}", frame.f_lineno))
        original(self, *parts)

    monkeypatch.setattr(xent.XentError, "__init__", remembering)
    for call, kind, _ in CASES.values():
        with pytest.raises(kind):
            call()
    expected = set(places_of_errors())
    assert len(expected) > 20
    assert expected - seen == set()


def test_nothing_is_written_when_a_call_is_refused() -> None:
    refused = (
        {"target": [0, 1, 2, 3]},
        {"target": Y * 2},
        {"weight": [1.0, -1.0, 1.0]},
        {"label_smoothing": 2.0},
        {"softcap": -1.0},
    )
    for options in refused:
        out, own = np.full_like(X, 7.0), np.arange(12, dtype=np.float32).reshape(4, 3)
        with pytest.raises(xent.XentError):
            and_grad(out=out, **options)()
        assert (out == 7.0).all()
        with pytest.raises(xent.XentError):
            and_grad(own, out=own, **options)()
        assert (own == np.arange(12).reshape(4, 3)).all()
