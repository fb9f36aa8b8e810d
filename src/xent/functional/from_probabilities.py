"""Losses of numbers that are probabilities, or their logarithms, already; what cannot be such is refused."""

from typing import Any

from xent._typing import Array, Empty, Reduction, Validate
from xent.functional._given_call import Options, prepare
from xent.functional._rows import Loss


def nll_loss(
    log_probs: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> Loss:
    """DOC."""
    o = Options(axis, weight, ignore_index, reduction, normalizer, empty, validate, backend)
    return prepare(log_probs, target, o, logarithms=True).value()


def nll_loss_and_grad(
    log_probs: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """DOC."""
    call = prepare(
        log_probs, target, Options(axis, weight, ignore_index, reduction, normalizer, empty, validate, backend), logarithms=True
    )
    return call.value(), call.gradient()


def log_loss(
    probs: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> Loss:
    """DOC."""
    o = Options(axis, weight, ignore_index, reduction, normalizer, empty, validate, backend)
    return prepare(probs, target, o, logarithms=False).value()


def log_loss_and_grad(
    probs: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """DOC."""
    call = prepare(
        probs, target, Options(axis, weight, ignore_index, reduction, normalizer, empty, validate, backend), logarithms=False
    )
    return call.value(), call.gradient()
