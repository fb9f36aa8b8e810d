"""Blocks of classes, each with all rows: statistics merge over the blocks, and gradients make the logits a second time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from xent._typing import Floats, PerRow, RowsN
from xent.kernels.contract import RowCoefficients, RowStatistics, Want
from xent.schedules import dense
from xent.schedules.dense import RowLoss
from xent.schedules.linear.head import Scratch, SparseTarget
from xent.schedules.linear.merge import Part, finished, joined, merged, with_void
from xent.schedules.linear.sums import Sums
from xent.schedules.linear.targets import Coefficients, at_places, pull, surprisal
from xent.schedules.linear.task import Task


class Tile(NamedTuple):
    """Logits of some rows and some classes."""

    number: int
    """Of the chunk of rows."""
    rows: slice
    classes: slice
    logits: Floats
    hidden: Floats


class ByClasses:
    """Walks over the classes of a head."""

    def __init__(self, task: Task) -> None:
        """Nothing is computed yet."""
        self._kernel, self._head, self._algebra, self._plan, _ = task
        self._scratch = Scratch(task.plan.step)
        self._at_label = np.full(task.head.number, -np.inf)
        """The logit of an index target, once its block has been seen."""

    def statistics(self, want: Want) -> RowStatistics:
        """Of every row: block after block merged in the order of the classes; the rank in a second walk."""
        less, ranked = want._replace(rank=False), want.rank and self._head.target is not None
        if ranked:
            # A second, wider tile would take its place beside the first.
            self._scratch.of("tile", (self._plan.rows, self._plan.classes + 1), self._head.real)
        parts: list[Part | None] = [None] * len(self._plan.row_slices())
        for tile in self._tiles():
            here, before = self._part(tile, less), parts[tile.number]
            parts[tile.number] = here if before is None else merged(before, here)
        result = joined([finished(part) for part in parts if part is not None])
        return result._replace(rank=self._ranks()) if ranked else result

    def values_and_gradients(self, loss: RowLoss, upstream: PerRow, sums: Sums) -> RowsN:
        """Each row's loss, and the gradients of ``Σ_r upstream_r · loss_r`` added up."""
        found, weight = self.statistics(loss.want), self._head.weight
        self._add_gradients(found, loss.coefficients(found, weight).times(upstream), sums)
        return loss.values(found, weight)

    def gradients(self, want: Want, coefficients: Coefficients, sums: Sums) -> None:
        """The gradients whose coefficients are what is said of the statistics of rows."""
        found = self.statistics(want)
        self._add_gradients(found, coefficients(found, slice(0, self._head.number)), sums)

    def _tiles(self, more: int = 0) -> Iterator[Tile]:
        """All tiles, the classes outside; with more columns where asked."""
        for classes in self._plan.class_slices():
            width = classes.stop - classes.start
            for number, rows in enumerate(self._plan.row_slices()):
                logits = self._scratch.of("tile", (rows.stop - rows.start, width + more), self._head.real)
                hidden = self._head.hidden_part(rows, self._algebra)
                self._head.logits(hidden, classes, logits[:, :width], self._algebra, self._scratch)
                yield Tile(number, rows, classes, logits, hidden)

    def _problem(self, tile: Tile) -> dense.Rows:
        """As kernels want it: no label, which may lie in another block."""
        targets = self._head.target_probs is not None
        return self._head.tile_rows(tile.logits, tile.rows, tile.classes, targets=targets)

    def _part(self, tile: Tile, want: Want) -> Part:
        """What these classes say of these rows."""
        head, rows, classes = self._head, tile.rows, tile.classes
        found = dense.statistics(self._kernel, self._problem(tile), want)
        if head.target_probs is None:
            target = self._target(rows, classes)
            scores, _ = at_places(tile.logits, target.classes, head.transform)
            found = found._replace(surprisal=surprisal(found, scores, target.mass), mass=target.mass.sum(axis=1))
            if head.target is not None:
                label = np.take_along_axis(tile.logits, target.classes, 1)[:, 0]
                self._at_label[rows] = np.where(target.mass[:, 0] > 0.0, label, self._at_label[rows])
        vector_mass = 0.0 if head.class_vector is None else float(head.class_vector[classes].sum())
        return with_void(Part(found, vector_mass), tile.logits, head.transform.scale)

    def _target(self, rows: slice, classes: slice) -> SparseTarget:
        """Labels or sparse targets as places among these classes, with mass 0 where they lie elsewhere."""
        head, count = self._head, rows.stop - rows.start
        if head.sparse is not None:
            labels, mass = head.sparse.part(rows)
        elif head.target is not None:
            labels, mass = head.target[rows, None], np.ones((count, 1))
        else:
            labels, mass = np.zeros((count, 0), np.int64), np.zeros((count, 0))
        here = (labels >= classes.start) & (labels < classes.stop)
        return SparseTarget(np.where(here, labels - classes.start, 0), np.where(here, mass, 0.0))

    def _ranks(self) -> RowsN:
        """How many classes score above the label, whose logit stands beside each block."""
        result = np.zeros(self._head.number)
        for tile in self._tiles(more=1):
            logits, here = tile.logits, self._target(tile.rows, tile.classes)
            own, last = here.mass[:, 0] > 0.0, logits.shape[1] - 1
            logits[:, last] = self._at_label[tile.rows]
            logits[own, here.classes[own, 0]] = logits[own, last]
            labels = np.full(len(logits), last, np.int64)
            problem = dense.Rows(logits[None], self._head.storage, labels, transform=self._head.transform)
            rank = dense.statistics(self._kernel, problem, Want(rank=True)).rank
            assert rank is not None
            result[tile.rows] += rank
        return result

    def _add_gradients(self, found: RowStatistics, coefficients: RowCoefficients, sums: Sums) -> None:
        """The second walk."""
        last = len(self._plan.row_slices()) - 1
        for tile in self._tiles():
            self._write_gradient(tile, dense.some(found, tile.rows), dense.some(coefficients, tile.rows))
            sums.by_classifier(tile.logits, tile.hidden, tile.classes, first=tile.number == 0)
            sums.by_hidden(tile.logits, tile.rows, tile.classes, self._scratch, first=tile.classes.start == 0)
            if tile.number == last:
                sums.classifier_done(tile.classes)
        for rows in self._plan.row_slices():
            sums.hidden_done(rows)

    def _write_gradient(self, tile: Tile, found: RowStatistics, coefficients: RowCoefficients) -> None:
        """Over the logits of a tile their gradient."""
        head, target, logits = self._head, self._target(tile.rows, tile.classes), tile.logits
        _, slope = at_places(logits, target.classes, head.transform)
        dense.gradient_from(self._kernel, self._problem(tile), found, coefficients, logits[None])
        if head.sparse is not None:
            pull(logits, target, coefficients.b, slope)
        elif head.target is not None:
            own = np.flatnonzero(target.mass[:, 0] > 0.0)
            u = 0.0 if head.class_vector is None else head.class_vector[head.target[tile.rows][own]]
            mine, c = dense.some(found, own), dense.some(coefficients, own)
            logits[own, target.classes[own, 0]] = at_label(mine, c, u) * slope[own, 0]


def at_label(rows: RowStatistics, coefficients: RowCoefficients, u: PerRow) -> RowsN:
    """``a·p − b − c·u − d·p·(log p + entropy)`` at the label, by its surprisal: right where p is almost 1."""
    a, b, c, d = coefficients
    with np.errstate(all="ignore"):
        result = (a - b) + a * np.expm1(-rows.surprisal) - c * u
        if rows.entropy is not None:
            p = np.exp(-rows.surprisal)
            result = result - np.where(p == 0.0, 0.0, d * p * (rows.entropy - rows.surprisal))
    return np.where(np.isnan(rows.excess), np.nan, result)
