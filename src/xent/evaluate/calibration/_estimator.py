"""The parts of scikit-learn that calibrators use, with the types it lacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.validation import check_is_fitted, validate_data

from xent._errors import ArgumentError, DTypeError

_validated: Callable[..., Any] = validate_data
FLOATS = [np.float64, np.float32, np.float16]

if TYPE_CHECKING:

    class Classifier:
        """What scikit-learn's classifiers inherit, as far as calibrators rely on it."""

        n_features_in_: int

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...

else:

    class Classifier(ClassifierMixin, BaseEstimator):
        """scikit-learn's classifier: parameters, cloning, tags and accuracy."""


def training_rows(estimator: Classifier, X: Any, y: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Predictions [N, C], whatever they hold, and target [N], as scikit-learn validates them."""
    values, target = _accepted(lambda: _validated(estimator, X, y, dtype=FLOATS, ensure_all_finite=False))
    if values.shape[1] < 2:
        found = f"n_features = {values.shape[1]}"
        raise ArgumentError("X needs a column for each of at least two classes", found, "Give both columns of two classes.")
    return values, target


def rows_to_calibrate(estimator: Classifier, X: Any) -> npt.NDArray[Any]:
    """Predictions [N, C] for a fitted calibrator."""
    check_is_fitted(estimator)
    return _accepted(lambda: _validated(estimator, X, dtype=FLOATS, ensure_all_finite=False, reset=False))


def _accepted(validation: Callable[[], Any]) -> Any:
    """What scikit-learn makes of arguments; what it refuses is refused in its words."""
    rule, remedy = "X must be predictions [N, C] and y their labels [N], as scikit-learn takes them", "Mend what it names."

    def said(error: Exception) -> str:
        return f"it says: {str(error).rstrip('.')}"

    try:
        return validation()
    except (TypeError, OverflowError) as error:
        raise DTypeError(rule, said(error), remedy) from error
    except ValueError as error:
        raise ArgumentError(rule, said(error), remedy) from error


def isotonic_steps(
    x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], weight: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The corners of the rising line that is nearest to y in weighted squares."""
    fitted: Any = IsotonicRegression(y_min=0.0, y_max=1.0).fit(x, y, sample_weight=weight)
    return np.asarray(fitted.X_thresholds_, np.float64), np.asarray(fitted.y_thresholds_, np.float64)


def warn_unconverged(message: str) -> None:
    """scikit-learn's ConvergenceWarning."""
    warnings.warn(message, ConvergenceWarning, stacklevel=5)
