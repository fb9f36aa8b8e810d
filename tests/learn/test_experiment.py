"""A fair split, honest baselines, and two losses from one start."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xent.learn._experiment import bits, perplexity, run
from xent.learn._plan import Plan
from xent.learn._split import stratified_split
from xent.learn._table import Table

RNG = np.random.default_rng(5)


def table_of(target):
    target = np.asarray(target)
    centres = RNG.normal(size=(target.max() + 1, 3))
    return Table(centres[target] + RNG.normal(size=(len(target), 3)), target, ("a", "b", "c"), "kind", "made up")


def plan_of(*losses, solver="lbfgs", max_iter=200, test_fraction=0.25):
    return Plan(losses, 1e-3, solver, None, max_iter, test_fraction, 0)


def experiment_on(table, plan):
    return run(table, stratified_split(table, plan.test_fraction, plan.seed), plan, lambda loss: lambda step: None)


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=6),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_a_split_parts_the_rows_and_keeps_every_class_on_both_sides(counts, fraction, seed):
    target = np.repeat(np.arange(len(counts)), counts)
    split = stratified_split(table_of(target), fraction, seed)
    assert sorted([*split.train, *split.test]) == list(range(len(target)))
    for code, count in enumerate(counts):
        in_test = int(np.sum(split.labels[split.test] == code))
        assert 1 <= in_test <= count - 1
        assert abs(in_test - fraction * count) <= 1


def test_the_seed_chooses_the_rows():
    table = table_of(np.arange(90) % 3)
    one, same, other = (stratified_split(table, 0.3, seed).test.tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_baselines_are_the_entropy_of_the_classes_and_ln_c():
    table = table_of(np.repeat([0, 1, 2], [40, 40, 80]))
    frequencies, alike = experiment_on(table, plan_of("cross-entropy")).scores[-2:]
    assert frequencies.train_nats == pytest.approx(1.5 * np.log(2), rel=1e-12)
    assert frequencies.test_nats == pytest.approx(1.5 * np.log(2), rel=1e-12)
    assert frequencies.train_accuracy == frequencies.test_accuracy == 0.5
    assert alike.train_nats == alike.test_nats == pytest.approx(np.log(3), rel=1e-12)


def test_a_baseline_is_judged_on_test_rows_by_training_frequencies():
    table = table_of(np.repeat([0, 1], [2, 6]))
    split = stratified_split(table, 0.1, 0)
    frequencies = experiment_on(table, plan_of("cross-entropy", test_fraction=0.1)).scores[-2]
    p = np.bincount(split.labels[split.train]) / len(split.train)
    assert frequencies.test_nats == pytest.approx(-np.mean(np.log(p[split.labels[split.test]])), rel=1e-12)
    assert frequencies.test_nats > frequencies.train_nats


def test_a_score_is_the_mean_surprisal_of_the_model_on_each_part():
    experiment = experiment_on(table_of(np.arange(120) % 3), plan_of("cross-entropy"))
    table, split, score = experiment.table, experiment.split, experiment.scores[0]
    probs = experiment.model.predict_proba(table.features)[np.arange(120), split.labels]
    assert score.train_nats == pytest.approx(-np.mean(np.log(probs[split.train])), rel=1e-12)
    assert score.test_nats == pytest.approx(-np.mean(np.log(probs[split.test])), rel=1e-12)
    assert score.train_accuracy == experiment.model.score(table.features[split.train], table.target[split.train])


def test_features_are_standardised_by_the_training_rows_alone():
    experiment = experiment_on(table_of(np.arange(120) % 3), plan_of("cross-entropy"))
    np.testing.assert_allclose(experiment.model.mean_, experiment.table.features[experiment.split.train].mean(axis=0))


def test_both_losses_start_alike_surely_wrong_and_only_cross_entropy_leaves():
    plan = plan_of("cross-entropy", "squared-error", solver="gd")
    experiment = experiment_on(table_of(np.repeat([0, 1, 2], [80, 40, 120])), plan)
    learns, stalls = (model.history_["cross_entropy_nats"] for model in experiment.models.values())
    # All rows are called the rarest class, 1, with log odds of 15: the other five sixths are 15 nats surprised.
    assert learns[0] == stalls[0] == pytest.approx(15 * 5 / 6, abs=1e-3)
    assert learns[-1] < np.log(3)
    assert stalls[-1] > 0.99 * stalls[0]
    assert experiment.model is experiment.models["cross-entropy"]
    assert [len(learns), len(stalls)] == [201, 201]


def test_a_bit_is_ln_2_nats_and_a_coin_has_perplexity_two():
    assert bits(np.log(2)) == pytest.approx(1.0)
    assert perplexity(np.log(2)) == pytest.approx(2.0)
    assert perplexity(1e4) == np.inf
