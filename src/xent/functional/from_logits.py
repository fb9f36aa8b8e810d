"""Losses of logits: cross-entropy and its gradient, and the divergence from a target distribution."""

from typing import Any

from xent._calls.rows import Loss
from xent._calls.softmax import Options, divergence, prepare
from xent._typing import Array, Empty, Reduction, Validate


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
    """Surprise of softmax at the target, given logits, in nats.

    With ``z = softcap·tanh(scale·x / softcap)`` (``scale·x`` without a cap), ``lse = log Σ_j e^z_j`` and
    ``s = Σ_j T_j·(lse − z_j)``, the loss of a row is::

        ℓ = w·((1−ε)·(1−e^−s)^γ·s + ζ·lse²) + ε·Σ_j (w_j/C)·(lse − z_j)

    and ``ℓ = lse − x_target`` without options. For an index T is one-hot and w the class weight of the target;
    for probabilities y, ``T_j = w_j·y_j`` and w = 1.

    Args:
        logits: [..., C, ...] scores in float16, bfloat16, float32 or float64; −inf gives a class probability 0.
        target: class indices of any integer dtype, shaped like the logits without the class axis, or floats shaped like
            the logits: a distribution for each row.
        axis: the class axis.
        weight: [C] class weights, finite and ≥ 0.
        ignore_index: the label of rows that do not count, whatever they hold.
        label_smoothing: ε in [0, 1], the share of the target that is spread evenly over the classes.
        z_loss: ζ ≥ 0, what lse² costs.
        focal: γ ≥ 0; the greater, the less a row counts that is right already.
        softcap: the bound > 0 that no z passes, or None.
        scale: a factor of the logits, one over the temperature.
        reduction: "mean" is Σ ℓ / Σ w over counted rows for class indices, Σ ℓ / N for probabilities; or "sum", "none".
        normalizer: the denominator of the mean, > 0, in place of Σ w or N.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about target rows that are no distribution: "raise", "warn", or "off".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 logits): one number, or with "none" one a row, shaped like the logits
        without the class axis. Ignored rows are exactly 0; a row with NaN, +inf or only −inf is NaN and alters no other.

    Raises:
        LabelError: a label outside [0, C); names the first such row, its label, how many there are, and the likely cause.
        DistributionError: a target row is negative or does not sum to 1; names the worst row and its sum.
        ShapeError: the target fits neither meaning, or C is 0; holds both shapes and the line that mends it.
        DTypeError: logits are not floats, or the target is one-hot integers, bool or text; says what it looks like.
        ArgumentError: a weight that is negative or not finite (names it), an option out of range, or focal with both
            probabilities and class weights.
        EmptyMeanError: nothing is counted and ``empty="raise"``.
        BackendError: the named backend refuses; holds its reason.

    Example:
        Not knowing costs ln C; a row that is sure and right costs little, yet not nothing.

        >>> import numpy as np
        >>> import xent
        >>> logits = np.array([[0, 0, 0, 0], [40, 0, 0, 0]], dtype=np.float32)
        >>> unsure, sure = xent.cross_entropy(logits, [0, 0], reduction="none")
        >>> print(f"{unsure:.4f} {sure:.3g}")
        1.3863 1.27e-17

    References:
        Good, "Rational Decisions", 1952; Szegedy et al. 2016 (smoothing); Lin et al. 2017 (focal); Chowdhery et al. 2022
        (z-loss). docs/derivations/softmax-cross-entropy.md and its neighbours.
    """
    o = Options(
        axis,
        weight,
        ignore_index,
        label_smoothing,
        z_loss,
        focal,
        softcap,
        scale,
        reduction,
        normalizer,
        empty,
        validate,
        backend,
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
    """Cross-entropy of target and softmax in nats, and its derivative by the logits, in one visit.

    ``∂ℓ/∂x_j = (a·p_j − b·T_j − c·w_j/C)·∂z_j/∂x_j`` with ``p = softmax(z)`` and three numbers a, b, c a row;
    ``p − onehot`` without options. It is divided as the loss is; ``reduction="none"`` gives the gradient of the sum.

    Args:
        logits: [..., C, ...] scores, as in `cross_entropy`.
        target: class indices or probabilities, as in `cross_entropy`.
        out: where to write the gradient: an array of the logits' shape and dtype, or the logits themselves.
        axis: the class axis.
        weight: [C] class weights.
        ignore_index: the label of rows that do not count.
        label_smoothing: ε in [0, 1].
        z_loss: ζ ≥ 0.
        focal: γ ≥ 0.
        softcap: a bound > 0, or None.
        scale: a factor of the logits.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        validate: "raise", "warn" or "off".
        backend: a name, or None.

    Returns:
        The loss as `cross_entropy` gives it, and the gradient in the logits' shape and dtype (``out``, where given).
        Ignored rows have gradient 0, and so has everything in a mean over nothing.

    Raises:
        ShapeError: ``out`` has another shape or dtype; states both.
        ArgumentError: ``out`` is read-only, overlaps itself, or overlaps an argument in part.
        XentError: whatever `cross_entropy` raises; nothing has been written then.

    Example:
        The gradient is what the softmax has too much and the target too little; each row sums to 0.

        >>> import numpy as np
        >>> import xent
        >>> logits = np.log([[0.7, 0.2, 0.1]])
        >>> loss, grad = xent.cross_entropy_and_grad(logits, [0])
        >>> print(f"{loss:.4f}", grad.round(4))
        0.3567 [[-0.3  0.2  0.1]]

    References:
        Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
        docs/derivations/softmax-cross-entropy.md.
    """
    o = Options(
        axis,
        weight,
        ignore_index,
        label_smoothing,
        z_loss,
        focal,
        softcap,
        scale,
        reduction,
        normalizer,
        empty,
        validate,
        backend,
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
    """Divergence of softmax from target distributions, given logits, in nats.

    ``ℓ = Σ_j w_j·y_j·(log y_j − log p_j) = cross-entropy(y, p) − entropy(y)`` with ``p = softmax(z)``, z as in
    `cross_entropy`; 0 · log 0 = 0. Its gradient is that of the cross-entropy, its least value 0.

    Args:
        logits: [..., C, ...] scores, as in `cross_entropy`.
        target_probs: [..., C, ...] floats, a distribution y for each row.
        axis: the class axis.
        weight: [C] class weights w, finite and ≥ 0.
        softcap: the bound > 0 that no z passes, or None.
        scale: a factor of the logits, one over the temperature.
        reduction: "mean" is Σ ℓ / N over the rows; or "sum", "none".
        normalizer: the denominator of the mean, > 0, in place of N.
        empty: what a mean over no row is: "nan", "zero", or "raise".
        validate: what to do about target rows that are no distribution: "raise", "warn", or "off".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 logits): one number, or with "none" one a row. No row is ignored.

    Raises:
        DistributionError: a target row is negative or does not sum to 1; names the worst row and its sum.
        ArgumentError: class indices were given (use `cross_entropy`), or an option is out of range; holds its value.
        XentError: otherwise as `cross_entropy`.

    Example:
        What the cross-entropy holds beyond the target's own entropy.

        >>> import numpy as np
        >>> import xent
        >>> y, logits = np.array([[0.5, 0.3, 0.2]]), np.log([[0.7, 0.2, 0.1]])
        >>> divergence, surprise = xent.kl_divergence_loss(logits, y), xent.cross_entropy(logits, y)
        >>> print(f"{divergence:.4f} {surprise - xent.information.entropy(y)[0]:.4f}")
        0.0920 0.0920

    References:
        Kullback & Leibler, "On Information and Sufficiency", 1951.
    """
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
    """Divergence of softmax from target distributions in nats, and its derivative by the logits.

    ``∂ℓ/∂x = ((Σ_j w_j·y_j)·p − w·y)·∂z/∂x``, which is ``p − y`` without options and vanishes where softmax is the target.

    Args:
        logits: [..., C, ...] scores.
        target_probs: [..., C, ...] distributions, as in `kl_divergence_loss`.
        out: where to write the gradient: an array of the logits' shape and dtype, or the logits themselves.
        axis: the class axis.
        weight: [C] class weights.
        softcap: a bound > 0, or None.
        scale: a factor of the logits.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        validate: "raise", "warn" or "off".
        backend: a name, or None.

    Returns:
        The loss as `kl_divergence_loss` gives it, and the gradient in the logits' shape and dtype (``out``, where given).

    Raises:
        ShapeError: ``out`` has another shape or dtype; states both.
        ArgumentError: ``out`` is read-only, overlaps itself, or overlaps an argument in part.
        XentError: whatever `kl_divergence_loss` raises.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> y, logits = np.array([[0.5, 0.3, 0.2]]), np.log([[0.7, 0.2, 0.1]])
        >>> loss, grad = xent.kl_divergence_loss_and_grad(logits, y)
        >>> print(f"{loss:.4f}", grad.round(4))
        0.0920 [[ 0.2 -0.1 -0.1]]

    References:
        docs/derivations/softmax-cross-entropy.md.
    """
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
