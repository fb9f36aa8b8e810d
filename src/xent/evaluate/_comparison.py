"""Two models on the same rows: which is better, by how much, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.evaluate._hashing import BUCKETS
from xent.evaluate._intervals import Bootstrap, Estimate, around
from xent.evaluate._plain import plain
from xent.evaluate.totals import Totals

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first model's mean less the second's, over the same rows; both are drawn again together."""

    first: float
    second: float
    difference: Estimate
    better: float
    """The share of replicates in which the first model is better."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Differences between two models, the first less the second."""

    log_loss_nats: Difference
    brier: Difference | None
    accuracy: Difference | None

    def as_dict(self) -> dict[str, Any]:
        """Everything in dicts, strings and numbers that JSON can hold."""
        return plain(asdict(self))

    @classmethod
    def of(cls, first: Totals, second: Totals) -> Comparison:
        """Compare the states of two models that saw the same rows.

        Raises:
            ArgumentError: they saw different rows, or different targets of them, or none that counts.
        """
        for totals in (first, second):
            totals.check_judgeable()
        _check_same_rows(first, second)
        draws = Bootstrap()
        classes = bool(first.spec.n_classes and second.spec.n_classes)
        return cls(
            log_loss_nats=_difference(draws, first, second, "nats", less_is_better=True),
            brier=_difference(draws, first, second, "brier", less_is_better=True) if classes else None,
            accuracy=_difference(draws, first, second, "bin_hits", less_is_better=False) if classes else None,
        )


def _check_same_rows(first: Totals, second: Totals) -> None:
    """Refuse to compare over different rows."""
    if first.spec.classes != second.spec.classes and first.spec.n_classes and second.spec.n_classes:
        found = "their columns name other ones, or in another order"
        raise ArgumentError("models are compared on the same classes", found, "Name them alike, with --classes.")
    if first.print == second.print and first.counts["rows"] == second.counts["rows"]:
        if first.sums["bucket_weight"].fractions() != second.sums["bucket_weight"].fractions():
            raise ArgumentError("models are compared on the same weights", "they differ", "Name the same column of weights.")
        return
    found = f"the first has {first.counts['rows']} rows and the second {second.counts['rows']}"
    if first.counts["rows"] == second.counts["rows"]:
        found = f"both have {first.counts['rows']}, but other rows or other targets"
    remedy = "Rows are paired by their place, or by --id where there is one."
    raise ArgumentError("models are compared on the same rows", found, remedy)


def _difference(draws: Bootstrap, first: Totals, second: Totals, name: str, *, less_is_better: bool) -> Difference:
    (one, one_drawn), (other, other_drawn) = (_mean(draws, totals, name) for totals in (first, second))
    gap = one_drawn - other_drawn
    wins = gap < 0.0 if less_is_better else gap > 0.0
    better = float(np.mean(np.where(gap == 0.0, 0.5, wins))) if np.isfinite(gap).all() else math.nan
    return Difference(one, other, around(one - other, gap), better)


def _mean(draws: Bootstrap, totals: Totals, name: str) -> tuple[float, Floats]:
    """A mean over rows, and its replicates."""
    above = totals.sums[f"bucket_{name}"].floats().reshape(BUCKETS, -1).sum(axis=1)
    below = totals.sums["bucket_weight"].floats()
    if name == "nats" and totals.sums["infinite_weight"].total():
        return math.inf, np.full(1, math.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(above.sum() / below.sum()), draws.sums(above) / draws.sums(below)
