"""Features read in blocks: dense, float32, standardised or sparse, one model; and memory that does not know N × C."""

import tracemalloc
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

import xent
from xent.learn import SoftmaxRegression, _features, _sklearn, _threads
from xent.learn._features import Features, add_gradient, logits_into
from xent.learn._objective import Objective, Sample

TIGHT = {"tol": 1e-8, "max_iter": 5000}
FORMATS = [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.coo_array]


def problem(rows=120, features=6, classes=4, seed=0):
    """Overlapping classes; six of ten features are 0."""
    rng = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    X = rng.normal(size=(classes, features))[y] + rng.normal(size=(rows, features))
    return np.where(rng.random((rows, features)) < 0.6, 0.0, X), y


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of seven rows where there are four classes, fewer where a sparse block would hold more than 20 numbers."""
    monkeypatch.setattr(_features, "FEWEST_ROWS", 1)
    monkeypatch.setattr(_features, "BLOCK_LOGITS", 28)
    monkeypatch.setattr(_sklearn, "BLOCK_FEATURES", 30)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared-error"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_and_dense_features_give_one_model(form, dtype, fit_intercept, loss):
    X, y = problem()
    X = X.astype(dtype)
    dense, thin = (SoftmaxRegression(loss=loss, l2=0.01, fit_intercept=fit_intercept, **TIGHT).fit(x, y) for x in (X, form(X)))
    np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-6)
    for method in ("predict_proba", "predict_log_proba", "decision_function", "predict"):
        np.testing.assert_allclose(getattr(dense, method)(form(X)), getattr(dense, method)(X), atol=1e-12)


@pytest.mark.parametrize("solver", ["lbfgs", "gd"])
def test_both_solvers_take_sparse_features(solver):
    X, y = problem()
    models = [SoftmaxRegression(l2=0.05, solver=solver, **TIGHT).fit(x, y) for x in (X, sparse.csr_array(X))]
    assert models[1].learning_rate_ == pytest.approx(models[0].learning_rate_) or solver == "lbfgs"
    np.testing.assert_allclose(models[1].coef_, models[0].coef_, atol=1e-6)


@pytest.mark.parametrize("weighted", [True, False])
def test_the_optimum_of_sparse_features_is_that_of_logistic_regression(weighted):
    X, y = problem()
    weights = np.random.default_rng(1).uniform(0.0, 3.0, len(y)) if weighted else np.ones(len(y))
    ours = SoftmaxRegression(l2=1 / (2 * weights.sum()), **TIGHT).fit(sparse.csr_array(X), y, weights)
    theirs = LogisticRegression(tol=1e-10, max_iter=10_000).fit(X, y, weights)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


def test_rows_without_a_number_are_told_by_the_intercept():
    X, y = problem()
    X[:40] = 0.0
    model = SoftmaxRegression(l2=0.01).fit(sparse.csr_array(X), y)
    np.testing.assert_allclose(model.predict_log_proba(sparse.csr_array(X))[:40], [xent.log_softmax(model.intercept_)] * 40)


def test_sparse_features_are_not_standardised():
    X, y = problem()
    thin, fitted = sparse.csr_array(X), SoftmaxRegression(standardize=True).fit(X, y)
    for call in (lambda: SoftmaxRegression(standardize=True).fit(thin, y), lambda: fitted.predict(thin)):
        with pytest.raises(xent.ArgumentError) as caught:
            call()
        assert str(caught.value) == (
            f"standardize=True needs dense features; these are sparse, {thin.nnz} numbers in shape (120, 6), and centring would "
            "fill in every 0. Set standardize=False, and scale columns beforehand without shifting them, as MaxAbsScaler does."
        )


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, np.float32, sparse.csr_array])
def test_blocks_change_no_model_and_no_answer(form, standardize, request):
    if standardize and form is sparse.csr_array:
        pytest.skip("sparse features are not standardised")
    X, y = problem()
    X = form(X)
    whole = SoftmaxRegression(standardize=standardize, l2=0.01, **TIGHT).fit(X, y)
    asked = {name: getattr(whole, name)(X) for name in ("predict", "predict_proba", "predict_log_proba", "decision_function")}
    request.getfixturevalue("small_blocks")
    for name, answer in asked.items():
        np.testing.assert_allclose(getattr(whole, name)(X), answer, atol=1e-12)
    parts = SoftmaxRegression(standardize=standardize, l2=0.01, **TIGHT).fit(X, y)
    np.testing.assert_allclose(parts.coef_, whole.coef_, atol=1e-6)
    if standardize:
        np.testing.assert_allclose(parts.mean_, whole.mean_, rtol=1e-6, atol=1e-12)
        np.testing.assert_allclose(parts.scale_, whole.scale_, rtol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_rows_without_weight_have_no_say_in_mean_and_scale():
    X, y = problem()
    weights = np.repeat([0.0, 1.0, 0.0], 40)
    model = SoftmaxRegression(standardize=True, l2=0.1).fit(X, y, weights)
    np.testing.assert_allclose(model.mean_, X[40:80].mean(axis=0))
    np.testing.assert_allclose(model.scale_, X[40:80].std(axis=0))


def test_a_block_of_sparse_rows_holds_few_numbers(monkeypatch):
    monkeypatch.setattr(_features, "MOST_FEATURES", 20)
    X, _ = problem()
    X[50] = 1.0
    blocks = Features(sparse.csr_array(X)).blocks(4)
    assert [row for rows in blocks for row in range(rows.start, rows.stop)] == list(range(120))
    assert max(np.count_nonzero(X[rows]) for rows in blocks) <= 20
    monkeypatch.setattr(_features, "MOST_FEATURES", 2)
    assert all(np.count_nonzero(X[rows]) <= 2 or rows.stop - rows.start == 1 for rows in Features(sparse.csr_array(X)).blocks(4))


@pytest.mark.parametrize("classes", [1, 3, 40])
@pytest.mark.parametrize("most", [1, 50, 10**6])
@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_a_gradient_is_one_product_however_it_is_cut(monkeypatch, form, classes, most):
    monkeypatch.setattr(_features, "SMALL_GRADIENT", most)
    monkeypatch.setattr(_features, "PRODUCT", most)
    rng = np.random.default_rng(2)
    x, g, v, before = problem()[0], rng.normal(size=(120, classes)), rng.random(120), rng.normal(size=(classes, 7))
    expected, gradient = before + (g * v[:, None]).T @ np.column_stack([x, np.ones(120)]), before.copy()
    block = Features(form(x)).block(slice(None), constant=True)
    np.testing.assert_allclose(
        logits_into(np.empty((120, classes)), block, before), x @ before[:, :6].T + before[:, 6], atol=1e-12
    )
    add_gradient(gradient, g, block, v)
    np.testing.assert_allclose(gradient, expected, atol=1e-12)


@pytest.mark.parametrize("form", [np.array, sparse.csr_array])
def test_a_team_changes_no_bit(monkeypatch, form):
    monkeypatch.setattr(_threads, "SMALL_PRODUCT", 0)
    monkeypatch.setattr(_threads, "blas_threads", lambda: 3)
    X, y = problem()
    objective = Objective(
        Sample(Features(form(X)), y, np.full(120, 1 / 120), 4), loss="cross-entropy", l2=0.1, fit_intercept=True
    )
    theta = np.random.default_rng(3).normal(size=28)
    with _threads.team(0) as objective.team:
        assert objective.team is not _threads.alone
        together = objective(theta)
    objective.team = _threads.alone
    np.testing.assert_array_equal(objective(theta).gradient, together.gradient)


def test_what_fails_in_a_team_is_raised_and_what_overflows_is_not():
    def work(piece):
        assert np.isinf(np.float64(1e300) * 1e300)
        if piece.start:
            raise KeyError(piece)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_threads, "blas_threads", lambda: 2)
        with _threads.team(2**30) as team, pytest.raises(KeyError):
            team(work, [slice(0, 1), slice(1, 2)])


def peak_bytes(call):
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", [np.array, np.float32, sparse.csr_array])
def test_memory_does_not_know_the_product_of_rows_and_classes(form):
    rows, features, classes = 6000, 16, 3000
    X, y = problem(rows, features, classes)
    X, model = form(X), SoftmaxRegression(max_iter=1)

    def fit():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X, y)

    solver = 40 * 8 * classes * (features + 1)
    logits = 8 * rows * classes
    assert peak_bytes(fit) <= (64 << 20) + solver < logits
    assert peak_bytes(lambda: model.predict(X)) <= 0.4 * logits
    assert peak_bytes(lambda: model.predict_proba(X)) <= 1.5 * logits


def test_standardising_and_the_steady_step_copy_no_features():
    X = np.random.default_rng(4).normal(size=(100_000, 64)).astype(np.float32)
    y = np.arange(len(X)) % 2
    model = SoftmaxRegression(standardize=True, solver="gd", max_iter=1)
    with pytest.warns(ConvergenceWarning):
        grown = peak_bytes(lambda: model.fit(X, y))
    assert grown < 0.6 * 8 * X.size
