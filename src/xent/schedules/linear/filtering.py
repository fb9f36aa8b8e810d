"""The backward products of a few entries: the smallest probabilities of each row are left out, as much as a tolerance allows.

The error of a row's gradient is bounded: docs/derivations/certified-filtering.md. Where a chunk of rows keeps so many entries
that dense products are as fast, nothing is left out.
"""

import threading
from typing import NamedTuple

import numpy as np

from xent._typing import Floats, RowsN
from xent.kernels.contract import Kernel, RowCoefficients, RowStatistics, SparseRows
from xent.kernels.cpu.threads import for_each, get_num_threads
from xent.schedules import dense
from xent.schedules.dense import Block, Rows
from xent.schedules.linear.algebra import slices
from xent.schedules.linear.head import Head, Matrix
from xent.schedules.linear.plan import DENSEST


class Filter:
    """How much of each row may be left out, and how much was."""

    def __init__(self, tolerance: float, rows: int) -> None:
        """Nothing is left out yet."""
        self.tolerance = tolerance
        self.dropped: RowsN = np.zeros(rows)
        """[n] probability."""
        self._waits = self._failed = 0

    def tries(self) -> bool:
        """Whether the next chunk is searched: after chunks that were too flat, ever fewer are."""
        self._waits -= 1
        return self._waits < 0

    def found(self, something: bool) -> None:
        """What came of a search."""
        self._failed = 0 if something else 2 * self._failed + 1
        self._waits = self._failed


class Entries(NamedTuple):
    """What is kept of the gradient of a tile, block of rows after block."""

    blocks: tuple[Block, ...]
    kept: list[SparseRows]


def serves(head: Head) -> bool:
    """Whether a gradient has entries that are small wherever probabilities are: not so with smoothing or soft targets."""
    return head.class_vector is None and head.target_probs is None and head.sparse is None


def entries(
    kernel: Kernel, rows: Rows, found: RowStatistics, coefficients: RowCoefficients, part: slice, by: Filter
) -> Entries | None:
    """The entries kept of a tile that is `part` of all rows; None where they are too many."""
    if np.any(coefficients.d) or not by.tries():
        return None
    some = _searched(kernel, rows, found, coefficients, by.tolerance)
    by.found(some is not None)
    if some is not None:
        by.dropped[part] = np.concatenate([sparse.dropped for sparse in some.kept])
    return some


def _searched(
    kernel: Kernel, rows: Rows, found: RowStatistics, coefficients: RowCoefficients, tolerance: float
) -> Entries | None:
    """The entries kept of a tile, blocks of rows over threads."""
    if _fewest(found, tolerance) > DENSEST * rows.logits.size:
        return None
    blocks = dense.blocks(rows.logits)
    kept: dict[int, SparseRows] = {}
    left, lock = [int(DENSEST * rows.logits.size)], threading.Lock()

    def work(number: int) -> None:
        block = blocks[number]
        at, most = slice(block.start, block.stop), left[0]
        if most < 0:
            return
        mine = dense.some(found, at), dense.some(coefficients, at)
        sparse = kernel.sparse_gradient(rows.problem(block), *mine, tolerance, most)
        with lock:
            left[0] -= most + 1 if sparse is None else len(sparse.value)
            if sparse is not None:
                kept[number] = sparse

    for_each(work, range(len(blocks)))
    if left[0] < 0:
        return None
    return Entries(blocks, [kept[number] for number in range(len(blocks))])


def _fewest(found: RowStatistics, tolerance: float) -> float:
    """How many entries must stay: none is larger than ``e^(peak − lse)``, and together they hold what may not be dropped."""
    with np.errstate(over="ignore"):
        return float(np.nansum((1.0 - tolerance) * np.exp(found.excess)))


def add_to_hidden(kernel: Kernel, some: Entries, classifier: Matrix, out: Floats) -> None:
    """``out += S·W``, blocks of rows over threads."""

    def work(number: int) -> None:
        block = some.blocks[number]
        kernel.add_sparse_product(some.kept[number], classifier.array, classifier.storage, out[block.start : block.stop])

    for_each(work, range(len(some.blocks)))


def add_to_classifier(kernel: Kernel, some: Entries, hidden: Floats, out: Floats) -> None:
    """``out += Sᵀ·H``, columns over threads, in each the rows in order."""
    # A multiple of 16 numbers: threads share no cache line.
    step = max(16, -(-out.shape[1] // (16 * get_num_threads())) * 16)

    def work(columns: slice) -> None:
        for block, sparse in zip(some.blocks, some.kept, strict=True):
            kernel.add_sparse_transposed(sparse, hidden[block.start : block.stop, columns], out[:, columns])

    for_each(work, slices(out.shape[1], step))
