"""What a linear cross-entropy will hold and do, told before it runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from xent._check import linear as check
from xent._check import options
from xent._typing import Storage
from xent.schedules.linear.algebra import NumpyAlgebra
from xent.schedules.linear.plan import Order, Shape, plan, smallest

_BYTES: dict[str, int] = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}


@dataclass(frozen=True, slots=True)
class LinearPlan:
    """How a linear cross-entropy of some shape runs."""

    order: Order
    """ "rows": chunks of rows with all classes; "classes": blocks of classes, whose logits gradients need a second time."""
    rows: int
    """Rows whose logits exist at once."""
    classes: int
    """Classes whose logits exist at once."""
    products: int
    """Matrix products of the size of all the logits."""
    bytes: int
    """Working memory beyond inputs and gradients."""
    dense_bytes: int
    """What the logits and, with gradients, their gradient take where they are stored."""

    def __str__(self) -> str:
        """In words."""
        mib = 1 << 20
        return (
            f"{_some(self.rows, 'row')} x {self.classes} classes at a time, {_some(self.products, 'matrix product')}, "
            f"{self.bytes / mib:.1f} MiB (dense: {self.dense_bytes / mib:.1f} MiB)"
        )


def plan_linear(
    rows: int,
    classes: int,
    width: int,
    *,
    dtype: Storage = "float32",
    classifier_dtype: Storage | None = None,
    gradients: bool = True,
    tolerance: float = 0.0,
    memory_limit: int | None = None,
) -> LinearPlan:
    """How `linear_cross_entropy` of arrays would run: its logits at a time, its products and its bytes (working memory).

    Of tensors it runs alike, but for what is copied around a product: a little less, so that a smaller limit may work there.

    Args:
        rows: N ≥ 0 rows that count.
        classes: C ≥ 1.
        width: D ≥ 1, the numbers of a hidden state.
        dtype: of the hidden states, by its name or as NumPy and PyTorch write it.
        classifier_dtype: of the classifier, if another.
        gradients: whether gradients are wanted, or the loss alone.
        tolerance: as in `linear_cross_entropy_and_grad`.
        memory_limit: bytes, or None.

    Returns:
        A `LinearPlan`; printed, it says itself in words. A call that leaves rows out, or has probabilities for targets, holds
        copies of these as well.

    Raises:
        ArgumentError: a number is out of range, or ``memory_limit`` is too small for one row; holds the smallest that works.

    Example:
        >>> import xent
        >>> plan = xent.plan_linear(8192, 256_000, 1024, memory_limit=64 << 20)
        >>> print(plan.order, plan.products, plan.bytes <= 64 << 20, f"{plan.dense_bytes / 2**30:.1f} GiB")
        classes 4 True 15.6 GiB

    References:
        docs/derivations/linear-cross-entropy.md, what each order multiplies and holds.
    """
    for value, name, least in ((rows, "rows", 0), (classes, "classes", 1), (width, "width", 1)):
        options.whole(value, name, least)
    dtype = _named(dtype)
    other = dtype if classifier_dtype is None else _named(classifier_dtype)
    for value, name in ((dtype, "dtype"), (other, "classifier_dtype")):
        options.choice(value, name)
    options.number(tolerance, "tolerance", 0.0, 1.0)
    limit = check.memory_bytes(memory_limit)
    mine, theirs = _BYTES[dtype], _BYTES[other]
    item = max(4, mine, theirs)
    room = NumpyAlgebra().room
    shape = Shape(rows, classes, width, item, mine, theirs, gradients, filtered=tolerance > 0.0, room=room)
    found = plan(shape, limit)
    if found is None:
        raise check.enough(limit, smallest(shape))
    dense = rows * classes * item * (1 + gradients)
    return LinearPlan(found.order, found.rows, found.classes, found.products, found.bytes, dense)


def _named(dtype: Any) -> Storage:
    """The name of a dtype of NumPy or PyTorch; anything else as it is."""
    if isinstance(dtype, np.dtype | type):
        return str(np.dtype(dtype))  # pyright: ignore[reportReturnType, reportUnknownArgumentType]
    return str(dtype).removeprefix("torch.") if type(dtype).__module__ == "torch" else dtype  # pyright: ignore[reportReturnType]


def _some(count: int, word: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {word}{'' if count == 1 else 's'}"
