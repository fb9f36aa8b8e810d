"""The one state of an evaluation: what was counted so far, of fixed size, in any order and on any number of machines."""

from __future__ import annotations

import math
from copy import deepcopy

import numpy as np

from xent._errors import ArgumentError
from xent.evaluate.state import packed
from xent.evaluate.state.batch import SKIP, Batch, check, check_contradiction, distributions, unfit_error, with_nan
from xent.evaluate.state.confusion import Confusion
from xent.evaluate.state.counting import Counting
from xent.evaluate.state.exact import ExactSums
from xent.evaluate.state.hashing import fingerprint, weight_print
from xent.evaluate.state.judge import judged, judged_targets
from xent.evaluate.state.kept import MOST_WORST, Rows, sample_size, sampled, worst
from xent.evaluate.state.options import flag, of_type
from xent.evaluate.state.spec import Spec
from xent.evaluate.state.sums import group_names, sizes

WAITING = 4
"""A sample is drawn again when as many rows wait as this part of it,"""
MOST_WAITING = 64
"""or so many parts."""
COUNTS = ("rows", "ignored", "infinite", "unfit", "nan", "placed")
"""Rows seen; of these, without a label, of infinite loss, left out, left out with NaN in them, and whose label was a place."""


class Totals:
    """Everything an evaluation needs to know of the rows it has seen; a commutative monoid.

    ``Totals(spec)`` is its zero, `merge` its operation. Sums are integers, so neither order nor shards, threads or retries change
    a bit; its size depends on classes and bins, never on rows. A mean exists only in `result`.

    Args:
        spec: what the predictions are and what is counted.
        skip_unfit: leave rows that are no predictions out, and count them, instead of raising.

    Example:
        Two halves, merged, are the whole.

        >>> import numpy as np
        >>> from xent.evaluate import Batch, Spec, Totals
        >>> spec = Spec("probs", ("no", "yes"))
        >>> probs, target = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), np.array([0, 1, 1])
        >>> whole = Totals(spec)
        >>> whole.update(Batch(probs, target))
        >>> first, rest = Totals(spec), Totals(spec)
        >>> first.update(Batch(probs[:1], target[:1]))
        >>> rest.update(Batch(probs[1:], target[1:], first=1))
        >>> rest.merge(first)
        >>> rest.to_bytes() == whole.to_bytes()
        True
    """

    __slots__ = (
        "_sampled",
        "_waiting",
        "alike",
        "confusion",
        "counts",
        "failure",
        "groups",
        "missing",
        "print",
        "skip_unfit",
        "spec",
        "sums",
        "weight_print",
        "worst",
    )

    def __init__(self, spec: Spec, *, skip_unfit: bool = False) -> None:
        """The state of no rows."""
        of_type(spec, Spec, "a state counts what a Spec says")
        self.spec, self.skip_unfit = spec, flag(skip_unfit, "skip_unfit")
        self.counts = dict.fromkeys(COUNTS, 0)
        self.print = 0
        self.weight_print = 0
        self.alike = spec.kind == "logits"
        """Whether all logits counted so far are distributions."""
        self.missing: tuple[str, ...] = ()
        """Units of work that failed, where a partial result was asked for; not a part of the state."""
        self.failure = ""
        """Why the first of them did."""
        self.sums = {name: ExactSums(n) for name, n in sizes(spec).items()}
        self.groups: tuple[str, ...] = ()
        self.confusion = Confusion()
        self.worst: Rows | None = None
        self._sampled: Rows | None = None
        self._waiting: list[Rows] = []

    def update(self, batch: Batch) -> None:
        """Count the rows of a batch; after an error nothing of it is counted.

        Raises:
            XentError: labels, weights or shapes that break a rule, or predictions that are not what they are declared to be;
                names the first row.
        """
        self.merge(self.of(batch))

    def of(self, batch: Batch) -> Totals:
        """The state of a batch alone, which counts as this one does; it may be computed beside others."""
        of_type(batch, Batch, "rows come in a Batch")
        batch = check(self.spec, batch)
        if not len(batch.target):
            return Totals(self.spec)
        if self.spec.kind == "target-log-probs":
            rows, binned = judged_targets(batch.values), None
        else:
            rows, binned = judged(self.spec, batch.values, batch.target, batch.weight)
        unfit = rows.unfit & (batch.target >= 0)
        if unfit.any() and not self.skip_unfit:
            raise unfit_error(self.spec, batch, unfit, SKIP)
        part = Totals(self.spec)
        counting = Counting(self.spec, batch, rows, np.flatnonzero((batch.target >= 0) & ~unfit))
        n = len(batch.target)
        part.counts = {
            "rows": n,
            "ignored": int(np.count_nonzero(batch.target < 0)),
            "infinite": counting.n_infinite,
            "unfit": int(np.count_nonzero(unfit)),
            "nan": with_nan(batch, np.flatnonzero(unfit)),
            "placed": batch.placed,
        }
        part.alike = distributions(self.spec, batch, counting.counted)
        part.print = fingerprint(counting.keys, counting.target)
        part.weight_print = weight_print(counting.keys, counting.target, counting.weight)
        part.groups = counting.groups
        part.sums |= counting.sums()
        if binned is not None:
            part.sums |= {"classwise_probability": binned.probability, "classwise_weight": binned.weight}
        part.confusion, part.worst = counting.confusion(), counting.worst(self._least_loss())
        part.sample = counting.sample(sample_size(self.spec.n_classes), self._last_key())
        return part

    @property
    def sample(self) -> Rows | None:
        """The rows whose key is least; those of many merges are brought together at once."""
        self._draw()
        return self._sampled

    @sample.setter
    def sample(self, rows: Rows | None) -> None:
        self._sampled, self._waiting = rows, []

    def _last_key(self) -> int | None:
        """A key that a row must reach to enter the sample; None while there is room."""
        known = self._sampled
        if known is None or len(known) < sample_size(self.spec.n_classes):
            return None
        return int(known.columns["key"][-1])

    def _least_loss(self) -> float:
        """The loss that a row must reach to be among the worst."""
        known = self.worst
        return -math.inf if known is None or len(known) < MOST_WORST else float(known.columns["nats"][-1])

    def merge(self, other: Totals) -> None:
        """Add what another state has seen; no row may have been seen by both.

        Raises:
            ArgumentError: the states count different things.
            DTypeError: what is given is no state.
        """
        of_type(other, Totals, "a state merges with another")
        if other is self:
            raise ArgumentError("no row may be counted twice", "a state is to be merged with itself", "Merge it with another.")
        if self.spec != other.spec:
            found = f"one has {self.spec} and the other {other.spec}"
            raise ArgumentError("states merge if they count the same things", found, "Make both from one Spec.")
        self._merge_groups(other)
        self.counts = {name: self.counts[name] + other.counts[name] for name in COUNTS}
        self.print, self.alike = (self.print + other.print) % 2**64, self.alike and other.alike
        self.weight_print = (self.weight_print + other.weight_print) % 2**64
        for name, sums in self.sums.items():
            if not name.startswith("group_"):
                sums.merge(other.sums[name])
        self.confusion = self.confusion.merged(other.confusion)
        kept = [rows for rows in (self.worst, other.worst) if rows is not None]
        self.worst = worst(Rows.together(kept)) if len(kept) == 2 else kept[0] if kept else None
        if other.sample is not None and (len(other.sample) or self._sampled is None):
            self._waiting.append(other.sample)
            many = sum(map(len, self._waiting)) > sample_size(self.spec.n_classes) // WAITING
            if self._sampled is None or many or len(self._waiting) > MOST_WAITING:
                self._draw()

    def _draw(self) -> None:
        """Draw the sample again from it and the rows that wait."""
        if self._waiting:
            rows = self._waiting if self._sampled is None else [self._sampled, *self._waiting]
            self._sampled, self._waiting = sampled(Rows.together(rows), sample_size(self.spec.n_classes)), []

    def _merge_groups(self, other: Totals) -> None:
        """Bring the groups of both together, in the order of their names."""
        names = group_names(self.groups, other.groups, self.spec.by)
        place = {name: n for n, name in enumerate(names)}
        for name in self.sums:
            if name.startswith("group_"):
                merged = ExactSums(len(names))
                merged.merge(self.sums[name], np.array([place[group] for group in self.groups], np.int64))
                merged.merge(other.sums[name], np.array([place[group] for group in other.groups], np.int64))
                self.sums[name] = merged
        self.groups = names

    @property
    def counted(self) -> int:
        """Rows that count: neither ignored nor unfit."""
        return self.counts["rows"] - self.counts["ignored"] - self.counts["unfit"]

    def check_judgeable(self, called: str = "") -> None:
        """Refuse to take a mean over nothing, or of what was declared wrongly: a property of all rows, in whatever order.

        Args:
            called: what was read, for the message.

        Raises:
            ArgumentError: no row counts, or none has a weight.
            DistributionError: logits that are all distributions.
        """
        rule, rows = "there must be rows to judge", self.counts["rows"]
        if not rows:
            raise ArgumentError(
                rule, f"{called} holds none" if called else "there is none", "Is a file empty, or nothing but a header?"
            )
        if not self.counted:
            found = f"of {rows} rows {self.counts['ignored']} have no label and {self.counts['unfit']} are unfit"
            raise ArgumentError(rule, found, "Are the columns the right ones?")
        if not self.sums["bucket_weight"].total():
            raise ArgumentError(rule, "every row has weight 0", "Is the column of weights the right one?")
        check_contradiction(self.counted, self.alike)

    def __copy__(self) -> Totals:
        """A state of its own: merging adds to it in place."""
        return deepcopy(self)

    def to_bytes(self) -> bytes:
        """The state in a format of its own, with a version and a checksum; equal states give equal bytes."""
        return packed.packed(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Totals:
        """The state that `to_bytes` wrote.

        Raises:
            ArgumentError: the bytes are no such state, are of another version, or were altered.
            DTypeError: what is given holds no bytes.
        """
        return packed.unpacked(data, cls)
