"""What every public function does last: divide as asked, send the call on its way, and word what goes wrong for PyTorch."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from xent.torch import _engine
from xent.torch._cross_entropy import CrossEntropy
from xent.torch._engine import Tensors, Work
from xent.torch._in_place import in_place
from xent.torch._words import torch_words

Divide = Callable[[Any], Any]


def run(work: Work, tensors: Tensors) -> Any:
    """The value of a call."""
    if torch.compiler.is_compiling():
        return _engine.call(work, tensors)
    with torch_words():
        return _engine.call(work, tensors)


def run_in_place(work: CrossEntropy, tensors: Tensors, with_statistics: bool) -> Any:
    """The value of a call whose gradient takes the place of the input."""
    with torch_words():
        return in_place(work, tensors, with_statistics)


def normalised(reduction: str, normalizer: float | Tensor | None) -> tuple[str, float | None, Divide]:
    """Reduction and normalizer for the call, and what is done after it: a denominator that is a tensor divides the sum."""
    if not isinstance(normalizer, Tensor) or reduction != "mean":
        return reduction, normalizer if not isinstance(normalizer, Tensor) else None, _as_it_is
    return "sum", None, lambda loss: loss / normalizer


def _as_it_is(loss: Any) -> Any:
    return loss
