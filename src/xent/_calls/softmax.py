"""A checked call of a softmax-family loss: options, target, weights and reduction made ready for a schedule."""

from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from xent._calls import buffers
from xent._calls import rows as _rows
from xent._calls.rows import Loss, Reducer
from xent._check import options
from xent._check.arrays import apart, buffer, class_weights
from xent._errors import ArgumentError
from xent._typing import Array, Empty, PerRow, Reduction, RowsN, Validate
from xent.kernels.contract import Kernel, Transform
from xent.kernels.select import choose
from xent.losses.categorical import CategoricalLoss
from xent.schedules import dense


class Call(NamedTuple):
    """A checked call: everything a schedule needs, and how to reduce what it returns."""

    given: _rows.Input
    kernel: Kernel
    rows: dense.Rows
    loss: CategoricalLoss
    reducer: Reducer

    def value(self) -> Loss:
        """The loss."""
        return self.reducer.reduce(dense.values(self.kernel, self.rows, self.loss), self.given)

    def value_and_gradient(self, out: Array | None) -> tuple[Loss, Array]:
        """The loss, and its gradient in out or a fresh array."""
        given = self.given
        if out is None:
            gradient = buffers.empty(given.array.shape, given.array.dtype)
        else:
            gradient = buffer(out, given.array)
            apart(gradient, given.array, "logits")
            for goal in (self.rows.target, self.rows.target_probs):
                if goal is not None:
                    apart(gradient, goal, "target")
        values = self.gradient_into(gradient, self.reducer.upstream)
        return self.reducer.reduce(values, given), gradient

    def gradient_into(self, out: Array, upstream: PerRow) -> RowsN:
        """Each row's loss, and into out, shaped like the logits, the gradient of ``Σ_r upstream_r · loss_r``."""
        matrix = self.given.matrix(_rows.bits(out, self.given.storage))
        if not out.size or np.may_share_memory(matrix, out):
            return dense.values_and_gradient(self.kernel, self.rows, self.loss, upstream, matrix)
        # The buffer's strides allow no view of its rows.
        fresh = np.empty(out.shape, out.dtype)
        values = self.gradient_into(fresh, upstream)
        out[...] = fresh
        return values


class Options(NamedTuple):
    """The keyword options that travel together, unchecked."""

    axis: int = -1
    weight: Any = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0
    reduction: Reduction = "mean"
    normalizer: float | None = None
    empty: Empty = "nan"
    validate: Validate = "raise"
    backend: str | None = None


class Softmax(Protocol):
    """The options that say which loss of the family it is."""

    @property
    def label_smoothing(self) -> float:
        """The share spread evenly."""
        ...

    @property
    def z_loss(self) -> float:
        """What lse² costs."""
        ...

    @property
    def focal(self) -> float:
        """The exponent of the miss."""
        ...

    @property
    def softcap(self) -> float | None:
        """The bound of every z."""
        ...

    @property
    def scale(self) -> float:
        """The factor of the logits."""
        ...


_PLAIN_LOSS, _PLAIN_TRANSFORM = CategoricalLoss(), Transform()


def loss_of(o: Softmax, weight: Array | None) -> CategoricalLoss:
    """The loss, its options checked."""
    if o.label_smoothing == o.z_loss == o.focal == 0.0:
        return _PLAIN_LOSS
    return CategoricalLoss(
        label_smoothing=options.number(o.label_smoothing, "label_smoothing", 0.0, 1.0),
        smooth_mass=1.0 if weight is None else float(weight.mean()),
        z_loss=options.number(o.z_loss, "z_loss", 0.0),
        focal=options.number(o.focal, "focal", 0.0),
    )


def transform_of(o: Softmax) -> Transform:
    """From logits to z, its options checked."""
    if o.softcap is None and type(o.scale) in (float, int) and o.scale == 1.0:
        return _PLAIN_TRANSFORM
    cap = None if o.softcap is None else options.number(o.softcap, "softcap", 0.0, open_low=True)
    return Transform(options.finite(o.scale, "scale"), cap)


def prepare(logits: Any, target: Any, o: Options) -> Call:
    """Check everything once; after this the arguments are right."""
    return prepared(_rows.read_input(logits, o.axis, "logits"), target, o)


def prepared(given: _rows.Input, target: Any, o: Options, target_as: str | None = None) -> Call:
    """The same for logits that have been read."""
    options.choice(o.validate, "validate")
    goal = _rows.read_target(target, given, options.ignored_label(o.ignore_index), target_as)
    weight = None if o.weight is None else class_weights(o.weight, given.classes)
    loss = loss_of(o, weight)
    if loss.focal and goal.probs is not None and weight is not None:
        raise weighted_mixture(o.focal, given.classes)
    kernel = choose(o.backend, given.storage)
    _rows.check_target_probs(kernel, goal, o.validate)
    rows = dense.Rows(
        logits=_rows.matrix_bits(given),
        storage=given.storage,
        target=goal.indices,
        target_probs=goal.probs,
        class_weight=weight if goal.probs is not None else None,
        class_vector=class_vector(weight, given.classes) if loss.label_smoothing else None,
        transform=transform_of(o),
    )
    if weight is not None and goal.indices is not None:
        rows = _with_row_weights(rows, weight, smoothed=loss.label_smoothing > 0.0)
    reducer = Reducer.checked(o.reduction, _rows.counted(goal, rows.number, rows.weight), o.normalizer, o.empty)
    return Call(given, kernel, rows, loss, reducer)


def weighted_mixture(focal: float, classes: int) -> ArgumentError:
    """What is said of focal loss with both probabilities and class weights."""
    return ArgumentError(
        "focal with probability targets takes no class weights",
        f"focal={focal} and weight of {classes} classes",
        "The miss 1 - p of a weighted mixture of classes is not defined; use class indices.",
    )


def class_vector(weight: Array | None, classes: int) -> Array:
    """The vector u of label smoothing: even, or as the classes weigh."""
    return np.full(classes, 1.0 / classes) if weight is None else weight / classes


def _with_row_weights(rows: dense.Rows, weight: Array, *, smoothed: bool) -> dense.Rows:
    """Each row's class weight; a row of weight 0 is an ignored row, unless smoothing still reads its other classes."""
    assert rows.target is not None
    per_row = np.where(rows.target < 0, 0.0, weight[np.maximum(rows.target, 0)])
    target = rows.target if smoothed else np.where(per_row == 0.0, np.int64(-1), rows.target)
    return rows._replace(weight=per_row, target=target)


def divergence(logits: Any, target_probs: Any, o: Options) -> Call:
    """KL(target ‖ softmax): the cross-entropy less the target's own entropy."""
    call = prepare(logits, target_probs, o)
    if call.rows.target_probs is None:
        raise ArgumentError(
            "kl_divergence_loss compares distributions",
            "found class indices",
            "From an index the divergence is the cross-entropy itself: use cross_entropy.",
        )
    return call._replace(loss=replace(call.loss, minus_target_entropy=True))
