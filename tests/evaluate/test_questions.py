"""What refusals of evaluation ask, and what sentences say of strange predictions: each guess names what the rows show."""

from __future__ import annotations

import re

import numpy as np
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
