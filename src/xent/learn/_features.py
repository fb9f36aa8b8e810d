"""Features, read a block of rows at a time and multiplied with weights: dense or sparse, never copied whole.

N rows, D features, C classes, B rows of a block. Weights (C, E) hold the intercept as their last column where there is one:
E = D + 1, and x has a 1 appended; else E = D.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xent.learn._threads import Team, alone, pieces_of

FloatArray = npt.NDArray[np.float64]
Block: TypeAlias = Any
"""Rows to multiply and to overwrite: an array (B, E) in float64, or a sparse matrix in rows (B, D)."""

BLOCK_LOGITS = 2**19
"""Logits of one block fill 4 MiB: they stay in the cache, and N × C is never stored."""
FEWEST_ROWS, MOST_LOGITS = 512, 2**22
"""With many classes a block keeps so many rows, or each of them would wait for all weights, up to 32 MiB of logits."""
MOST_FEATURES = 2**20
"""Numbers of the features in one block: 8 MiB, or 12 where they are sparse."""
PRODUCT = 2**18
"""Numbers of a gradient that a thread makes at once before they are added: 2 MiB."""
SMALL_GRADIENT = 2**17
"""A smaller one is summed from pieces of rows, which are longer than those of few classes: 1 MiB each."""


class Features:
    """Rows of features (N, D), and the blocks in which they are read."""

    def __init__(self, stored: Any, mean: FloatArray | None = None, scale: FloatArray | None = None) -> None:
        """Keep an array, or a sparse matrix in rows; it is standardised where there are mean and scale, (D,) each."""
        self._stored, self._mean, self._scale = stored, mean, scale

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self._stored.shape

    def blocks(self, n_classes: int) -> list[slice]:
        """Consecutive slices that cover the rows, each with few enough logits and features."""
        return list(self._blocks(block_rows(n_classes, 1 if self._sparse else self.shape[1])))

    def block(self, rows: slice, *, constant: bool) -> Block:
        """Features of these rows, standardised; a copy. An array has the constant 1 appended where there is an intercept."""
        here = self._stored[rows]
        if self._sparse:
            return here
        block = np.empty((here.shape[0], here.shape[1] + constant))
        features = block[:, : here.shape[1]]
        if self._mean is None or self._scale is None:
            features[...] = here
        else:
            np.subtract(here, self._mean, out=features)
            features /= self._scale
        block[:, here.shape[1] :] = 1.0
        return block

    @property
    def _sparse(self) -> bool:
        return not isinstance(self._stored, np.ndarray)

    def _blocks(self, most: int) -> Iterator[slice]:
        first = 0
        while first < self.shape[0]:
            last = min(first + most, self.shape[0])
            if self._sparse:
                starts = self._stored.indptr
                last = min(last, int(np.searchsorted(starts, int(starts[first]) + MOST_FEATURES, side="right")) - 1)
            yield slice(first, max(last, first + 1))
            first = max(last, first + 1)


def block_rows(n_classes: int, n_features: int) -> int:
    """Rows of a block."""
    most = min(MOST_LOGITS // n_classes, MOST_FEATURES // max(1, n_features))
    return max(1, min(most, max(FEWEST_ROWS, BLOCK_LOGITS // n_classes)))


def logits_into(out: FloatArray, block: Block, weights: FloatArray, team: Team = alone) -> FloatArray:
    """``x Wᵀ + b`` of a block's rows into out (B, C), which is returned."""

    def dense(rows: slice) -> None:
        np.matmul(block[rows], weights.T, out=out[rows])

    def sparse(classes: slice) -> None:
        width = block.shape[1]
        np.add(block @ weights[classes, :width].T, weights[classes, width:].sum(axis=1), out=out[:, classes])

    if isinstance(block, np.ndarray):
        team(dense, pieces_of(len(out)))
    else:
        team(sparse, _class_pieces(weights))
    return out


def add_gradient(gradient: FloatArray, by_logits: FloatArray, block: Block, row_weights: FloatArray, team: Team = alone) -> None:
    """``W' += Gᵀ (v · x)`` for d loss / d logits G (B, C) and row weights v; the block, or G, is overwritten."""
    if not isinstance(block, np.ndarray):
        _add_sparse(gradient, by_logits, block, row_weights, team)
        return
    weighted = _weighted(block, row_weights)
    if gradient.size > SMALL_GRADIENT:

        def by_classes(classes: slice) -> None:
            gradient[classes] += by_logits[:, classes].T @ weighted

        team(by_classes, _class_pieces(gradient))
        return
    parts: dict[int, FloatArray] = {}

    def by_rows(rows: slice) -> None:
        parts[rows.start] = by_logits[rows].T @ weighted[rows]

    team(by_rows, pieces_of(len(by_logits)))
    for first in sorted(parts):
        gradient += parts[first]


def _weighted(block: Block, row_weights: FloatArray) -> FloatArray:
    block *= row_weights[:, None]
    return block


def _add_sparse(gradient: FloatArray, by_logits: FloatArray, block: Block, row_weights: FloatArray, team: Team) -> None:
    by_logits *= row_weights[:, None]
    columns, width = block.T, block.shape[1]

    def work(classes: slice) -> None:
        gradient[classes, :width] += (columns @ by_logits[:, classes]).T
        gradient[classes, width:] += by_logits[:, classes].sum(axis=0)[:, None]

    team(work, _class_pieces(gradient))


def _class_pieces(weights: FloatArray) -> list[slice]:
    """Consecutive classes whose weights are few."""
    return pieces_of(len(weights), max(1, PRODUCT // max(1, weights.shape[1])))
