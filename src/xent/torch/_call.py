"""What every public function does last: divide as asked, send the call on its way, and word what goes wrong for PyTorch."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from xent._errors import ArgumentError, ShapeError, XentError
from xent.torch import _engine
from xent.torch._cross_entropy import CrossEntropy
from xent.torch._engine import Tensors, Work, readable
from xent.torch._in_place import in_place
from xent.torch._words import in_torch_words

Divide = Callable[[Any], Any]


def run(work: Work, tensors: Tensors) -> Any:
    """The value of a call."""
    try:
        return _engine.call(work, tensors)
    except XentError as error:
        raise in_torch_words(error) from None


def run_in_place(work: CrossEntropy, tensors: Tensors, with_statistics: bool) -> Any:
    """The value of a call whose gradient takes the place of the input."""
    try:
        return in_place(work, tensors, with_statistics)
    except XentError as error:
        raise in_torch_words(error) from None


def normalised(reduction: str, normalizer: float | Tensor | None) -> tuple[str, float | None, Divide]:
    """Reduction and normalizer for the call, and what is done after it: a denominator that is a tensor divides the sum."""
    if not isinstance(normalizer, Tensor):
        return reduction, normalizer, _as_it_is
    if normalizer.ndim:
        raise ShapeError("normalizer must be one number", f"found shape {tuple(normalizer.shape)}", "Use normalizer.sum().")
    if readable((normalizer,)) and not bool((normalizer > 0) & normalizer.isfinite()):
        raise ArgumentError(
            "normalizer must be a number in (0, inf)", f"found {normalizer.item()}", "None divides by the weight."
        )
    if reduction != "mean":
        return reduction, None, _as_it_is
    return "sum", None, lambda loss: loss / normalizer.to(loss.dtype)


def _as_it_is(loss: Any) -> Any:
    return loss
