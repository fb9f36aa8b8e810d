"""The kernels as registered operators, for graphs that PyTorch records: each with its shapes, its gradient another operator.

``torch.ops.xent.cross_entropy(input, target, weight, ...options)`` is the value; ``cross_entropy_backward`` the gradient,
with upstream inside, or by the formula where it is differentiated again; a compiled graph refuses that.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, get_type_hints

import torch
from torch import Tensor

from xent._errors import XentError
from xent.torch._cross_entropy import CrossEntropy, WithStatistics
from xent.torch._engine import Outputs, Tensors, Work, again
from xent.torch._linear import LinearCrossEntropy
from xent.torch._linear_stats import LinearWithStatistics
from xent.torch._nll import NLL
from xent.torch._pointwise import PointwiseLoss
from xent.torch._softmax import LogSigmoid, Softmax
from xent.torch._tensors import loss_dtype, torch_threads
from xent.torch._words import in_torch_words

_SCHEMA: dict[Any, str] = {
    int: "SymInt",
    int | None: "SymInt?",
    float: "float",
    float | None: "float?",
    str: "str",
    str | None: "str?",
    bool: "bool",
}


class Operator(NamedTuple):
    """An operator to register: its tensors as the schema names them, its options' type, and the shapes of what it returns."""

    name: str
    tensors: tuple[str, ...]
    options: type
    work: Callable[..., Work]
    shapes: Callable[[Tensors, Any], Outputs]
    returns: str = "Tensor"

    def split(self, arguments: Sequence[Any]) -> tuple[Tensors, Any]:
        """The tensors, and the options."""
        count = len(self.tensors)
        return tuple(arguments[:count]), self.options(*arguments[count:])

    @property
    def schema(self) -> str:
        """The arguments of the value."""
        return ", ".join((*self.tensors, self.schema_of_options))

    @property
    def schema_of_options(self) -> str:
        """One argument for each field of the options."""
        hints = get_type_hints(self.options)
        return ", ".join(f"{_SCHEMA[kind]} {field}" for field, kind in hints.items())


def register(operator: Operator) -> None:
    """Define value and gradient: for tensors, for shapes alone, and for autograd."""
    count = len(operator.tensors)

    def value(*arguments: Any) -> Any:
        tensors, options = operator.split(arguments)
        outputs: Any = _computed(lambda: operator.work(options).value(tensors))
        like: Any = operator.shapes(tensors, options)
        return outputs if isinstance(outputs, tuple) else _laid_out(outputs, like)

    def gradient(upstream: list[Tensor], saved: list[Tensor | None], *rest: Any) -> list[Tensor]:
        *options, places = rest
        work = operator.work(operator.options(*options))
        needed = tuple(place in places for place in range(count))
        found = _computed(lambda: work.gradients(tuple(saved), needed, tuple(upstream)))
        return [_laid_out(_there(found[place]), _there(saved[place])) for place in places]

    def forget(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        tensors, ctx.options = inputs[:count], inputs[count:]
        ctx.keeps = operator.work(operator.options(*ctx.options)).keeps_output
        ctx.save_for_backward(*tensors, *((output,) if ctx.keeps else ()))

    def backward(ctx: Any, *upstream: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():
            work = operator.work(operator.options(*ctx.options))
            needed = tuple(ctx.needs_input_grad[:count])
            return (*again(work, ctx.saved_tensors[:count], needed, upstream), *(None for _ in ctx.options))
        places = [place for place in range(count) if ctx.needs_input_grad[place]]
        floats = [part for part in upstream if part is not None and part.is_floating_point()]
        found = getattr(torch.ops.xent, f"{operator.name}_backward")(floats, list(ctx.saved_tensors), *ctx.options, places)
        by_place = dict(zip(places, found, strict=True))
        return (*(by_place.get(place) for place in range(count)), *(None for _ in ctx.options))

    define = torch.library.custom_op
    made = define(f"xent::{operator.name}", value, mutates_args=(), schema=f"({operator.schema}) -> {operator.returns}")
    made.register_fake(lambda *arguments: operator.shapes(*operator.split(arguments)))
    made.register_autograd(backward, setup_context=forget)
    schema = f"(Tensor[] upstream, Tensor?[] saved, {operator.schema_of_options}, int[] places) -> Tensor[]"
    made = define(f"xent::{operator.name}_backward", gradient, mutates_args=(), schema=schema)
    made.register_fake(lambda upstream, saved, *rest: [torch.empty_like(saved[place]) for place in rest[-1]])


def _computed(work: Callable[[], Any]) -> Any:
    """On PyTorch's threads, errors in its words."""
    try:
        with torch_threads():
            return work()
    except XentError as error:
        raise in_torch_words(error) from None


def _there(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor


def _laid_out(tensor: Tensor, like: Tensor) -> Tensor:
    """With the strides that were announced for a tensor of that layout."""
    announced = torch.empty_like(like, device="meta")
    if tensor.stride() == announced.stride():
        return tensor
    return torch.empty_like(like, dtype=tensor.dtype).copy_(tensor)


def _itself(options: Any) -> Any:
    return options


def _rows(x: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    shape = x.shape[1:] if x.ndim == 1 else (x.shape[0], *x.shape[2:])
    return x.new_empty(tuple(shape) if x.ndim > 1 else (), dtype=dtype or loss_dtype(x))


def _row_loss(tensors: Tensors, options: Any) -> Tensor:
    x = _there(tensors[0])
    return _rows(x) if options.reduction == "none" else x.new_empty((), dtype=loss_dtype(x))


def _with_statistics(tensors: Tensors, options: Any) -> tuple[Tensor, ...]:
    x = _there(tensors[0])
    return _row_loss(tensors, options), _rows(x), _rows(x), _rows(x), _rows(x, torch.int64)


def _element_loss(tensors: Tensors, options: Any) -> Tensor:
    x = _there(tensors[0])
    return x.new_empty(x.shape if options.reduction == "none" else (), dtype=loss_dtype(x))


def _as_input(tensors: Tensors, options: Any) -> Tensor:
    return torch.empty_like(_there(tensors[0]))


def _linear_rows(x: Tensor, weight: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    wide = torch.float64 if torch.float64 in (x.dtype, weight.dtype) else torch.float32
    return x.new_empty(x.shape[:-1], dtype=dtype or wide)


def _linear_loss(tensors: Tensors, options: Any) -> Tensor:
    rows = _linear_rows(_there(tensors[0]), _there(tensors[1]))
    return rows if options.reduction == "none" else rows.new_empty(())


def _linear_with_statistics(tensors: Tensors, options: Any) -> tuple[Tensor, ...]:
    x, weight = _there(tensors[0]), _there(tensors[1])
    floats = (_linear_rows(x, weight) for _ in range(3))
    return _linear_loss(tensors, options), *floats, _linear_rows(x, weight, torch.int64), _linear_rows(x, weight)


_TARGETED = ("Tensor input", "Tensor target", "Tensor? weight")
_LINEAR = (
    "Tensor input",
    "Tensor linear_weight",
    "Tensor? linear_bias",
    "Tensor target",
    "Tensor? weight",
    "Tensor? sample_weight",
    "Tensor? few",
)
_FOUR = ("Tensor input", "Tensor? target", "Tensor? weight", "Tensor? pos_weight")

for _operator in (
    Operator("cross_entropy", _TARGETED, CrossEntropy, _itself, _row_loss),
    Operator(
        "cross_entropy_stats",
        _TARGETED,
        CrossEntropy,
        WithStatistics,
        _with_statistics,
        "(Tensor, Tensor, Tensor, Tensor, Tensor)",
    ),
    Operator("linear_cross_entropy", _LINEAR, LinearCrossEntropy, _itself, _linear_loss),
    Operator(
        "linear_cross_entropy_stats",
        _LINEAR,
        LinearCrossEntropy,
        LinearWithStatistics,
        _linear_with_statistics,
        "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    ),
    Operator("nll_loss", _TARGETED, NLL, _itself, _row_loss),
    Operator("pointwise", _FOUR, PointwiseLoss, _itself, _element_loss),
    Operator("softmax", ("Tensor input",), Softmax, _itself, _as_input),
    Operator("log_sigmoid", ("Tensor input",), LogSigmoid, _itself, _as_input),
):
    register(_operator)
