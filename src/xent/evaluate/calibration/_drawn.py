"""Rows that are held in memory: all of them, or as many as are wanted, drawn by their keys."""

from __future__ import annotations

import numpy as np

from xent._errors import ArgumentError
from xent.evaluate.calibration._rows import counts
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.kept import Rows

MOST_BYTES = 1 << 30
"""Predictions in float64 and what belongs to them."""
BESIDE = 24
"""Bytes of a row's target, weight and draw."""


def rows_that_fit(n_classes: int) -> int:
    """How many rows may be held."""
    return max(1, MOST_BYTES // (8 * n_classes + BESIDE))


class Drawn:
    """The rows of least draw among those that count; the same rows in whatever order they come."""

    def __init__(self, n_classes: int, most: int | None) -> None:
        """At most so many; None for all, which must fit."""
        self._fit = rows_that_fit(n_classes)
        self._n_classes, self._most = n_classes, most
        if most is not None and most > self._fit:
            raise self._too_many(f"{most:,} are asked for")
        self._parts: list[Rows] = []
        self._held = self.seen = 0

    def add(self, batch: Batch) -> None:
        """Look at further rows."""
        at = np.flatnonzero(counts(batch))
        weight = np.ones(len(at)) if batch.weight is None else batch.weight[at]
        columns = {"draw": batch.row_keys()[at], "target": batch.target[at], "weight": weight, "values": batch.values[at]}
        self._parts.append(Rows(columns))
        self._held, self.seen = self._held + len(at), self.seen + len(at)
        if self._most is None and self._held > self._fit:
            raise self._too_many("there are more")
        if self._most is not None and self._held > 2 * self._most:
            self._compact()

    def batch(self) -> Batch:
        """The rows, in the order of their draws."""
        self._compact()
        if not self._held:
            found = "every row is without a class or has weight zero"
            raise ArgumentError("there must be rows to fit to", found, "Is the column of true classes empty?")
        columns = self._parts[0].columns
        return Batch(columns["values"], columns["target"], name="the drawn rows", weight=columns["weight"])

    def _compact(self) -> None:
        """Keep the least draws alone; rows of one draw by what they hold, so that no order of reading shows."""
        names = self._parts[0].columns if self._parts else ()
        rows = Rows({name: np.concatenate([part.columns[name] for part in self._parts]) for name in names})
        if not names:
            return
        columns = rows.columns
        order = np.lexsort((columns["values"][:, 0], columns["weight"], columns["target"], columns["draw"]))[: self._most]
        self._parts, self._held = [rows.taken(order)], len(order)

    def _too_many(self, found: str) -> ArgumentError:
        rule = f"this method holds its rows in memory, of {self._n_classes} classes at most {self._fit:,}"
        remedy = f"Draw some with --max-rows {self._fit}, or take --method temperature, which reads files of any size."
        return ArgumentError(rule, found, remedy)
