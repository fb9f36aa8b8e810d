"""Linear cross-entropy as a call of the engine: by kernels and PyTorch's products, and by a formula of chunks of rows."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xent._calls import linear as calls
from xent._calls.linear import Call, Layer
from xent._check import linear as check
from xent._check import options
from xent._check.targets import is_indices
from xent._errors import ArgumentError, ShapeError
from xent._typing import PerRow, RowsN
from xent.schedules.linear.head import Matrix
from xent.schedules.linear.sums import Gradients, Wanted
from xent.torch import _formula
from xent.torch import _linear_formula as formula
from xent.torch._algebra import TorchAlgebra
from xent.torch._arguments import check_mean, check_weight_of, described
from xent.torch._engine import Tensors, times_upstream
from xent.torch._tensors import STORAGE, array_of, loss_of, numbers_of, storage_of, tensor_of


class LinearTensors(NamedTuple):
    """The tensors of a call in order."""

    input: Tensor
    linear_weight: Tensor
    linear_bias: Tensor | None
    target: Tensor
    """Class indices or probabilities."""
    weight: Tensor | None
    sample_weight: Tensor | None
    few: Tensor | None
    """The classes of probabilities that are given for few of them."""


class LinearCrossEntropy(NamedTuple):
    """The options; tensors are `LinearTensors`."""

    ignore_index: int = -100
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0
    shift: int = 0
    tolerance: float = 0.0
    memory_limit: int | None = None
    chunk: int | None = None
    reduction: str = "mean"
    normalizer: float | None = None
    empty: str = "nan"
    validate: str = "off"
    backend: str | None = None

    by_kernels = (0, 1, 2)
    """Hidden states, classifier, bias."""
    keeps_output = False
    """The arguments say it all."""

    @property
    def one_number(self) -> bool:
        """Unless each row is asked for."""
        return self.reduction != "none"

    def check(self, tensors: Tensors) -> None:
        """Shapes and dtypes."""
        t = given(tensors)
        for tensor, name in ((t.input, "input"), (t.linear_weight, "linear_weight")):
            storage_of(tensor, name)
        check.fits(tuple(t.input.shape), tuple(t.linear_weight.shape))
        rows, classes = tuple(t.input.shape[:-1]), t.linear_weight.shape[0]
        if t.linear_bias is not None:
            storage_of(t.linear_bias, "linear_bias")
            check.fits_bias(tuple(t.linear_bias.shape), classes)
        if t.few is not None:
            check.fits_pair(described(t.few), described(t.target), rows)
        indices = t.few is None and _is_indices(t.target, rows, classes, self.shift)
        if not indices and self.ignore_index >= 0:
            raise ArgumentError(
                "ignore_index belongs to class indices",
                f"found ignore_index={self.ignore_index} with a target of probabilities",
                "Leave it out; a sample_weight of 0 leaves a row out.",
            )
        check_weight_of(t.weight, classes)
        if t.sample_weight is not None:
            check.fits_rows(tuple(t.sample_weight.shape), rows)
        self._check_options(rows)
        if self.focal and t.weight is not None and not indices:
            raise calls.weighted_mixture(self.focal, classes)

    def _check_options(self, rows: tuple[int, ...]) -> None:
        check_mean(self.reduction, self.normalizer, self.empty, self.validate)
        options.ignored_label(self.ignore_index)
        options.number(self.label_smoothing, "label_smoothing", 0.0, 1.0)
        for name in ("z_loss", "focal"):
            options.number(getattr(self, name), name, 0.0)
        options.number(self.tolerance, "tolerance", 0.0, 1.0)
        options.finite(self.scale, "scale")
        if self.softcap is not None:
            options.number(self.softcap, "softcap", 0.0, open_low=True)
        check.memory_bytes(self.memory_limit)
        check.shifted_by(self.shift, rows)

    def check_values(self, tensors: Tensors) -> None:
        """What the kernels' way refuses; hidden states and weights may hold anything."""
        t = given(tensors)
        zeros = (torch.zeros((), dtype=x.dtype).expand(x.shape) for x in (t.input, t.linear_weight))
        others = (None if x is None else x.cpu() for x in (t.target, t.weight, t.sample_weight, t.few))
        target, weight, sample_weight, few = others
        self._replace(backend=None).prepared((*zeros, None, target, weight, sample_weight, few))

    def value(self, tensors: Tensors) -> Tensor:
        """By kernels."""
        with without_autocast():
            return loss_of(self.prepared(tensors).value())

    def value_and_gradients(self, tensors: Tensors, needed: tuple[bool, ...]) -> tuple[Tensor, Tensors]:
        """In one walk over the logits."""
        with without_autocast():
            call = self.prepared(tensors)
            loss, found = call.value_and_gradients(Wanted(*needed[:3]))
        return loss_of(loss), self._tensors(found, tensors)

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...]) -> Tensors:
        """With upstream inside where half precision must be rounded once; else as what was kept is made, bit for bit."""
        half = any(t is not None and need and t.itemsize == 2 for t, need in zip(tensors, needed, strict=True))
        later = self.one_number and not half
        with without_autocast():
            call = self.prepared(tensors)
            factor = call.reducer.upstream if later else per_row(upstream[0], call)
            found = self._tensors(call.gradients_into(Wanted(*needed[:3]), factor)[1], tensors)
        return times_upstream(found, upstream[0]) if later else found

    def formula(self, tensors: Tensors) -> Tensor:
        """In torch operators, a chunk of rows at a time."""
        values, weights = self.formula_rows(tensors, statistics=False)
        return self.reduced(values, weights)

    def formula_rows(self, tensors: Tensors, *, statistics: bool) -> tuple[Tensor, ...]:
        """What the formula says of each row, shaped as the rows."""
        t = given(tensors)
        goal = formula.shifted(formula.Goal(t.target, t.few, t.sample_weight), t.input.shape[:-1], self.shift, self.ignore_index)
        layer = formula.Layer(t.linear_weight, t.linear_bias, t.weight)
        o = _formula.Options(self.ignore_index, self.label_smoothing, self.z_loss, self.focal, self.softcap, self.scale)
        found = formula.rows(t.input.reshape(-1, t.input.shape[-1]), goal, layer, o, self._rows_at_once(t), statistics=statistics)
        return tuple(part.reshape(t.input.shape[:-1]) for part in found)

    def _rows_at_once(self, t: LinearTensors) -> int | None:
        """As the caller has said, in rows or in bytes: a formula holds about four numbers a logit."""
        if self.chunk is not None or self.memory_limit is None:
            return self.chunk
        item = max(4, t.input.itemsize, t.linear_weight.itemsize)
        return max(1, self.memory_limit // (4 * item * max(1, t.linear_weight.shape[0])))

    def reduced(self, values: Tensor, weights: Tensor) -> Tensor:
        """Rows to what is asked for."""
        return _formula.reduced(values, _formula.summed(weights), self.reduction, self.normalizer, self.empty)

    def operator(self, tensors: Tensors) -> Tensor:
        """As one node of a graph."""
        return torch.ops.xent.linear_cross_entropy(*tensors, *self)

    def prepared(self, tensors: Tensors) -> Call:
        """The call in NumPy arrays, checked."""
        t = given(tensors)
        if t.target.is_floating_point():
            self.check(tensors)
        check.fits(tuple(t.input.shape), tuple(t.linear_weight.shape))
        bias = None if t.linear_bias is None else _matrix(t.linear_bias, "linear_bias")
        if bias is not None:
            check.fits_bias(bias.array.shape, t.linear_weight.shape[0])
        layer = Layer(_matrix(t.input, "input"), _matrix(t.linear_weight, "linear_weight"), bias)
        target: Any = numbers_of(t.target)
        target = target if t.few is None else (array_of(t.few), target)
        weight, sample = (None if x is None else numbers_of(x) for x in (t.weight, t.sample_weight))
        last: Any = self[10:]
        o = calls.Options(weight, sample, *self[:9], *last)
        call = calls.prepared(layer, target, o, TorchAlgebra(), STORAGE.get(t.target.dtype))
        return call._replace(chunk=self.chunk)

    def _tensors(self, found: Gradients, tensors: Tensors) -> Tensors:
        """Gradients in the places of the tensors they belong to."""
        return stored(found, given(tensors))


def without_autocast() -> torch.autocast:
    """Products in the dtype that they are given in."""
    return torch.autocast("cpu", enabled=False)


def given(tensors: Tensors) -> LinearTensors:
    """By name."""
    return LinearTensors(*tensors)  # pyright: ignore[reportArgumentType]


def stored(found: Gradients, t: LinearTensors) -> Tensors:
    """Gradients in the places of the tensors they belong to, None in the others'."""
    pairs = zip(found, (t.input, t.linear_weight, t.linear_bias), strict=True)
    three = (None if g is None or x is None else tensor_of(g, STORAGE[x.dtype]).reshape(x.shape) for g, x in pairs)
    return *three, None, None, None, None


def per_row(upstream: Tensor, call: Call) -> PerRow:
    """What each counted row's gradient is multiplied by."""
    if upstream.ndim == 0 and call.reducer.reduction != "none":
        return float(upstream.item()) * call.reducer.upstream
    return counted(upstream, call)


def counted(upstream: Tensor, call: Call) -> RowsN:
    """[n] float64, of the rows that count."""
    flat = array_of(upstream.reshape(-1).double())
    return flat if call.head.rows is None else flat[call.head.rows]


def _is_indices(target: Tensor, rows: tuple[int, ...], classes: int, shift: int) -> bool:
    """Whether the target holds class indices, one for each row."""
    try:
        return is_indices(described(target), (*rows, classes), len(rows))
    except ShapeError as error:
        raise check.without_class_axis(error, tuple(target.shape), rows, shift) from None


def _matrix(tensor: Tensor, name: str) -> Matrix:
    return Matrix(array_of(tensor), storage_of(tensor, name))
