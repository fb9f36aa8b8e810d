"""Losses of rows of scores: cross-entropy, negative log-likelihood, and softmax itself."""

from typing import Any

import torch
from torch import Tensor

from xent._typing import Empty, Reduction, Validate
from xent.torch._arguments import is_tensor, reduction_of, softmax_dim
from xent.torch._call import normalised, run, run_in_place
from xent.torch._cross_entropy import CrossEntropy, WithStatistics
from xent.torch._nll import NLL
from xent.torch._softmax import Softmax
from xent.torch._statistics import RowStats


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    *,
    z_loss: float = 0.0,
    focal: float = 0.0,
    softcap: float | None = None,
    scale: float = 1.0,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    validate: Validate = "off",
    inplace: bool = False,
    return_stats: bool = False,
    backend: str | None = None,
) -> Any:
    """Surprise of softmax at the target, given logits, in nats; as `torch.nn.functional.cross_entropy`.

    With ``z = softcap·tanh(scale·x / softcap)`` (``scale·x`` without a cap), ``lse = log Σ_j e^z_j`` and
    ``s = Σ_j T_j·(lse − z_j)``, the loss of a row is::

        ℓ = w·((1−ε)·(1−e^−s)^γ·s + ζ·lse²) + ε·Σ_j (w_j/C)·(lse − z_j)

    Args:
        input: [N, C, ...] or [C] logits in float16, bfloat16, float32 or float64: classes on axis 1.
        target: [N, ...] class indices of any integer dtype, or floats shaped like the input: a distribution for each row.
        weight: [C] class weights, finite and ≥ 0.
        size_average: deprecated by PyTorch; warns.
        ignore_index: the label of rows that do not count, whatever they hold.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean" is Σ ℓ / Σ w over counted rows for class indices, Σ ℓ / N for probabilities; or "sum", "none".
        label_smoothing: ε in [0, 1], the share of the target that is spread evenly over the classes.
        z_loss: ζ ≥ 0, what lse² costs.
        focal: γ ≥ 0; the greater, the less a row counts that is right already.
        softcap: the bound > 0 that no z passes, or None.
        scale: a factor of the logits, one over the temperature.
        normalizer: the denominator of the mean, > 0, in place of Σ w or N; a number, or a tensor that holds one.
        empty: what a mean over no counted row is: "nan" (as PyTorch), "zero", or "raise" (NaN where nothing can be read, as
            under `torch.func`).
        validate: what to do about target rows that are no distribution: "off" (as PyTorch), "warn", or "raise".
        inplace: write the gradient over the input's memory, which saves a tensor of its size. This call does it, not the
            backward pass: read accuracy or penalties from the logits before.
        return_stats: return the `RowStats` of the rows as well.
        backend: the name of a backend, "torch" for the formula in torch operators, or None for the first that serves.

    Returns:
        The loss in nats, float32 (float64 for float64 input): one number, or with "none" one a row, shaped like the target
        of indices. Ignored rows are exactly 0; a row with NaN, +inf or only −inf is NaN and alters no other.
        With ``return_stats`` the loss and a `RowStats`.

    Raises:
        LabelError: a label outside [0, C); an IndexError that names the first such row, its label, and the likely cause.
        ShapeError: the target fits neither meaning; a ValueError that holds both shapes and the line that mends it.
        DTypeError: integers of the input's shape, or floats where labels belong; a TypeError.
        ArgumentError: a weight that is negative or not finite, an option out of range, or ``inplace`` where autograd would
            be wrong; says why.
        EmptyMeanError: nothing is counted and ``empty="raise"``.
        BackendError: the named backend refuses; holds its reason.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> logits = torch.tensor([[2.0, 1.0, 0.1], [0.5, 2.5, 0.3]], requires_grad=True)
        >>> loss = xt.cross_entropy(logits, torch.tensor([0, 1]))
        >>> loss.backward()
        >>> print(f"{loss.item():.4f}", logits.grad.numpy().round(4)[0])
        0.3185 [-0.1705  0.1212  0.0493]

    References:
        Good, "Rational Decisions", 1952; Szegedy et al. 2016 (smoothing); Lin et al. 2017 (focal); Chowdhery et al. 2022
        (z-loss). docs/derivations/softmax-cross-entropy.md and its neighbours.
    """
    meant = reduction_of(reduction, size_average, reduce)
    tensors = (is_tensor(input, "input"), is_tensor(target, "target"), None if weight is None else is_tensor(weight, "weight"))
    meant, number, divide = normalised(meant, normalizer)
    row = (ignore_index, label_smoothing, z_loss, focal, softcap, scale)
    work = CrossEntropy(*row, meant, number, empty, validate, backend)
    if inplace:
        return divide(run_in_place(work, tensors, return_stats))
    if not return_stats:
        return divide(run(work, tensors))
    loss, *rows = run(WithStatistics(work), tensors)
    return divide(loss), RowStats(*rows)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: Reduction = "mean",
    *,
    normalizer: float | Tensor | None = None,
    empty: Empty = "nan",
    validate: Validate = "raise",
    backend: str | None = None,
) -> Tensor:
    """Surprise at the target, given log-probabilities, in nats; as `torch.nn.functional.nll_loss`.

    ``ℓ = −w·log p_target``; of `log_softmax` it is `cross_entropy`.

    Args:
        input: [N, C, ...] or [C] log-probabilities.
        target: [N, ...] class indices of any integer dtype.
        weight: [C] class weights, finite and ≥ 0.
        size_average: deprecated by PyTorch; warns.
        ignore_index: the label of rows that do not count.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean" is Σ ℓ / Σ w over counted rows; or "sum", "none".
        normalizer: the denominator of the mean, > 0, in place of Σ w.
        empty: what a mean over no counted row is: "nan", "zero", or "raise".
        validate: what to do about numbers above 0, which are no log-probabilities: "raise", "warn", or "off" (as PyTorch).
        backend: the name of a backend, "torch", or None.

    Returns:
        The loss in nats, float32 (float64 for float64 input); ignored rows are exactly 0.

    Raises:
        DistributionError: a number above 0; names the row. Logits belong to `cross_entropy`.
        XentError: as `cross_entropy`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> log_probs = xt.log_softmax(torch.tensor([[2.0, 1.0, 0.1]]), 1)
        >>> print(f"{xt.nll_loss(log_probs, torch.tensor([0])).item():.4f}")
        0.4170

    References:
        Good, "Rational Decisions", 1952.
    """
    meant, number, divide = normalised(reduction_of(reduction, size_average, reduce), normalizer)
    tensors = (is_tensor(input, "input"), is_tensor(target, "target"), None if weight is None else is_tensor(weight, "weight"))
    return divide(run(NLL(ignore_index, meant, number, empty, validate, backend), tensors))


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None, *, backend: str | None = None
) -> Tensor:
    """Logarithms of softmax probabilities, in nats below 0; as `torch.nn.functional.log_softmax`.

    ``log p_j = x_j − log Σ_k e^x_k``

    Args:
        input: [...] scores in float16, bfloat16, float32 or float64.
        dim: the class axis; leaving it out is deprecated by PyTorch and warns.
        _stacklevel: not used.
        dtype: the input is taken in this dtype first.
        backend: the name of a backend, "torch", or None.

    Returns:
        Log-probabilities in the shape and dtype of the input. A row with NaN, +inf or only −inf is NaN and alters no other.

    Raises:
        AxisError: there is no such axis; an IndexError.
        DTypeError: the input is not floats; a TypeError.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.log_softmax(torch.tensor([1000.0, 0.0]), 0))
        tensor([    0., -1000.])

    References:
        Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
    x = is_tensor(input, "input") if dtype is None else is_tensor(input, "input").to(dtype)
    return run(Softmax(softmax_dim(dim, x.ndim, "log_softmax"), True, backend), (x,))


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: torch.dtype | None = None, *, backend: str | None = None
) -> Tensor:
    """Probabilities (no unit) proportional to ``e^x`` along one axis; as `torch.nn.functional.softmax`.

    ``p_j = e^x_j / Σ_k e^x_k``

    Args:
        input: [...] scores in float16, bfloat16, float32 or float64.
        dim: the class axis; leaving it out is deprecated by PyTorch and warns.
        _stacklevel: not used.
        dtype: the input is taken in this dtype first.
        backend: the name of a backend, "torch", or None.

    Returns:
        Probabilities in the shape and dtype of the input. A row with NaN, +inf or only −inf is NaN and alters no other.

    Raises:
        AxisError: there is no such axis; an IndexError.
        DTypeError: the input is not floats; a TypeError.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.softmax(torch.tensor([2.0, 1.0, 0.0]), 0))
        tensor([0.6652, 0.2447, 0.0900])

    References:
        Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    x = is_tensor(input, "input") if dtype is None else is_tensor(input, "input").to(dtype)
    return run(Softmax(softmax_dim(dim, x.ndim, "softmax"), False, backend), (x,))
