"""What a fitted `SoftmaxRegression` must satisfy, whatever the data."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

import xent
from xent.learn import SoftmaxRegression, Step

TIGHT = {"tol": 1e-8, "max_iter": 5000}


@pytest.fixture
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def reference(X, y, c, **weights):
    with threadpool_limits(limits=1, user_api="blas"):
        class_weight = weights.pop("class_weight", None)
        return LogisticRegression(C=c, tol=1e-10, max_iter=10_000, class_weight=class_weight).fit(X, y, **weights)


@pytest.mark.parametrize("c", [0.1, 10.0])
@pytest.mark.parametrize("load", [load_digits, load_wine, load_breast_cancer])
def test_the_optimum_is_that_of_logistic_regression(load, c):
    X, y = load(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    classes = len(np.unique(y))
    l2 = 1 / ((2 if classes > 2 else 1) * c * len(y))
    ours = SoftmaxRegression(l2=l2, **TIGHT).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), reference(X, y, c).predict_proba(X), atol=1e-5)


def test_the_optimum_is_that_of_logistic_regression_with_sample_and_class_weights(iris):
    X, y = iris
    sample_weight, class_weight = np.random.default_rng(0).uniform(0, 3, len(y)), {0: 0.5, 1: 3.0}
    total = float((sample_weight * np.array([0.5, 3.0, 1.0])[y]).sum())
    ours = SoftmaxRegression(l2=1 / (2 * total), class_weight=class_weight, **TIGHT).fit(X, y, sample_weight)
    theirs = reference(X, y, 1.0, sample_weight=sample_weight, class_weight=class_weight)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_both_solvers_find_the_same_optimum(iris):
    by_lbfgs = SoftmaxRegression(l2=0.05, **TIGHT).fit(*iris)
    by_descent = SoftmaxRegression(l2=0.05, solver="gd", **TIGHT).fit(*iris)
    np.testing.assert_allclose(by_descent.coef_, by_lbfgs.coef_, atol=1e-6)


def test_mean_probabilities_are_the_class_frequencies(iris):
    """The unpenalised intercept's gradient is their difference."""
    X, y = iris
    X, y = X[:120], y[:120]
    probs = SoftmaxRegression(l2=0.1, **TIGHT).fit(X, y).predict_proba(X)
    np.testing.assert_allclose(probs.mean(axis=0), np.bincount(y) / len(y), atol=1e-7)


def test_without_an_intercept_the_origin_has_equal_probabilities(iris):
    model = SoftmaxRegression(fit_intercept=False).fit(*iris)
    np.testing.assert_array_equal(model.intercept_, np.zeros(3))
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 4))), 1 / 3)


def test_without_a_penalty_the_weights_of_all_classes_still_sum_to_zero(iris):
    """Each row's gradient sums to zero over the classes, and the start is zero."""
    with pytest.warns(ConvergenceWarning):
        model = SoftmaxRegression(l2=0.0, max_iter=20).fit(*iris)
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0.0, atol=1e-10)


def test_the_loss_starts_at_ln_c_and_is_the_mean_surprisal_plus_the_penalty(iris):
    X, y = iris
    model = SoftmaxRegression(l2=0.01).fit(X, y)
    nats = float(xent.cross_entropy(model.decision_function(X), y))
    assert model.history_["loss"][0] == pytest.approx(np.log(3))
    assert model.history_["cross_entropy_nats"][-1] == pytest.approx(nats, rel=1e-12)
    assert model.history_["loss"][-1] == pytest.approx(nats + 0.01 * np.sum(model.coef_**2), rel=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
def test_history_has_one_entry_per_iteration_and_the_start(iris, solver):
    seen = []
    model = SoftmaxRegression(l2=0.1, solver=solver).fit(*iris, callback=seen.append)
    assert [step.iteration for step in seen] == list(range(model.n_iter_ + 1))
    assert all(isinstance(step, Step) for step in seen)
    for name in ("loss", "cross_entropy_nats", "gradient_norm", "elapsed_s"):
        assert [getattr(step, name) for step in seen] == model.history_[name].tolist()
    assert np.all(np.diff(model.history_["loss"]) <= 0)
    assert np.all(np.diff(model.history_["elapsed_s"]) > 0)
    assert model.history_["gradient_norm"][-1] <= model.tol
    assert model.converged_


@pytest.mark.parametrize("seed", range(5))
def test_the_default_step_never_raises_the_loss(seed):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(40, 3)) * rng.uniform(0.01, 30, 3) + rng.normal(size=3) * 10, np.arange(40) % 3
    with pytest.warns(ConvergenceWarning):
        model = SoftmaxRegression(solver="gd", max_iter=200, tol=0.0).fit(X, y)
    assert np.all(np.diff(model.history_["loss"]) <= 1e-12)
    assert model.learning_rate_ > 0


def test_a_weight_counts_rows(iris):
    X, y = iris
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = SoftmaxRegression(l2=0.01, **TIGHT).fit(X, y, sample_weight=counts)
    repeated = SoftmaxRegression(l2=0.01, **TIGHT).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)


def test_a_weight_counts_rows_in_the_standardisation_too(iris):
    X, y = iris
    counts = np.random.default_rng(1).integers(0, 4, len(y))
    weighted = SoftmaxRegression(standardize=True).fit(X * 7 + 3, y, sample_weight=counts)
    repeated = SoftmaxRegression(standardize=True).fit(np.repeat(X * 7 + 3, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.mean_, repeated.mean_)
    np.testing.assert_allclose(weighted.scale_, repeated.scale_)


def test_scaling_all_weights_changes_nothing(iris):
    X, y = iris
    once = SoftmaxRegression().fit(X, y)
    thrice = SoftmaxRegression().fit(X, y, sample_weight=np.full(len(y), 3.0))
    np.testing.assert_allclose(thrice.coef_, once.coef_, atol=1e-8)


def test_class_weights_are_sample_weights(iris):
    X, y = iris
    X, y = X[20:], y[20:]
    of_classes = SoftmaxRegression(class_weight={0: 2.0, 2: 0.5}).fit(X, y)
    of_rows = SoftmaxRegression().fit(X, y, sample_weight=np.array([2.0, 1.0, 0.5])[y])
    np.testing.assert_allclose(of_classes.coef_, of_rows.coef_, atol=1e-8)


def test_balanced_weights_give_every_class_the_same_mass(iris):
    X, y = iris
    X, y = X[30:], y[30:]
    probs = SoftmaxRegression(class_weight="balanced", l2=0.1, **TIGHT).fit(X, y).predict_proba(X)
    rows = 1.0 / np.bincount(y)[y]
    np.testing.assert_allclose(rows @ probs / rows.sum(), 1 / 3, atol=1e-6)


def test_balanced_weights_pass_over_a_class_without_weight(iris):
    X, y = iris
    model = SoftmaxRegression(class_weight="balanced", l2=0.1).fit(X, y, sample_weight=(y > 0).astype(float))
    assert np.isfinite(model.coef_).all()


def test_standardising_makes_units_irrelevant(iris):
    X, y = iris
    units, offset = np.array([1e-3, 1.0, 50.0, 1e4]), np.array([0.0, -3.0, 1e3, 1e5])
    plain, scaled = (SoftmaxRegression(standardize=True).fit(rows, y) for rows in (X, X * units + offset))
    np.testing.assert_allclose(scaled.predict_proba(X * units + offset), plain.predict_proba(X), atol=1e-5)


def test_a_constant_column_has_scale_one_and_no_say():
    X = np.column_stack([np.arange(10.0), np.full(10, 5.0)])
    model = SoftmaxRegression(standardize=True, l2=0.1).fit(X, np.arange(10) > 4)
    assert model.scale_[1] == 1.0
    np.testing.assert_array_equal(model.coef_[:, 1], 0.0)


def test_two_classes_have_log_odds_and_opposite_weights():
    X, y = load_breast_cancer(return_X_y=True)
    model = SoftmaxRegression(standardize=True, l2=0.01).fit(X, y)
    odds = model.decision_function(X)
    assert odds.shape == y.shape
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], xent.sigmoid(odds), atol=1e-15)
    np.testing.assert_allclose(model.coef_[0], -model.coef_[1], atol=1e-12)
    np.testing.assert_array_equal(model.predict(X), (odds > 0).astype(int))


def test_log_probabilities_keep_what_probabilities_lose(iris):
    model = SoftmaxRegression(fit_intercept=False).fit(*iris)
    far = model.predict_log_proba(1e4 * iris[0][:1])
    assert np.isfinite(far).all()
    assert far.min() < -1000
    np.testing.assert_allclose(np.exp(model.predict_log_proba(iris[0])), model.predict_proba(iris[0]), atol=1e-15)


def test_class_names_come_back(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])
    model = SoftmaxRegression().fit(X, names[y])
    assert model.classes_.tolist() == names.tolist()
    assert model.score(X, names[y]) > 0.95


def test_a_warm_start_goes_on_where_it_was(iris):
    whole, halves = (SoftmaxRegression(solver="gd", tol=0.0, warm_start=True) for _ in range(2))
    with pytest.warns(ConvergenceWarning):
        whole.set_params(max_iter=60).fit(*iris)
    with pytest.warns(ConvergenceWarning):
        halves.set_params(max_iter=30).fit(*iris).fit(*iris)
    np.testing.assert_allclose(halves.coef_, whole.coef_, rtol=1e-12)


def test_a_start_at_the_optimum_takes_no_iteration(iris):
    model = SoftmaxRegression(l2=0.01).fit(*iris)
    again = SoftmaxRegression(l2=0.01).fit(*iris, coef_init=model.coef_, intercept_init=model.intercept_)
    assert again.n_iter_ == 0
    np.testing.assert_array_equal(again.coef_, model.coef_)


def test_squared_error_stalls_where_cross_entropy_learns(iris):
    """At a confidently wrong start squared error's gradient holds p(1 − p), cross-entropy's is p − y."""
    start = {"coef_init": np.zeros((3, 4)), "intercept_init": [15.0, 0.0, 0.0]}
    final = {}
    for loss in ("cross-entropy", "squared-error"):
        with pytest.warns(ConvergenceWarning):
            model = SoftmaxRegression(loss=loss, solver="gd", max_iter=300, tol=0.0).fit(*iris, **start)
        final[loss] = model.history_["cross_entropy_nats"]
    assert final["cross-entropy"][0] == final["squared-error"][0] == pytest.approx(10.0, abs=1e-4)
    assert final["cross-entropy"][-1] < 0.3
    assert final["squared-error"][-1] > 9.99


def test_squared_error_learns_from_zero(iris):
    assert SoftmaxRegression(loss="squared-error").fit(*iris).score(*iris) > 0.95


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
def test_reaching_max_iter_warns(iris, solver):
    with pytest.warns(
        ConvergenceWarning, match=r"still above tol = 1e-06 after max_iter = 3 iterations\. Raise max_iter"
    ) as seen:
        model = SoftmaxRegression(solver=solver, max_iter=3).fit(*iris)
    assert (model.n_iter_, model.converged_) == (3, False)
    assert seen[0].filename == __file__


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
def test_no_iterations_leave_the_start(iris, solver):
    with pytest.warns(ConvergenceWarning):
        model = SoftmaxRegression(solver=solver, max_iter=0).fit(*iris)
    np.testing.assert_array_equal(model.coef_, 0.0)


def test_a_descent_that_diverges_is_an_error(iris):
    model = SoftmaxRegression(solver="gd", learning_rate=1e10, l2=1.0)
    with pytest.raises(xent.ArgumentError, match=r"must stay finite while fitting; iteration \d+ has loss inf"):
        model.fit(*iris)
    assert not hasattr(model, "coef_")


def test_float32_features_give_the_same_model(iris):
    X, y = iris
    narrow, wide = (SoftmaxRegression().fit(X.astype(dtype), y) for dtype in (np.float32, np.float64))
    np.testing.assert_allclose(narrow.predict_proba(X), wide.predict_proba(X), atol=1e-5)


def test_features_are_left_alone(iris):
    X, y = iris
    before = X.copy()
    SoftmaxRegression(standardize=True).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(X, before)


BAD_PARAMETERS = {
    "loss": ("hinge", "loss must be 'cross-entropy' or 'squared-error'; it is 'hinge'. 'cross-entropy' is the usual choice."),
    "solver": ("adam", "solver must be 'lbfgs' or 'gd'; it is 'adam'. 'lbfgs' needs fewer iterations."),
    "l2": (-1.0, "l2 must be a finite number of at least 0; it is -1.0. 0 is no penalty; try 0.0001."),
    "learning_rate": (
        0.0,
        "learning_rate must be None or a finite number above 0; it is 0.0. None takes a step at which the loss cannot rise.",
    ),
    "max_iter": (2.5, "max_iter must be an integer of at least 0; it is 2.5. Try 1000."),
    "tol": (float("nan"), "tol must be a finite number of at least 0; it is nan. Try 1e-6; 0 runs until max_iter."),
    "class_weight": (
        3,
        "class_weight must be None, 'balanced' or a mapping from class to weight; it is 3. "
        "Pass for example {'yes': 2.0, 'no': 1.0}.",
    ),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_parameters_that_break_a_rule(iris, name):
    value, message = BAD_PARAMETERS[name]
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression(**{name: value}).fit(*iris)
    assert str(caught.value) == message


BAD_CALLS = {
    "short weights": (
        {"sample_weight": [1.0]},
        "sample_weight must hold one number per row; its shape is (1,) for 4 rows. Pass shape (4,).",
    ),
    "negative weights": (
        {"sample_weight": [1, -1, 1, -2]},
        "sample_weight must be finite and at least 0; row 1 holds -1.0 (2 such rows). A row that should not count has weight 0.",
    ),
    "no weight": (
        {"sample_weight": np.zeros(4)},
        "Sample weights must contain at least one non-zero number; all 4 are 0. Give some row a weight above 0.",
    ),
    "start of another shape": (
        {"coef_init": np.zeros((1, 1))},
        "coef_init must have shape (2, 1); its shape is (1, 1). Binary problems have two rows, one per class.",
    ),
    "start with NaN": (
        {"intercept_init": [0.0, np.nan]},
        "intercept_init must be finite; it holds NaN or inf. Start from zeros by leaving it out.",
    ),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_calls_that_break_a_rule(case):
    arguments, message = BAD_CALLS[case]
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression().fit(np.arange(4.0)[:, None], [0, 1, 0, 1], **arguments)
    assert str(caught.value) == message


def test_one_class_is_an_error():
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression().fit([[0.0], [1.0]], ["yes", "yes"])
    assert str(caught.value) == ("a classifier needs at least 2 classes; y holds one class only, yes. Add rows of another class.")


def test_class_weights_that_break_a_rule(iris):
    with pytest.raises(xent.ArgumentError) as caught:
        SoftmaxRegression(class_weight={1: -2.0}).fit(*iris)
    assert str(caught.value) == (
        "class_weight must be finite and at least 0; class 1 has weight -2.0. Give every class a weight of at least 0."
    )


def test_a_warm_start_with_other_classes_is_an_error(iris):
    X, y = iris
    model = SoftmaxRegression(warm_start=True, l2=0.1).fit(X, y)
    with pytest.raises(xent.ArgumentError, match=r"needs the classes of the previous fit; these are \[.*5.*\], those were"):
        model.fit(X, y + 3)


def test_features_too_large_to_standardise_are_an_error():
    with pytest.raises(xent.ArgumentError, match=r"standard deviations must be finite; column 1 has nan"):
        SoftmaxRegression(standardize=True).fit([[0.0, 1e200], [1.0, -1e200], [2.0, 1e200]], [0, 1, 0])
