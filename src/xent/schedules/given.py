"""Numbers that are probabilities already: only the target's entries matter, so only they are visited."""

from typing import Protocol

import numpy as np

from xent._typing import Array, Floats, IndicesN, PerRow, RowsN, Storage
from xent.kernels.cpu.threads import for_each
from xent.kernels.reference import narrow, widen
from xent.schedules.dense import Block, blocks


class EntryLoss(Protocol):
    """The surprisal of one entry, and its derivative."""

    def surprisal(self, entries: Floats, /) -> Floats:
        """In nats."""
        ...

    def slope(self, entries: Floats, /) -> Floats:
        """Its derivative."""
        ...


def picked_values(loss: EntryLoss, matrix: Array, storage: Storage, target: IndicesN, weight: PerRow) -> RowsN:
    """``w · surprisal(entry at the target)`` of each row of [A, B, C]; exactly 0 where ignored or of weight 0."""
    entries, _, silent = _picked(matrix, storage, target, weight)
    with np.errstate(invalid="ignore"):
        return np.where(silent, 0.0, weight * loss.surprisal(entries))


def picked_gradient(
    loss: EntryLoss, matrix: Array, storage: Storage, target: IndicesN, weight: PerRow, upstream: PerRow, out: Array
) -> None:
    """Its gradient into out [A, B, C]: zero but at the target."""
    entries, place, silent = _picked(matrix, storage, target, weight)
    with np.errstate(invalid="ignore"):
        slopes = np.where(silent, 0.0, (weight * upstream) * loss.slope(entries))
    out[...] = 0
    stored = np.empty(len(target), out.dtype)
    narrow(slopes, storage, stored)
    out[place] = stored


def expected_values(loss: EntryLoss, matrix: Array, storage: Storage, target_probs: Array, class_weight: Array | None) -> RowsN:
    """``Σ_j T_j · surprisal_j`` of each row; 0 · inf is 0."""
    result = np.empty(matrix.shape[0] * matrix.shape[1])

    def work(block: Block) -> None:
        weighted = _weighted(block.matrix(target_probs), class_weight)
        surprisals = loss.surprisal(widen(block.matrix(matrix), storage))
        with np.errstate(invalid="ignore"):
            result[block.start : block.stop] = np.where(weighted == 0.0, 0.0, weighted * surprisals).sum(axis=1)

    for_each(work, blocks(matrix))
    return result


def expected_gradient(
    loss: EntryLoss,
    matrix: Array,
    storage: Storage,
    target_probs: Array,
    class_weight: Array | None,
    upstream: PerRow,
    out: Array,
) -> None:
    """``T_j · slope_j``; 0 where T is 0."""

    def work(block: Block) -> None:
        factor: Floats = np.array(block.part(upstream), np.float64, ndmin=1)[:, None]
        weighted = _weighted(block.matrix(target_probs), class_weight) * factor
        slopes = loss.slope(widen(block.matrix(matrix), storage))
        with np.errstate(invalid="ignore"):
            gradient = np.where(weighted == 0.0, 0.0, weighted * slopes)
        stored = np.empty(gradient.shape, out.dtype)
        narrow(gradient, storage, stored)
        part = out[block.outer, block.inner]
        part[...] = stored.reshape(part.shape)

    for_each(work, blocks(matrix))


def _picked(matrix: Array, storage: Storage, target: IndicesN, weight: PerRow) -> tuple[Floats, tuple[Array, ...], Array]:
    """The target's entries in float64, where they stand, and which rows say nothing."""
    outer, inner = np.divmod(np.arange(len(target)), max(1, matrix.shape[1]))
    place = (outer, inner, np.maximum(target, 0))
    return widen(matrix[place], storage), place, (target < 0) | (np.asarray(weight) == 0.0)


def _weighted(target_probs: Array, class_weight: Array | None) -> Floats:
    wide = target_probs.astype(np.float64, order="C")
    return wide if class_weight is None else wide * class_weight
