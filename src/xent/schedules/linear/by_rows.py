"""Chunks of rows, each with all its classes: what a dense schedule does, tile after tile, with a product before and two after."""

from collections.abc import Iterator

import numpy as np

from xent._typing import Floats, PerRow, RowsN
from xent.kernels.contract import RowCoefficients, RowStatistics, Want
from xent.schedules import dense
from xent.schedules.dense import RowLoss, Rows
from xent.schedules.linear import filtering
from xent.schedules.linear.head import Scratch, part_of
from xent.schedules.linear.sums import Sums
from xent.schedules.linear.targets import Coefficients, gradient_of_tile, with_target
from xent.schedules.linear.task import Task


class ByRows:
    """A walk over the rows of a head."""

    def __init__(self, task: Task) -> None:
        """Nothing is computed yet."""
        self._kernel, self._head, self._algebra, self._plan, by = task
        self._filter = by if by is not None and filtering.serves(task.head) else None
        self._scratch, self._all = Scratch(task.plan.step), slice(0, task.head.classes)

    def statistics(self, want: Want) -> RowStatistics:
        """Of every row."""
        found: dict[str, RowsN] = {}
        for part, tile, _ in self._tiles():
            rows = self._head.tile_rows(tile, part, self._all)
            here = dense.statistics(self._kernel, rows, want)
            if self._head.sparse is not None:
                here = with_target(here, tile, self._head.sparse.part(part), self._head.transform)
            if self._filter is not None:
                filtering.entries(self._kernel, rows, here, RowCoefficients(1.0, 1.0), part, self._filter)
            for name, values in here._asdict().items():
                if values is not None:
                    found.setdefault(name, np.empty(self._head.number))[part] = values
        return RowStatistics(**({name: np.empty(0) for name in ("peak", "excess", "surprisal")} | found))

    def values_and_gradients(self, loss: RowLoss, upstream: PerRow, sums: Sums) -> RowsN:
        """Each row's loss, and the gradients of ``Σ_r upstream_r · loss_r`` added up."""
        head, result = self._head, np.empty(self._head.number)

        def coefficients(found: RowStatistics, at: slice) -> RowCoefficients:
            weight = part_of(head.weight, at)
            result[at] = loss.values(found, weight)
            return loss.coefficients(found, weight).times(part_of(upstream, at))

        if head.sparse is not None or self._filter is not None:
            self.gradients(loss.want, coefficients, sums)
            return result
        for part, tile, hidden in self._tiles():
            rows, factor = head.tile_rows(tile, part, self._all), part_of(upstream, part)
            result[part] = dense.values_and_gradient(self._kernel, rows, loss, factor, tile[None])
            self._add(part, tile, hidden, sums)
        return result

    def gradients(self, want: Want, coefficients: Coefficients, sums: Sums) -> None:
        """The gradients whose coefficients are what is said of the statistics of rows."""
        for part, tile, hidden in self._tiles():
            rows = self._head.tile_rows(tile, part, self._all)
            if self._filter is not None:
                self._add_few(rows, part, hidden, want, coefficients, sums, self._filter)
                continue
            target = None if self._head.sparse is None else self._head.sparse.part(part)
            gradient_of_tile(self._kernel, rows, target, part, want, coefficients)
            self._add(part, tile, hidden, sums)

    def _tiles(self) -> Iterator[tuple[slice, Floats, Floats]]:
        """The logits of a chunk of rows, and its hidden states; the next chunk takes their place."""
        for part in self._plan.row_slices():
            hidden = self._head.hidden_part(part, self._algebra)
            tile = self._scratch.of("tile", (part.stop - part.start, self._head.classes), self._head.real)
            self._head.logits(hidden, self._all, tile, self._algebra, self._scratch)
            yield part, tile, hidden

    def _add(self, part: slice, tile: Floats, hidden: Floats, sums: Sums) -> None:
        """The products of a chunk's gradient."""
        sums.by_classifier(tile, hidden, self._all, first=part.start == 0)
        sums.by_hidden(tile, part, self._all, self._scratch, first=True)
        sums.hidden_done(part)

    def _add_few(
        self, rows: Rows, part: slice, hidden: Floats, want: Want, told: Coefficients, sums: Sums, by: filtering.Filter
    ) -> None:
        """The same of the entries that a filter keeps; of all where they are too many."""
        tile, found = rows.logits[0], dense.statistics(self._kernel, rows, want)
        coefficients = told(found, part)
        some = filtering.entries(self._kernel, rows, found, coefficients, part, by)
        if some is None:
            dense.gradient_from(self._kernel, rows, found, coefficients, rows.logits)
            self._add(part, tile, hidden, sums)
            return
        sums.by_entries(self._kernel, some, hidden, part, first=part.start == 0)
        sums.hidden_done(part)
