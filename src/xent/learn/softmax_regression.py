"""`SoftmaxRegression`: multinomial logistic regression, for scikit-learn, by xent's cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.functional.normalise import log_softmax, softmax
from xent.learn import _model_file
from xent.learn._features import Features, logits_into
from xent.learn._objective import LossName, Objective, Sample
from xent.learn._parameters import (
    check_parameters,
    check_standardisable,
    checked_row_weights,
    checked_start,
    class_weights,
)
from xent.learn._sklearn import (
    Classifier,
    moments,
    rows_to_predict,
    select_columns,
    training_rows,
    warn_unconverged,
)
from xent.learn._solvers import Callback, Limits, Outcome, Step, minimise_by_gradient_descent, minimise_by_lbfgs
from xent.learn._threads import team

FloatArray = npt.NDArray[np.float64]


class SoftmaxRegression(Classifier):
    """Linear classifier whose mean cross-entropy, in nats, is as small as it gets, plus a penalty on weights.

    For rows x_i with classes y_i, weights v_i = sample weight × class weight, V = Σ v_i::

        z_i = W x_i + b      p_i = softmax(z_i)
        minimise  (1/V) Σ_i v_i · (−log p_i[y_i])  +  l2 · Σ W²          (loss="cross-entropy")
        minimise  (1/V) Σ_i v_i · Σ_k (p_i[k] − [k = y_i])²  +  l2 · Σ W²   (loss="squared-error", for comparison)

    W has one row for each class, also where there are two; the intercept b bears no penalty.
    scikit-learn's ``LogisticRegression(C=c)`` has the same optimum at ``l2 = 1 / (2·c·V)`` for three or more classes
    and at ``l2 = 1 / (c·V)`` for two, where it keeps one weight vector, the difference of our two. V is the number of
    rows where nothing is weighted.

    Rows are read in blocks: the N × C logits never exist as a whole, nor does a copy of the features, be they float64,
    float32 or sparse. Beyond them a fit by cross-entropy takes at most 64 MiB, the solver's memory, which for "lbfgs" is
    about 40 numbers for each of W and b, and some numbers a row. Features that are neither float32 nor float64 are converted.

    Args:
        loss: "cross-entropy", or "squared-error" on the softmax probabilities to see why not.
        l2: penalty; at 0 a separable problem has no finite optimum.
        solver: "lbfgs" (SciPy) or "gd", plain gradient descent.
        learning_rate: step of "gd"; None takes ``1 / (λ/2 + 2·l2)``, λ the largest eigenvalue of the features' second
            moments, at which cross-entropy cannot rise. Not used by "lbfgs".
        max_iter: most iterations; reaching it gives scikit-learn's ConvergenceWarning.
        tol: stop when no component of the gradient is larger.
        fit_intercept: whether b is fitted; else it is 0.
        standardize: fit, and penalise, on features shifted to weighted mean 0 and scaled to standard deviation 1;
            predictions then take features as they come. Not for sparse features, which centring would make dense.
        class_weight: None, "balanced" (V / (C · weight of the class)), or a mapping from class to weight (others 1).
        warm_start: start from the previous fit's ``coef_`` and ``intercept_``; else from zeros.

    Attributes:
        classes_: (C,), sorted.
        coef_: W, (C, D), for standardised features where ``standardize``.
        intercept_: b, (C,).
        mean_, scale_: (D,) each, of the training features; None without ``standardize``.
        n_iter_: iterations taken.
        converged_: whether the solver stopped by itself, not at ``max_iter``.
        learning_rate_: step taken by "gd"; None for "lbfgs".
        history_: one entry per iteration, the start included, of ``iteration``, ``loss`` (what is minimised),
            ``cross_entropy_nats`` (mean, without penalty), ``gradient_norm`` (largest component) and ``elapsed_s``;
            a loaded model has none.
        column_names_: of a loaded model, the names of its D columns if they are known, else None. With names, a data frame
            is matched by them, whatever the order and whatever else it holds; an array goes by position.
        n_features_in_, feature_names_in_: as in all of scikit-learn.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> X, y = load_iris(return_X_y=True)
        >>> model = SoftmaxRegression(standardize=True, l2=1e-3).fit(X, y)
        >>> round(float(model.history_["loss"][0]), 4)  # it starts at ln 3: all classes alike
        1.0986
        >>> model.score(X, y) > 0.95
        True
    """

    loss: LossName
    solver: Literal["lbfgs", "gd"]
    classes_: npt.NDArray[Any]
    coef_: FloatArray
    intercept_: FloatArray
    column_names_: tuple[str, ...] | None
    mean_: FloatArray | None
    scale_: FloatArray | None
    n_iter_: int
    converged_: bool
    learning_rate_: float | None
    history_: dict[str, npt.NDArray[Any]]

    def __init__(
        self,
        *,
        loss: LossName = "cross-entropy",
        l2: float = 1e-4,
        solver: Literal["lbfgs", "gd"] = "lbfgs",
        learning_rate: float | None = None,
        max_iter: int = 1000,
        tol: float = 1e-6,
        fit_intercept: bool = True,
        standardize: bool = False,
        class_weight: Mapping[Any, float] | Literal["balanced"] | None = None,
        warm_start: bool = False,
    ) -> None:
        """Keep the parameters as they are; ``fit`` checks them."""
        self.loss = loss
        self.l2 = l2
        self.solver = solver
        self.learning_rate = learning_rate
        self.max_iter = max_iter
        self.tol = tol
        self.fit_intercept = fit_intercept
        self.standardize = standardize
        self.class_weight = class_weight
        self.warm_start = warm_start

    def fit(
        self,
        X: Any,
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        *,
        coef_init: npt.ArrayLike | None = None,
        intercept_init: npt.ArrayLike | None = None,
        callback: Callback | None = None,
    ) -> SoftmaxRegression:
        """Fit W and b to features X and classes y.

        Args:
            X: features (N, D), an array or a SciPy sparse matrix; other formats than CSR are converted.
            y: class of each row, (N,), integers, strings or booleans.
            sample_weight: (N,), finite and ≥ 0; a weight of 2 counts as the row given twice.
            coef_init: start for W, (C, D), in place of the zeros or the warm start.
            intercept_init: start for b, (C,), likewise.
            callback: called with a `Step` at the start and after every iteration.

        Returns:
            The estimator itself.

        Raises:
            ArgumentError: a parameter, weight or start breaks its rule, sparse features were to be standardised, y holds one
                class, or the loss stops being finite; the message holds rule, value and remedy.
        """
        check_parameters(self.get_params(deep=False))
        features, target = training_rows(self, X, y)
        check_standardisable(features, self.standardize)
        classes, labels = np.unique(target, return_inverse=True)
        if len(classes) < 2:
            raise ArgumentError(
                "a classifier needs at least 2 classes", f"y holds one class only, {classes[0]!s}", "Add rows of another class."
            )
        row_weights = checked_row_weights(sample_weight, len(labels))
        row_weights = row_weights * class_weights(self.class_weight, classes, labels, row_weights)[labels]
        mean, scale = moments(features, row_weights) if self.standardize else (None, None)
        sample = Sample(Features(features, mean, scale), labels, row_weights / row_weights.sum(), len(classes))
        objective = Objective(sample, loss=self.loss, l2=float(self.l2), fit_intercept=self.fit_intercept)
        start = objective.join(*self._start(classes, objective.coef_shape, coef_init, intercept_init))
        outcome = self._minimise(objective, start, callback)
        self.column_names_ = None
        self.classes_, self.mean_, self.scale_ = classes, mean, scale
        self.coef_, self.intercept_ = (part.copy() for part in objective.split(outcome.theta))
        self._keep(outcome, sparse=hasattr(features, "tocsr"))
        return self

    def decision_function(self, X: Any) -> FloatArray:
        """Logits (N, C); for two classes the log odds of ``classes_[1]``, ``z_1 − z_0``, (N,), as scikit-learn has it."""
        return self._by_rows(X, lambda logits: logits[:, 1] - logits[:, 0] if logits.shape[1] == 2 else logits)

    def predict_log_proba(self, X: Any) -> FloatArray:
        """Log-probabilities in nats, (N, C): ``log_softmax(W x + b)``."""
        return self._by_rows(X, log_softmax)

    def predict_proba(self, X: Any) -> FloatArray:
        """Probabilities (N, C): ``softmax(W x + b)``, columns in the order of ``classes_``."""
        return self._by_rows(X, softmax)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """Most probable class of each row, (N,)."""
        return self._by_rows(X, lambda logits: self.classes_[np.argmax(logits, axis=1)])

    def save(self, path: str | PathLike[str]) -> None:
        """Write the fitted model as JSON (versioned, readable, no pickle), under a temporary name first."""
        _model_file.write(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> SoftmaxRegression:
        """Read what ``save`` or ``xent fit`` wrote: the same predictions to the last bit, and ready for a warm start.

        Raises:
            ArgumentError: the file is no model, is of an unknown version, or does not fit together; the message says which.
        """
        return _model_file.read(cls, path)

    def _by_rows(self, X: Any, answer: Callable[[FloatArray], npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """What is answered to the logits ``W x + b`` (B, C), float64, of each block of rows: all answers in one array."""
        checked = rows_to_predict(self, select_columns(X, getattr(self, "column_names_", None)))
        check_standardisable(checked, self.mean_ is not None)
        features, weights = Features(checked, self.mean_, self.scale_), np.column_stack([self.coef_, self.intercept_])
        result: npt.NDArray[Any] = np.empty(0)
        for rows in features.blocks(len(self.classes_)):
            block = features.block(rows, constant=True)
            here = answer(logits_into(np.empty((block.shape[0], len(weights))), block, weights))
            if rows.start == 0:
                result = np.empty((features.shape[0], *here.shape[1:]), here.dtype)
            result[rows] = here
        return result

    def _start(
        self,
        classes: npt.NDArray[Any],
        shape: tuple[int, int],
        coef_init: npt.ArrayLike | None,
        intercept_init: npt.ArrayLike | None,
    ) -> tuple[FloatArray, FloatArray]:
        """W and b to start from: as given, else the previous fit's where ``warm_start``, else zeros."""
        coef, intercept = np.zeros(shape), np.zeros(shape[0])
        if self.warm_start and hasattr(self, "coef_"):
            if not np.array_equal(classes, self.classes_):
                raise ArgumentError(
                    "a warm start needs the classes of the previous fit",
                    f"these are {list(classes)}, those were {list(self.classes_)}",
                    "Set warm_start=False, or give rows of the same classes.",
                )
            coef, intercept = self.coef_, self.intercept_
        coef = checked_start("coef_init", coef if coef_init is None else coef_init, shape)
        return coef, checked_start("intercept_init", intercept if intercept_init is None else intercept_init, shape[:1])

    def _minimise(self, objective: Objective, start: FloatArray, callback: Callback | None) -> Outcome:
        """Run the solver that was asked for."""
        limits = Limits(int(self.max_iter), float(self.tol))
        with team(objective.multiplications) as objective.team:
            if self.solver == "lbfgs":
                self.learning_rate_ = None
                return minimise_by_lbfgs(objective, start, limits, callback)
            self.learning_rate_ = objective.steady_step() if self.learning_rate is None else float(self.learning_rate)
            return minimise_by_gradient_descent(objective, start, limits, callback, self.learning_rate_)

    def _keep(self, outcome: Outcome, *, sparse: bool) -> None:
        """Keep the history, and warn where the solver stopped short."""
        self.n_iter_, self.converged_ = len(outcome.steps) - 1, outcome.complaint is None
        self.history_ = {name: np.array([getattr(step, name) for step in outcome.steps]) for name in Step.__slots__}
        if outcome.complaint is not None:
            scaled = "scale the columns (MaxAbsScaler)" if sparse else "set standardize=True"
            warn_unconverged(f"{outcome.complaint}. Raise max_iter or tol, {scaled}, or raise l2.")
