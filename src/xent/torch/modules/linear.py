"""The classifier head and its loss as one module, which makes no logits."""

import math
from typing import Any

from torch import Tensor, nn

from xent._errors import ArgumentError
from xent._typing import Empty, Reduction, Validate
from xent.torch import functional
from xent.torch.modules._extras import Extras

_PyTorchs: Any = getattr(nn, "LinearCrossEntropyLoss", nn.Module)
"""PyTorch's own class, which versions before 2.13 have not."""


class LinearCrossEntropyLoss(Extras, _PyTorchs):
    """Surprise of softmax at the target, in nats, for hidden states: `linear` and its loss in place of PyTorch's own module.

    ``ℓ = cross_entropy(linear(h), target)``; PyTorch has it as `torch.nn.LinearCrossEntropyLoss` from 2.13 on.

    Args:
        in_features: D, the numbers of a hidden state.
        num_classes: C.
        out_features: (d₁, ...): PyTorch's classifiers of many positions, computed from logits that are stored.
        bias: whether `linear` has one.
        device: where the weights are.
        dtype: of the weights.
        reduction: "mean", "sum" or "none".
        weight: [C] class weights; a buffer.
        ignore_index: the label of rows that do not count.
        label_smoothing: ε in [0, 1].
        options: `torch.nn.LinearCrossEntropyOptions`, of which ``batch_chunk_size`` counts.
        z_loss: ζ ≥ 0.
        focal: γ ≥ 0.
        softcap: a bound > 0, or None.
        scale: a factor of the logits.
        shift: how many positions ahead the target stands.
        tolerance: τ in [0, 1], the probability that a row's gradient may leave out.
        memory_limit: bytes of working memory, or None.
        normalizer: the denominator of the mean.
        empty: what a mean over nothing is: "nan", "zero" or "raise".
        validate: what to do about targets that are no distributions: "off", "warn" or "raise".
        return_stats: return `LinearRowStats` as well.
        backend: the name of a backend, "torch", or None.

    Returns:
        From a call with input [..., D] and target [...]: the loss in nats, as `xent.torch.linear_cross_entropy` gives it.

    Raises:
        XentError: as `xent.torch.linear_cross_entropy`.

    Example:
        The weights of a model's own head, tied embeddings included, are given to the function instead.

        >>> import torch
        >>> import xent.torch as xt
        >>> head = xt.LinearCrossEntropyLoss(8, 1000)
        >>> loss = head(torch.randn(4, 8), torch.tensor([1, 2, 3, -100]))
        >>> loss.backward()
        >>> print(tuple(head.linear.weight.grad.shape))
        (1000, 8)

    References:
        Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", 2025.
    """

    weight: Tensor | None

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: Reduction = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: Any = None,
        z_loss: float = 0.0,
        focal: float = 0.0,
        softcap: float | None = None,
        scale: float = 1.0,
        shift: int = 0,
        tolerance: float = 0.0,
        memory_limit: int | None = None,
        normalizer: float | None = None,
        empty: Empty = "nan",
        validate: Validate | None = None,
        return_stats: bool = False,
        backend: str | None = None,
    ) -> None:
        nn.Module.__init__(self)
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise ArgumentError(
                f"weight must hold one number a class, ({num_classes},)",
                f"found shape {tuple(weight.shape)}",
                f"torch.ones({num_classes}) weighs all classes alike.",
            )
        self.num_classes, self.out_features = num_classes, tuple(out_features)
        self.reduction, self.ignore_index, self.label_smoothing, self.options = reduction, ignore_index, label_smoothing, options
        self.linear = nn.Linear(in_features, math.prod(out_features, start=num_classes), bias=bias, device=device, dtype=dtype)
        self.register_buffer("weight", weight)
        self.keep(z_loss=z_loss, focal=focal, softcap=softcap, scale=scale, shift=shift, tolerance=tolerance)
        self.keep(memory_limit=memory_limit, normalizer=normalizer, empty=empty, validate=validate)
        self.keep(return_stats=return_stats, backend=backend)

    def forward(self, input: Tensor, target: Any) -> Any:
        """The loss of hidden states [..., D] at the target."""
        shape = (self.num_classes, *self.out_features)
        bias = None if self.linear.bias is None else self.linear.bias.reshape(shape)  # pyright: ignore[reportUnnecessaryComparison]
        kept: Any = {"reduction": self.reduction, "ignore_index": self.ignore_index, "label_smoothing": self.label_smoothing}
        return functional.linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=bias,
            weight=self.weight,
            options=self.options,
            **kept,
            **self.extras,
        )
