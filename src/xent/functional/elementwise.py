"""Losses of one number at a time: binary cross-entropy of logits, squared error, Gaussian likelihood."""

from typing import Any

import numpy as np

from xent._calls.pointwise import binary, gaussian, gradient_buffer, squared
from xent._calls.rows import Loss
from xent._typing import Array, Empty, Reduction


def binary_cross_entropy(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Loss:
    """Surprise of a sigmoid at a yes or no, given one logit each, in nats.

    ``ℓ = w·(v·y·softplus(−x) + (1−y)·softplus(x))`` with ``softplus(x) = log(1 + e^x)`` and v the positive weight:
    ``−log σ(x)`` for y = 1, ``−log(1 − σ(x))`` for y = 0.

    Args:
        logits: [...] scores x of "yes", of any shape, in float16, bfloat16, float32 or float64.
        target: [...] of the same shape: 0 and 1, bool, or probabilities of "yes" in [0, 1].
        weight: w ≥ 0: a number, one for each place of the last axis, or shaped like the logits.
        pos_weight: v ≥ 0, of the same kind; what "yes" counts beside "no".
        reduction: "mean" is the sum over the number of elements, whatever their weights; or "sum", "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 logits): one number, or with "none" one an element. None is ignored.

    Raises:
        DistributionError: a target outside [0, 1]; names the first such element and what it looks like.
        ShapeError: target or weights do not fit the logits' shape; states both. Nothing is broadcast.
        DTypeError: logits are not floats; names their dtype.
        ArgumentError: a weight that is negative or not finite, or an option out of range; holds its value.
        EmptyMeanError: there is no element and ``empty="raise"``.
        BackendError: the named backend refuses; holds its reason.

    Example:
        A logit of 0 is a fair coin, and one logit x is two classes with logits 0 and x.

        >>> import numpy as np
        >>> import xent
        >>> print(f"{xent.binary_cross_entropy(np.zeros(1), [1]):.4f} {np.log(2):.4f}")
        0.6931 0.6931
        >>> one, two = xent.binary_cross_entropy(np.array([1.5]), [1]), xent.cross_entropy(np.array([[0, 1.5]]), [1])
        >>> print(f"{one:.4f} {two:.4f}")
        0.2014 0.2014

    References:
        Cox, "The Regression Analysis of Binary Sequences", 1958. docs/derivations/sigmoid-cross-entropy.md,
        bernoulli-likelihood.md.
    """
    return binary(logits, target, weight, pos_weight, reduction, normalizer, empty, backend)[1].run(())


def binary_cross_entropy_and_grad(
    logits: Any,
    target: Any,
    *,
    out: Array | None = None,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """Binary cross-entropy in nats, and its derivative by the logits, in one visit.

    ``∂ℓ/∂x = w·((1−y)·σ(x) − v·y·σ(−x))``, which is ``σ(x) − y`` without weights; divided as the loss is.

    Args:
        logits: [...] scores of "yes".
        target: [...] in [0, 1], as in `binary_cross_entropy`.
        out: where to write the gradient: an array of the logits' shape and dtype, or the logits themselves.
        weight: w ≥ 0, as in `binary_cross_entropy`.
        pos_weight: v ≥ 0.
        reduction: "mean", "sum" or "none" (the gradient of the sum).
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        backend: a name, or None.

    Returns:
        The loss as `binary_cross_entropy` gives it, and the gradient in the logits' shape and dtype (``out``, where given).

    Raises:
        ShapeError: ``out`` has another shape or dtype; states both.
        ArgumentError: ``out`` is read-only, overlaps itself, or overlaps an argument in part.
        XentError: whatever `binary_cross_entropy` raises.

    Example:
        Certain and wrong is pulled back with full force, where squared error would not feel it.

        >>> import numpy as np
        >>> import xent
        >>> loss, grad = xent.binary_cross_entropy_and_grad(np.array([-20.0, 0.0, 20.0]), [1, 1, 1], reduction="sum")
        >>> print(f"{loss:.4f}", (grad + 0.0).round(4) + 0.0)
        20.6931 [-1.  -0.5  0. ]

    References:
        docs/derivations/sigmoid-cross-entropy.md, sigmoid-squared-error.md.
    """
    array, call = binary(logits, target, weight, pos_weight, reduction, normalizer, empty, backend)
    gradient = gradient_buffer(out, call.inputs, array)
    return call.run((gradient,)), gradient


def mse_loss(
    input: Any,
    target: Any,
    *,
    weight: Any = None,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Loss:
    """Mean squared error, in squared units of the input.

    ``ℓ = w·(x − y)²``

    Args:
        input: [...] predictions x, of any shape, in float16, bfloat16, float32 or float64.
        target: [...] numbers y of the same shape.
        weight: w ≥ 0: a number, one for each place of the last axis, or shaped like the input.
        reduction: "mean" is Σ ℓ / Σ w, over the number of elements without weights; or "sum", "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element (or no weight) is: "nan", "zero", or "raise".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss, float32 (float64 for float64 input): one number, or with "none" one an element. None is ignored.

    Raises:
        ShapeError: target or weights do not fit the input's shape; states both. Nothing is broadcast.
        DTypeError: the input is not floats, or the target no numbers; names the dtype.
        ArgumentError: a weight that is negative or not finite, or an option out of range; holds its value.
        EmptyMeanError: nothing is counted and ``empty="raise"``.
        BackendError: the named backend refuses; holds its reason.

    Example:
        Half the error, a quarter of the loss. A column against a row is an error, not a table of all pairs.

        >>> import numpy as np
        >>> import xent
        >>> print(xent.mse_loss(np.array([1.0, 2.0]), [3.0, 3.0], reduction="none"))
        [4. 1.]
        >>> xent.mse_loss(np.zeros((2, 1)), np.zeros(2))
        Traceback (most recent call last):
        xent._errors.ShapeError: target must have the shape of input, (2, 1); found (2,). xent does not broadcast: ...

    References:
        Gauss, "Theoria motus corporum coelestium", 1809. docs/derivations/gaussian-mse.md.
    """
    return squared(input, target, weight, reduction, normalizer, empty, backend)[1].run(())


def mse_loss_and_grad(
    input: Any,
    target: Any,
    *,
    out: Array | None = None,
    weight: Any = None,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> tuple[Loss, Array]:
    """Mean squared error in squared units of the input, and its derivative by the input, in one visit.

    ``∂ℓ/∂x = 2·w·(x − y)``, divided as the loss is.

    Args:
        input: [...] predictions.
        target: [...] numbers of the same shape.
        out: where to write the gradient: an array of the input's shape and dtype, or the input itself.
        weight: w ≥ 0, as in `mse_loss`.
        reduction: "mean", "sum" or "none" (the gradient of the sum).
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        backend: a name, or None.

    Returns:
        The loss as `mse_loss` gives it, and the gradient in the input's shape and dtype (``out``, where given).

    Raises:
        ShapeError: ``out`` has another shape or dtype; states both.
        ArgumentError: ``out`` is read-only, overlaps itself, or overlaps an argument in part.
        XentError: whatever `mse_loss` raises.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> loss, grad = xent.mse_loss_and_grad(np.array([1.0, 2.0]), [3.0, 3.0])
        >>> print(loss, grad)
        2.5 [-2. -1.]

    References:
        docs/derivations/gaussian-mse.md.
    """
    array, call = squared(input, target, weight, reduction, normalizer, empty, backend)
    gradient = gradient_buffer(out, call.inputs, array)
    return call.run((gradient,)), gradient


def gaussian_nll_loss(
    mean: Any,
    target: Any,
    var: Any,
    *,
    full: bool = False,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Loss:
    """Surprise of a normal density at the target, in nats.

    ``ℓ = ½·(log v + (y − m)²/v)``, and ``+ ½·log 2π`` with ``full``. A density may exceed 1, so the loss may be negative.

    Args:
        mean: [...] means m, of any shape, in float16, bfloat16, float32 or float64.
        target: [...] numbers y of the same shape.
        var: [...] variances v of the same shape, or one number; positive and finite, never clamped.
        full: whether to add the constant ½·log 2π.
        reduction: "mean" is the sum over the number of elements; or "sum", "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 means): one number, or with "none" one an element. None is ignored.

    Raises:
        ArgumentError: a variance that is not positive and finite; names the first such element. Or an option out of range.
        ShapeError: the shapes differ; states both. Nothing is broadcast.
        DTypeError: means are not floats, or another argument holds no numbers; names the dtype.
        EmptyMeanError: there is no element and ``empty="raise"``.
        BackendError: the named backend refuses; holds its reason.

    Example:
        The honest variance is that of the errors: claiming less, or more, costs.

        >>> import numpy as np
        >>> import xent
        >>> m, y = np.zeros(2), np.array([2.0, -2.0])
        >>> print(*(f"{xent.gaussian_nll_loss(m, y, v):.4f}" for v in (1.0, 4.0, 16.0)))
        2.0000 1.1931 1.5113

    References:
        Nix & Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
        docs/derivations/gaussian-mse.md.
    """
    return gaussian(mean, target, var, full, reduction, normalizer, empty, backend)[1].run(())


def gaussian_nll_loss_and_grad(
    mean: Any,
    target: Any,
    var: Any,
    *,
    full: bool = False,
    reduction: Reduction = "mean",
    normalizer: float | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> tuple[Loss, tuple[Array, Array]]:
    """Surprise of a normal density in nats, and its derivatives by mean and variance, in one visit.

    ``∂ℓ/∂m = (m − y)/v`` and ``∂ℓ/∂v = ½·(1 − (y − m)²/v)/v``, divided as the loss is.

    Args:
        mean: [...] means.
        target: [...] numbers of the same shape.
        var: [...] variances of the same shape, or one number, as in `gaussian_nll_loss`.
        full: whether to add the constant ½·log 2π, which has no gradient.
        reduction: "mean", "sum" or "none" (the gradients of the sum).
        normalizer: the denominator of the mean.
        empty: "nan", "zero" or "raise".
        backend: a name, or None.

    Returns:
        The loss as `gaussian_nll_loss` gives it, and the pair (by mean, by variance) of gradients, each in the means' shape
        and dtype.

    Raises:
        XentError: whatever `gaussian_nll_loss` raises.

    Example:
        At a fixed variance v the gradient by the mean is that of squared error, over 2·v.

        >>> import numpy as np
        >>> import xent
        >>> m, y = np.array([1.0, 2.0]), np.array([3.0, 3.0])
        >>> _, (by_mean, by_var) = xent.gaussian_nll_loss_and_grad(m, y, 0.5)
        >>> print(by_mean, xent.mse_loss_and_grad(m, y)[1])
        [-2. -1.] [-2. -1.]

    References:
        docs/derivations/gaussian-mse.md.
    """
    array, call = gaussian(mean, target, var, full, reduction, normalizer, empty, backend)
    gradients = (np.empty(array.shape, array.dtype), np.empty(array.shape, array.dtype))
    return call.run(gradients), gradients
