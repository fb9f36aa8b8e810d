"""Losses of logits: cross-entropy and its gradient, and the divergence from a target distribution."""

from typing import Any

from xent._typing import Array, Empty, Reduction, Validate
from xent.functional._rows import Loss
from xent.functional._softmax_call import Options, divergence, prepare


def cross_entropy(
    logits: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> Loss:
    """DOC."""
    o = Options(
        axis, weight, ignore_index, label_smoothing, z_loss, focal, softcap, scale, reduction, normalizer, empty, validate, backend
    )
    return prepare(logits, target, o).value()


def cross_entropy_and_grad(
    logits: Any,
    target: Any,
    *,
    out: Array | None = None,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """DOC."""
    o = Options(
        axis, weight, ignore_index, label_smoothing, z_loss, focal, softcap, scale, reduction, normalizer, empty, validate, backend
    )
    return prepare(logits, target, o).value_and_gradient(out)


def kl_divergence_loss(
    logits: Any,
    target_probs: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    softcap: float | None = None,
    scale: float = 1.0,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> Loss:
    """DOC."""
    o = Options(
        axis=axis,
        weight=weight,
        softcap=softcap,
        scale=scale,
        reduction=reduction,
        normalizer=normalizer,
        empty=empty,
        validate=validate,
        backend=backend,
    )
    return divergence(logits, target_probs, o).value()


def kl_divergence_loss_and_grad(
    logits: Any,
    target_probs: Any,
    *,
    out: Array | None = None,
    axis: int = -1,
    weight: Any = None,
    softcap: float | None = None,
    scale: float = 1.0,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """DOC."""
    o = Options(
        axis=axis,
        weight=weight,
        softcap=softcap,
        scale=scale,
        reduction=reduction,
        normalizer=normalizer,
        empty=empty,
        validate=validate,
        backend=backend,
    )
    return divergence(logits, target_probs, o).value_and_gradient(out)
