"""What a linear cross-entropy will hold and do, told before it runs."""

from dataclasses import dataclass

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
            f"{self.rows} rows x {self.classes} classes at a time, {self.products} matrix products, "
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
    """How `linear_cross_entropy` would run: the logits that exist at once, its products, and its bytes (working memory).

    Args:
        rows: N ≥ 0 rows that count.
        classes: C ≥ 1.
        width: D ≥ 1, the numbers of a hidden state.
        dtype: of the hidden states.
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
    for value, name in ((dtype, "dtype"), (dtype if classifier_dtype is None else classifier_dtype, "classifier_dtype")):
        options.choice(value, name)
    options.number(tolerance, "tolerance", 0.0, 1.0)
    limit = check.memory_bytes(memory_limit)
    mine, theirs = _BYTES[dtype], _BYTES[dtype if classifier_dtype is None else classifier_dtype]
    item = max(4, mine, theirs)
    room = NumpyAlgebra().room
    shape = Shape(rows, classes, width, item, mine, theirs, gradients, filtered=tolerance > 0.0, room=room)
    found = plan(shape, limit)
    if found is None:
        raise check.enough(limit, smallest(shape))
    dense = rows * classes * item * (1 + gradients)
    return LinearPlan(found.order, found.rows, found.classes, found.products, found.bytes, dense)
