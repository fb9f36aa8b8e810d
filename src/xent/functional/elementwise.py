"""Losses of one number at a time: binary cross-entropy of logits, squared error, Gaussian likelihood."""

from typing import Any

import numpy as np

from xent._typing import Array, Empty, Reduction
from xent.functional._pointwise_call import binary, gaussian, gradient_buffer, squared
from xent.functional._rows import Loss


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
    """DOC."""
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
    """DOC."""
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
    """DOC."""
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
    """DOC."""
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
    """DOC."""
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
    """DOC."""
    array, call = gaussian(mean, target, var, full, reduction, normalizer, empty, backend)
    gradients = (np.empty(array.shape, array.dtype), np.empty(array.shape, array.dtype))
    return call.run(gradients), gradients
