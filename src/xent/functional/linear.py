"""Cross-entropy of a classifier's logits without the logits: hidden states and weights in, loss and gradients out."""

from typing import Any, Literal, NamedTuple

import numpy as np

from xent._calls import linear_stats
from xent._calls.linear import Options, prepare
from xent._calls.linear_stats import LinearStats as LinearStats
from xent._check import options
from xent._typing import Array, Empty, Reduction, Validate
from xent.schedules.linear.sums import Gradients, Wanted


class LinearGradients(NamedTuple):
    """Gradients of a linear loss, each shaped like what it belongs to and in its dtype."""

    hidden: Array | None
    """[..., D]; 0 at ignored rows; None where frozen."""
    classifier: Array | None
    """[C, D]; None where frozen."""
    bias: Array | None
    """[C]; None without a bias."""


def linear_cross_entropy(
    hidden: Any,
    classifier: Any,
    target: Any,
    *,
    bias: Any = None,
    weight: Any = None,
    sample_weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    shift: int = 0,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    memory_limit: int | None = None,
    return_stats: bool = False,
    backend: str | None = None,
) -> Any:
    """Surprise of softmax at the target, given hidden states and a classifier, in nats; the logits never exist as a whole.

    ``ℓ_r = v_r·cross_entropy(h_r·Wᵀ + b, target_r)`` with the loss of a row as `cross_entropy` has it.

    Args:
        hidden: [..., D] hidden states in float16, bfloat16, float32 or float64.
        classifier: [C, D] weights, one row a class, as the weight of a linear layer lies; its dtype may differ.
        target: class indices shaped like the rows [...]; or probabilities [..., C]; or a pair (classes, probabilities), both
            [..., k], that names the k classes of each row whose probability is not 0.
        bias: [C] is added to the logits; −inf masks a class.
        weight: [C] class weights, finite and ≥ 0.
        sample_weight: [...] row weights v, finite and ≥ 0; a row of weight 0 does not count.
        ignore_index: the label of rows that do not count, whatever they hold; they are left out of every product.
        label_smoothing: ε in [0, 1].
        z_loss: ζ ≥ 0, what lse² costs.
        focal: γ ≥ 0.
        softcap: the bound > 0 that no z passes, or None.
        scale: a factor of the logits.
        shift: how many positions ahead, along the last axis of rows, the target of a position stands; 1 for a causal language
            model, whose last position then has none. Targets and sample weights are given unshifted.
        reduction: "mean" is Σ v·ℓ / Σ v·w over counted rows for class indices, Σ v·ℓ / Σ v for probabilities; "sum"; "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about target rows that are no distribution: "raise", "warn", or "off".
        memory_limit: bytes of working memory beyond inputs and gradients; None stays below 64 MiB where it can.
            `plan_linear` tells what a limit means.
        return_stats: return the `LinearStats` of the rows as well.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 where hidden states or weights are): one number, or with "none" one a row. Ignored
        rows are exactly 0. With ``return_stats`` the loss and a `LinearStats`.

    Raises:
        ShapeError: hidden states, classifier, bias and target do not fit; says whether the classifier lies transposed.
        LabelError: a label outside [0, C); names the first such row.
        ArgumentError: ``memory_limit`` is too small for one row (holds the smallest that works), or an option is out of range.
        XentError: otherwise as `cross_entropy`.

    Example:
        Two tokens, a vocabulary of three: the same number as from logits.

        >>> import numpy as np
        >>> import xent
        >>> hidden, classifier = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> loss = xent.linear_cross_entropy(hidden, classifier, [0, 1])
        >>> print(f"{loss:.4f} {xent.cross_entropy(hidden @ classifier.T, [0, 1]):.4f}")
        0.5831 0.5831

    References:
        Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", 2025. docs/derivations/linear-cross-entropy.md.
    """
    o = Options(
        weight,
        sample_weight,
        ignore_index,
        label_smoothing,
        z_loss,
        focal,
        softcap,
        scale,
        shift,
        0.0,
        memory_limit,
        reduction,
        normalizer,
        empty,
        validate,
        backend,
    )
    call = prepare(hidden, classifier, target, bias, o)
    return linear_stats.value(call) if return_stats else call.value()


def linear_cross_entropy_and_grad(
    hidden: Any,
    classifier: Any,
    target: Any,
    *,
    bias: Any = None,
    weight: Any = None,
    sample_weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    shift: int = 0,
    tolerance: float = 0.0,
    frozen: Literal["hidden", "classifier"] | None = None,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    memory_limit: int | None = None,
    return_stats: bool = False,
    backend: str | None = None,
) -> Any:
    """Cross-entropy of a classifier in nats, and its derivatives by hidden states, weights and bias, without the logits.

    With G the gradient by the logits, as `cross_entropy_and_grad` has it: ``∂ℓ/∂H = G·W``, ``∂ℓ/∂W = Gᵀ·H``,
    ``∂ℓ/∂b = Σ_r G_r``.

    Args:
        hidden: [..., D] hidden states, as in `linear_cross_entropy`.
        classifier: [C, D] weights.
        target: class indices, probabilities, or a pair (classes, probabilities).
        bias: [C], or None.
        weight: [C] class weights.
        sample_weight: [...] row weights.
        ignore_index: the label of rows that do not count.
        label_smoothing: ε in [0, 1].
        z_loss: ζ ≥ 0.
        focal: γ ≥ 0.
        softcap: a bound > 0, or None.
        scale: a factor of the logits.
        shift: how many positions ahead the target stands.
        tolerance: τ in [0, 1]: leave out of the gradients the smallest probabilities of each row as long as their sum stays
            ≤ τ, which moves a row's gradient by at most τ·max‖W_j‖ (times its coefficient); 0 leaves out nothing.
        frozen: "hidden" or "classifier": whose gradient is not wanted; its product is not made.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        validate: "raise", "warn" or "off".
        memory_limit: bytes of working memory, or None.
        return_stats: return the `LinearStats` of the rows as well.
        backend: a name, or None.

    Returns:
        The loss as `linear_cross_entropy` gives it, `LinearGradients`, and `LinearStats` with ``return_stats``. Gradients are
        summed in float32 (float64) and rounded once; ignored rows have gradient 0, and so has everything in a mean over nothing.

    Raises:
        XentError: whatever `linear_cross_entropy` raises.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> hidden, classifier = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> loss, grads = xent.linear_cross_entropy_and_grad(hidden, classifier, [0, 1])
        >>> print(f"{loss:.4f}", grads.hidden.round(4).tolist(), grads.classifier.shape)
        0.5831 [[-0.2124, 0.1674], [0.2975, -0.0317]] (3, 2)

    References:
        Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", 2025. docs/derivations/linear-cross-entropy.md.
    """
    o = Options(
        weight,
        sample_weight,
        ignore_index,
        label_smoothing,
        z_loss,
        focal,
        softcap,
        scale,
        shift,
        tolerance,
        memory_limit,
        reduction,
        normalizer,
        empty,
        validate,
        backend,
    )
    if frozen is not None:
        options.choice(frozen, "frozen")
    call = prepare(hidden, classifier, target, bias, o)
    wanted = Wanted(hidden=frozen != "hidden", classifier=frozen != "classifier", bias=bias is not None)
    if return_stats:
        loss, found, stats = linear_stats.value_and_gradients(call, wanted)
        return loss, _as_given(found, hidden, classifier, bias), stats
    loss, found = call.value_and_gradients(wanted)
    return loss, _as_given(found, hidden, classifier, bias)


def _as_given(found: Gradients, hidden: Any, classifier: Any, bias: Any) -> LinearGradients:
    """In the shapes and dtypes of the arguments."""
    pairs = zip(found, (hidden, classifier, bias), strict=True)
    by_hidden, by_classifier, by_bias = (
        None if gradient is None else gradient.view(np.asarray(of).dtype).reshape(np.shape(of)) for gradient, of in pairs
    )
    return LinearGradients(by_hidden, by_classifier, by_bias)
