"""The objective is the formula it states, and its gradient is its derivative."""

import numpy as np
import pytest

from xent.learn import _features
from xent.learn._features import Features
from xent.learn._objective import ROW_LOSSES, Objective, Sample

RNG = np.random.default_rng(7)


def sample_of(rows=23, features=4, classes=3, dtype=np.float64):
    weights = RNG.uniform(0.1, 2.0, rows)
    x = RNG.normal(size=(rows, features)).astype(dtype)
    return Sample(Features(x), RNG.integers(0, classes, rows), weights / weights.sum(), classes)


def objective_of(sample, loss="cross-entropy", *, l2=0.03, fit_intercept=True):
    return Objective(sample, loss=loss, l2=l2, fit_intercept=fit_intercept)


def theta_for(objective):
    classes, features = objective.coef_shape
    return RNG.normal(size=classes * features + classes * objective.fit_intercept)


def x_of(sample):
    return sample.features.block(slice(None), constant=False)


def plainly(objective, theta, loss):
    """The formula with nothing clever in it."""
    sample, (coef, intercept) = objective.sample, objective.split(theta)
    z = x_of(sample) @ coef.T + intercept
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    onehot = np.eye(sample.n_classes)[sample.labels]
    rows = -np.log((p * onehot).sum(axis=1)) if loss == "cross-entropy" else ((p - onehot) ** 2).sum(axis=1)
    return float(sample.row_weights @ rows + objective.l2 * (coef**2).sum())


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_the_value_is_the_formula(loss, classes, fit_intercept):
    objective = objective_of(sample_of(classes=classes), loss, fit_intercept=fit_intercept)
    theta = theta_for(objective)
    evaluation = objective(theta)
    assert evaluation.objective == pytest.approx(plainly(objective, theta, loss), rel=1e-13)
    coef = objective.split(theta)[0]
    without_penalty = plainly(objective, theta, "cross-entropy") - objective.l2 * (coef**2).sum()
    assert evaluation.cross_entropy_nats == pytest.approx(without_penalty, rel=1e-13)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("loss", ROW_LOSSES)
def test_the_gradient_is_the_central_difference(loss, fit_intercept):
    objective = objective_of(sample_of(), loss, fit_intercept=fit_intercept)
    theta, h = theta_for(objective), 1e-6
    steps = h * np.eye(theta.size)
    differences = [(objective(theta + s).objective - objective(theta - s).objective) / (2 * h) for s in steps]
    np.testing.assert_allclose(objective(theta).gradient, differences, atol=2e-9)


@pytest.mark.parametrize("loss", ROW_LOSSES)
@pytest.mark.parametrize("block", [1, 7, 23, 1000])
def test_blocks_of_rows_change_nothing(monkeypatch, loss, block):
    sample = sample_of()
    whole = objective_of(sample, loss)
    theta = theta_for(whole)
    monkeypatch.setattr(_features, "FEWEST_ROWS", 1)
    monkeypatch.setattr(_features, "BLOCK_LOGITS", block * sample.n_classes)
    parts = objective_of(sample, loss)
    assert parts(theta).objective == pytest.approx(whole(theta).objective, rel=1e-14)
    np.testing.assert_allclose(parts(theta).gradient, whole(theta).gradient, atol=1e-15)


def test_float32_features_are_computed_with_in_float64():
    sample = sample_of(dtype=np.float32)
    wide = Sample(Features(x_of(sample).astype(np.float64)), sample.labels, sample.row_weights, sample.n_classes)
    theta = theta_for(objective_of(sample))
    assert objective_of(sample)(theta).objective == pytest.approx(objective_of(wide)(theta).objective, rel=1e-14)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_steady_step_is_one_over_the_bound_on_the_curvature(fit_intercept):
    objective = objective_of(sample_of(), fit_intercept=fit_intercept)
    x = np.column_stack([x_of(objective.sample), np.full(23, float(fit_intercept))])
    largest = np.linalg.eigvalsh((x * objective.sample.row_weights[:, None]).T @ x)[-1]
    assert objective.steady_step() == pytest.approx(1.0 / (largest / 2 + 2 * objective.l2), rel=1e-3)


def test_the_steady_step_sees_features_that_oppose_each_other():
    x = RNG.normal(size=50)
    x -= x.mean()
    sample = Sample(Features(np.column_stack([x, -x])), np.arange(50) % 2, np.full(50, 0.02), 2)
    assert objective_of(sample, l2=0.0).steady_step() == pytest.approx(1.0 / np.mean(x**2), rel=0.05)


def test_features_that_are_all_zero_have_a_finite_steady_step():
    sample = Sample(Features(np.zeros((4, 2))), np.arange(4) % 2, np.full(4, 0.25), 2)
    assert np.isfinite(objective_of(sample, l2=0.0, fit_intercept=False).steady_step())
