"""Two models on the same rows: which is better, by how much, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DTypeError
from xent.evaluate.display.json_numbers import plain
from xent.evaluate.means.intervals import Bootstrap, Estimate, around
from xent.evaluate.means.means import Means
from xent.evaluate.means.refinement import fit
from xent.evaluate.state.exact import ratio
from xent.evaluate.state.hashing import BUCKETS
from xent.evaluate.state.options import of_type, shown
from xent.evaluate.totals import Totals

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first model's mean less the second's, over the same rows; both are drawn again together."""

    first: float
    second: float
    difference: Estimate
    better: float
    """The share of replicates in which the first model is better; 0 or 1 where one loss is infinite, NaN where both are."""


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """Differences between two models, the first less the second."""

    names: tuple[str, str]
    """What the first model is called, and the second."""
    log_loss_nats: Difference
    log_loss_after_temperature_nats: Difference | None
    """What stays of each log loss after one temperature of its own, judged out of fold; None where none can be fitted."""
    brier: Difference | None
    accuracy: Difference | None
    infinite: tuple[int, int] = (0, 0)
    """Rows of infinite loss of the first model, and of the second."""
    finite_log_loss_nats: tuple[float, float] = (math.nan, math.nan)
    """Of each model over its own rows of finite loss: where these are not the same rows, no measure of which is better."""

    def __repr__(self) -> str:
        """Which models, and the difference of their log losses; `print` says which is better."""
        first, second = self.names
        return f"<Comparison of {first!r} and {second!r}: log loss {self.log_loss_nats.difference.value:+.6g} nats>"

    def _repr_html_(self) -> str:
        """The numbers and the sentences, where a notebook shows them."""
        from xent.evaluate.display.verdict import verdict_html

        return verdict_html(self)

    def __str__(self) -> str:
        """A sentence for each measure: which model is better, by how much, or that these rows do not tell."""
        from xent.evaluate.display.verdict import verdict

        return "\n".join(verdict(self))

    def as_dict(self) -> dict[str, Any]:
        """Everything in dicts, strings and numbers that JSON can hold."""
        return plain(asdict(self))

    @classmethod
    def of(cls, first: Totals, second: Totals, *, names: tuple[str, str] = ("first", "second")) -> Comparison:
        """Compare the states of two models that saw the same rows.

        Raises:
            ArgumentError: they saw different rows, or different targets or weights of them, or none that counts.
            DTypeError: what is given are no states, or no names.
        """
        names = two_names(names)
        for totals in (first, second):
            of_type(totals, Totals, "states of models are compared")
            totals.check_judgeable()
        _check_same_rows(first, second)
        pair = _Pair(first, second)
        classes = bool(first.spec.n_classes and second.spec.n_classes)
        return cls(
            names=names,
            log_loss_nats=pair.difference("nats", less_is_better=True),
            log_loss_after_temperature_nats=pair.after_temperature(),
            brier=pair.difference("brier", less_is_better=True) if classes else None,
            accuracy=pair.difference("bin_hits", less_is_better=False) if classes else None,
            infinite=(first.counts["infinite"], second.counts["infinite"]),
            finite_log_loss_nats=(Means(first).finite_log_loss(), Means(second).finite_log_loss()),
        )


def two_names(names: Any) -> tuple[str, str]:
    """What two models are called."""
    listed = tuple(names) if isinstance(names, tuple | list) else ()
    if len(listed) != 2 or not all(isinstance(name, str) for name in listed):
        raise DTypeError("names must be two texts", f"found {shown(names)}", 'Name both models: names=("old", "new").')
    return str(listed[0]), str(listed[1])


def _check_same_rows(first: Totals, second: Totals) -> None:
    """Refuse to compare over different rows."""
    if first.spec.classes != second.spec.classes and first.spec.n_classes and second.spec.n_classes:
        found = "their columns name other ones, or in another order"
        raise ArgumentError("models are compared on the same classes", found, "Name them alike, with --classes.")
    if first.print == second.print and first.counts["rows"] == second.counts["rows"]:
        if not _same_weights(first, second):
            raise ArgumentError("models are compared on the same weights", "they differ", "Name the same column of weights.")
        return
    one, other = (f"{t.counted} ({t.counts['ignored']} have no label, {t.counts['unfit']} are unfit)" for t in (first, second))
    if (first.counts["ignored"], first.counts["unfit"]) != (second.counts["ignored"], second.counts["unfit"]):
        found = f"of the first count {one}, of the second {other}"
        raise ArgumentError("models are compared on the same rows", found, "Mend these rows, or remove them from both.")
    found = f"the first has {first.counts['rows']} rows and the second {second.counts['rows']}"
    if first.counts["rows"] == second.counts["rows"]:
        found = f"both have {first.counts['rows']}, but other rows or other targets"
    remedy = "Rows are paired by their place, or by --id where there is one."
    raise ArgumentError("models are compared on the same rows", found, remedy)


def _same_weights(first: Totals, second: Totals) -> bool:
    """Whether each row weighs the same; beside rows without weights, where ``Σ w = Σ w² = n``, each weighs 1."""
    if first.spec.weighted and second.spec.weighted and first.weight_print != second.weight_print:
        return False
    return all(first.sums[name].wholes() == second.sums[name].wholes() for name in ("bucket_weight", "square_weight"))


class _Mean(NamedTuple):
    """A mean over rows, and its replicates."""

    value: float
    drawn: Floats

    def less(self, gain: float, drawn: Floats) -> _Mean:
        """Without what is gained, if anything is."""
        return _Mean(self.value - gain, self.drawn - drawn) if gain > 0.0 else self


class _Pair:
    """Two states of the same rows, drawn again alike."""

    def __init__(self, first: Totals, second: Totals) -> None:
        self.totals, self.draws = (first, second), Bootstrap()

    def difference(self, name: str, *, less_is_better: bool) -> Difference:
        """Of the means of one quantity."""
        one, other = (self._mean(totals, name) for totals in self.totals)
        return self._gap(one, other, less_is_better=less_is_better)

    def after_temperature(self) -> Difference | None:
        """Of the log losses, each less what a temperature of its own removes."""
        fits = [None if totals.sample is None else fit(totals.sample) for totals in self.totals]
        held = [(totals, found) for totals, found in zip(self.totals, fits, strict=True) if found is not None]
        if len(held) < 2:
            return None
        one, other = (self._mean(totals, "nats").less(found.gain, found.replicates(self.draws)) for totals, found in held)
        return self._gap(one, other, less_is_better=True)

    def _mean(self, totals: Totals, name: str) -> _Mean:
        above = totals.sums[f"bucket_{name}"].floats().reshape(BUCKETS, -1).sum(axis=1)
        below = totals.sums["bucket_weight"].floats()
        if name == "nats" and totals.sums["infinite_weight"].total():
            return _Mean(math.inf, np.full(1, math.inf))
        with np.errstate(divide="ignore", invalid="ignore"):
            value = ratio(totals.sums[f"bucket_{name}"].total(), totals.sums["bucket_weight"].total())
            return _Mean(value, self.draws.sums(above) / self.draws.sums(below))

    def _gap(self, one: _Mean, other: _Mean, *, less_is_better: bool) -> Difference:
        with np.errstate(invalid="ignore"):
            gap = one.drawn - other.drawn
        known = gap[~np.isnan(gap)]
        wins = known < 0.0 if less_is_better else known > 0.0
        better = float(np.mean(np.where(known == 0.0, 0.5, wins))) if known.size else math.nan
        several = np.count_nonzero(self.totals[0].sums["bucket_weight"].floats()) > 1
        value = one.value - other.value
        return Difference(one.value, other.value, around(value, gap) if several else Estimate(value), better)
