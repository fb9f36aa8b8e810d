"""Rules about the parameters of `SoftmaxRegression` and the weights and starts given to ``fit``."""

import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, ShapeError
from xent.learn._objective import ROW_LOSSES

FloatArray = npt.NDArray[np.float64]


def _is_count(value: Any) -> bool:
    """An integer of at least 0; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 0


def _at_least_zero(value: Any) -> bool:
    """A finite number ≥ 0; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Real) and 0.0 <= float(value) < math.inf


def _above_zero_or_none(value: Any) -> bool:
    """None, or a finite number > 0."""
    return value is None or (_at_least_zero(value) and value > 0)


RULES: dict[str, tuple[Callable[[Any], bool], str, str]] = {
    "loss": (lambda v: v in ROW_LOSSES, "'cross-entropy' or 'squared-error'", "'cross-entropy' is the usual choice."),
    "solver": (lambda v: v in ("lbfgs", "gd"), "'lbfgs' or 'gd'", "'lbfgs' needs fewer iterations."),
    "l2": (_at_least_zero, "a finite number of at least 0", "0 is no penalty; try 0.0001."),
    "learning_rate": (_above_zero_or_none, "None or a finite number above 0", "None takes a step at which the loss cannot rise."),
    "max_iter": (_is_count, "an integer of at least 0", "Try 1000."),
    "tol": (_at_least_zero, "a finite number of at least 0", "Try 1e-6; 0 runs until max_iter."),
    "class_weight": (
        lambda v: v is None or v == "balanced" or isinstance(v, Mapping),
        "None, 'balanced' or a mapping from class to weight",
        "Pass for example {'yes': 2.0, 'no': 1.0}.",
    ),
}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise ArgumentError for the first of these parameters of `SoftmaxRegression` that breaks its rule."""
    for name in (name for name in RULES if name in parameters):
        holds, rule, remedy = RULES[name]
        if not holds(parameters[name]):
            raise ArgumentError(f"{name} must be {rule}", f"it is {parameters[name]!r}", remedy)


def check_standardisable(features: Any, standardize: bool) -> None:
    """Raise ArgumentError where sparse features would be centred."""
    if standardize and not isinstance(features, np.ndarray):
        raise ArgumentError(
            "standardize=True needs dense features",
            f"these are sparse, {features.nnz} numbers in shape {features.shape}, and centring would fill in every 0",
            "Set standardize=False, and scale columns beforehand without shifting them, as MaxAbsScaler does.",
        )


def checked_row_weights(sample_weight: npt.ArrayLike | None, rows: int) -> FloatArray:
    """Row weights (N,), finite, ≥ 0 and not all zero; ones where None."""
    if sample_weight is None:
        return np.ones(rows)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(rows, float(weights))
    if weights.shape != (rows,):
        raise ShapeError(
            "sample_weight must hold one number per row",
            f"its shape is {weights.shape} for {rows} rows",
            f"Pass shape ({rows},).",
        )
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ArgumentError(
            "sample_weight must be finite and at least 0",
            f"row {bad[0]} holds {weights[bad[0]]} ({bad.size} such rows)",
            "A row that should not count has weight 0.",
        )
    if not weights.any():
        raise ArgumentError(
            "Sample weights must contain at least one non-zero number", f"all {rows} are 0", "Give some row a weight above 0."
        )
    return weights


def class_weights(class_weight: object, classes: npt.NDArray[Any], labels: npt.NDArray[np.intp], rows: FloatArray) -> FloatArray:
    """Weight of each class, (C,): ones, the mapping's, or for "balanced" total weight / (C · weight of the class)."""
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, Mapping):
        from xent.learn._sklearn import given_class_weights

        return _finite_class_weights(given_class_weights(cast(Mapping[Any, float], class_weight), classes), classes)
    mass = np.bincount(labels, weights=rows, minlength=len(classes))
    # A class without weight has no row that its class weight could reach.
    return np.divide(rows.sum(), len(classes) * mass, out=np.zeros(len(classes)), where=mass > 0)


def _finite_class_weights(weights: FloatArray, classes: npt.NDArray[Any]) -> FloatArray:
    """The weights, or ArgumentError naming the first class whose weight is negative or not finite."""
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if bad.size:
        raise ArgumentError(
            "class_weight must be finite and at least 0",
            f"class {classes[bad[0]]!s} has weight {weights[bad[0]]}",
            "Give every class a weight of at least 0.",
        )
    return weights


def checked_start(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Start values of the given shape, finite, as a float64 copy."""
    array = np.array(value, dtype=np.float64)
    if array.shape != shape:
        raise ShapeError(
            f"{name} must have shape {shape}", f"its shape is {array.shape}", "Binary problems have two rows, one per class."
        )
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} must be finite", "it holds NaN or inf", "Start from zeros by leaving it out.")
    return array
