"""From what is known of the rows of a batch to the sums of a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate.state.batch import Batch
from xent.evaluate.state.confusion import Confusion
from xent.evaluate.state.exact import ExactSums
from xent.evaluate.state.groups import Groups
from xent.evaluate.state.hashing import buckets
from xent.evaluate.state.judge import Judged
from xent.evaluate.state.kept import MOST_WORST, Rows, sampled, worst
from xent.evaluate.state.places import bin_of_cell, cells, loss_bins
from xent.evaluate.state.spec import Spec
from xent.evaluate.state.sums import sizes
from xent.kernels import tally
from xent.kernels.cpu.threads import for_each

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

INFINITE_NATS = 1e75
"""A larger loss counts as infinite: its square, times that of a weight, is beyond float64."""


class Counting:
    """The counted rows of one batch, and the sums over them."""

    def __init__(self, spec: Spec, batch: Batch, rows: Judged, counted: Indices) -> None:
        """Rows in `counted` alone, of a batch that was checked."""
        every = len(counted) == len(batch.target)
        self._take: Callable[[Any], Any] = (lambda column: column) if every else (lambda column: column[counted])
        self.spec, self.batch, self.rows, self.counted = spec, batch, rows, counted
        self.keys, self.target = self._take(batch.row_keys()), self._take(batch.target)
        self.weight: Floats | None = None if batch.weight is None else self._take(batch.weight)
        nats = self._take(rows.nats)
        self.infinite = nats > INFINITE_NATS
        self.n_infinite = int(np.count_nonzero(self.infinite))
        self.shown_nats: Floats = nats
        self.nats: Floats = np.where(self.infinite, 0.0, nats) if self.n_infinite else nats
        self.squares: Floats = self.nats * self.nats
        self.bucket = buckets(self.keys)
        groups = batch.group.taken(counted) if isinstance(batch.group, Groups) else None
        self.groups: tuple[str, ...] = () if groups is None else groups.names
        self.group: Indices | None = None if groups is None else groups.place
        self._sizes = {name: n or len(self.groups) for name, n in sizes(spec).items()}

    def sums(self) -> dict[str, ExactSums]:
        """Every sum over these rows but those of classes and bins."""
        jobs = self._jobs()
        done = {name: ExactSums(self._sizes[name]) for name in jobs}

        def work(name: str) -> None:
            values, index, chosen = jobs[name]
            self._add(done[name], values, index, chosen)

        for_each(work, jobs)
        return done

    def _jobs(self) -> dict[str, tuple[Floats | None, Indices | None, Any]]:
        """Of each sum: what is added (w times it), to which place, and of which rows; None for 1, for the first, for all."""
        loss_bin = loss_bins(self.shown_nats)
        jobs: dict[str, tuple[Floats | None, Indices | None, Any]] = {
            "bucket_weight": (None, self.bucket, None),
            "bucket_nats": (self.nats, self.bucket, None),
            "infinite_weight": (None, None, self.infinite),
            "square_weight": (self.weight, None, None),
            "square_nats": (self.squares, None, None),
            "loss_weight": (None, loss_bin, None),
            "loss_nats": (self.nats, loss_bin, None),
        }
        if self.spec.n_classes:
            jobs |= self._class_jobs()
        if self.batch.size is not None:
            jobs["bucket_size"] = (self._take(self.batch.size), self.bucket, None)
        return jobs | self._group_jobs()

    def _class_jobs(self) -> dict[str, tuple[Floats | None, Indices | None, Any]]:
        """The same for what needs a prediction for every class."""
        rank, confidence, predicted = (
            self._take(column) for column in (self.rows.rank, self.rows.confidence, self.rows.predicted)
        )
        right, cell, brier = rank == 0, cells(confidence), self._take(self.rows.brier)
        bins = self.spec.bins
        cross = self.bucket * bins + bin_of_cell(bins)[cell]
        jobs: dict[str, tuple[Floats | None, Indices | None, Any]] = {
            "bucket_brier": (brier, self.bucket, None),
            "bucket_entropy": (self._take(self.rows.entropy), self.bucket, None),
            "bucket_bin_weight": (None, cross, None),
            "bucket_bin_confidence": (confidence, cross, None),
            "bucket_bin_hits": (None, cross, right),
            "cell_weight": (None, cell, None),
            "cell_confidence": (confidence, cell, None),
            "cell_hits": (None, cell, right),
            **{f"bucket_top_{k}": (None, self.bucket, rank < k) for k in self.spec.top_k},
            "class_weight": (None, self.target, None),
            "class_nats": (self.nats, self.target, None),
            "class_infinite": (None, self.target, self.infinite),
            "class_weighted_square_nats": (self._weighed(self.squares), self.target, None),
            "class_brier": (brier, self.target, None),
            "class_hits": (None, self.target, right),
            "class_predicted": (None, predicted, None),
        }
        if self.weight is not None:
            jobs["class_square_weight"] = (self.weight, self.target, None)
            jobs["class_square_weight_nats"] = (self._weighed(self.nats), self.target, None)
        if self.spec.binned:
            own = self._take(self.rows.own)
            place = self.target * bins + np.minimum((own * bins).astype(np.int64), bins - 1)
            jobs["classwise_hits"] = (None, place, None)
        return jobs

    def _group_jobs(self) -> dict[str, tuple[Floats | None, Indices | None, Any]]:
        """The same for each value of the column to judge by."""
        if self.group is None:
            return {}
        jobs: dict[str, tuple[Floats | None, Indices | None, Any]] = {
            "group_weight": (None, self.group, None),
            "group_nats": (self.nats, self.group, None),
            "group_infinite": (None, self.group, self.infinite),
            "group_square_weight": (self._weighed(None), self.group, None),
            "group_weighted_square_nats": (self._weighed(self.squares), self.group, None),
            "group_square_weight_nats": (self._weighed(self.nats), self.group, None),
        }
        if self.spec.n_classes:
            jobs["group_brier"] = (self._take(self.rows.brier), self.group, None)
            jobs["group_hits"] = (None, self.group, self._take(self.rows.rank) == 0)
        if self.batch.size is not None:
            jobs["group_size"] = (self._take(self.batch.size), self.group, None)
        return jobs

    def _weighed(self, values: Floats | None) -> Floats | None:
        """Weight times values; None is 1."""
        if values is None or self.weight is None:
            return self.weight if values is None else values
        return values * self.weight

    def _add(self, sums: ExactSums, values: Floats | None, index: Indices | None, chosen: npt.NDArray[np.bool_] | None) -> None:
        """Add weight times values, of the chosen rows, to the places of the index."""
        terms = self._weighed(values)
        if terms is not None:
            sums.add(terms if chosen is None else np.where(chosen, terms, 0.0), index)
        elif index is not None:
            sums.add(tally.count(index, chosen, len(sums)).astype(np.float64), np.arange(len(sums)))
        else:
            n = len(self.keys) if chosen is None else int(np.count_nonzero(chosen))
            sums.add(np.array([float(n)]))

    def confusion(self) -> Confusion:
        """Target and prediction of each row."""
        if not self.spec.n_classes:
            return Confusion()
        return Confusion.of(self.target, self._take(self.rows.predicted), self.spec.n_classes)

    def _columns(self, index: Indices) -> dict[str, npt.NDArray[Any]]:
        """What is kept of some of these rows."""
        at = self.counted[index]
        n = len(at)
        return {
            "key": self.keys[index],
            # A zero has one sign: rows that are equal are equal to the bit.
            "nats": self.shown_nats[index] + 0.0,
            "target": self.target[index],
            "weight": np.ones(n) if self.weight is None else self.weight[index] + 0.0,
            "source": np.full(n, self.batch.source, np.int64),
            "row": self.batch.first + at if self.batch.source >= 0 else np.full(n, -1),
        }

    def worst(self, least: float) -> Rows:
        """The most surprising rows among those of such a loss, with what was predicted and what the user calls them."""
        nats = self.shown_nats
        index = np.flatnonzero(nats >= least)
        if len(index) > MOST_WORST:
            index = index[nats[index] >= np.partition(nats[index], len(index) - MOST_WORST)[len(index) - MOST_WORST]]
        columns = self._columns(index)
        at = self.counted[index]
        unknown = self.spec.n_classes == 0
        columns["predicted"] = np.full(len(at), -1) if unknown else self.rows.predicted[at]
        columns["confidence"] = np.full(len(at), np.nan) if unknown else self.rows.confidence[at]
        columns["id"] = np.array([self.batch.called(row) for row in at.tolist()], np.object_)
        return worst(Rows(columns))

    def sample(self, most: int, last: int | None) -> Rows | None:
        """The rows whose key is least, with their log-probabilities; none for predictions of targets alone."""
        if not self.spec.n_classes:
            return None
        inside = np.flatnonzero(self.keys <= (np.uint64(last) if last is not None else np.uint64(2**64 - 1)))
        if len(inside) > most:
            inside = inside[self.keys[inside] <= np.partition(self.keys[inside], most - 1)[most - 1]]
        columns = self._columns(inside)
        columns["values"] = self._log_probs(self.counted[inside])
        return sampled(Rows(columns), most)

    def _log_probs(self, rows: Indices) -> npt.NDArray[np.float32]:
        """[n, C] of some rows: float32 holds logarithms of what is tiny, and no constant added to all logits."""
        columns, shown = self.batch.values.T, np.empty((len(rows), self.spec.n_classes), np.float32)
        with np.errstate(divide="ignore", over="ignore"):
            for start in range(0, len(rows), tally.ROWS):
                part = slice(start, start + tally.ROWS)
                shown[part] = LOGARITHMS[self.spec.kind](np.take(columns, rows[part], axis=1)).T + 0.0
        return shown


LOGARITHMS: dict[str, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    "logits": tally.log_softmax,
    "log-probs": lambda values: values,
    "probs": lambda values: np.log(values, dtype=np.float64),
}
