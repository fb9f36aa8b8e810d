"""Losses of numbers that are probabilities already: the surprisal of each entry, and its derivative."""

from dataclasses import dataclass

import numpy as np

from xent._typing import Floats


@dataclass(frozen=True, slots=True)
class FromLogProbs:
    """``−log p`` where log p is given."""

    def surprisal(self, log_probs: Floats) -> Floats:
        """``−log_probs``, in nats."""
        return 0.0 - log_probs

    def slope(self, log_probs: Floats) -> Floats:
        """``−1``."""
        return np.full_like(log_probs, -1.0)


@dataclass(frozen=True, slots=True)
class FromProbs:
    """``−log p`` where p is given; a probability of 0 is an infinite surprise, never clipped."""

    def surprisal(self, probs: Floats) -> Floats:
        """``−log p``, in nats."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return 0.0 - np.log(probs)

    def slope(self, probs: Floats) -> Floats:
        """``−1/p``."""
        with np.errstate(divide="ignore", over="ignore"):
            return -1.0 / probs
