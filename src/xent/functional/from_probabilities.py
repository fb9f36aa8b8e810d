"""Losses of numbers that are probabilities, or their logarithms, already; what cannot be such is refused."""

from typing import Any

from xent._calls.given import Options, prepare
from xent._calls.rows import Loss
from xent._typing import Array, Empty, Reduction, Validate


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
    """Surprise at the target, given log-probabilities, in nats.

    ``ℓ = −w·log p_target``; for target probabilities y, ``ℓ = −Σ_j w_j·y_j·log p_j`` with 0 · log 0 = 0.

    Args:
        log_probs: [..., C, ...] logarithms of probabilities, at most 0, in float16, bfloat16, float32 or float64.
        target: class indices shaped like log_probs without the class axis, or distributions shaped like log_probs.
        axis: the class axis.
        weight: [C] class weights w, finite and ≥ 0.
        ignore_index: the label of rows that do not count, whatever they hold.
        reduction: "mean" is Σ ℓ / Σ w over counted rows for class indices, Σ ℓ / N for probabilities; or "sum", "none".
        normalizer: the denominator of the mean, > 0, in place of Σ w or N.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about rows that break a rule on probabilities: "raise", "warn", or "off".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 input): one number, or with "none" one a row, exactly 0 where ignored.

    Raises:
        DistributionError: log_probs above 0 in a counted row, or a target row that is no distribution; names the row.
        XentError: otherwise as `cross_entropy`.

    Example:
        After log_softmax it is the cross-entropy; logits themselves are refused.

        >>> import numpy as np
        >>> import xent
        >>> logits = np.array([[2.0, 1.0, 0.0]])
        >>> print(f"{xent.nll_loss(xent.log_softmax(logits), [0]):.4f} {xent.cross_entropy(logits, [0]):.4f}")
        0.4076 0.4076
        >>> xent.nll_loss(logits, [0])
        Traceback (most recent call last):
        xent._errors.DistributionError: log_probs must be at most 0; row 0 holds 2 (1 such rows). Logits belong to ...

    References:
        Good, "Rational Decisions", 1952.
    """
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
    """Surprise at the target in nats, and its derivative by the log-probabilities.

    ``∂ℓ/∂(log p_j) = −T_j``, with T one-hot times the class weight, or ``w_j·y_j``; divided as the loss is. The log-probabilities
    count as free numbers: that each row of them belongs to one distribution is the business of what made them.

    Args:
        log_probs: [..., C, ...] logarithms of probabilities, at most 0.
        target: class indices or probabilities, as in `nll_loss`.
        axis: the class axis.
        weight: [C] class weights.
        ignore_index: the label of rows that do not count.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        validate: "raise", "warn" or "off".
        backend: a name, or None.

    Returns:
        The loss as `nll_loss` gives it, and the gradient in the shape and dtype of log_probs, 0 at ignored rows.

    Raises:
        XentError: whatever `nll_loss` raises.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> loss, grad = xent.nll_loss_and_grad(np.log([[0.7, 0.2, 0.1]]), [0])
        >>> print(f"{loss:.4f}", grad + 0.0)
        0.3567 [[-1.  0.  0.]]

    References:
        docs/derivations/softmax-cross-entropy.md.
    """
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
    """Surprise at the target, given probabilities, in nats.

    ``ℓ = −w·log p_target``; for target probabilities y, ``ℓ = −Σ_j w_j·y_j·log p_j`` with 0 · log 0 = 0. A target of
    probability 0 is infinitely surprising: nothing is clipped, and no row is brought to the sum 1.

    Args:
        probs: [..., C, ...] probabilities that sum to 1 along ``axis``, in float16, bfloat16, float32 or float64.
        target: class indices shaped like probs without the class axis, or distributions shaped like probs.
        axis: the class axis.
        weight: [C] class weights w, finite and ≥ 0.
        ignore_index: the label of rows that do not count, whatever they hold.
        reduction: "mean" is Σ ℓ / Σ w over counted rows for class indices, Σ ℓ / N for probabilities; or "sum", "none".
        normalizer: the denominator of the mean, > 0, in place of Σ w or N.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about rows that are no distribution: "raise", "warn", or "off".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 input): one number, or with "none" one a row, exactly 0 where ignored.

    Raises:
        DistributionError: a counted row of probs, or a row of the target, is negative or does not sum to 1; names the worst
            row and its sum.
        XentError: otherwise as `cross_entropy`.

    Example:
        The surprise at what had probability 0.7, and at what was thought impossible.

        >>> import numpy as np
        >>> import xent
        >>> probs = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]])
        >>> print(xent.log_loss(probs, [0, 1], reduction="none").round(4))
        [0.3567    inf]

    References:
        Good, "Rational Decisions", 1952.
    """
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
    """Surprise at the target in nats, and its derivative by the probabilities.

    ``∂ℓ/∂p_j = −T_j / p_j``, with T one-hot times the class weight, or ``w_j·y_j``; divided as the loss is. The probabilities
    count as free numbers; −inf where the target has probability 0.

    Args:
        probs: [..., C, ...] probabilities that sum to 1 along ``axis``.
        target: class indices or probabilities, as in `log_loss`.
        axis: the class axis.
        weight: [C] class weights.
        ignore_index: the label of rows that do not count.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        validate: "raise", "warn" or "off".
        backend: a name, or None.

    Returns:
        The loss as `log_loss` gives it, and the gradient in the shape and dtype of probs, 0 at ignored rows.

    Raises:
        XentError: whatever `log_loss` raises.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> loss, grad = xent.log_loss_and_grad(np.array([[0.8, 0.2]]), [0])
        >>> print(f"{loss:.4f}", grad + 0.0)
        0.2231 [[-1.25  0.  ]]

    References:
        docs/derivations/softmax-cross-entropy.md.
    """
    call = prepare(
        probs, target, Options(axis, weight, ignore_index, reduction, normalizer, empty, validate, backend), logarithms=False
    )
    return call.value(), call.gradient()
