"""From checked arguments to rows for a schedule, and from row values to what the caller asked for."""

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from xent._check import options
from xent._check.arrays import as_array, as_floats, axis_of, bits, has_classes
from xent._check.targets import ONE_LOGIT_REMEDY, TARGET_REMEDY, distributions, is_indices, labels
from xent._check.tolerance import ROUNDING_UNIT, slack
from xent._typing import Array, PerRow, RowsN, Storage
from xent.kernels.contract import Kernel
from xent.losses.reduction import mean, per_unit, total
from xent.schedules import dense

Loss: TypeAlias = Any
"""A NumPy scalar, or an array shaped like the rows where ``reduction="none"``."""


class Input(NamedTuple):
    """The first argument: its matrix view, class axis and storage."""

    array: Array
    storage: Storage
    axis: int

    @property
    def classes(self) -> int:
        """C."""
        return self.array.shape[self.axis]

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape without the class axis."""
        return self.array.shape[: self.axis] + self.array.shape[self.axis + 1 :]

    @property
    def loss_dtype(self) -> type[np.floating[Any]]:
        """Float32, or float64 for float64 input."""
        return np.float64 if self.storage == "float64" else np.float32

    def matrix(self, array: Array) -> Array:
        """An array of the input's shape as [A, B, C]: a view wherever strides allow."""
        return as_rows(array, self.axis)


def as_rows(array: Array, axis: int) -> Array:
    """[A, B, C] by shape alone, so that arrays of one shape fit each other; a view wherever strides allow.

    With classes last, A runs over all axes but the last two; else over the axes before the classes, and B over those after.
    """
    if axis < array.ndim - 1:
        before, after = array.shape[:axis], array.shape[axis + 1 :]
        return array.reshape(math.prod(before), array.shape[axis], math.prod(after)).transpose(0, 2, 1)
    if array.ndim <= 2:
        return array.reshape(1, *array.shape) if array.ndim == 2 else array[None, None]
    return array if array.ndim == 3 else array.reshape(math.prod(array.shape[:-2]), *array.shape[-2:])


def read_input(value: Any, axis: int, name: str) -> Input:
    """The first argument, checked."""
    array, storage = as_floats(value, name)
    where = axis_of(axis, array.ndim, name)
    has_classes(array.shape[where], name)
    return Input(array, storage, where)


class Target(NamedTuple):
    """Class indices, or probabilities; one of the two."""

    indices: Array | None
    probs: Array | None
    ignored: int = 0
    dtype: str = "float64"
    """The dtype in which probabilities were given, which bounds how well rows can sum to 1."""

    @property
    def counted(self) -> Array | None:
        """Which rows count; None for all."""
        return self.indices >= 0 if self.indices is not None and self.ignored else None


def read_target(target: Any, given: Input, ignore_index: int, given_as: str | None = None) -> Target:
    """The second argument: its kind decided by dtype and shape alone; `given_as` names a dtype that NumPy has not."""
    array = as_array(target, "target")
    if is_indices(array, given.array.shape, given.axis):
        indices, ignored = labels(array, given.classes, ignore_index)
        return Target(indices, None, ignored)
    given_as = given_as or (array.dtype.name if array.dtype.name in ROUNDING_UNIT else "float64")
    if array.dtype.name not in ("float32", "float64") or not array.dtype.isnative:
        array = array.astype(np.float32 if array.dtype.itemsize == 2 else np.float64)
    return Target(None, given.matrix(array), dtype=given_as)


def check_target_probs(kernel: Kernel, target: Target, validate: str, counted: Array | None = None) -> None:
    """Probability targets are distributions, within what their own dtype can hold."""
    if target.probs is None or validate == "off":
        return
    measured = dense.measure(kernel, target.probs, "float64" if target.probs.dtype.itemsize == 8 else "float32")
    tolerance = slack(target.dtype, target.probs.shape[2])
    remedy = ONE_LOGIT_REMEDY if target.probs.shape[2] == 1 else TARGET_REMEDY
    distributions(measured, counted, tolerance, name="target", validate=validate, remedy=remedy)


def matrix_bits(given: Input) -> Array:
    """The input as kernels take it."""
    return given.matrix(bits(given.array, given.storage))


class Reducer(NamedTuple):
    """reduction, normalizer and empty, with the weight of all counted rows: the only place that knows a mean."""

    reduction: str
    weight_sum: float
    normalizer: float | None
    empty: str

    @staticmethod
    def checked(reduction: str, weight_sum: float, normalizer: Any, empty: str) -> "Reducer":
        """The options, checked."""
        options.choice(reduction, "reduction")
        options.choice(empty, "empty")
        if normalizer is not None:
            normalizer = options.number(normalizer, "normalizer", 0.0, open_low=True)
        if reduction == "mean" and normalizer is None and not weight_sum:
            options.not_empty(weight_sum, empty)
        return Reducer(reduction, weight_sum, normalizer, empty)

    @property
    def upstream(self) -> float:
        """What each row's gradient is multiplied by."""
        if self.reduction != "mean":
            return 1.0
        return per_unit(self.weight_sum if self.normalizer is None else self.normalizer)

    def reduce_sum(self, value_sum: float) -> float:
        """Sum or mean, in float64."""
        if self.reduction == "sum":
            return value_sum
        if self.normalizer is not None:
            return mean(value_sum, self.normalizer)
        if not self.weight_sum:
            return 0.0 if self.empty == "zero" else float("nan")
        return mean(value_sum, self.weight_sum)

    def reduce(self, values: RowsN, given: Input) -> Loss:
        """What the caller gets: rounded once to the loss's dtype."""
        if self.reduction == "none":
            with np.errstate(over="ignore"):
                return values.reshape(given.row_shape).astype(given.loss_dtype)
        return rounded(self.reduce_sum(total(values)), given.loss_dtype)


def rounded(value: float, dtype: type[np.floating[Any]]) -> Loss:
    """A number in the loss's dtype; what float32 cannot hold is infinite."""
    if abs(value) < 3e38:
        return dtype(value)
    with np.errstate(over="ignore"):
        return dtype(value)


def counted(target: Target, rows: int, weight: PerRow) -> float:
    """Weight of the counted rows: Σ w for indices, N for probabilities."""
    if target.indices is None:
        return float(rows)
    if not isinstance(weight, np.ndarray):
        return float(rows - target.ignored)
    with np.errstate(over="ignore"):
        return total(weight)
