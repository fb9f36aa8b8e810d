"""Calibrators: least loss, by independent minimisation; the same bits in any order; files read strictly."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.estimator_checks import check_estimator

import xent
from xent.evaluate import (
    Batch,
    Columns,
    IsotonicCalibration,
    MatrixScaling,
    Spec,
    TemperatureScaling,
    VectorScaling,
    load_calibrator,
)
from xent.evaluate.calibration import _drawn, _rows, files
from xent.evaluate.calibration._affine import Objective, tiled
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.calibration._rows import Mean
from xent.evaluate.calibration._search import least
from xent.evaluate.calibration.temperature import makers
from xent.evaluate.state.hashing import mixed

INF, NAN = np.inf, np.nan
SCALINGS = (TemperatureScaling, VectorScaling, MatrixScaling)
EVERY = (*SCALINGS, IsotonicCalibration)


def drawn(n=2000, classes=5, temperature=1.7, seed=3):
    """Logits and classes drawn from ``softmax(logits / temperature)``."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 3.0, (n, classes))
    return logits, (logits / temperature + rng.gumbel(size=logits.shape)).argmax(axis=1)


X, Y = drawn()
WEIGHT = np.random.default_rng(4).exponential(size=len(Y))


def mean_nats(scores, target, weight=None):
    """The log loss, straight from its definition."""
    nats = -log_softmax(np.asarray(scores, np.float64), axis=1)[np.arange(len(target)), target]
    return np.average(nats, weights=weight)


def as_kind(logits, kind):
    log_probs = log_softmax(logits, axis=1)
    return {"logits": logits, "log-probs": log_probs, "probs": np.exp(log_probs)}[kind]


# Scikit-learn takes columns for features, of which any number may go with any classes; here they are the classes, and their
# names are given, not found in y. A temperature moves no prediction. 15 rows of 30 columns leave an optimum of 60 and more
# numbers flat beyond the digits of the loss.
FEWER_COLUMNS = {
    "check_estimators_overwrite_params",
    "check_estimators_fit_returns_self",
    "check_readonly_memmap_input",
    "check_sample_weights_pandas_series",
    "check_sample_weights_not_an_array",
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_classifier_data_not_an_array",
    "check_classifiers_train",
    "check_classifiers_classes",
}
FLAT = {"check_sample_weight_equivalence_on_dense_data"}
MEANT = {
    TemperatureScaling: FEWER_COLUMNS | {"check_classifiers_one_label"},
    VectorScaling: FEWER_COLUMNS | FLAT,
    MatrixScaling: FEWER_COLUMNS | FLAT,
    IsotonicCalibration: FEWER_COLUMNS,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls", EVERY)
def test_scikit_learn_accepts_the_estimator(cls):
    results = check_estimator(cls(), on_fail=None, on_skip=None)
    assert len(results) > 50
    assert {done["check_name"] for done in results if done["status"] == "failed"} == MEANT[cls]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5, 40.0])
def test_a_known_temperature_is_found(temperature):
    logits, target = drawn(20_000, 4, temperature)
    assert TemperatureScaling().fit(logits, target).temperature_ == pytest.approx(temperature, rel=0.05)


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("kind", ["logits", "log-probs", "probs"])
def test_no_temperature_is_better(kind, weight):
    fitted = TemperatureScaling(kind=kind).fit(as_kind(X, kind), Y, weight)
    best = minimize_scalar(lambda b: mean_nats(b * X, Y, weight), bracket=(0.3, 0.6), method="brent", options={"xtol": 1e-10})
    assert fitted.log_loss_after_ == pytest.approx(best.fun, rel=1e-13)
    assert 1.0 / fitted.temperature_ == pytest.approx(best.x, rel=1e-6)
    assert fitted.log_loss_before_ == pytest.approx(mean_nats(X, Y, weight), rel=1e-13)


def test_the_slope_at_the_optimum_is_zero_to_nine_digits():
    inverse = 1.0 / TemperatureScaling().fit(X, Y).temperature_
    point = least(lambda: [makers(spec_of(5), Batch(X, Y))]).best
    assert point.inverse == pytest.approx(inverse, rel=1e-15)
    assert abs(point.slope) <= 1e-9 * point.curvature * inverse
    h = 1e-5
    slope, up, down = point.slope, mean_nats((inverse + h) * X, Y), mean_nats((inverse - h) * X, Y)
    assert slope == pytest.approx((up - down) / (2 * h), abs=1e-8)
    assert point.curvature == pytest.approx((up - 2 * point.nats + down) / h**2, rel=1e-3)


def spec_of(classes, kind="logits", *, weighted=False):
    return Spec(kind, tuple(f"k{n}" for n in range(classes)), weighted=weighted)


def streamed(batches, spec=None):
    fitted = TemperatureScaling()
    fitted.learn_passes(spec or spec_of(5, weighted=True), lambda: iter(batches))
    return fitted


@pytest.mark.parametrize("size", [1, 7, 512, 5000])
@pytest.mark.parametrize("seed", [None, 1])
def test_neither_order_nor_batches_change_a_bit(size, seed):
    rows = np.arange(len(Y)) if seed is None else np.random.default_rng(seed).permutation(len(Y))
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    # Columns side by side, as files bring them, and rows.
    batches = [Batch(np.asfortranarray(X[part]) if seed else X[part], Y[part], weight=WEIGHT[part]) for part in parts]
    found, whole = streamed(batches), TemperatureScaling().fit(X, Y, WEIGHT)
    assert found.temperature_ == whole.temperature_
    assert (found.log_loss_before_, found.log_loss_after_) == (whole.log_loss_before_, whole.log_loss_after_)


def test_threads_change_no_bit():
    try:
        xent.set_num_threads(1)
        alone = TemperatureScaling().fit(X, Y, WEIGHT)
        xent.set_num_threads(3)
        assert TemperatureScaling().fit(X, Y, WEIGHT).temperature_ == alone.temperature_
    finally:
        xent.set_num_threads(None)


def test_few_passes_are_enough():
    for temperature in (0.1, 1.7, 30.0):
        assert TemperatureScaling().fit(*drawn(temperature=temperature)).n_passes_ <= 7


def test_rows_that_are_never_mistaken_have_the_least_temperature_there_is():
    fitted = TemperatureScaling().fit(np.array([[1e-3, 0.0], [0.0, 1e-3]]), [0, 1])
    assert fitted.temperature_ == pytest.approx(1e-3)
    always_wrong = TemperatureScaling().fit(np.array([[1.0, 0.0], [0.0, 1.0]]) * 9, [1, 0])
    assert always_wrong.temperature_ == pytest.approx(1e3)


def test_rows_that_say_nothing_have_temperature_one():
    assert TemperatureScaling().fit(np.zeros((4, 3)), [0, 1, 2, 0]).temperature_ == 1.0


@pytest.mark.parametrize("cls", EVERY)
def test_a_weight_is_a_repetition(cls):
    logits, target = drawn(300, 3)
    weight = np.random.default_rng(0).integers(0, 4, 300)
    weighted, repeated = cls().fit(logits, target, weight), cls().fit(logits.repeat(weight, axis=0), target.repeat(weight))
    np.testing.assert_allclose(weighted.predict_proba(logits), repeated.predict_proba(logits), atol=1e-6)
    assert weighted.log_loss_after_ == pytest.approx(repeated.log_loss_after_, rel=1e-9)
    unweighted = cls().fit(logits, target)
    assert np.abs(unweighted.predict_proba(logits) - weighted.predict_proba(logits)).max() > 1e-4


@pytest.mark.parametrize("cls", EVERY)
def test_rows_that_do_not_count_may_hold_anything(cls):
    logits, target = drawn(200, 3)
    plain = cls().fit(logits, target)
    worse, labels = np.vstack([logits, np.full((2, 3), NAN)]), np.append(target, [-1, 0])
    assert (cls().fit(worse, labels, np.append(np.ones(201), 0.0)).predict_proba(logits) == plain.predict_proba(logits)).all()


@pytest.mark.parametrize("cls", [VectorScaling, MatrixScaling])
def test_gradients_are_central_differences(cls):
    logits, target = drawn(60, 3)
    logits[5, (target[5] + 1) % 3] = -INF
    scaling = cls(**({"l2": 0.3} if cls is VectorScaling else {"off_diagonal": 0.3, "intercept": 0.2}))
    objective = Objective(spec_of(3, weighted=True), Batch(logits, target, weight=WEIGHT[:60]), 0.6, scaling)
    theta = scaling.start(3) + np.random.default_rng(2).normal(0.0, 0.3, len(scaling.start(3)))
    gradient = objective(theta)[1]
    differences = [(objective(theta + step)[0] - objective(theta - step)[0]) / 2e-6 for step in 1e-6 * np.eye(len(theta))]
    np.testing.assert_allclose(gradient, differences, atol=1e-8)
    assert np.abs(gradient).min() > 1e-4


def test_no_vector_is_better():
    logits, target = drawn(400, 3)
    fitted = VectorScaling(l2=0.01).fit(logits, target, WEIGHT[:400])

    def loss(theta):
        penalty = 0.01 * (((theta[:3] - 1) ** 2).sum() + (theta[3:] ** 2).sum()) / 3
        return mean_nats(logits / fitted.temperature_ * theta[:3] + theta[3:], target, WEIGHT[:400]) + penalty

    best = minimize(loss, [1, 1, 1, 0, 0, 0], method="BFGS", options={"gtol": 1e-7})
    own = np.concatenate([fitted.coef_ * fitted.temperature_, fitted.intercept_])
    assert loss(own) <= best.fun + 1e-11
    np.testing.assert_allclose(own, best.x, atol=1e-4)


def test_no_matrix_is_better():
    logits, target = drawn(400, 3)
    fitted = MatrixScaling(off_diagonal=0.02, intercept=0.05).fit(logits, target)

    def loss(theta):
        matrix, intercept = theta[:9].reshape(3, 3), theta[9:]
        away = (matrix**2).sum() - (np.diag(matrix) ** 2).sum()
        return (
            mean_nats(logits / fitted.temperature_ @ matrix.T + intercept, target)
            + 0.02 * away / 6
            + 0.05 / 3 * (intercept**2).sum()
        )

    best = minimize(loss, np.append(np.eye(3).ravel(), np.zeros(3)), method="BFGS", options={"gtol": 1e-7})
    own = np.append(fitted.coef_ * fitted.temperature_, fitted.intercept_)
    assert loss(own) <= best.fun + 1e-11
    np.testing.assert_allclose(own, best.x, atol=1e-3)


def test_more_freedom_costs_nothing_on_the_rows_fitted_to():
    losses = [cls().fit(X, Y).log_loss_after_ for cls in SCALINGS]
    assert losses[0] > losses[1] > losses[2]


@pytest.mark.parametrize("cls", EVERY)
def test_both_losses_are_those_of_the_rows(cls):
    fitted = cls().fit(X, Y, WEIGHT)
    assert fitted.log_loss_before_ == pytest.approx(mean_nats(X, Y, WEIGHT), rel=1e-12)
    own = fitted.predict_proba(X)[np.arange(len(Y)), Y]
    assert fitted.log_loss_after_ == pytest.approx(np.average(-np.log(own), weights=WEIGHT), rel=1e-9)


@pytest.mark.parametrize("cls", EVERY)
def test_rows_sum_to_one_and_a_masked_class_stays_at_zero(cls):
    logits, target = X.copy(), Y.copy()
    masked = np.flatnonzero(target != 2)[::3]
    logits[masked, 2] = -INF
    before = logits.copy()
    fitted = cls().fit(logits, target)
    probs = fitted.predict_proba(logits)
    assert (probs[masked, 2] == 0.0).all()
    np.testing.assert_allclose(probs.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_array_equal(logits, before)
    assert (fitted.predict_proba([[1.0, -INF, -INF, -INF, -INF]]) == [[1, 0, 0, 0, 0]]).all()


def test_a_masked_class_says_nothing_of_the_others():
    fitted = MatrixScaling().fit(X, Y)
    row = np.array([[1.0, -INF, 0.5, 2.0, -1.0]])
    zeroed = np.where(np.isinf(row), 0.0, row) @ fitted.coef_.T + fitted.intercept_
    expected = np.exp(log_softmax(np.delete(zeroed, 1, axis=1), axis=1))
    np.testing.assert_allclose(np.delete(fitted.predict_proba(row), 1, axis=1), expected, rtol=1e-12)


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rows_do_not_know_their_neighbours(cls, dtype):
    values = X.astype(dtype)
    fitted = cls(**({"floor": 1e-6} if cls is IsotonicCalibration else {})).fit(values, Y)
    whole = fitted.predict_proba(values)
    parts = [fitted.predict_proba(values[start : start + 37]) for start in range(0, len(values), 37)]
    np.testing.assert_array_equal(np.vstack(parts), whole)
    np.testing.assert_array_equal(fitted.predict_proba(np.asfortranarray(values)), whole)


@pytest.mark.parametrize("classes", [2, 3, 10, 50])
def test_products_do_not_know_their_neighbours(classes):
    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=(200, classes)), rng.normal(size=(classes, classes))
    whole = tiled(x, matrix)
    np.testing.assert_allclose(whole, x @ matrix, rtol=1e-9, atol=1e-12)
    for start in range(0, 190, 11):
        np.testing.assert_array_equal(tiled(x[start : start + 5], matrix), whole[start : start + 5])


@pytest.mark.parametrize("cls", EVERY)
def test_two_classes(cls):
    logits, target = drawn(3000, 2)
    probs = cls().fit(logits, target).predict_proba(logits)
    assert probs.shape == (3000, 2)
    assert np.average(-np.log(probs[np.arange(3000), target])) < mean_nats(logits, target)


def test_isotonic_curves_are_scikit_learns_made_to_sum_to_one():
    probs = as_kind(X, "probs")
    fitted = IsotonicCalibration(kind="probs").fit(probs, Y, WEIGHT)
    curves = [IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probs[:, k], Y == k, WEIGHT) for k in range(5)]
    raised = np.stack([curve.predict(probs[:, k]) for k, curve in enumerate(curves)], axis=1)
    np.testing.assert_allclose(fitted.predict_proba(probs), raised / raised.sum(axis=1, keepdims=True), atol=1e-12)


def test_of_two_classes_the_second_alone_has_a_curve():
    logits, target = drawn(500, 2)
    probs = as_kind(logits, "probs")
    fitted = IsotonicCalibration(kind="probs").fit(probs, target)
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probs[:, 1], target)
    assert len(fitted.curves_) == 1
    np.testing.assert_allclose(fitted.predict_proba(probs)[:, 1], curve.predict(probs[:, 1]), atol=1e-12)


def test_isotonic_curves_mend_rows_of_infinite_loss_and_may_make_others():
    probs = np.array([[1.0, 0.0]] * 4 + [[0.3, 0.7]] * 4)
    fitted = IsotonicCalibration(kind="probs").fit(probs, [0, 0, 0, 1, 1, 1, 1, 1])
    assert fitted.log_loss_before_ == INF
    np.testing.assert_allclose(fitted.predict_proba(probs[[0, 4]]), [[0.75, 0.25], [0.0, 1.0]], atol=1e-15)
    assert load(fitted).log_loss_before_ == INF


def test_a_floor_keeps_losses_finite():
    probs = np.array([[0.9, 0.1]] * 4 + [[0.3, 0.7]] * 4)
    fitted = IsotonicCalibration(kind="probs", floor=0.01).fit(probs, [0] * 4 + [1] * 4)
    np.testing.assert_allclose(fitted.predict_proba(probs[:1]), [[1 / 1.01, 0.01 / 1.01]])
    assert IsotonicCalibration(kind="probs").fit(probs, [0] * 4 + [1] * 4).predict_log_proba(probs[:1])[0, 1] == -INF


def test_logarithms_stay_right_where_probabilities_vanish():
    fitted = TemperatureScaling().fit(X, Y)
    log_probs = fitted.predict_log_proba([[2000.0, 0.0, 0.0, 0.0, 0.0]])
    assert log_probs[0, 1] == pytest.approx(-2000.0 / fitted.temperature_)


def test_classes_are_called_by_their_names():
    names = ["e", "d", "c", "b", "a"]
    plain, named = TemperatureScaling().fit(X, Y), TemperatureScaling(classes=names).fit(X, np.array(names)[Y])
    assert named.temperature_ == plain.temperature_
    assert named.predict(X[:9]).tolist() == [names[k] for k in plain.predict(X[:9])]
    assert named.score(X, np.array(names)[Y]) == plain.score(X, Y) > 0.4


def test_a_calibrator_that_gains_nothing_says_so():
    logits, target = drawn(500, 3, temperature=1.0)
    fitted = VectorScaling(l2=1e6).fit(logits / TemperatureScaling().fit(logits, target).temperature_, target)
    assert fitted.log_loss_after_ == pytest.approx(fitted.log_loss_before_, rel=1e-9)


def test_too_few_iterations_are_told():
    with pytest.warns(Warning, match="Raise max_iter or tol"):
        fitted = MatrixScaling(max_iter=1).fit(X, Y)
    assert not fitted.converged_


def load(fitted):
    return type(fitted).from_json(fitted.to_json())


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("names", [None, list("edcba"), [5, 3, 8, 1, 2]])
def test_what_was_saved_comes_back_to_the_last_bit(tmp_path, cls, names):
    target = Y if names is None else np.array(names)[Y]
    fitted = cls(kind="log-probs", classes=names).fit(as_kind(X, "log-probs"), target)
    fitted.save(tmp_path / "c.json")
    loaded = load_calibrator(tmp_path / "c.json")
    assert type(loaded) is cls
    assert loaded.get_params() == fitted.get_params()
    assert loaded.classes_.tolist() == fitted.classes_.tolist()
    assert loaded.to_json() == fitted.to_json()
    np.testing.assert_array_equal(loaded.predict_proba(as_kind(X, "log-probs")), fitted.predict_proba(as_kind(X, "log-probs")))
    assert [path.name for path in tmp_path.iterdir()] == ["c.json"]
    assert clone(loaded).get_params() == fitted.get_params()


def documents():
    """A saved calibrator of every method, for three classes."""
    logits, target = drawn(200, 3)
    return {cls.METHOD: json.loads(cls().fit(logits, target).to_json()) for cls in EVERY}


SAVED = documents()


def changed(method, /, **entries):
    """A saved calibrator whose entries are replaced; `fitted__x` is one of what was fitted, None removes."""
    document = json.loads(json.dumps(SAVED[method]))
    for name, value in entries.items():
        place, name = (document["fitted"], name.removeprefix("fitted__")) if name.startswith("fitted__") else (document, name)
        place.pop(name, None)
        if value is not None:
            place[name] = value
    return json.dumps(document)


HOSTILE = {
    "another format": (changed("vector", format="pickle"), 'its "format" is not "xent.evaluate.calibrator"'),
    "a list": ("[1, 2]", 'its "format" is not "xent.evaluate.calibrator"'),
    "another version": (changed("vector", version=2), "its version is 2 and this xent reads version 1"),
    "a version that is true": (changed("vector", version=True), "its version is True and this xent reads version 1"),
    "another method": (
        changed("vector", method="platt"),
        "method is 'platt', which is none of temperature, vector, matrix, isotonic",
    ),
    "a method that is a list": (changed("vector", method=[]), "method is [], which is none of"),
    "another kind": (changed("vector", kind="target-log-probs"), "kind is 'target-log-probs', which is none of logits"),
    "an entry more": (changed("vector", code="1"), "the file has 'code', which is unknown"),
    "an entry more among what was fitted": (changed("vector", fitted__x=1), "fitted has 'x', which is unknown"),
    "a parameter more": (changed("temperature", parameters={"power": 3}), "parameters has 'power', which is unknown"),
    "an entry fewer": (changed("vector", fitted__intercept=None), "fitted has no 'intercept'"),
    "a vector too short": (changed("vector", fitted__coef=[1.0, 1.0]), "coef has 2 numbers, not 3"),
    "a vector of text": (changed("vector", fitted__coef=["1", "1", "1"]), "coef is '1', which is no number"),
    "a vector of flags": (changed("vector", fitted__coef=[True] * 3), "coef is True, which is no number"),
    "a vector that is a number": (changed("vector", fitted__coef=3), "coef is no list"),
    "a ragged matrix": (changed("matrix", fitted__coef=[[1.0] * 3, [1.0] * 3, [1.0]]), "row 2 of coef has 1 numbers, not 3"),
    "a matrix too small": (changed("matrix", fitted__coef=[[1.0] * 3]), "coef is no list of 3"),
    "an infinite number": (changed("vector", fitted__coef=[1, 2, 3]).replace("[1, 2, 3]", "[1, 2, 1e999]"), "coef is not finite"),
    "NaN": (changed("temperature").replace('"n_passes"', '"x": NaN, "n_passes"'), "NaN is no number of JSON"),
    "a number beyond float64": (changed("temperature", fitted__temperature=10**400), "int too large to convert to float"),
    "a temperature of zero": (changed("temperature", fitted__temperature=0.0), "temperature is 0"),
    "a temperature of no fit": (
        changed("temperature", fitted__temperature=1e-320),
        "which no fit gives: it lies in [0.001, 1000]",
    ),
    "a hot matrix": (changed("matrix", fitted__temperature=1e9), "temperature is 1e+09, which no fit gives"),
    "a count with a fraction": (changed("temperature", fitted__n_passes=1.5), "n_passes is 1.5, which is no count"),
    "a flag that is none": (changed("vector", fitted__converged=1), "converged is 1, which is neither true nor false"),
    "one class": (changed("temperature", n_classes=1), "n_classes is 1"),
    "endless classes": (changed("temperature", n_classes=10**12), "n_classes is 1000000000000"),
    "other names": (changed("vector", classes=["a", "b"]), "classes are no 3 names of one type"),
    "mixed names": (changed("vector", classes=["a", 1, 2]), "classes are no 3 names of one type"),
    "a name twice": (changed("vector", classes=["a", "a", "b"]), "names of classes must differ; 'a' stands twice"),
    "a negative loss": (changed("vector", log_loss_after=-1.0), "log_loss_after is -1"),
    "a negative penalty": (
        changed("vector", parameters=SAVED["vector"]["parameters"] | {"l2": -1.0}),
        "l2 must be a finite number",
    ),
    "curves too few": (changed("isotonic", fitted__curves=[]), "curves is no list of 3"),
    "a falling curve": (
        changed("isotonic", fitted__curves=[{"from": [0.0, 1.0], "to": [0.5, 0.2]}] * 3),
        "a curve does not rise in [0, 1]",
    ),
    "a curve beyond 1": (
        changed("isotonic", fitted__curves=[{"from": [0.0, 1.0], "to": [0.5, 1.2]}] * 3),
        "a curve does not rise in [0, 1]",
    ),
    "an empty curve": (changed("isotonic", fitted__curves=[{"from": [], "to": []}] * 3), "from has 0 numbers, not some"),
    "a curve that is a number": (changed("isotonic", fitted__curves=[1, 2, 3]), "curve 0 is no object"),
    "no JSON": ("not json", "it is no JSON (Expecting value: line 1 column 1 (char 0))"),
    "a name that stands twice": ('{"format": 1, "format": 2}', "it is no JSON (a name stands twice)"),
    "lists without end": ("[" * 100_000, "it is no JSON ("),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_calibrator_is_refused(tmp_path, case):
    text, reason = HOSTILE[case]
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(xent.ArgumentError) as caught:
        load_calibrator(path)
    assert caught.value.rule == f"{path} must hold a saved calibrator"
    assert reason in caught.value.found
    assert caught.value.remedy in {
        "Pass the path of a calibrator.json.",
        "Upgrade xent, or fit it again.",
        "Fit and save it again.",
    }


@pytest.mark.parametrize("method", [cls.METHOD for cls in EVERY])
def test_a_file_cut_anywhere_is_refused_and_nothing_else_happens(method):
    text = json.dumps(SAVED[method])
    for end in range(0, len(text) - 1, max(1, len(text) // 60)):
        with pytest.raises(xent.ArgumentError, match="must hold a saved calibrator"):
            TemperatureScaling.from_json(text[:end])


def test_every_entry_is_needed_and_every_type_is_looked_at():
    for method, document in SAVED.items():
        for name in document:
            for value in (None, {}, [], "x", -1.5, True):
                if value == document[name]:
                    continue
                text = json.dumps({**document, name: value}) if value is not None else changed(method, **{name: None})
                with pytest.raises(xent.ArgumentError):
                    load_calibrator_text(text)


def load_calibrator_text(text):
    from xent.evaluate.calibration import _store
    from xent.evaluate.calibration._calibrator import Calibrator

    return _store.parsed(text, "the text", Calibrator)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    from xent.evaluate.calibration import _store

    monkeypatch.setattr(_store, "MOST_BYTES", 1 << 20)
    path = tmp_path / "c.json"
    path.write_text(" " * (2 << 20))
    with pytest.raises(xent.ArgumentError, match=r"it has more than 1 MiB\. Pass the path of a calibrator\.json\."):
        load_calibrator(path)
    with pytest.raises(xent.ArgumentError, match="reading it gives: No such file or directory"):
        load_calibrator(tmp_path / "none.json")


def test_a_calibrator_of_another_class_is_refused():
    with pytest.raises(xent.ArgumentError, match="it holds a VectorScaling, not a TemperatureScaling"):
        TemperatureScaling.from_json(json.dumps(SAVED["vector"]))


def test_entries_that_nobody_took_are_refused():
    entries = Entries({"a": 1}, "it")
    with pytest.raises(ValueError, match="it has 'a', which is unknown"):
        entries.done()


def with_row(row, n=4):
    return np.vstack([X[:n], row])


REFUSALS = {
    "NaN": (
        lambda: TemperatureScaling().fit(with_row([NAN, 0, 0, 0, 0]), [0, 1, 2, 3, 0]),
        "predictions must be numbers; row 4 of X holds NaN, or nothing, for class '0' (1 such rows). Mend or remove these rows.",
    ),
    "NaN, to calibrate": (
        lambda: TemperatureScaling().fit(X, Y).predict_proba(with_row([NAN] * 5)),
        "predictions must be numbers; row 4 of X holds NaN, or nothing, for class '0' (1 such rows). Mend or remove these rows.",
    ),
    "+inf": (
        lambda: TemperatureScaling().fit(with_row([INF, 0, 0, 0, 0]), [0, 1, 2, 3, 0]),
        "a row of logits needs a finite one and no +inf; row 4 of X has none or holds +inf (1 such rows). "
        "Mend or remove these rows.",
    ),
    "all -inf": (
        lambda: TemperatureScaling().fit(with_row([-INF] * 5), [0, 1, 2, 3, 0]),
        "a row of logits needs a finite one and no +inf; row 4 of X has none or holds +inf (1 such rows). "
        "Mend or remove these rows.",
    ),
    "beyond measure": (
        lambda: TemperatureScaling().fit(with_row([-1e200, 0, 0, 0, 0]), [0, 1, 2, 3, 0]),
        "logits must lie within 1e+100 of 0, or be -inf; row 4 of X holds -1e+200 (1 such rows). Mend or remove these rows.",
    ),
    "a target at -inf": (
        lambda: VectorScaling().fit(with_row([-INF, 0, 0, 0, 0]), [0, 1, 2, 3, 0]),
        "no scaling makes a loss finite where the true class has probability 0; row 4 of X is such a row (1 "
        "in these 5). Leave these rows out (target -1, or --skip-infinite), or fit an isotonic calibration "
        "to probabilities.",
    ),
    "no probabilities": (
        lambda: TemperatureScaling(kind="probs").fit([[0.9, 0.1], [0.9, 0.9]], [0, 1]),
        "each row of probs must be a distribution, whose probabilities are at least 0 and sum to 1 within "
        "1e-06; in row 1 of X they sum to 1.8 (1 such rows). Are these logits, or log-probabilities? Say so.",
    ),
    "probabilities declared as logits": (
        lambda: TemperatureScaling().fit([[0.9, 0.1], [0.2, 0.8]] * 10, [0, 1] * 10),
        "logits are any real numbers; all 20 rows hold no negative number and each sums to 1. "
        "They look like probabilities: declare them so, by --probs or kind='probs'.",
    ),
    "a kind there is not": (
        lambda: TemperatureScaling(kind="scores").fit(X, Y),
        "kind must be one of 'logits', 'log-probs', 'probs'; found 'scores'. It says what X holds; nothing guesses.",
    ),
    "the target's alone": (
        lambda: TemperatureScaling(kind="target-log-probs").fit(X, Y),
        "kind must be one of 'logits', 'log-probs', 'probs'; found 'target-log-probs'. It says what X holds; nothing guesses.",
    ),
    "one column": (
        lambda: TemperatureScaling().fit(X[:, :1], Y),
        "X needs a column for each of at least two classes; n_features = 1. Give both columns of two classes.",
    ),
    "a label too large": (
        lambda: TemperatureScaling().fit(X[:2], [0, 5]),
        "labels must lie in [0, 5), or be -1 where a row does not count; row 1 of y holds 5 (1 such rows). "
        "Do labels count from 1?",
    ),
    "names without classes": (
        lambda: TemperatureScaling().fit(X[:2], ["a", "b"]),
        "without classes= labels must be class indices; y holds <U1. Name the classes in the order of the "
        "columns: classes=[...].",
    ),
    "an unknown name": (
        lambda: TemperatureScaling(classes=list("abcde")).fit(X[:2], ["a", "x"]),
        "labels must be among classes; y holds 'x'. Does it need another spelling, or is a column missing? "
        "None leaves a row out.",
    ),
    "names too few": (
        lambda: TemperatureScaling(classes=["a", "b"]).fit(X[:2], ["a", "b"]),
        "classes must name every column of X; 2 names for 5 columns. Name all, in the order of the columns.",
    ),
    "a negative weight": (
        lambda: TemperatureScaling().fit(X[:2], Y[:2], [1.0, -1.0]),
        "weights must be 0 or lie in [1e-75, 1e+75]; row 1 of sample_weight holds -1 (1 such rows). "
        "0 leaves a row out; of weights only their ratios matter, so divide all by the greatest.",
    ),
    "weights too few": (
        lambda: TemperatureScaling().fit(X[:2], Y[:2], [1.0]),
        "sample_weight must be shaped (2,), as y is; found (1,). Give a weight a row.",
    ),
    "no weight at all": (
        lambda: TemperatureScaling().fit(X[:2], Y[:2], [0.0, 0.0]),
        "there must be rows to fit to; every row is without a class or has weight zero. Is the column of true classes empty?",
    ),
    "no rows for curves": (
        lambda: IsotonicCalibration().fit(X[:2], [-1, -1]),
        "there must be rows to fit to; every row is without a class or has weight zero. Give some.",
    ),
    "a negative penalty": (
        lambda: VectorScaling(l2=-1.0).fit(X, Y),
        "l2 must be a finite number of at least 0; found -1.0. 0 switches a penalty off.",
    ),
    "a floor too high": (
        lambda: IsotonicCalibration(floor=0.2).fit(X, Y),
        "floor must be a number in [0, 1/C); found 0.2 with 5 classes. 0 leaves zeros as they are; 1e-6 serves most.",
    ),
    "a floor of NaN": (
        lambda: IsotonicCalibration(floor=NAN).fit(X, Y),
        "floor must be a number in [0, 1/C); found nan. 0 leaves zeros as they are; 1e-6 serves most.",
    ),
    "a row that every curve gives 0": (
        lambda: nothing_left().predict_proba([[1 / 3, 1 / 3, 1 / 3]]),
        "isotonic curves must leave a row some class of a probability above 0; all of row 0 of X became 0 (1 "
        "such rows). Fit with a floor, such as 1e-6, or scale by temperature.",
    ),
    "saving what is not fitted": (
        lambda: TemperatureScaling().to_json(),
        "only a fitted calibrator can be saved; this one has no classes_. Call fit first.",
    ),
}


def nothing_left():
    """Curves that begin at 0 for each of three classes."""
    sure, torn = np.full((3, 3), 0.05) + 0.85 * np.eye(3), np.array([[0.5, 0.05, 0.45], [0.45, 0.5, 0.05], [0.05, 0.45, 0.5]])
    return IsotonicCalibration(kind="probs").fit(np.vstack([sure, torn]), [0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_says_rule_value_and_remedy(case):
    call, message = REFUSALS[case]
    with pytest.raises(xent.XentError) as caught:
        call()
    assert str(caught.value) == message


def test_a_mean_of_losses_is_infinite_where_one_is():
    mean = Mean()
    mean.add(np.array([1.0, 3.0]), np.array([3.0, 1.0]))
    assert mean.value() == 1.5
    mean.add(np.array([INF]), np.array([1e-9]))
    assert mean.value() == INF


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "c.json"
    TemperatureScaling().fit(X, Y).save(path)
    before = path.read_text()
    monkeypatch.setattr("pathlib.Path.replace", lambda self, target: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        VectorScaling().fit(X, Y).save(path)
    assert path.read_text() == before
    assert [found.name for found in tmp_path.iterdir()] == ["c.json"]


def quiet():
    return nullcontext(lambda done, total: None)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows in a file, and the same shuffled, in two files."""
    import pyarrow as pa
    import pyarrow.parquet as pa_parquet

    folder = tmp_path_factory.mktemp("rows")
    held = pa.table({"id": np.arange(len(Y)), "y": Y, "w": WEIGHT} | {f"z_{k}": X[:, k] for k in range(5)})
    shuffled = held.take(np.random.default_rng(0).permutation(len(Y)))
    pa_parquet.write_table(held, folder / "whole.parquet", row_group_size=300)
    pa_parquet.write_table(shuffled.slice(0, 700), folder / "one.parquet")
    pa_parquet.write_table(shuffled.slice(700), folder / "two.parquet", row_group_size=77)
    return folder


COLUMNS = Columns(target="y", kind="logits", predictions="z_", weight="w", id="id")


@pytest.mark.parametrize("method", [cls.METHOD for cls in EVERY])
@pytest.mark.parametrize("max_rows", [None, 500])
def test_files_in_any_order_give_the_same_calibrator(table, method, max_rows):
    if method == "temperature" and max_rows is not None:
        pytest.skip("it holds no rows")
    texts = set()
    for paths in (["whole"], ["one", "two"], ["two", "one"]):
        named = [str(table / f"{name}.parquet") for name in paths]
        fitted = files.fit_files(named, COLUMNS, method, quiet, max_rows=max_rows)
        texts.add(fitted.calibrator.to_json())
        assert (fitted.rows, fitted.counted, fitted.used) == (2000, 2000, max_rows or 2000)
    assert len(texts) == 1


def test_files_give_the_temperature_of_arrays(table):
    fitted = files.fit_files([str(table / "one.parquet"), str(table / "two.parquet")], COLUMNS, "temperature", quiet)
    assert fitted.calibrator.temperature_ == TemperatureScaling().fit(X, Y, WEIGHT).temperature_


def test_the_rows_of_least_draw_are_held():
    keys = mixed(np.arange(len(Y), dtype=np.uint64))
    held = _drawn.Drawn(5, 300)
    for start in range(0, len(Y), 130):
        part = slice(start, start + 130)
        held.add(Batch(X[part], Y[part], keys=keys[part], weight=WEIGHT[part]))
    least = np.argsort(keys)[:300]
    batch = held.batch()
    np.testing.assert_array_equal(batch.values, X[least])
    np.testing.assert_array_equal(batch.target, Y[least])
    np.testing.assert_array_equal(batch.weight, WEIGHT[least])
    assert held.seen == len(Y)


def test_other_draws_are_other_rows(table):
    paths = [str(table / "whole.parquet")]
    some, fewer = (files.fit_files(paths, COLUMNS, "vector", quiet, max_rows=n).calibrator for n in (500, 499))
    assert some.to_json() != fewer.to_json()


def test_more_rows_than_fit_are_refused(table, monkeypatch):
    monkeypatch.setattr(_drawn, "MOST_BYTES", 64 * 1000)
    paths = [str(table / "whole.parquet")]
    with pytest.raises(xent.ArgumentError) as caught:
        files.fit_files(paths, COLUMNS, "matrix", quiet)
    assert str(caught.value) == (
        "this method holds its rows in memory, of 5 classes at most 1,000; there are more. "
        "Draw some with --max-rows 1000, or take --method temperature, which reads files of any size."
    )
    with pytest.raises(xent.ArgumentError, match="5,000 are asked for"):
        files.fit_files(paths, COLUMNS, "matrix", quiet, max_rows=5000)
    assert files.fit_files(paths, COLUMNS, "matrix", quiet, max_rows=1000).used == 1000


def test_rows_without_hope_are_skipped_and_counted(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pa_parquet

    logits = X.copy()
    logits[[3, 8], Y[[3, 8]]] = -INF
    held = pa.table({"y": Y} | {f"z_{k}": logits[:, k] for k in range(5)})
    pa_parquet.write_table(held, tmp_path / "a.parquet")
    columns, paths = Columns(target="y", kind="logits", predictions="z_"), [str(tmp_path / "a.parquet")]
    for method in ("temperature", "vector"):
        with pytest.raises(xent.ArgumentError, match=r"row 3 of .*a\.parquet is such a row \(2 in these 2000\)"):
            files.fit_files(paths, columns, method, quiet)
        fitted = files.fit_files(paths, columns, method, quiet, skip_infinite=True)
        assert (fitted.rows, fitted.counted, fitted.infinite) == (2000, 1998, 2)
    kept = np.delete(np.arange(len(Y)), [3, 8])
    expected = TemperatureScaling().fit(X[kept], Y[kept]).temperature_
    fitted = files.fit_files(paths, columns, "temperature", quiet, skip_infinite=True)
    assert fitted.calibrator.temperature_ == expected


def test_a_piece_is_as_good_as_the_whole(monkeypatch):
    whole = {cls: cls().fit(X, Y).predict_proba(X) for cls in EVERY}
    monkeypatch.setattr(_rows, "PIECE", 40)
    for cls in EVERY:
        np.testing.assert_allclose(cls().fit(X, Y).predict_proba(X), whole[cls], atol=1e-6)


def test_messages_name_the_row_in_the_whole(monkeypatch):
    monkeypatch.setattr(_rows, "PIECE", 40)
    fitted = TemperatureScaling().fit(X, Y)
    worse = X.copy()
    worse[1234, 1] = NAN
    with pytest.raises(xent.DistributionError, match=re.escape("row 1234 of X holds NaN")):
        fitted.predict_proba(worse)


def test_a_calibrator_that_makes_no_probabilities_is_refused():
    made = MatrixScaling.from_json(changed("matrix", fitted__coef=[[1e308] * 3, [-1e308] * 3, [1e308] * 3]))
    with pytest.raises(xent.DistributionError) as refused:
        made.predict_proba(np.full((2, 3), 9.0))
    assert str(refused.value) == (
        "calibrated rows must have probabilities, which are numbers; row 0 of X has none (2 such rows). "
        "Is the calibrator one that was fitted to such predictions? Fit it again."
    )


def test_files_of_distributions_are_no_logits_wherever_their_rows_stand(tmp_path):
    rows = np.random.default_rng(0).dirichlet([1.0, 1.0], 50)
    for last, refused in (([0.5, 0.5], True), ([2.0, 0.5], False)):
        table = pa.table({"z_a": [*rows[:, 0], last[0]], "z_b": [*rows[:, 1], last[1]], "y": ["a", "b", "b"] * 17})
        pa_parquet.write_table(table, tmp_path / "z.parquet")
        arguments = [str(tmp_path / "z.parquet")], Columns("y", "logits", "z_"), "temperature", quiet
        if refused:
            with pytest.raises(xent.DistributionError, match="all 51 rows hold no negative number"):
                files.fit_files(*arguments)
        else:
            assert files.fit_files(*arguments).counted == 51
