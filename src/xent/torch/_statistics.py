"""What `cross_entropy(..., return_stats=True)` says of each row beside the loss."""

from typing import NamedTuple

from torch import Tensor

from xent._check.options import is_whole
from xent._errors import ArgumentError


class RowStats(NamedTuple):
    """Per-row values, each shaped like the rows; all but `rank` can be differentiated."""

    lse: Tensor
    """``log Σ_j e^z_j`` in nats; 0 at ignored rows."""
    log_prob: Tensor
    """``log p`` of the target, at most 0, in nats; for probability targets ``Σ_j T_j·log p_j``; 0 at ignored rows."""
    entropy: Tensor
    """``−Σ_j p_j·log p_j`` in nats; 0 at ignored rows."""
    rank: Tensor
    """How many classes score above the target: 0 is a hit; C in rows that are NaN, −1 where there is no label."""

    def top_k(self, k: int = 1) -> Tensor:
        """Share of the labelled rows whose target is among the k best.

        Args:
            k: how many guesses count, at least 1.

        Returns:
            One number in [0, 1]; NaN where no row has a label.

        Raises:
            ArgumentError: k is no whole number of at least 1.

        Example:
            >>> import torch
            >>> import xent.torch as xt
            >>> logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
            >>> _, stats = xt.cross_entropy(logits, torch.tensor([0, 1]), return_stats=True)
            >>> print(stats.top_k(1).item(), stats.top_k(2).item())
            0.5 1.0
        """
        if not is_whole(k) or k < 1:
            raise ArgumentError("k must be a whole number of at least 1", f"found {k!r}", "1 counts the best guess alone.")
        labelled = self.rank >= 0
        return (labelled & (self.rank < k)).sum() / labelled.sum()


class LinearRowStats(NamedTuple):
    """What a linear loss says of each row, as `RowStats`, and what a tolerance dropped; the first three can be differentiated."""

    lse: Tensor
    """``log Σ_j e^z_j`` in nats; 0 at ignored rows."""
    log_prob: Tensor
    """``log p`` of the target, at most 0, in nats; for probability targets ``Σ_j T_j·log p_j``; 0 at ignored rows."""
    entropy: Tensor
    """``−Σ_j p_j·log p_j`` in nats; 0 at ignored rows."""
    rank: Tensor
    """How many classes score above the target: 0 is a hit; C in rows that are NaN, −1 where there is no label."""
    dropped: Tensor
    """Probability that ``tolerance`` leaves out of the gradient; 0 where it leaves out nothing."""

    def top_k(self, k: int = 1) -> Tensor:
        """Share of the labelled rows whose target is among the k best, as `RowStats.top_k`.

        Args:
            k: how many guesses count, at least 1.

        Returns:
            One number in [0, 1]; NaN where no row has a label.

        Raises:
            ArgumentError: k is no whole number of at least 1.

        Example:
            >>> import torch
            >>> import xent.torch as xt
            >>> head, target = torch.eye(3), torch.tensor([0, 1])
            >>> _, stats = xt.linear_cross_entropy(torch.tensor([[3.0, 2, 1], [3, 2, 1]]), head, target, return_stats=True)
            >>> print(stats.top_k(1).item(), stats.top_k(2).item())
            0.5 1.0
        """
        return RowStats(*self[:4]).top_k(k)
