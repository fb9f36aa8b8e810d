"""Features, read and multiplied a block of rows at a time: dense or sparse, standardised on the way, never copied whole.

N rows, D features, C classes, B rows of a block.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Block: TypeAlias = Any
"""Features (B, D) in float64: an array, or a sparse matrix in rows (CSR) of float64 or float32."""

BLOCK_LOGITS = 2**19
"""Logits of one block fill 4 MiB: they stay in the cache, and N × C is never stored."""
FEWEST_ROWS, MOST_LOGITS = 256, 2**22
"""With many classes a block keeps so many rows, or each of them would wait for all weights, up to 32 MiB of logits."""
MOST_FEATURES = 2**21
"""Features of one block fill 16 MiB at most, where they have to be converted or standardised; so do those of a sparse one."""
PRODUCT = 2**19
"""Numbers of a gradient that are made at once before they are added: 4 MiB."""
SMALL = 2**20
"""So few features (8 MiB) are standardised once, not again with every block that is read."""


class Features:
    """Rows of features (N, D), and the blocks in which they are read."""

    def __init__(self, stored: Any, mean: FloatArray | None = None, scale: FloatArray | None = None) -> None:
        """Keep what is stored, an array or a sparse matrix in rows; with mean and scale, (D,) each, it is standardised."""
        self._stored, self._mean, self._scale = stored, mean, scale
        if stored.shape[0] * stored.shape[1] <= SMALL and not self.sparse:
            self._stored, self._mean = self.block(slice(None)), None

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self._stored.shape

    @property
    def sparse(self) -> bool:
        """Whether only the numbers that are not 0 are stored."""
        return not isinstance(self._stored, np.ndarray)

    def blocks(self, n_classes: int) -> Iterator[slice]:
        """Consecutive slices that cover the rows, each with few enough logits and features."""
        rows, first = block_rows(n_classes, self._stored.shape[1], sparse=self.sparse), 0
        while first < self._stored.shape[0]:
            last = self._last(first, rows)
            yield slice(first, last)
            first = last

    def block(self, rows: slice) -> Block:
        """Features of these rows, standardised; a view where nothing has to change."""
        here = self._stored[rows]
        if self.sparse:
            return here
        here = here.astype(np.float64, copy=False)
        if self._mean is not None:
            here = here - self._mean
            here /= self._scale
        return here

    def _last(self, first: int, rows: int) -> int:
        """Where a block that begins there ends."""
        last = min(first + rows, self._stored.shape[0])
        if self.sparse:
            starts = self._stored.indptr
            last = min(last, int(np.searchsorted(starts, int(starts[first]) + MOST_FEATURES, side="right")) - 1)
        return max(last, first + 1)


def block_rows(n_classes: int, n_features: int, *, sparse: bool) -> int:
    """Rows of a block."""
    most = MOST_LOGITS // n_classes if sparse else min(MOST_LOGITS // n_classes, MOST_FEATURES // max(1, n_features))
    return max(1, min(most, max(FEWEST_ROWS, BLOCK_LOGITS // n_classes)))


def logits_into(out: FloatArray, block: Block, coef: FloatArray, intercept: FloatArray) -> FloatArray:
    """``x Wᵀ + b`` of a block's rows into out (B, C), which is returned."""
    if isinstance(block, np.ndarray):
        np.matmul(block, coef.T, out=out)
    else:
        for classes in _pieces(coef):
            out[:, classes] = block @ coef[classes].T
    return np.add(out, intercept, out=out)


def add_gradient(gradient: FloatArray, by_logits: FloatArray, block: Block, weights: FloatArray) -> None:
    """``W' += Gᵀ (v · x)``, a piece at a time, of d loss / d logits G (B, C), which may be overwritten, and row weights v."""
    if isinstance(block, np.ndarray) and block.shape[1] < by_logits.shape[1]:
        block = block * weights[:, None]
    else:
        np.multiply(by_logits, weights[:, None], out=by_logits)
    for classes in _pieces(gradient):
        gradient[classes] += (block.T @ by_logits[:, classes]).T


def _pieces(coef: FloatArray) -> Iterator[slice]:
    """Consecutive classes whose weights are few."""
    step = max(1, PRODUCT // max(1, coef.shape[1]))
    return (slice(first, first + step) for first in range(0, len(coef), step))
