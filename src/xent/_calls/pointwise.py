"""A checked call of a loss of one number at a time."""

from typing import Any, NamedTuple

import numpy as np

from xent._calls import buffers
from xent._calls.rows import Loss, Reducer, rounded
from xent._check.arrays import apart, as_array, as_floats, bits, buffer, not_negative, same_shape
from xent._errors import ArgumentError, DistributionError, DTypeError, ShapeError
from xent._typing import Array, Storage
from xent.kernels.contract import Kernel, Pointwise
from xent.kernels.select import choose
from xent.losses.binary import BINARY_CROSS_ENTROPY
from xent.losses.reduction import total
from xent.losses.regression import GAUSSIAN_NLL, HALF_LOG_TWO_PI, SQUARED_ERROR
from xent.schedules import pointwise

MORE_CLASSES = "Class indices of more than two classes belong to cross_entropy."


class Call(NamedTuple):
    """A checked call of a pointwise loss."""

    loss: Pointwise
    kernel: Kernel
    storage: Storage
    inputs: tuple[Array, ...]
    reducer: Reducer
    constant: float = 0.0

    def run(self, gradients: tuple[Array, ...]) -> Loss:
        shape, dtype = self.inputs[0].shape, np.float64 if self.storage == "float64" else np.float32
        values = np.empty(shape, dtype) if self.reducer.reduction == "none" else None
        value_sum = pointwise.evaluate(
            self.kernel,
            self.loss,
            self.inputs,
            self.storage,
            values=values,
            gradients=tuple(bits(g, self.storage) for g in gradients),
            factor=self.reducer.upstream,
        )
        if values is not None:
            return (values + dtype(self.constant) if self.constant else values)[()]
        return rounded(self.reducer.reduce_sum(value_sum + self.constant * self.inputs[0].size), dtype)


def prepare(
    loss: Pointwise, inputs: tuple[Array, ...], storage: Storage, reduction: str, normalizer: Any, empty: str, backend: str | None
) -> Call:
    reducer = Reducer.checked(reduction, float(inputs[0].size), normalizer, empty)
    return Call(loss, choose(backend, storage, loss.name), storage, inputs, reducer)


def _partner(value: Any, like: Array, storage: Storage, name: str, like_name: str) -> Array:
    """A second array of the same shape; a dtype other than the first one's is read as float64, block by block."""
    array = as_array(value, name)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise DTypeError(f"{name} must hold numbers", f"found {array.dtype}", "Convert it with astype.")
    same_shape(array, like, name, like_name)
    if storage == "bfloat16" and array.dtype == np.uint16:
        # Beside the bits of bfloat16 these would be read as such.
        return array.astype(np.float64)
    if array.dtype == like.dtype:
        return bits(array, storage)
    return array.astype(np.float64) if array.dtype.name == "bfloat16" or not array.dtype.isnative else array


def _weights(value: Any, like: Array, name: str) -> Array:
    """One number an element, or one for each place of the last axis."""
    array = as_array(value, name)
    if array.shape == like.shape or (like.ndim > 0 and array.shape == like.shape[-1:]):
        return not_negative(array, name)
    if array.ndim == 0:
        return np.full(like.shape, not_negative(array, name))
    raise ShapeError(
        f"{name} must be shaped {like.shape} or {like.shape[-1:]}", f"found {array.shape}", "No other broadcasting is done."
    )


def gradient_buffer(out: Array | None, inputs: tuple[Array, ...], like: Array) -> Array:
    if out is None:
        return buffers.empty(like.shape, like.dtype)
    apart(buffer(out, like), like, "logits")
    for other in inputs[1:]:
        apart(out, other, "target")
    return out


def binary(
    logits: Any, target: Any, weight: Any, pos_weight: Any, reduction: str, normalizer: Any, empty: str, backend: str | None
) -> tuple[Array, Call]:
    array, storage = as_floats(logits, "logits")
    goal = _partner(target, array, storage, "target", "logits")
    unit_interval(goal if goal.dtype.name != "uint16" else as_array(target, "target"))
    inputs: tuple[Array, ...] = (bits(array, storage), goal)
    if weight is not None or pos_weight is not None:
        inputs += (np.ones(array.shape) if weight is None else _weights(weight, array, "weight"),)
        inputs += (np.ones(array.shape) if pos_weight is None else _weights(pos_weight, array, "pos_weight"),)
    return array, prepare(BINARY_CROSS_ENTROPY, inputs, storage, reduction, normalizer, empty, backend)


def unit_interval(target: Array, name: str = "binary targets", remedy: str = MORE_CLASSES) -> None:
    """Probabilities of "yes"."""
    if target.size == 0:
        return
    low, high = float(target.min()), float(target.max())
    if low >= 0.0 and high <= 1.0:
        return
    flat = target.reshape(-1)
    place = int(np.argmax(~((flat >= 0) & (flat <= 1))))
    if high == 255.0:
        remedy = "A {0, 255} mask? Use target / 255."
    elif low == -1.0:
        remedy = "Labels -1 and +1? Use (target + 1) / 2."
    raise DistributionError(f"{name} must lie in [0, 1]", f"element {place} is {float(flat[place]):.9g}", remedy)


def squared(
    value: Any, target: Any, weight: Any, reduction: str, normalizer: Any, empty: str, backend: str | None
) -> tuple[Array, Call]:
    array, storage = as_floats(value, "input")
    inputs: tuple[Array, ...] = (bits(array, storage), _partner(target, array, storage, "target", "input"))
    weights = None if weight is None else _weights(weight, array, "weight")
    inputs = inputs if weights is None else (*inputs, weights)
    call = prepare(SQUARED_ERROR, inputs, storage, reduction, normalizer, empty, backend)
    if weights is None:
        return array, call
    counted = total(np.broadcast_to(weights, array.shape).reshape(-1))
    return array, Call(call.loss, call.kernel, storage, inputs, Reducer.checked(reduction, counted, normalizer, empty))


def gaussian(
    mean: Any, target: Any, var: Any, full: bool, reduction: str, normalizer: Any, empty: str, backend: str | None
) -> tuple[Array, Call]:
    array, storage = as_floats(mean, "mean")
    goal = _partner(target, array, storage, "target", "mean")
    spread = as_array(var, "var")
    if spread.ndim == 0 and spread.dtype.kind in "fiu":
        spread = np.full(array.shape, spread, np.float64)
    spread = _partner(spread, array, storage, "var", "mean")
    positive(spread if spread.dtype.name != "uint16" else as_array(var, "var"))
    call = prepare(GAUSSIAN_NLL, (bits(array, storage), goal, spread), storage, reduction, normalizer, empty, backend)
    constant = HALF_LOG_TWO_PI if full else 0.0
    return array, Call(call.loss, call.kernel, storage, call.inputs, call.reducer, constant)


def positive(var: Array) -> None:
    """A variance is positive and finite; it is never clamped."""
    good = np.isfinite(var) & (var > 0)
    if not good.all():
        place = int(np.argmin(good.reshape(-1)))
        raise ArgumentError(
            "var must be positive and finite",
            f"element {place} is {float(var.reshape(-1)[place]):.9g}",
            "Predict log-variance and pass its exponential; xent clamps nothing.",
        )
