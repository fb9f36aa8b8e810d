"""The pages: those the source names are written, each has its parts, and PyTorch does what they say of it."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DERIVATIONS = sorted((ROOT / "docs" / "derivations").glob("*.md"))
INF, NAN = float("inf"), float("nan")


def unwritten_pages(source: str) -> list[str]:
    """Names of derivations that a docstring promises and docs/derivations lacks."""
    mentions = [line for line in source.splitlines() if re.search(r"docs/|\.md", line)]
    names = set(re.findall(r"([\w-]+\.md)", " ".join(mentions)))
    return sorted(name for name in names if not any(page.name == name for page in PAGES))


@pytest.mark.parametrize("module", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.stem)
def test_pages_that_the_source_names_are_written(module: Path) -> None:
    assert unwritten_pages(module.read_text()) == []


def test_an_unwritten_page_is_seen() -> None:
    assert unwritten_pages('"""Derived in docs/derivations/z-loss.md, poly-1.md."""') == ["poly-1.md"]


@pytest.mark.parametrize("page", DERIVATIONS, ids=lambda page: page.stem)
def test_derivations_state_derive_compute_and_cite(page: Path) -> None:
    text = page.read_text()
    places = [text.find(mark) for mark in ("**Statement.**", "**Derivation.**", ">>> ", "**Source")]
    assert min(places) > 0
    assert places == sorted(places)


def test_every_convention_has_its_section() -> None:
    numbers = re.findall(r"^## (\d+)\.", (ROOT / "docs" / "conventions.md").read_text(), flags=re.MULTILINE)
    assert numbers == [str(number) for number in range(1, 23)]


def cross_entropy(logits: list[list[float]], target: object, **options: object) -> float:
    return functional.cross_entropy(torch.tensor(logits), torch.tensor(target), **options).item()


def gradient_of_an_ignored_row() -> float:
    logits = torch.tensor([[0.0, 0.0], [NAN, 1.0]], requires_grad=True)
    functional.cross_entropy(logits, torch.tensor([0, -100])).backward()
    assert logits.grad is not None
    return float(logits.grad[1].sum())


def mean_of_halves() -> float:
    logits = torch.tensor([[19.0, 0.0]], dtype=torch.float16).expand(10000, 2)
    return functional.cross_entropy(logits, torch.ones(10000, dtype=torch.int64)).item()


ANSWERS: dict[str, tuple[Callable[[], float], float]] = {
    "4: indices": (lambda: cross_entropy([[0, 0], [0.0, 0]], [0, 1], weight=torch.tensor([1.0, 3.0])), np.log(2)),
    "4: probabilities": (
        lambda: cross_entropy([[0, 0], [0.0, 0]], [[1.0, 0], [0, 1]], weight=torch.tensor([1.0, 3.0])),
        2 * np.log(2),
    ),
    "5: a mean over nothing": (lambda: cross_entropy([[0.0, 0]], [-100]), NAN),
    "3: NaN in an ignored row": (gradient_of_an_ignored_row, NAN),
    "6: target 0 on −inf": (lambda: cross_entropy([[0, 0, -INF]], [[0.5, 0.5, 0.0]]), NAN),
    "6: a sure yes": (lambda: functional.binary_cross_entropy_with_logits(torch.tensor([INF]), torch.tensor([1.0])).item(), NAN),
    "7: target's logit −inf": (lambda: cross_entropy([[0, -INF]], [1]), INF),
    "12: a negative weight": (lambda: cross_entropy([[0, 0], [0.0, 0]], [0, 1], weight=torch.tensor([1.0, -1.0])), NAN),
    "13: no distribution": (lambda: cross_entropy([[0.0, 0]], [[3.0, 4.0]]), 7 * np.log(2)),
    "15: the mean of halves": (mean_of_halves, INF),
    "16: a lead of 40": (lambda: cross_entropy([[40.0, 0]], [0]), 0.0),
    "21: logits in nll_loss": (lambda: functional.nll_loss(torch.tensor([[2.0, 1.0]]), torch.tensor([0])).item(), -2.0),
}
"""What docs/conventions.md says of PyTorch: the question and the answer."""


@pytest.mark.parametrize("claim", ANSWERS)
def test_pytorch_answers_as_the_page_says(claim: str) -> None:
    ask, answer = ANSWERS[claim]
    np.testing.assert_allclose(ask(), answer, rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_pytorch_takes_no_other_index(dtype: torch.dtype) -> None:
    with pytest.raises(RuntimeError, match="Long"):
        functional.cross_entropy(torch.zeros(1, 2), torch.tensor([1], dtype=dtype))


def test_pytorch_names_the_label_alone() -> None:
    with pytest.raises(IndexError, match=r"^Target 2 is out of bounds\.$"):
        cross_entropy([[0.0, 0]] * 3, [0, 1, 2])
