"""What refusals of evaluation ask, and what sentences say of strange predictions: each guess names what the rows show."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xent


@pytest.mark.parametrize(
    ("row", "step"),
    [([0.33, 0.33, 0.33], "0.02"), ([0.333, 0.333, 0.333], "0.002"), ([0.09] * 2 + [0.1] * 8, "0.03"), ([0.04] * 24, "0.05")],
)
def test_rounded_rows_are_asked_about_as_rounded_and_the_tolerance_named_lets_them_through(row: list[float], step: str) -> None:
    probs, target = np.array([row]), np.zeros(1, np.int64)
    with pytest.raises(xent.DistributionError) as refused:
        xent.evaluate(probs, target, kind="probs")
    assert str(refused.value).endswith(
        "(1 such rows). Were they rounded? "
        f"Write more digits, or allow it: --sum-tolerance {step} (sum_tolerance=); nothing is rescaled."
    )
    assert xent.evaluate(probs, target, kind="probs", sum_tolerance=float(step)).counted == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([50.0, 50.0], "Are these percentages? Divide by 100."),
        ([33.3, 33.3, 33.3], "Are these percentages? Divide by 100."),
        ([1.05, 0.0], "Are these logits, or log-probabilities? Say so."),
        ([0.5, 0.47], "Are these logits, or log-probabilities? Say so."),
        ([0.1, 0.1, 0.0] + [0.0] * 997, "Are these logits, or log-probabilities? Say so."),
        ([1e308, 1e308], "Are these logits, or log-probabilities? Say so."),
    ],
)
def test_other_sums_are_asked_about_as_what_they_look_like(row: list[float], said: str) -> None:
    with pytest.raises(xent.DistributionError, match=re.escape(said) + "$"):
        xent.evaluate(np.array([row]), np.zeros(1, np.int64), kind="probs")


def labelled(labels: list[str | None], *names: str) -> pa.Table:
    """Rows of three classes, each of its label called first of all."""
    rows = {name: pa.array([0.5 - 0.25 * (n > 0)] * len(labels)) for n, name in enumerate(names)}
    return pa.table({**rows, "y": pa.array(labels, pa.string())})


@pytest.mark.parametrize("names", [("p_0", "p_1", "p_2"), ("p_a", "p_b", "p_c")])
def test_whole_numbers_written_as_fractions_are_labels(names: tuple[str, ...]) -> None:
    found = xent.evaluate(labelled(["0.0", None, "2.0", "1"], *names), "y", kind="probs", columns="p_")
    assert found.confusion is not None
    assert ([pair.target for pair in found.confusion], found.ignored) == ([0, 1, 2], 1)


@pytest.mark.parametrize("names", [("p_0.5", "p_1.5", "p_2.5"), ("p_1", "p_01", "p_2"), ("p_0", "p_5", "p_2")])
def test_they_are_none_where_they_could_be_names(names: tuple[str, ...]) -> None:
    with pytest.raises(xent.LabelError, match=r"row 0 of the table holds '1\.0' in 'y'"):
        xent.evaluate(labelled(["1.0"], *names), "y", kind="probs", columns="p_")


@pytest.mark.parametrize("names", [("p_0", "p_1", "p_2"), ("p_a", "p_b", "p_c")])
def test_labels_from_1_are_asked_about(names: tuple[str, ...]) -> None:
    with pytest.raises(xent.LabelError) as refused:
        xent.evaluate(labelled(["1", "3"], *names), "y", kind="probs", columns="p_")
    shown = ", ".join(repr(name[2:]) for name in names)
    assert str(refused.value) == (
        f"true classes must be among the 3 of the columns ({shown}); row 1 of the table holds '3' in 'y' (1 such rows). "
        "Do labels count from 1?"
    )


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le"])
def test_utf_16_is_called_so(tmp_path: Path, code: str) -> None:
    (tmp_path / "a.csv").write_text("p_a,p_b,y\n0.5,0.5,a\n", encoding=code)
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(tmp_path / "a.csv", "y", kind="probs", columns="p_")
    assert str(refused.value) == (
        f"a file must be readable as .csv; {tmp_path / 'a.csv'} gives: it is written as UTF-16, and UTF-8 is needed: "
        "save it anew as UTF-8. Repair or remove it."
    )
