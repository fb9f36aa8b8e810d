"""How often each class was taken for each other: counts of the pairs that occur."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xent.kernels import tally

Integers = npt.NDArray[np.int64]

MOST_PAIRS = 1 << 18
"""With more pairs than so many nothing is kept: any part would depend on the order of rows."""


class Confusion:
    """Counts of rows by target and prediction; sorted, and left out once there are too many kinds of pair."""

    __slots__ = ("counts", "full", "pairs")

    def __init__(self, pairs: Integers | None = None, counts: Integers | None = None, *, full: bool = False) -> None:
        """Nothing yet, or these pairs ``target·C + predicted`` in ascending order."""
        self.pairs = np.zeros(0, np.int64) if pairs is None else pairs
        self.counts = np.zeros(0, np.int64) if counts is None else counts
        self.full = full

    @classmethod
    def of(cls, target: Integers, predicted: Integers, n_classes: int) -> Confusion:
        """Of rows."""
        pairs = target * n_classes + predicted
        if n_classes**2 > MOST_PAIRS:
            return cls(*np.unique(pairs, return_counts=True))._bounded()
        counts = tally.count(pairs, None, n_classes**2)
        held = np.flatnonzero(counts)
        return cls(held, counts[held])

    def merged(self, other: Confusion) -> Confusion:
        """The counts of both."""
        if self.full or other.full:
            return Confusion(full=True)
        pairs, place = np.unique(np.concatenate([self.pairs, other.pairs]), return_inverse=True)
        counts = np.zeros(len(pairs), np.int64)
        np.add.at(counts, place, np.concatenate([self.counts, other.counts]))
        return Confusion(pairs, counts)._bounded()

    def _bounded(self) -> Confusion:
        return Confusion(full=True) if len(self.pairs) > MOST_PAIRS else self
