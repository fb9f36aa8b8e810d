"""Two models on the same rows: which is better, and what is said of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Comparison, Difference, Estimate, Totals, evaluation
from xent.evaluate._call import totals_of
from xent.evaluate.display.verdict import measures, short_names, verdict
from xent.evaluate.inputs.arrays import Parts
from xent.evaluate.inputs.columns import Columns
from xent.evaluate.state.spec import Choices


def state(probs: np.ndarray, target: np.ndarray) -> Totals:
    return totals_of(Parts(probs, target), Columns(None, "probs"), choices=Choices())


@pytest.fixture(scope="module")
def pair(rows: Rows) -> tuple[Totals, Totals]:
    flat = (rows.probs + 1.0) / (1.0 + rows.classes)
    return state(rows.probs, rows.target), state(flat, rows.target)


def test_what_stays_after_a_temperature_is_what_each_evaluation_says(pair: tuple[Totals, Totals]) -> None:
    found = Comparison.of(*pair).log_loss_after_temperature_nats
    stays = [evaluation(totals).refinement for totals in pair]
    assert found is not None
    assert (found.first, found.second) == pytest.approx([one.refinement_nats for one in stays if one is not None], rel=1e-12)
    assert found.difference.value == found.first - found.second
    assert found.difference.low < found.difference.value < found.difference.high  # type: ignore[operator]


def test_a_temperature_of_its_own_makes_two_sharpnesses_of_one_model_alike(rows: Rows) -> None:
    one, other = (
        totals_of(Parts(x, rows.target), Columns(None, "logits"), choices=Choices()) for x in (rows.logits, rows.logits / 1.5)
    )
    found = Comparison.of(one, other)
    assert abs(found.log_loss_nats.difference.value) > 0.01
    assert found.log_loss_after_temperature_nats is not None
    assert abs(found.log_loss_after_temperature_nats.difference.value) < 1e-3


def test_few_rows_have_no_temperature_and_one_row_no_interval() -> None:
    probs, target = np.array([[0.9, 0.1]]), np.array([0])
    found = Comparison.of(state(probs, target), state(1.0 - probs, target))
    assert found.log_loss_after_temperature_nats is None
    assert (found.log_loss_nats.difference.low, found.log_loss_nats.better) == (None, 1.0)


@pytest.mark.filterwarnings("error")
def test_a_finite_loss_is_certainly_better_than_an_infinite_one(rows: Rows, pair: tuple[Totals, Totals]) -> None:
    wrong = rows.probs.copy()
    wrong[0] = np.eye(rows.classes)[(rows.target[0] + 1) % rows.classes]
    infinite = state(wrong, rows.target)
    for models, value, better in (((infinite, pair[0]), math.inf, 0.0), ((pair[0], infinite), -math.inf, 1.0)):
        found = Comparison.of(*models, names=("one", "other"))
        for line in (found.log_loss_nats, found.log_loss_after_temperature_nats):
            assert line is not None
            assert (line.difference, line.better) == (Estimate(value), better)
        name, worse = ("one", "other") if better else ("other", "one")
        assert f"In log loss {name} is better: that of {worse} is infinite." in str(found)
        rest = evaluation(infinite).finite_log_loss_nats
        assert f"The log loss of {worse} is infinite by 1 row; that of its other rows is {rest:.4f} nats." in str(found)
        assert f"The log loss of {name} " not in str(found)
        assert sorted(found.infinite) == [0, 1]
        assert rest in found.finite_log_loss_nats
    both = Comparison.of(infinite, infinite)
    assert math.isnan(both.log_loss_nats.better)
    assert "In log loss nothing can be said: both are infinite." in str(both)


def said(difference: Difference, name: str = "brier") -> str:
    none = Difference(1.0, 1.0, Estimate(0.0, 0.0, 0.0), 0.5)
    known = {"brier": None, "accuracy": None, "log_loss_nats": none} | {name: difference}
    return list(verdict(Comparison(("a", "b"), log_loss_after_temperature_nats=None, **known)))[-1]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("difference", "name", "sentence"),
    [
        (
            Difference(0.1, 0.3, Estimate(-0.2, -0.3, -0.1), 1.0),
            "brier",
            "In Brier score a is better, by 0.2000 [0.1000, 0.3000].",
        ),
        (Difference(0.3, 0.1, Estimate(0.2, 0.1, 0.3), 0.0), "brier", "In Brier score b is better, by 0.2000 [0.1000, 0.3000]."),
        (
            Difference(0.9, 0.8, Estimate(0.1, 0.05, 0.15), 1.0),
            "accuracy",
            "In accuracy a is better, by 10.00 percentage points [5.00, 15.00].",
        ),
        (
            Difference(0.8, 0.9, Estimate(-0.1, -0.15, -0.05), 1.0),
            "accuracy",
            "In accuracy b is better, by 10.00 percentage points [5.00, 15.00].",
        ),
        (
            Difference(0.3, 0.2, Estimate(0.1, -0.1, 0.3), 0.2),
            "brier",
            "In Brier score these rows do not tell which is better: a has 0.1000 [-0.1000, 0.3000] more.",
        ),
        (
            Difference(0.2, 0.2, Estimate(0.0, 0.0, 0.0), 0.5),
            "brier",
            "In Brier score these rows do not tell which is better: both are alike.",
        ),
    ],
)
def test_a_sentence_says_who_is_better(difference: Difference, name: str, sentence: str) -> None:
    assert said(difference, name) == sentence


def test_models_are_called_by_their_files(rows: Rows) -> None:
    found = xent.evaluate.compare(rows.probs, rows.probs, rows.target, kind="probs")
    assert found.names == ("first", "second")
    named = xent.evaluate.compare(rows.probs, rows.probs, rows.target, kind="probs", names=("a", "b"))
    assert named.as_dict()["names"] == ["a", "b"]
    assert [one.name for one in measures(named)] == ["log loss, nats", "  after temperature", "Brier score", "accuracy, %"]


def test_names_are_as_short_as_tells_them_apart() -> None:
    assert short_names(("runs/a.csv", "runs/b.csv")) == ("a.csv", "b.csv")
    assert short_names(("a/p.csv", "b/p.csv")) == ("a/p.csv", "b/p.csv")
    assert short_names(("p.csv", "p.csv")) == ("p.csv (1)", "p.csv (2)")
    assert short_names(("x\u202ey", "z")) == (r"x\u202ey", "z")


def test_the_means_of_a_comparison_are_those_of_each_model_to_the_bit(rows: Rows) -> None:
    for n in (30, 81, 183):
        first, second = rows.probs[:n], np.roll(rows.probs, 1, axis=1)[:n]
        found = xent.evaluate.compare(first, second, rows.target[:n], kind="probs")
        for probs, of in ((first, "first"), (second, "second")):
            alone = xent.evaluate(probs, rows.target[:n], kind="probs")
            assert getattr(found.log_loss_nats, of) == alone.log_loss_nats.value
            assert getattr(found.brier, of) == alone.brier.score.value


def test_rows_left_out_of_one_model_are_named(rows: Rows) -> None:
    broken = rows.probs[:40].copy()
    broken[3] = np.nan
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate.compare(rows.probs[:40], broken, rows.target[:40], kind="probs", skip_unfit=True)
    assert str(refused.value) == (
        "models are compared on the same rows; of the first count 40 (0 have no label, 0 are unfit), "
        "of the second 39 (0 have no label, 1 are unfit). Mend these rows, or remove them from both."
    )


def documents(probs: np.ndarray, target: np.ndarray, weight: np.ndarray | None) -> list[dict[str, np.ndarray]]:
    """Rows of which four have one id."""
    weights = {} if weight is None else {"weight": weight}
    return [{"predictions": probs, "target": target, "id": np.arange(len(target)) // 4, **weights}]


OTHER_WEIGHTS = "models are compared on the same weights; they differ. Name the same column of weights."


def test_models_are_compared_on_the_weight_of_each_row(rows: Rows) -> None:
    one, other = (
        documents(rows.probs, rows.target, rows.weight),
        documents(rows.probs[::-1], rows.target[::-1], rows.weight[::-1]),
    )
    other[0]["id"] = one[0]["id"][::-1]
    in_any_order = xent.evaluate.compare(one, other, kind="probs")
    assert in_any_order.log_loss_nats.difference.value == 0.0
    exchanged = rows.weight.reshape(-1, 4)[:, ::-1].ravel()
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate.compare(one, documents(rows.probs, rows.target, exchanged), kind="probs")
    assert str(refused.value) == OTHER_WEIGHTS


def test_a_zero_of_weight_has_one_sign_and_no_weight_is_one(rows: Rows) -> None:
    plus, minus = (np.where(np.arange(rows.n) % 2, 1.0, zero) for zero in (0.0, -0.0))
    pair = (documents(rows.probs, rows.target, weight) for weight in (plus, minus))
    assert xent.evaluate.compare(*pair, kind="probs").log_loss_nats.difference.value == 0.0
    bare = documents(rows.probs, rows.target, None)
    alike = xent.evaluate.compare(documents(rows.probs, rows.target, np.ones(rows.n)), bare, kind="probs")
    assert alike.log_loss_nats.difference.value == 0.0
    halves = np.where(np.arange(rows.n) % 2, 0.5, 1.5)
    for models in ((documents(rows.probs, rows.target, halves), bare), (bare, documents(rows.probs, rows.target, halves))):
        with pytest.raises(xent.ArgumentError) as refused:
            xent.evaluate.compare(*models, kind="probs")
        assert str(refused.value) == OTHER_WEIGHTS


@pytest.mark.parametrize("names", [("a",), ("a", "b", "c"), (1, 2), "ab", (), 5], ids=repr)
def test_names_are_two_texts(rows: Rows, pair: tuple[Totals, Totals], names: Any) -> None:
    for call in (
        lambda: xent.evaluate.compare(rows.probs, rows.probs, rows.target, kind="probs", names=names),
        lambda: Comparison.of(*pair, names=names),
    ):
        with pytest.raises(xent.DTypeError) as refused:
            call()
        assert str(refused.value) == f'names must be two texts; found {names!r}. Name both models: names=("old", "new").'


def test_an_option_that_there_is_not_is_named_as_one_of_compare(rows: Rows) -> None:
    with pytest.raises(TypeError) as refused:
        xent.evaluate.compare(rows.probs, rows.probs, rows.target, kind="probs", foo=1)
    assert str(refused.value) == "compare() got an unexpected keyword argument 'foo'"


def test_one_iterator_serves_one_model(rows: Rows) -> None:
    batches = ((rows.probs, rows.target) for _ in range(1))
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate.compare(batches, batches, kind="probs")
    assert str(refused.value) == (
        "each model needs predictions of its own; both are one generator, which the first model uses up. "
        "Give a list, or one for each model."
    )
    listed = [(rows.probs, rows.target)]
    assert xent.evaluate.compare(listed, listed, kind="probs").log_loss_nats.difference.value == 0.0
