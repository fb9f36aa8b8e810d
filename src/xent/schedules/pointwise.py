"""Losses of one number at a time, in flat blocks: value and derivative in one visit, sums in a fixed order."""

import numpy as np

from xent._typing import Array, Storage
from xent.kernels.contract import POINTWISE_BLOCK, Kernel, Pointwise, PointwiseTask
from xent.kernels.cpu.threads import for_each
from xent.losses.reduction import total


def evaluate(
    kernel: Kernel,
    loss: Pointwise,
    inputs: tuple[Array, ...],
    storage: Storage,
    *,
    values: Array | None = None,
    gradients: tuple[Array, ...] = (),
    factor: float = 1.0,
) -> float:
    """Sum of a loss over arrays of one shape (or a vector of the last axis); writes values and ``factor·gradients``."""
    size = inputs[0].size
    sums = np.zeros(-(-size // POINTWISE_BLOCK))

    def work(index: int) -> None:
        span = slice(index * POINTWISE_BLOCK, min(size, (index + 1) * POINTWISE_BLOCK))
        task = PointwiseTask(
            inputs=tuple(_numbers(_flat(x, inputs[0], span), inputs[0]) for x in inputs),
            storage=storage,
            values=None if values is None else _flat(values, inputs[0], span),
            gradients=tuple(_flat(g, inputs[0], span) for g in gradients),
            factor=factor,
        )
        sums[index] = kernel.pointwise(loss, task)
        for whole, part in zip(gradients, task.gradients, strict=True):
            if not whole.flags.c_contiguous:
                whole.flat[span] = part

    for_each(work, range(len(sums)))
    return total(sums)


def _numbers(part: Array, like: Array) -> Array:
    """A block in the first input's dtype or float64: labels and booleans become floats block by block."""
    return part if part.dtype == like.dtype or part.dtype == np.float64 else part.astype(np.float64)


def _flat(array: Array, like: Array, span: slice) -> Array:
    """Elements of the flattened array: a view where it is contiguous; a vector of the last axis is repeated."""
    if array.shape != like.shape:
        return array[np.arange(span.start, span.stop) % array.shape[-1]]
    return array.reshape(-1)[span] if array.flags.c_contiguous else array.flat[span]
