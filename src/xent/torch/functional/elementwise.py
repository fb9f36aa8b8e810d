"""Losses of one number at a time: binary cross-entropy, divergence, squared error, Gaussian likelihood."""

import torch
from torch import Tensor

from xent._check import options
from xent._errors import ShapeError
from xent._typing import Empty, Reduction
from xent.losses.regression import HALF_LOG_TWO_PI
from xent.torch._arguments import check_same_shape, is_tensor, reduction_of
from xent.torch._call import normalised, run
from xent.torch._pointwise import PointwiseLoss
from xent.torch._softmax import LogSigmoid


def logsigmoid(input: Tensor, *, backend: str | None = None) -> Tensor:
    """Logarithm of the probability of "yes", in nats below 0; as `torch.nn.functional.logsigmoid`.

    ``log σ(x) = −log(1 + e^−x)``, elementwise, exact where the probability underflows or rounds to 1.

    Args:
        input: [...] log-odds.
        backend: the name of a backend, "torch", or None.

    Returns:
        Log-probabilities in the shape and dtype of the input.

    Raises:
        DTypeError: the input is not floats; a TypeError.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.logsigmoid(torch.tensor([-1000.0, 0.0])))
        tensor([-1.0000e+03, -6.9315e-01])

    References:
        docs/derivations/sigmoid-cross-entropy.md.
    """
    return run(LogSigmoid(backend), (is_tensor(input, "input"),))


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    pos_weight: Tensor | None = None,
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Tensor:
    """Surprise of a sigmoid at a yes or no, in nats; as `torch.nn.functional.binary_cross_entropy_with_logits`.

    ``ℓ = w·(v·y·softplus(−x) + (1−y)·softplus(x))`` with ``softplus(x) = log(1 + e^x)`` and v the positive weight.

    Args:
        input: [...] scores x of "yes".
        target: [...] of the same shape: 0 and 1, bool, or probabilities of "yes" in [0, 1].
        weight: w ≥ 0, of a shape that expands to the input's.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean" is the sum over the number of elements, whatever their weights; or "sum", "none".
        pos_weight: v ≥ 0, of a shape that expands to the input's; what "yes" counts beside "no".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, "torch", or None.

    Returns:
        The loss in nats, float32 (float64 for float64 input): one number, or with "none" one an element.

    Raises:
        DistributionError: a target outside [0, 1]; a ValueError that names the first such element and what it looks like.
        ShapeError: target or weights do not fit the input's shape; a ValueError.
        ArgumentError: a weight that is negative or not finite, or an option out of range.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(f"{xt.binary_cross_entropy_with_logits(torch.zeros(1), torch.ones(1)).item():.4f}")
        0.6931

    References:
        Cox, "The Regression Analysis of Binary Sequences", 1958. docs/derivations/sigmoid-cross-entropy.md.
    """
    x, y = is_tensor(input, "input"), is_tensor(target, "target")
    meant, number, divide = normalised(reduction_of(reduction, size_average, reduce), normalizer)
    weights = (_expanded(weight, x, "weight"), _expanded(pos_weight, x, "pos_weight"))
    return divide(run(PointwiseLoss("binary_cross_entropy", meant, number, empty, backend=backend), (x, y, *weights)))


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Tensor:
    """Surprise at a yes or no, given its probability, in nats; as `torch.nn.functional.binary_cross_entropy`.

    ``ℓ = −w·(y·log p + (1−y)·log(1−p))``. A probability of 0 or 1 that is wrong costs infinity: PyTorch clips it to 100.

    Args:
        input: [...] probabilities p of "yes", in [0, 1].
        target: [...] of the same shape: 0 and 1, bool, or probabilities in [0, 1].
        weight: w ≥ 0, of a shape that expands to the input's.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, "torch", or None.

    Returns:
        The loss in nats, float32 (float64 for float64 input).

    Raises:
        DistributionError: input or target outside [0, 1]; a ValueError that names the first such element.
        ShapeError: target or weight do not fit the input's shape; a ValueError.
        ArgumentError: a weight that is negative or not finite, or an option out of range.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(f"{xt.binary_cross_entropy(torch.tensor([0.5]), torch.ones(1)).item():.4f}")
        0.6931

    References:
        Good, "Rational Decisions", 1952. docs/derivations/bernoulli-likelihood.md.
    """
    x, y = is_tensor(input, "input"), is_tensor(target, "target")
    meant, number, divide = normalised(reduction_of(reduction, size_average, reduce), normalizer)
    work = PointwiseLoss("binary_log_loss", meant, number, empty, backend=backend)
    return divide(run(work, (x, y, _expanded(weight, x, "weight"))))


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Tensor:
    """Kullback-Leibler divergence entry by entry, given log-probabilities, in nats; as `torch.nn.functional.kl_div`.

    ``ℓ = y·(log y − x)`` for each entry; 0 where y is 0. Summed over a row it is KL(y ‖ e^x).

    Args:
        input: [...] log-probabilities x.
        target: [...] of the same shape: probabilities y, or their logarithms.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "batchmean" divides by the length of the first axis, which is the mean divergence of rows; "mean" by the
            number of entries; or "sum", "none".
        log_target: whether the target holds logarithms.
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no entry is: "nan", "zero", or "raise".
        backend: the name of a backend, "torch", or None.

    Returns:
        The divergence in nats, float32 (float64 for float64 input).

    Raises:
        ShapeError: the target has another shape; a ValueError.
        ArgumentError: an option out of range.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> log_probs = torch.tensor([[0.5, 0.5]]).log()
        >>> print(f"{xt.kl_div(log_probs, torch.tensor([[0.9, 0.1]]), reduction='batchmean').item():.4f}")
        0.3681

    References:
        Kullback & Leibler, "On Information and Sufficiency", 1951.
    """
    x, y = is_tensor(input, "input"), is_tensor(target, "target")
    meant = reduction_of(reduction, size_average, reduce, "batchmean")
    if meant == "batchmean" and normalizer is None and x.ndim and x.shape[0]:
        return kl_div(x, y, reduction="sum", log_target=log_target, backend=backend) / x.shape[0]
    if meant == "batchmean":
        meant = "mean" if x.ndim else "sum"
    meant, number, divide = normalised(meant, normalizer)
    name = "log_divergence" if log_target else "divergence"
    return divide(run(PointwiseLoss(name, meant, number, empty, backend=backend), (x, y)))


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Tensor:
    """Squared error, in squared units of the input; as `torch.nn.functional.mse_loss`, but for its broadcasting.

    ``ℓ = w·(x − y)²``

    Args:
        input: [...] predictions x.
        target: [...] of the same shape.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean" divides by Σ w, or by the number of elements; or "sum", "none".
        weight: [...] w ≥ 0, of the same shape.
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, "torch", or None.

    Returns:
        The loss, float32 (float64 for float64 input).

    Raises:
        ShapeError: target or weight have another shape; a ValueError.
        ArgumentError: a weight that is negative or not finite, or an option out of range.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.mse_loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])).item())
        2.0

    References:
        Gauss 1809. docs/derivations/gaussian-mse.md.
    """
    x, y = is_tensor(input, "input"), is_tensor(target, "target")
    meant, number, divide = normalised(reduction_of(reduction, size_average, reduce), normalizer)
    work = PointwiseLoss("squared_error", meant, number, empty, weight_in_mean=weight is not None, backend=backend)
    if weight is not None:
        check_same_shape(x, is_tensor(weight, "weight"), "weight")
    return divide(run(work, (x, y, weight)))


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: Reduction = "mean",
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    backend: str | None = None,
) -> Tensor:
    """Surprise of a Gaussian at the target, in nats; as `torch.nn.functional.gaussian_nll_loss`.

    ``ℓ = ½·(log v + (y − x)²/v)``, and ``½·log 2π`` where ``full``; v is the variance, raised to eps where it is less.

    Args:
        input: [...] means x.
        target: [...] of the same shape.
        var: variances ≥ 0: shaped like the input, with a last axis of 1 or without it, or one number.
        full: whether to add the constant.
        eps: the least variance, > 0; gradients pass as if nothing had been raised.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean, > 0.
        empty: what a mean over no element is: "nan", "zero", or "raise".
        backend: the name of a backend, "torch", or None.

    Returns:
        The loss in nats, float32 (float64 for float64 input).

    Raises:
        ShapeError: target or variance do not fit the input's shape; a ValueError.
        ArgumentError: a variance below 0, or an option out of range.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.gaussian_nll_loss(torch.zeros(1), torch.ones(1), torch.ones(1)).item())
        0.5

    References:
        Nix & Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
        docs/derivations/gaussian-mse.md.
    """
    x, y = is_tensor(input, "input"), is_tensor(target, "target")
    meant, number, divide = normalised(reduction_of(reduction, None, None), normalizer)
    spread = _variance(var, x)
    constant, floor = HALF_LOG_TWO_PI if full else 0.0, options.number(eps, "eps", 0.0, open_low=True)
    work = PointwiseLoss("gaussian_nll", meant, number, empty, constant, floor=floor, backend=backend)
    return divide(run(work, (x, y, spread)))


def _expanded(weight: Tensor | None, x: Tensor, name: str) -> Tensor | None:
    """Shaped like the input, or like its last axis; PyTorch defines these weights as expanding."""
    if weight is None or is_tensor(weight, name).shape in (x.shape, x.shape[-1:]):
        return weight
    if weight.ndim <= x.ndim and all(b in (a, 1) for a, b in zip(x.shape[::-1], weight.shape[::-1], strict=False)):
        return weight.expand_as(x)
    raise ShapeError(
        f"{name} must expand to the shape of input, {tuple(x.shape)}",
        f"found {tuple(weight.shape)}",
        "Weights line up with the last axes; an axis of length 1 is repeated.",
    )


def _variance(var: Tensor | float, x: Tensor) -> Tensor:
    """Shaped like the input."""
    if not isinstance(var, Tensor):
        var = torch.full_like(x, options.number(var, "var", 0.0))
    spread = is_tensor(var, "var")
    if spread.shape == x.shape[:-1] and spread.shape != x.shape:
        spread = spread.unsqueeze(-1)
    alike = spread.ndim == x.ndim and all(b in (a, 1) for a, b in zip(x.shape, spread.shape, strict=True))
    if not alike or sum(a != b for a, b in zip(x.shape, spread.shape, strict=True)) > 1:
        raise ShapeError(
            f"var must have the shape of input, {tuple(x.shape)}",
            f"found {tuple(var.shape)}",
            "One number a row is shaped (..., 1), or has no last axis.",
        )
    return spread.expand_as(x)
