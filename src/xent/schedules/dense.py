"""Logits that exist: walked in blocks of rows, small enough to be in cache where the gradient must visit them again.

statistics kernel → the loss's coefficients → gradient kernel, block by block, blocks spread over threads;
in one step where the loss knows its coefficients beforehand.
No result depends on where a block ends: rows do not know their neighbours.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np

from xent._typing import Array, ClassesC, IndicesN, MatrixNC, PerRow, RowMeasure, RowsN, Storage
from xent.kernels.contract import Kernel, KnownCoefficients, Problem, RowCoefficients, RowStatistics, Transform, Want
from xent.kernels.cpu.threads import for_each

BLOCK_BYTES = 4 << 20
"""Logits and statistics of a block: 1 to 9 MB a thread measured alike."""
ROW_BYTES = 64
"""Statistics, coefficients and value of one row, which outweigh the logits where classes are few."""
LARGE_IMAGE = 4096
"""Rows side by side from which they are read so; smaller slices are gathered."""


class RowLoss(Protocol):
    """What a schedule asks of a loss."""

    @property
    def want(self) -> Want:
        """The statistics it needs beyond lse and surprisal."""
        ...

    def values(self, rows: RowStatistics, weight: PerRow) -> RowsN:
        """Each row's value."""
        ...

    def coefficients(self, rows: RowStatistics, weight: PerRow) -> RowCoefficients:
        """The coefficients of each row's gradient."""
        ...

    def known_coefficients(self, weight: PerRow) -> KnownCoefficients | None:
        """The same before the statistics are there; None where they are needed."""
        ...


class Rows(NamedTuple):
    """All rows of a call, N = A·B of them: matrices are [A, B, C] views of any strides, rows in the order of A, then B."""

    logits: Array
    storage: Storage
    target: IndicesN | None = None
    target_probs: Array | None = None
    weight: PerRow = 1.0
    class_weight: ClassesC | None = None
    class_vector: ClassesC | None = None
    transform: Transform = Transform()

    @property
    def number(self) -> int:
        """N."""
        return self.logits.shape[0] * self.logits.shape[1]

    def problem(self, block: "Block") -> Problem:
        """The rows of a block, as a kernel wants them."""
        return Problem(
            logits=block.matrix(self.logits),
            storage=self.storage,
            target=None if self.target is None else self.target[block.start : block.stop],
            target_probs=None if self.target_probs is None else block.matrix(self.target_probs),
            class_weight=self.class_weight,
            class_vector=self.class_vector,
            transform=self.transform,
        )


class Block(NamedTuple):
    """Rows start to stop of N: outer slices a to b whole, or part of one outer slice."""

    outer: slice
    inner: slice
    start: int
    stop: int

    def view(self, array: Array) -> Array | None:
        """The block of [A, B, C] as a matrix [n, C] with classes or rows side by side, if that is a view."""
        part = array[self.outer, self.inner] if array.shape[0] > 1 else array[0, self.inner]
        if part.ndim == 2:
            pass
        elif part.shape[0] == 1:
            part = part[0]
        elif part.shape[1] == 1:
            part = part[:, 0]
        elif part.strides[0] == part.shape[1] * part.strides[1]:
            part = part.reshape(-1, part.shape[2])
        if part.ndim != 2 or not part.flags.aligned or any(step % part.itemsize for step in part.strides):
            return None
        return part if part.shape[1] == 1 or part.itemsize in part.strides else None

    def matrix(self, array: Array) -> MatrixNC:
        """The same, copied where it must be."""
        view = self.view(array)
        if view is not None:
            return view
        return np.ascontiguousarray(array[self.outer, self.inner]).reshape(-1, array.shape[2])

    def part(self, values: PerRow) -> PerRow:
        """The block's share of one number a row."""
        return values[self.start : self.stop] if isinstance(values, np.ndarray) else values


PerRows = TypeVar("PerRows", RowStatistics, RowCoefficients)
Coefficients: TypeAlias = Callable[[RowStatistics, Block], RowCoefficients]
"""From a block's statistics to the coefficients of its gradient."""


def blocks(array: Array) -> tuple[Block, ...]:
    """Blocks of about `BLOCK_BYTES` that cover [A, B, C] in order."""
    outer, inner, classes = array.shape
    row_bytes = classes * array.itemsize + ROW_BYTES
    # Rows that lie side by side do so within one outer slice alone.
    apart = inner >= LARGE_IMAGE and outer > 1 and classes > 1 and array.strides[2] != array.itemsize
    if outer * inner * row_bytes <= BLOCK_BYTES and not apart:
        return (Block(slice(0, outer), slice(0, inner), 0, outer * inner),) if outer * inner else ()
    return tuple(_blocks(outer, inner, row_bytes, apart=apart))


def _blocks(outer: int, inner: int, row_bytes: int, *, apart: bool) -> Iterator[Block]:
    rows = max(1, BLOCK_BYTES // row_bytes)
    if inner <= rows:
        step = 1 if apart else max(1, rows // max(1, inner))
        for a in range(0, outer, step):
            b = min(outer, a + step)
            yield Block(slice(a, b), slice(0, inner), a * inner, b * inner)
        return
    for a in range(outer):
        for i in range(0, inner, rows):
            j = min(inner, i + rows)
            yield Block(slice(a, a + 1), slice(i, j), a * inner + i, a * inner + j)


def values(kernel: Kernel, rows: Rows, loss: RowLoss) -> RowsN:
    """Each row's loss, [N] float64."""
    result = np.empty(rows.number)

    def work(block: Block) -> None:
        statistics = kernel.statistics(rows.problem(block), loss.want)
        result[block.start : block.stop] = loss.values(statistics, block.part(rows.weight))

    for_each(work, blocks(rows.logits))
    return result


def values_and_gradient(kernel: Kernel, rows: Rows, loss: RowLoss, upstream: PerRow, out: Array) -> RowsN:
    """Each row's loss, and into out [A, B, C] the gradient of ``Σ_r upstream_r · loss_r``; out may be the logits."""
    result = np.empty(rows.number)

    def work(block: Block) -> None:
        problem, weight, factor = rows.problem(block), block.part(rows.weight), block.part(upstream)
        known = loss.known_coefficients(weight)
        target = _room(block, out)
        if known is not None:
            statistics = kernel.statistics_and_gradient(problem, loss.want, known.times(factor), target)
        else:
            statistics = kernel.statistics(problem, loss.want)
            kernel.gradient(problem, statistics, loss.coefficients(statistics, weight).times(factor), target)
        _returned(block, target, out)
        result[block.start : block.stop] = loss.values(statistics, weight)

    for_each(work, blocks(rows.logits))
    return result


def statistics(kernel: Kernel, rows: Rows, want: Want) -> RowStatistics:
    """What a loss may know of each row, each [N] float64."""
    found: dict[str, RowsN] = {}

    def work(block: Block) -> None:
        for name, part in kernel.statistics(rows.problem(block), want)._asdict().items():
            if part is not None:
                found.setdefault(name, np.empty(rows.number))[block.start : block.stop] = part

    for_each(work, blocks(rows.logits))
    return RowStatistics(**({name: np.empty(0) for name in ("peak", "excess", "surprisal")} | found))


def gradient(kernel: Kernel, rows: Rows, want: Want, coefficients: Coefficients, out: Array) -> None:
    """Into out [A, B, C] the gradient whose coefficients are what is said of each block's statistics."""

    def work(block: Block) -> None:
        problem, target = rows.problem(block), _room(block, out)
        found = kernel.statistics(problem, want)
        kernel.gradient(problem, found, coefficients(found, block), target)
        _returned(block, target, out)

    for_each(work, blocks(rows.logits))


def gradient_from(kernel: Kernel, rows: Rows, statistics: RowStatistics, coefficients: RowCoefficients, out: Array) -> None:
    """Into out [A, B, C] the gradient by statistics that are known, of rows whose classes may be a part of all."""

    def work(block: Block) -> None:
        part, target = slice(block.start, block.stop), _room(block, out)
        kernel.gradient(rows.problem(block), some(statistics, part), some(coefficients, part), target)
        _returned(block, target, out)

    for_each(work, blocks(rows.logits))


def some(values: PerRows, rows: slice | IndicesN) -> PerRows:
    """What is said of some of the rows."""
    return values._make(value[rows] if isinstance(value, np.ndarray) and value.ndim else value for value in values)


def log_partition(kernel: Kernel, rows: Rows) -> RowsN:
    """logsumexp of each row, [N] float64."""
    result = np.empty(rows.number)

    def work(block: Block) -> None:
        result[block.start : block.stop] = kernel.statistics(rows.problem(block), Want()).lse

    for_each(work, blocks(rows.logits))
    return result


def probabilities(kernel: Kernel, rows: Rows, out: Array) -> None:
    """Softmax of each row: the gradient ``1·p``."""

    def work(block: Block) -> None:
        target = _room(block, out)
        kernel.statistics_and_gradient(rows.problem(block), Want(), KnownCoefficients(a=1.0), target)
        _returned(block, target, out)

    for_each(work, blocks(rows.logits))


def log_probabilities(kernel: Kernel, rows: Rows, out: Array) -> None:
    """Log-softmax of each row."""

    def work(block: Block) -> None:
        target = _room(block, out)
        kernel.log_probs(rows.problem(block), target)
        _returned(block, target, out)

    for_each(work, blocks(rows.logits))


def measure(kernel: Kernel, matrix: Array, storage: Storage) -> RowMeasure:
    """Sum, least and greatest of each row of [A, B, C], each [N]."""
    count = matrix.shape[0] * matrix.shape[1]
    total, lowest, highest = (np.empty(count) for _ in range(3))

    def work(block: Block) -> None:
        part, span = kernel.measure(block.matrix(matrix), storage), slice(block.start, block.stop)
        total[span], lowest[span], highest[span] = part.total, part.lowest, part.highest

    for_each(work, blocks(matrix))
    return RowMeasure(total, lowest, highest)


def _room(block: Block, out: Array) -> MatrixNC:
    """The block of out as kernels write it: itself, or a buffer for `_returned`."""
    view = block.view(out)
    return np.empty((block.stop - block.start, out.shape[2]), out.dtype) if view is None else view


def _returned(block: Block, target: MatrixNC, out: Array) -> None:
    """Copy a buffer, which owns its memory as no view does, to where it belongs."""
    if target.flags.owndata:
        part = out[block.outer, block.inner]
        part[...] = target.reshape(part.shape)
