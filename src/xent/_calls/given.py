"""A checked call of a loss of probabilities or their logarithms."""

from typing import Any, NamedTuple

import numpy as np

from xent._calls import rows as _rows
from xent._calls.rows import Loss, Reducer
from xent._check import options
from xent._check.arrays import class_weights
from xent._check.targets import GIVEN_REMEDY, distributions, log_probabilities_only
from xent._check.tolerance import slack
from xent._typing import Array, Empty, PerRow, Reduction, Validate
from xent.kernels.contract import Kernel
from xent.kernels.select import choose
from xent.losses.given import FromLogProbs, FromProbs
from xent.schedules import dense, given

_ROUNDING = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-22, "float64": 2.0**-51}
"""Two units in the last place of 1: what a logarithm of 1 may be off."""


class Options(NamedTuple):
    """The keyword options that travel together, unchecked."""

    axis: int = -1
    weight: Any = None
    ignore_index: int = -100
    reduction: Reduction = "mean"
    normalizer: float | None = None
    empty: Empty = "nan"
    validate: Validate = "raise"
    backend: str | None = None


class Call(NamedTuple):
    """A checked call: the matrix, its target and weights, and how to reduce."""

    loss: FromLogProbs | FromProbs
    given: _rows.Input
    matrix: Array
    goal: _rows.Target
    class_weight: Array | None
    row_weight: PerRow
    reducer: Reducer

    def value(self) -> Loss:
        """The loss."""
        return self.reducer.reduce(self._values(), self.given)

    def _values(self) -> Array:
        storage, goal = self.given.storage, self.goal
        if goal.indices is not None:
            return given.picked_values(self.loss, self.matrix, storage, goal.indices, self.row_weight)
        assert goal.probs is not None
        return given.expected_values(self.loss, self.matrix, storage, goal.probs, self.class_weight)

    def gradient(self) -> Array:
        """Its gradient, zero wherever the target says nothing."""
        gradient = np.empty(self.given.array.shape, self.given.array.dtype)
        self.gradient_into(gradient, self.reducer.upstream)
        return gradient

    def gradient_into(self, gradient: Array, upstream: PerRow) -> None:
        """Into an array of the input's shape, whose rows can be seen as a view, the gradient of ``Σ_r upstream_r · loss_r``."""
        storage, goal = self.given.storage, self.goal
        out = self.given.matrix(_rows.bits(gradient, storage))
        if goal.indices is not None:
            given.picked_gradient(self.loss, self.matrix, storage, goal.indices, self.row_weight, upstream, out)
        else:
            assert goal.probs is not None
            given.expected_gradient(self.loss, self.matrix, storage, goal.probs, self.class_weight, upstream, out)


def prepare(value: Any, target: Any, o: Options, *, logarithms: bool) -> Call:
    """Check everything once; after this the arguments are right."""
    return prepared(_rows.read_input(value, o.axis, "log_probs" if logarithms else "probs"), target, o, logarithms=logarithms)


def prepared(source: _rows.Input, target: Any, o: Options, *, logarithms: bool) -> Call:
    """The same for numbers that have been read."""
    options.choice(o.validate, "validate")
    goal = _rows.read_target(target, source, options.ignored_label(o.ignore_index))
    weight = None if o.weight is None else class_weights(o.weight, source.classes)
    matrix, kernel = _rows.matrix_bits(source), choose(o.backend, source.storage)
    _refuse_others(kernel, matrix, source, goal, o.validate, logarithms=logarithms)
    _rows.check_target_probs(kernel, goal, o.validate)
    row_weight: PerRow = 1.0
    if weight is not None and goal.indices is not None:
        row_weight = np.where(goal.indices < 0, 0.0, weight[np.maximum(goal.indices, 0)])
    reducer = Reducer.checked(
        o.reduction, _rows.counted(goal, matrix.shape[0] * matrix.shape[1], row_weight), o.normalizer, o.empty
    )
    loss = FromLogProbs() if logarithms else FromProbs()
    return Call(loss, source, matrix, goal, weight, row_weight, reducer)


def _refuse_others(
    kernel: Kernel, matrix: Array, source: _rows.Input, goal: _rows.Target, validate: str, *, logarithms: bool
) -> None:
    """What cannot be probabilities (or logarithms of them) in a counted row is refused; nothing is repaired."""
    if validate == "off":
        return
    measured = dense.measure(kernel, matrix, source.storage)
    if logarithms:
        log_probabilities_only(measured.highest, goal.counted, _ROUNDING[source.storage], name="log_probs", validate=validate)
        return
    tolerance = slack(source.storage, source.classes)
    distributions(measured, goal.counted, tolerance, name="probs", validate=validate, remedy=GIVEN_REMEDY)
