"""Modules for rows of scores. Each is PyTorch's own with another `forward`: the same arguments, state and attributes."""

from typing import Any

from torch import Tensor, nn

from xent._typing import Empty, Reduction, Validate
from xent.torch import functional
from xent.torch.modules._extras import Extras


class CrossEntropyLoss(Extras, nn.CrossEntropyLoss):
    """Surprise of softmax at the target, in nats, in place of `torch.nn.CrossEntropyLoss`.

    ``ℓ = log Σ_j e^x_j − x_target`` for each row. It is `NLLLoss` of `LogSoftmax`.

    Args:
        weight: [C] class weights; a buffer.
        size_average: deprecated by PyTorch; warns.
        ignore_index: the label of rows that do not count.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        label_smoothing: ε in [0, 1].
        z_loss: ζ ≥ 0.
        focal: γ ≥ 0.
        softcap: a bound > 0, or None.
        scale: a factor of the logits.
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is: "nan", "zero" or "raise".
        validate: what to do about targets that are no distributions: "off", "warn" or "raise".
        inplace: write the gradient over the logits.
        return_stats: return `RowStats` as well.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call with input [N, C, ...] and target: the loss in nats, as `xent.torch.cross_entropy` gives it.

    Raises:
        XentError: as `xent.torch.cross_entropy`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> loss = xt.CrossEntropyLoss()(torch.zeros(2, 4), torch.tensor([0, 3]))
        >>> print(f"{loss.item():.4f}")
        1.3863

    References:
        Good, "Rational Decisions", 1952.
    """

    def __init__(
        self,
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
        normalizer: float | None = None,
        empty: Empty = "nan",
        validate: Validate | None = None,
        inplace: bool = False,
        return_stats: bool = False,
        backend: str | None = None,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.keep(z_loss=z_loss, focal=focal, softcap=softcap, scale=scale, normalizer=normalizer, empty=empty)
        self.keep(validate=validate, inplace=inplace, return_stats=return_stats, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Any:
        """The loss of [N, C, ...] logits at the target."""
        options: Any = {"ignore_index": self.ignore_index, "reduction": self.reduction, "label_smoothing": self.label_smoothing}
        return functional.cross_entropy(input, target, self.weight, **options, **self.extras)


class NLLLoss(Extras, nn.NLLLoss):
    """Surprise at the target, given log-probabilities, in nats: `xent.torch.nll_loss` in place of `torch.nn.NLLLoss`.

    ``ℓ = −w·log p_target``

    Args:
        weight: [C] class weights; a buffer.
        size_average: deprecated by PyTorch; warns.
        ignore_index: the label of rows that do not count.
        reduce: deprecated by PyTorch; warns.
        reduction: "mean", "sum" or "none".
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is.
        validate: what to do about numbers above 0: "raise", "warn" or "off".
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call: the loss in nats, as `xent.torch.nll_loss` gives it.

    Raises:
        XentError: as `xent.torch.nll_loss`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> x, y = torch.tensor([[2.0, 1.0]]), torch.tensor([1])
        >>> print(torch.allclose(xt.NLLLoss()(xt.LogSoftmax(dim=1)(x), y), xt.CrossEntropyLoss()(x, y)))
        True

    References:
        Good, "Rational Decisions", 1952.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: Reduction = "mean",
        *,
        normalizer: float | None = None,
        empty: Empty = "nan",
        validate: Validate | None = None,
        backend: str | None = None,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction)
        self.keep(normalizer=normalizer, empty=empty, validate=validate, backend=backend)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of [N, C, ...] log-probabilities at the target."""
        options: Any = {"ignore_index": self.ignore_index, "reduction": self.reduction}
        return functional.nll_loss(input, target, self.weight, **options, **self.extras)


class LogSoftmax(nn.LogSoftmax):
    """Logarithms of softmax probabilities, in nats below 0, in place of `torch.nn.LogSoftmax`.

    ``log p_j = x_j − log Σ_k e^x_k``

    Args:
        dim: the class axis.

    Returns:
        From a call: log-probabilities in the shape and dtype of the input.

    Raises:
        XentError: as `xent.torch.log_softmax`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.LogSoftmax(dim=0)(torch.tensor([1000.0, 0.0])))
        tensor([    0., -1000.])

    References:
        Bridle 1990.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Log-probabilities along the axis."""
        return functional.log_softmax(input, self.dim)


class Softmax(nn.Softmax):
    """Probabilities proportional to ``e^x``, in place of `torch.nn.Softmax`.

    ``p_j = e^x_j / Σ_k e^x_k``

    Args:
        dim: the class axis.

    Returns:
        From a call: probabilities in the shape and dtype of the input.

    Raises:
        XentError: as `xent.torch.softmax`.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> print(xt.Softmax(dim=0)(torch.tensor([2.0, 1.0, 0.0])))
        tensor([0.6652, 0.2447, 0.0900])

    References:
        Bridle 1990.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Probabilities along the axis."""
        return functional.softmax(input, self.dim)
