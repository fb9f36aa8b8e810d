"""Binary cross-entropy of a logit x and a target y in [0, 1], without ever taking a sigmoid's logarithm.

With ``softplus(x) = log(1 + e^x)``: ``−log σ(x) = softplus(−x)`` and ``−log(1 − σ(x)) = softplus(x)``, so the loss is
``positive·y·softplus(−x) + (1−y)·softplus(x)``: no term is negative, none cancels. docs/derivations/sigmoid-cross-entropy.md.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xent._typing import Floats


@dataclass(frozen=True, slots=True)
class PointwiseLoss:
    """A value and its derivatives, elementwise; the name by which backends may know a compiled form."""

    name: str
    value: Callable[..., Floats]
    derivatives: Callable[..., tuple[Floats, ...]]


def sigmoid(x: Floats) -> Floats:
    """``1 / (1 + e^−x)``, from the side on which the exponential is at most 1."""
    small = np.exp(-np.abs(x))
    return np.where(x < 0.0, small, 1.0) / (1.0 + small)


def sigmoid_slope(x: Floats) -> tuple[Floats]:
    """``σ·(1 − σ)``."""
    return (sigmoid(x) * sigmoid(-x),)


def softplus(x: Floats) -> Floats:
    """``log(1 + e^x) = max(x, 0) + log1p(e^−|x|)``."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def log_sigmoid(x: Floats) -> Floats:
    """``−softplus(−x)``."""
    return -softplus(-x)


def log_sigmoid_slope(x: Floats) -> tuple[Floats]:
    """``σ(−x)``."""
    return (sigmoid(-x),)


def times(weight: Floats | float, value: Floats) -> Floats:
    """``weight · value`` in which weight 0 gives 0, whatever the value: what counts nothing says nothing."""
    return np.where(np.equal(weight, 0.0), 0.0, weight * value)


def binary_cross_entropy(x: Floats, y: Floats, weight: Floats | float = 1.0, positive: Floats | float = 1.0) -> Floats:
    """``w·(positive·y·softplus(−x) + (1−y)·softplus(x))`` in nats; 0 · inf is 0."""
    yes = times(positive * y, softplus(-x))
    return times(weight, yes + times(1.0 - y, softplus(x)))


def binary_cross_entropy_slope(
    x: Floats, y: Floats, weight: Floats | float = 1.0, positive: Floats | float = 1.0
) -> tuple[Floats]:
    """``w·((1−y)·σ(x) − positive·y·σ(−x))``, which is ``σ(x) − y`` without weights."""
    return (times(weight, times(1.0 - y, sigmoid(x)) - times(positive * y, sigmoid(-x))),)


def binary_log_loss(p: Floats, y: Floats, weight: Floats | float = 1.0) -> Floats:
    """``−w·(y·log p + (1−y)·log(1 − p))`` in nats; 0 · inf is 0, and nothing is clipped."""
    with np.errstate(divide="ignore"):
        return times(weight, times(y, 0.0 - np.log(p)) + times(1.0 - y, 0.0 - np.log1p(-p)))


def binary_log_loss_slope(p: Floats, y: Floats, weight: Floats | float = 1.0) -> tuple[Floats]:
    """``w·((1−y)/(1−p) − y/p)``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (times(weight, times(1.0 - y, 1.0 / (1.0 - p)) - times(y, 1.0 / p)),)


BINARY_CROSS_ENTROPY = PointwiseLoss("binary_cross_entropy", binary_cross_entropy, binary_cross_entropy_slope)
BINARY_LOG_LOSS = PointwiseLoss("binary_log_loss", binary_log_loss, binary_log_loss_slope)
SIGMOID = PointwiseLoss("sigmoid", sigmoid, sigmoid_slope)
LOG_SIGMOID = PointwiseLoss("log_sigmoid", log_sigmoid, log_sigmoid_slope)
