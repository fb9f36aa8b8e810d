"""Modules for one number at a time. Each is PyTorch's own with another `forward`: the same arguments, state and attributes."""

from typing import Any

from torch import Tensor, nn

from xent._typing import Empty, Reduction
from xent.torch import functional
from xent.torch.modules._extras import Extras


class BCEWithLogitsLoss(Extras, nn.BCEWithLogitsLoss):
    """Surprise of a sigmoid at a yes or no, in nats, in place of `torch.nn.BCEWithLogitsLoss`.

    ``ℓ = w·(v·y·softplus(−x) + (1−y)·softplus(x))``

    Args:
        weight: w ≥ 0, of a shape that expands to the input's; a buffer.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        pos_weight: v ≥ 0, likewise; a buffer.
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call: the loss in nats, as `xent.torch.binary_cross_entropy_with_logits` gives it.

    Raises:
        XentError: as `xent.torch.binary_cross_entropy_with_logits`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(f"{xt.BCEWithLogitsLoss()(torch.zeros(3), torch.ones(3)).item():.4f}")
        0.6931

    References:
        Cox, "The Regression Analysis of Binary Sequences", 1958.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        pos_weight: Tensor | None = None,
        *,
        normalizer: float | None = None,
        empty: Empty = "nan",
        backend: str | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction, pos_weight)
        self.keep(normalizer=normalizer, empty=empty, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of [...] logits at [...] targets."""
        options: Any = {"reduction": self.reduction, "pos_weight": self.pos_weight}
        return functional.binary_cross_entropy_with_logits(input, target, self.weight, **options, **self.extras)


class BCELoss(Extras, nn.BCELoss):
    """Surprise at a yes or no, given its probability, in nats, in place of `torch.nn.BCELoss`.

    ``ℓ = −w·(y·log p + (1−y)·log(1−p))``, not clipped.

    Args:
        weight: w ≥ 0, of a shape that expands to the input's; a buffer.
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call: the loss in nats, as `xent.torch.binary_cross_entropy` gives it.

    Raises:
        XentError: as `xent.torch.binary_cross_entropy`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(f"{xt.BCELoss()(torch.tensor([0.5]), torch.ones(1)).item():.4f}")
        0.6931

    References:
        Good, "Rational Decisions", 1952.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        normalizer: float | None = None,
        empty: Empty = "nan",
        backend: str | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.keep(normalizer=normalizer, empty=empty, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of [...] probabilities at [...] targets."""
        reduction: Any = self.reduction
        return functional.binary_cross_entropy(input, target, self.weight, reduction=reduction, **self.extras)


class KLDivLoss(Extras, nn.KLDivLoss):
    """Kullback-Leibler divergence entry by entry, given log-probabilities, in nats, in place of `torch.nn.KLDivLoss`.

    ``ℓ = y·(log y − x)``

    Args:
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "batchmean", "mean", "sum" or "none".
        log_target: whether the target holds logarithms.
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call: the divergence in nats, as `xent.torch.kl_div` gives it.

    Raises:
        XentError: as `xent.torch.kl_div`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> p = torch.tensor([[0.9, 0.1]])
        >>> print(f"{xt.KLDivLoss(reduction='batchmean')(p.log(), 1 - p).item():.4f}")
        1.7578

    References:
        Kullback & Leibler, "On Information and Sufficiency", 1951.
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
        *,
        normalizer: float | None = None,
        empty: Empty = "nan",
        backend: str | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction, log_target)
        self.keep(normalizer=normalizer, empty=empty, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of [...] targets from [...] log-probabilities."""
        return functional.kl_div(input, target, reduction=self.reduction, log_target=self.log_target, **self.extras)


class MSELoss(Extras, nn.MSELoss):
    """Squared error, in place of `torch.nn.MSELoss`.

    ``ℓ = (x − y)²``

    Args:
        size_average: deprecated by PyTorch; warns.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call: the loss, as `xent.torch.mse_loss` gives it.

    Raises:
        XentError: as `xent.torch.mse_loss`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.MSELoss()(torch.zeros(2), torch.tensor([0.0, 2.0])).item())
        2.0

    References:
        docs/derivations/gaussian-mse.md.
    """

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        normalizer: float | None = None,
        empty: Empty = "nan",
        backend: str | None = None,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.keep(normalizer=normalizer, empty=empty, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of [...] predictions at [...] targets."""
        reduction: Any = self.reduction
        return functional.mse_loss(input, target, reduction=reduction, **self.extras)


class GaussianNLLLoss(Extras, nn.GaussianNLLLoss):
    """Surprise of a Gaussian at the target, in nats, in place of `torch.nn.GaussianNLLLoss`.

    ``ℓ = ½·(log v + (y − x)²/v)``

    Args:
        full: whether to add ``½·log 2π``.
        eps: the least variance.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call with means, targets and variances: the loss in nats, as `xent.torch.gaussian_nll_loss` gives it.

    Raises:
        XentError: as `xent.torch.gaussian_nll_loss`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.GaussianNLLLoss()(torch.zeros(1), torch.ones(1), torch.ones(1)).item())
        0.5

    References:
        Nix & Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
    """

    def __init__(
        self,
        *,
        full: bool = False,
        eps: float = 1e-6,
        reduction: Reduction = "mean",
        normalizer: float | None = None,
        empty: Empty = "nan",
        backend: str | None = None,
    ) -> None:
        super().__init__(full=full, eps=eps, reduction=reduction)
        self.keep(normalizer=normalizer, empty=empty, backend=backend)

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss of [...] means and variances at [...] targets."""
        reduction: Any = self.reduction
        return functional.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=reduction, **self.extras)


class LogSigmoid(nn.LogSigmoid):
    """Logarithm of the probability of "yes", in nats below 0, in place of `torch.nn.LogSigmoid`.

    ``log σ(x) = −log(1 + e^−x)``

    Returns:
        From a call: log-probabilities in the shape and dtype of the input.

    Raises:
        XentError: as `xent.torch.logsigmoid`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(f"{xt.LogSigmoid()(torch.zeros(1)).item():.4f}")
        -0.6931

    References:
        docs/derivations/sigmoid-cross-entropy.md.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities of [...] log-odds."""
        return functional.logsigmoid(input)
