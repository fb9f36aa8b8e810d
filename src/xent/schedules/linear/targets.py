"""Targets given by a few classes a row, which no kernel knows: what they add to statistics and take from gradients."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from xent._typing import Array, Floats, PerRow, RowsN
from xent.kernels.contract import Kernel, RowCoefficients, RowStatistics, Transform, Want
from xent.kernels.reference import transformed
from xent.schedules import dense
from xent.schedules.dense import Block, Rows
from xent.schedules.linear.head import SparseTarget

Coefficients: TypeAlias = Callable[[RowStatistics, slice], RowCoefficients]
"""From the statistics of consecutive rows of a head to the coefficients of their gradient."""


def surprisal(rows: RowStatistics, scores: Floats, mass: Floats) -> RowsN:
    """``Σ_k T_k·(lse − z_k)`` of scores z [n, k]; what has no mass says nothing."""
    with np.errstate(invalid="ignore", over="ignore"):
        distance = (rows.peak[:, None] - scores) + rows.excess[:, None]
        total = np.where(mass == 0.0, 0.0, mass * distance).sum(axis=1)
    return np.where(np.isnan(rows.excess), np.nan, total)


def with_target(rows: RowStatistics, tile: Floats, target: SparseTarget, transform: Transform) -> RowStatistics:
    """The statistics of rows whose target the kernel has not seen; tile holds all their logits."""
    scores, _ = at_places(tile, target.classes, transform)
    return rows._replace(surprisal=surprisal(rows, scores, target.mass), mass=target.mass.sum(axis=1))


def at_places(tile: Floats, classes: Array, transform: Transform) -> tuple[Floats, Floats]:
    """z and dz/dx of a few classes of each row, in float64."""
    with np.errstate(all="ignore"):
        x = np.take_along_axis(tile, classes, 1).astype(np.float64)
        z, slope = transformed(x, transform)
        return z, np.broadcast_to(slope, z.shape)


def gradient_of_tile(
    kernel: Kernel, rows: Rows, target: SparseTarget | None, part: slice, want: Want, coefficients: Coefficients
) -> None:
    """Over the logits of a tile, which are rows of a head, their gradient by coefficients that follow from statistics."""
    tile = rows.logits[0]
    slope, b = (
        (np.empty(0), np.empty(0))
        if target is None
        else (at_places(tile, target.classes, rows.transform)[1], np.empty(len(tile)))
    )

    def told(found: RowStatistics, block: Block) -> RowCoefficients:
        here, at = slice(block.start, block.stop), slice(part.start + block.start, part.start + block.stop)
        if target is None:
            return coefficients(found, at)
        result = coefficients(with_target(found, tile[here], target.part(here), rows.transform), at)
        b[here] = result.b
        return result

    dense.gradient(kernel, rows, want, told, rows.logits)
    if target is not None:
        pull(tile, target, b, slope)


def pull(tile: Floats, target: SparseTarget, b: PerRow, slope: Floats) -> None:
    """Take ``b·T·dz/dx`` from a gradient where T is; a class named twice counts twice."""
    with np.errstate(all="ignore"):
        less = np.where(target.mass == 0.0, 0.0, np.reshape(b, (-1, 1)) * target.mass * slope)
        np.subtract.at(tile, (np.arange(len(tile))[:, None], target.classes), less.astype(tile.dtype))
