"""The result of an evaluation: every number with its unit, as an object, as JSON, and as pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from xent.evaluate.display.needed import needed
from xent.evaluate.means.calibration_error import CalibrationErrors, calibration_errors
from xent.evaluate.means.intervals import Estimate
from xent.evaluate.means.means import LN2, Means
from xent.evaluate.means.refinement import Refinement, refinement
from xent.evaluate.means.tables import (
    Brier,
    ClassRow,
    GroupRow,
    Losses,
    SurprisingRow,
    brier,
    by_class,
    by_group,
    losses,
    surprising,
)
from xent.evaluate.state.exact import ratio, rounded
from xent.evaluate.totals import Totals
from xent.information import entropy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from xent.evaluate.means.comparison import Comparison


@dataclass(frozen=True, slots=True)
class Baselines:
    """What guesses that look at no feature cost, and how much of it the model saves."""

    uniform_nats: float
    """ln C: every class alike."""
    frequencies_nats: float
    """The entropy of the classes, as frequent as they are here."""
    skill: float
    """``1 − log loss / entropy of the classes``; below 0 is worse than naming the frequencies."""


class ConfusedRows(NamedTuple):
    """How many rows of one class were taken for one."""

    target: int
    """The index of the true class."""
    predicted: int
    """The index of the class that leads."""
    rows: int
    """Rows, each counted once whatever its weight."""


@dataclass(frozen=True, slots=True, repr=False)
class Evaluation:
    """How good predictions are; losses in nats unless the name says bits, shares in [0, 1]."""

    kind: str
    classes: tuple[str, ...]
    rows: int
    """Rows read."""
    counted: int
    """Rows that count: neither ignored nor unfit."""
    ignored: int
    """Rows without a label."""
    unfit: int
    """Rows left out because they are no predictions."""
    nan: int
    """Of these, rows that hold NaN or an empty cell; the others are out of range, or no distribution."""
    infinite: int
    """Rows whose target had probability 0; one of them makes the log loss infinite."""
    weight: float
    log_loss_nats: Estimate
    log_loss_bits: Estimate
    finite_log_loss_nats: float
    """Over rows of finite loss."""
    perplexity: Estimate
    bits_per_byte: Estimate | None
    brier: Brier | None
    """``Σ_j (p_j − y_j)²`` a row, in [0, 2]; half of it is what is often reported for two classes."""
    accuracy: Estimate | None
    top_k: dict[int, Estimate]
    entropy_nats: Estimate | None
    """What the predictions say they do not know; where it is below the log loss they are too sure."""
    baselines: Baselines | None
    calibration: CalibrationErrors | None
    refinement: Refinement | None
    losses: Losses
    by_class: tuple[ClassRow, ...]
    confusion: tuple[ConfusedRows, ...] | None
    """The pairs of true and predicted class that occur, in rows whatever their weight; None where there are too many."""
    group_column: str | None
    by_group: tuple[GroupRow, ...]
    surprising: tuple[SurprisingRow, ...]
    missing: tuple[str, ...] = ()
    """Units of work that failed: with any, this is a partial result, asked for as such."""
    failure: str = ""
    """Why the first of them did."""

    def __repr__(self) -> str:
        """The log loss, and of what; `print` shows the summary."""
        return f"<Evaluation of {self.counted:,} rows: log loss {self.log_loss_nats.value:.6g} nats>"

    def __str__(self) -> str:
        """The summary, as the terminal shows it."""
        from xent.evaluate.display.words import summary

        return summary(self)

    def as_dict(self) -> dict[str, Any]:
        """Everything in dicts, lists, strings and numbers."""
        return asdict(self)

    def to_json(
        self, comparison: Comparison | None = None, against: Evaluation | None = None, *, sources: Sequence[str] = ()
    ) -> str:
        """Everything as JSON, under the keys of docs/evaluate.md; NaN is null, and infinity is "infinity" or "-infinity".

        Args:
            comparison: of this model, the first, with another.
            against: the other model's evaluation.
            sources: the files that were judged, in the order in which rows name them.
        """
        from xent.evaluate.display.record import written

        return written(self, comparison, against, sources=sources)

    def to_html(
        self, comparison: Comparison | None = None, *, sources: Sequence[str] = (), title: str = "", date: str = ""
    ) -> str:
        """The report: one HTML text that holds its pictures and loads nothing.

        Args:
            comparison: of this model, the first, with another; shown beside it.
            sources: the files that were judged, in the order in which rows name them.
            title: the heading.
            date: what the head gives as its date; without it, equal evaluations give equal bytes.

        Raises:
            MissingExtraError: altair, vl-convert or Jinja is not installed; holds the line that installs them.
        """
        with needed("a report"):
            from xent.evaluate.report._page import html
        return html(self, comparison, sources=sources, title=title, date=date)

    def _repr_html_(self) -> str:
        """The summary, where a notebook shows it."""
        from xent.evaluate.display.words import summary_html

        return summary_html(self)

    def plot_reliability(self, of: str | None = None) -> Figure:
        """How often the predicted class, or the class named, came true against what was said; a Matplotlib figure."""
        return _plots().reliability(self, of)

    def plot_losses(self) -> Figure:
        """Shares of the rows, and of the loss, by how great the loss is; a Matplotlib figure."""
        return _plots().losses(self)

    def plot_confusion(self) -> Figure:
        """What is taken for what; beyond 50 classes the most frequent mistakes; a Matplotlib figure."""
        return _plots().confusion(self)

    def plot_temperature(self) -> Figure:
        """The loss against the temperature; a Matplotlib figure."""
        return _plots().temperature(self)

    def plot_decomposition(self) -> Figure:
        """The parts of the log loss beside the guesses, and of the Brier score; a Matplotlib figure."""
        return _plots().decomposition(self)


def _plots() -> Any:
    """The module that draws."""
    with needed("a plot"):
        from xent.evaluate.display import plots
    return plots


def evaluation(totals: Totals) -> Evaluation:
    """The means of a state."""
    totals.check_judgeable()
    means, spec, counts = Means(totals), totals.spec, totals.counts
    nats, of_classes = means.log_loss(), spec.n_classes > 0
    return Evaluation(
        kind=spec.kind,
        classes=spec.classes,
        rows=counts["rows"],
        counted=totals.counted,
        ignored=counts["ignored"],
        unfit=counts["unfit"],
        nan=counts["nan"],
        infinite=counts["infinite"],
        weight=rounded(means.weight),
        log_loss_nats=nats,
        log_loss_bits=nats.map(lambda value: value / LN2),
        finite_log_loss_nats=means.finite_log_loss(),
        perplexity=nats.map(_exponential),
        bits_per_byte=means.bits_per_byte() if spec.sized else None,
        brier=brier(totals, means) if of_classes else None,
        accuracy=means.accuracy() if of_classes else None,
        top_k={k: means.top(k) for k in spec.top_k},
        entropy_nats=means.mean("entropy") if of_classes else None,
        baselines=_baselines(totals, nats.value) if of_classes else None,
        calibration=calibration_errors(totals, means) if of_classes else None,
        refinement=_refined(totals, means),
        losses=losses(totals),
        by_class=by_class(totals),
        confusion=_confusion(totals) if of_classes else None,
        group_column=spec.by,
        by_group=by_group(totals),
        surprising=surprising(totals),
        missing=totals.missing,
        failure=totals.failure,
    )


def _refined(totals: Totals, means: Means) -> Refinement | None:
    """The split of the log loss, where rows were kept."""
    sample = totals.sample
    if sample is None or not len(sample):
        return None
    return refinement(sample, means.finite_log_loss(), means.bootstrap, complete=len(sample) == totals.counted)


def _exponential(nats: float) -> float:
    """Perplexity; infinite beyond float64."""
    return math.exp(nats) if nats < 709.0 else math.inf if nats == nats else math.nan


def _baselines(totals: Totals, nats: float) -> Baselines:
    weights = totals.sums["class_weight"].wholes()
    whole = sum(weights)
    frequencies = np.array([ratio(weight, whole) for weight in weights])
    known = float(entropy(frequencies))
    skill = 1.0 - nats / known if known > 0.0 else math.nan
    return Baselines(math.log(totals.spec.n_classes), known, skill)


def _confusion(totals: Totals) -> tuple[ConfusedRows, ...] | None:
    if totals.confusion.full:
        return None
    pairs, n = totals.confusion.pairs, totals.spec.n_classes
    columns = ((pairs // n).tolist(), (pairs % n).tolist(), totals.confusion.counts.tolist())
    return tuple(ConfusedRows(*row) for row in zip(*columns, strict=True))
