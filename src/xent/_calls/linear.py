"""A checked call of linear cross-entropy: hidden states, a classifier, their targets, and the plan by which they meet."""

from typing import Any, NamedTuple

import numpy as np

from xent._calls import buffers, linear_target
from xent._calls import rows as _rows
from xent._calls.linear_target import Goal, Weights
from xent._calls.rows import Loss, Reducer
from xent._calls.softmax import class_vector, loss_of, transform_of, weighted_mixture
from xent._check import linear as check
from xent._check import options
from xent._check.arrays import as_floats, bits, class_weights
from xent._typing import Array, Empty, PerRow, Reduction, RowsN, Storage, Validate
from xent.kernels.contract import Kernel, RowStatistics, Want
from xent.kernels.select import choose
from xent.losses.categorical import CategoricalLoss
from xent.schedules import linear
from xent.schedules.linear.algebra import Algebra, NumpyAlgebra
from xent.schedules.linear.filtering import Filter
from xent.schedules.linear.head import Head, Matrix, joins
from xent.schedules.linear.plan import Plan, Shape, plan, smallest
from xent.schedules.linear.sums import Gradients, Wanted
from xent.schedules.linear.targets import Coefficients
from xent.schedules.linear.task import Task


class _Buffers:
    """Gradients lie in buffers that are kept between calls."""

    def new(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of no particular values."""
        return buffers.empty(shape, np.dtype(dtype))

    def cut(self, array: Array, used: int) -> None:
        """Hand back the memory behind so many bytes."""
        buffers.cut(array, used)


_ROOM = _Buffers()


class Options(NamedTuple):
    """The keyword options that travel together, unchecked."""

    weight: Any = None
    sample_weight: Any = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0
    shift: int = 0
    tolerance: float = 0.0
    memory_limit: int | None = None
    reduction: Reduction = "mean"
    normalizer: float | None = None
    empty: Empty = "nan"
    validate: Validate = "raise"
    backend: str | None = None


class Layer(NamedTuple):
    """What is multiplied, read and checked; bfloat16 as bits."""

    hidden: Matrix
    classifier: Matrix
    bias: Matrix | None

    @property
    def logits(self) -> _rows.Input:
        """The logits, as far as their shape and dtype go: nothing of them exists."""
        double = "float64" in (self.hidden.storage, self.classifier.storage)
        lead, classes = self.hidden.array.shape[:-1], len(self.classifier.array)
        stand_in = np.broadcast_to(np.zeros((), np.float64 if double else np.float32), (*lead, classes))
        return _rows.Input(stand_in, "float64" if double else "float32", len(lead))


class Call(NamedTuple):
    """A checked call: everything a schedule needs, and how to reduce what it returns."""

    given: _rows.Input
    kernel: Kernel
    head: Head
    goal: Goal
    bias: Storage | None
    loss: CategoricalLoss
    reducer: Reducer
    shape: Shape
    limit: int | None
    tolerance: float
    algebra: Algebra
    chunk: int | None = None
    """Rows at once, where the caller has said so."""

    def value(self) -> Loss:
        """The loss."""
        values = linear.values(self.task(gradients=False), self.loss)
        return self.reducer.reduce(self.everywhere(values * self.goal.sample_weight), self.given)

    def value_and_gradients(self, wanted: Wanted) -> tuple[Loss, Gradients]:
        """The loss and what is wanted of its gradients, each in the dtype of what it belongs to."""
        values, found = self.gradients_into(wanted, self.reducer.upstream)
        return self.reducer.reduce(self.everywhere(values), self.given), found

    def gradients_into(self, wanted: Wanted, upstream: PerRow) -> tuple[RowsN, Gradients]:
        """Each counted row's loss, and gradients of ``Σ_r upstream_r · loss_r``."""
        factor, task = upstream * self.goal.sample_weight, self.task(gradients=any(wanted))
        values, found = linear.values_and_gradients(task, self.loss, factor, wanted, _ROOM)
        return values * self.goal.sample_weight, self._stored(found)

    def gradients(self, want: Want, coefficients: Coefficients, wanted: Wanted) -> tuple[Gradients, RowsN]:
        """The gradients whose coefficients are what is said of the statistics of counted rows, and what they leave out."""
        task = self.task(gradients=any(wanted))
        found = linear.gradients(task, want, coefficients, wanted, _ROOM)
        return self._stored(found), _dropped(task)

    def statistics(self, want: Want) -> tuple[RowStatistics, RowsN]:
        """Of the counted rows, and what their gradients would leave out."""
        task = self.task(gradients=False)
        return linear.statistics(task, want), _dropped(task)

    def task(self, *, gradients: bool) -> Task:
        """What a schedule is given."""
        by = Filter(self.tolerance, self.head.number) if self.tolerance else None
        return Task(self.kernel, self.head, self.algebra, self.plan(gradients=gradients), by)

    def everywhere(self, values: RowsN, elsewhere: float = 0.0) -> RowsN:
        """One number for each of all rows."""
        if self.head.rows is None:
            return values
        result = np.full(int(np.prod(self.given.row_shape)), elsewhere)
        result[self.head.rows] = values
        return result

    def plan(self, *, gradients: bool) -> Plan:
        """How it will run."""
        shape = self.shape._replace(gradients=gradients)
        found = plan(shape, self.limit, self.chunk)
        if found is None:
            raise check.enough(self.limit, smallest(shape))
        return found

    def _stored(self, found: Gradients) -> Gradients:
        """The bias's gradient rounded to its dtype."""
        if found.bias is None or self.bias is None or self.bias == self.head.storage:
            return found
        out = np.empty(found.bias.shape, np.uint16 if self.bias == "bfloat16" else self.bias)
        self.algebra.narrow(found.bias, self.bias, out)
        return found._replace(bias=out)


def _dropped(task: Task) -> RowsN:
    return np.zeros(task.head.number) if task.filter is None else task.filter.dropped


def read(hidden: Any, classifier: Any, bias: Any) -> Layer:
    """Arrays as they are given, checked against each other."""
    rows, rows_storage = as_floats(hidden, "hidden")
    weights, weights_storage = as_floats(classifier, "classifier")
    check.fits(rows.shape, weights.shape)
    offset = None
    if bias is not None:
        array, storage = check.bias_of(bias, len(weights))
        offset = Matrix(bits(array, storage), storage)
    return Layer(Matrix(bits(rows, rows_storage), rows_storage), Matrix(bits(weights, weights_storage), weights_storage), offset)


def prepare(hidden: Any, classifier: Any, target: Any, bias: Any, o: Options) -> Call:
    """Check everything once; after this the arguments are right."""
    return prepared(read(hidden, classifier, bias), target, o, NumpyAlgebra())


def prepared(layer: Layer, target: Any, o: Options, algebra: Algebra, target_as: str | None = None) -> Call:
    """The same for what has been read."""
    options.choice(o.validate, "validate")
    given = layer.logits
    limit, shift = check.memory_bytes(o.memory_limit), check.shifted_by(o.shift, given.row_shape)
    weight = None if o.weight is None else class_weights(o.weight, given.classes)
    loss = loss_of(o, weight)
    sample = None if o.sample_weight is None else check.sample_weights(o.sample_weight, given.row_shape)
    weights = Weights(weight, sample, loss.label_smoothing > 0.0)
    goal = linear_target.read(target, given, options.ignored_label(o.ignore_index), shift, weights, target_as)
    if loss.focal and goal.target is None and weight is not None:
        raise weighted_mixture(o.focal, given.classes)
    kernel = choose(o.backend, given.storage)
    linear_target.validate(goal, target, kernel, given, o.validate, target_as)
    head = _head(layer, goal, loss, weight, o, algebra)
    weight_sum = goal.weight_sum
    reducer = Reducer.checked(o.reduction, float(head.number) if weight_sum is None else weight_sum, o.normalizer, o.empty)
    bias = None if layer.bias is None else layer.bias.storage
    tolerance = options.number(o.tolerance, "tolerance", 0.0, 1.0)
    shape = _shape(head, algebra)._replace(filtered=tolerance > 0.0)
    return Call(given, kernel, head, goal, bias, loss, reducer, shape, limit, tolerance, algebra)


def _head(layer: Layer, goal: Goal, loss: CategoricalLoss, weight: Array | None, o: Options, algebra: Algebra) -> Head:
    by_probs = weight if goal.probs is not None else None
    head = Head(
        hidden=layer.hidden if layer.hidden.array.ndim > 1 else layer.hidden._replace(array=layer.hidden.array[None]),
        classifier=layer.classifier,
        rows=goal.rows,
        target=goal.target,
        target_probs=goal.probs,
        probs_rows=goal.probs_rows if goal.probs is not None else None,
        sparse=goal.sparse,
        weight=goal.class_weight,
        class_weight=by_probs,
        class_vector=class_vector(weight, len(layer.classifier.array)) if loss.label_smoothing else None,
        transform=transform_of(o),
    )
    if layer.bias is None:
        return head
    bias = np.empty(len(layer.bias.array), head.real)
    algebra.widen(layer.bias.array, layer.bias.storage, bias)
    return head._replace(bias=bias)


def _copied_item(head: Head) -> int:
    """Bytes of a number in probability targets, where rows of them have to be copied."""
    if head.target_probs is None or (head.probs_rows is None and joins(head.target_probs)):
        return 0
    return head.target_probs.itemsize


def _shape(head: Head, algebra: Algebra) -> Shape:
    return Shape(
        rows=head.number,
        classes=head.classes,
        width=head.width,
        item=np.dtype(head.real).itemsize,
        hidden_item=head.hidden.array.itemsize,
        classifier_item=head.classifier.array.itemsize,
        gathered=head.rows is not None or not joins(head.hidden.array),
        target_item=_copied_item(head),
        room=algebra.room,
    )
