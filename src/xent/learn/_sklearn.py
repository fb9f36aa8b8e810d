# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownArgumentType=false
"""The parts of scikit-learn and SciPy that `xent.learn` uses, with the types these packages lack."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize as scipy_minimize
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from xent._errors import ArgumentError

# Features whose moments are taken at once: scikit-learn makes copies of them, 4 MiB each.
BLOCK_FEATURES = 2**19

# scikit-learn's defaults for features and target are strings, from which a type checker infers str.
_validated: Callable[..., Any] = validate_data

FloatArray = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]

if TYPE_CHECKING:

    class Classifier:
        """What scikit-learn's classifiers inherit, as far as `xent.learn` relies on it."""

        n_features_in_: int
        feature_names_in_: AnyArray

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

        def score(self, X: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> float: ...

else:

    class Classifier(ClassifierMixin, BaseEstimator):
        """scikit-learn's classifier: parameters, cloning, tags and accuracy."""

        def __sklearn_tags__(self) -> Any:
            """Sparse features are welcome, unless they are to be centred."""
            tags = super().__sklearn_tags__()
            tags.input_tags.sparse = not self.standardize
            return tags


def training_rows(estimator: Classifier, features: Any, target: npt.ArrayLike) -> tuple[Any, AnyArray]:
    """Features (N, D), float32 or float64, an array or sparse in rows, and target (N,) as scikit-learn validates them."""
    checked, labels = _validated(estimator, features, target, dtype=[np.float64, np.float32], accept_sparse="csr")
    check_classification_targets(labels)
    return checked, labels


def rows_to_predict(estimator: Classifier, features: Any) -> Any:
    """Features (N, D) for a fitted estimator, as scikit-learn validates them."""
    check_is_fitted(estimator)
    return _validated(estimator, features, dtype=[np.float64, np.float32], accept_sparse="csr", reset=False)


def select_columns(features: Any, names: Sequence[str] | None) -> Any:
    """A data frame's (pandas, polars, pyarrow) columns of these names as an array; anything else as it is."""
    present = getattr(features, "column_names", getattr(features, "columns", None))
    if names is None or present is None:
        return features
    missing = [name for name in names if name not in list(present)]
    if missing:
        found = f"{missing[0]!r} is missing ({len(missing)} of {len(names)})"
        raise ArgumentError("a data frame must hold the columns that the model was trained on", found, "Add or rename it.")
    return np.column_stack([np.asarray(features[name]) for name in names])


def given_class_weights(class_weight: Mapping[Any, float], classes: AnyArray) -> FloatArray:
    """Weight of each class, (C,), from a mapping; classes it does not name weigh 1."""
    return cast(FloatArray, compute_class_weight(dict(class_weight), classes=classes, y=classes))


def moments(features: AnyArray, row_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted mean and standard deviation of each column, (D,) each; a constant column has scale 1."""
    scaler, step = StandardScaler(), max(1, BLOCK_FEATURES // max(1, features.shape[1]))
    with np.errstate(over="ignore", invalid="ignore"):
        for rows in (slice(first, first + step) for first in range(0, len(features), step)):
            # Rows that all weigh nothing have no mean.
            if row_weights[rows].any():
                scaler.partial_fit(features[rows], sample_weight=row_weights[rows])
    mean, scale = np.asarray(scaler.mean_, np.float64), np.asarray(scaler.scale_, np.float64)
    bad = np.flatnonzero(~np.isfinite(scale))
    if bad.size:
        found = f"column {bad[0]} has {scale[bad[0]]} ({bad.size} such columns)"
        raise ArgumentError("standard deviations must be finite", found, "Rescale the features.")
    return mean, scale


def warn_unconverged(message: str) -> None:
    """scikit-learn's ConvergenceWarning, at the line that called ``fit``."""
    warnings.warn(message, ConvergenceWarning, stacklevel=4)


def digits() -> tuple[FloatArray, AnyArray, list[str]]:
    """Handwritten digits of scikit-learn: pixels (1797, 64), digits (1797,), pixel names."""
    bunch = cast(Any, load_digits())
    return bunch.data, bunch.target, [str(name) for name in bunch.feature_names]


def lbfgs(
    value_and_gradient: Callable[[FloatArray], tuple[float, FloatArray]],
    start: FloatArray,
    accepted: Callable[[FloatArray, float], None],
    options: dict[str, float],
) -> tuple[FloatArray, int, str]:
    """SciPy's L-BFGS-B: final point, status (0 converged, 1 limit, 2 abnormal) and SciPy's message."""

    # SciPy goes by the parameter's name, and then tells the value as well.
    def callback(intermediate_result: Any) -> None:
        accepted(intermediate_result.x, float(intermediate_result.fun))

    result = scipy_minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", callback=callback, options=options)
    return np.asarray(result.x, np.float64), int(result.status), str(result.message)
