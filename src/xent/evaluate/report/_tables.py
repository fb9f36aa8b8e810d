"""The tables of a report: cells as text with the number to sort by, and whether a text is a name from data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xent.evaluate._comparison import Comparison
from xent.evaluate._intervals import Estimate
from xent.evaluate._shown import shown
from xent.evaluate._words import number, percent
from xent.evaluate.report._data import Part, Row
from xent.evaluate.result import Evaluation

MOST_CLASSES, MOST_GROUPS = 500, 200


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, the number behind it if there is one, and whether it is a name that came with the data."""

    text: str
    value: float | None = None
    name: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, whether each stands over numbers, rows, and what to say of the whole."""

    headings: tuple[str, ...]
    rows: list[list[Cell]]
    caption: str = ""

    @property
    def numeric(self) -> list[bool]:
        """Which columns hold numbers."""
        first = self.rows[0] if self.rows else [Cell("") for _ in self.headings]
        return [cell.value is not None for cell in first]


def name(text: object) -> Cell:
    """A name from data."""
    return Cell(shown(text), name=True)


def plain(value: float | None, form: str = "") -> Cell:
    """A number; a dash where it is unknown or no number."""
    if value is None or math.isnan(value):
        return Cell("–", math.nan)
    if math.isinf(value):
        return Cell("∞" if value > 0.0 else "−∞", value)
    return Cell(format(value, form) if form else signed(number(value)), value)


def share(value: float | None) -> Cell:
    """A share as percent."""
    return plain(None) if value is None or not math.isfinite(value) else Cell(percent(value), value)


def signed(text: str) -> str:
    """With a minus sign as wide as the plus sign."""
    return text.replace("-", "−") if not text.rpartition("e-")[1] else "−" * text.startswith("-") + text.removeprefix("-")


def between(estimate: Estimate) -> str:
    """The interval in words of a report."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{plain(estimate.low).text} to {plain(estimate.high).text}"


def classes(result: Evaluation) -> Table:
    """The classes, those with most of the loss first."""
    headings = ("class", "rows (weight)", "log loss", "share of loss", "recall", "precision", "mean p", "frequency")
    ordered = sorted(result.by_class, key=lambda row: -row.share_of_loss if row.share_of_loss == row.share_of_loss else 0.0)
    rows = [
        [
            name(row.name),
            plain(row.weight, ",.6g"),
            plain(row.log_loss_nats),
            *map(share, (row.share_of_loss, row.recall, row.precision, row.predicted_share, row.actual_share)),
        ]
        for row in ordered[:MOST_CLASSES]
    ]
    return Table(headings, rows, _some(len(ordered), MOST_CLASSES, "classes, those with most of the loss"))


def groups(result: Evaluation) -> Table:
    """The values of the column to judge by."""
    headings = (shown(result.group_column or ""), "rows (weight)", "log loss", "95 % interval", "Brier score", "accuracy")
    rows = [
        [
            name(row.name),
            plain(row.weight, ",.6g"),
            plain(row.log_loss_nats.value),
            Cell(between(row.log_loss_nats)),
            plain(row.brier),
            share(row.accuracy),
        ]
        for row in result.by_group[:MOST_GROUPS]
    ]
    return Table(headings, rows, _some(len(result.by_group), MOST_GROUPS, "values, the"))


def surprising(result: Evaluation, sources: Sequence[str]) -> Table:
    """The rows of greatest loss."""
    rows = [
        [_place(row.id, row.row, row.source, sources), plain(row.nats)]
        + ([name(result.classes[row.target]), name(result.classes[row.predicted])] if result.classes else [])
        + ([plain(row.confidence, ".4f")] if result.classes else [])
        for row in result.surprising
    ]
    headings = ("row", "log loss", "true class", "predicted", "with p")
    return Table(headings if result.classes else headings[:2], rows)


def _place(id: str, row: int, source: int, sources: Sequence[str]) -> Cell:
    """What a row is called: its id, or its number and where it stands."""
    if id:
        return name(id)
    where = f" of {sources[source]}" if len(sources) > 1 and source < len(sources) else f" of file {source + 1}" if source else ""
    return name(f"row {row}{where}")


def compared(comparison: Comparison) -> Table:
    """The first model beside the second."""
    lines = [("log loss (nats)", comparison.log_loss_nats), ("Brier score", comparison.brier), ("accuracy", comparison.accuracy)]
    rows = [
        [
            Cell(what),
            plain(line.first),
            plain(line.second),
            plain(line.difference.value),
            Cell(between(line.difference)),
            share(line.better),
        ]
        for what, line in lines
        if line is not None
    ]
    return Table(("", "first", "second", "difference", "95 % interval", "first is better"), rows)


def quantiles(result: Evaluation) -> Table:
    """Losses below which a share of the rows lies."""
    rows = [[Cell(f"{100 * at:g} % of rows", at), plain(nats)] for at, nats in result.losses.quantiles.items()]
    return Table(("share", "loss below (nats)"), rows)


def of_parts(parts: Iterable[Part], unit: str) -> Table:
    """The bars of a picture."""
    rows = [[Cell(part.row), Cell(part.part), plain(part.high - part.low)] for part in parts]
    return Table(("bar", "part", unit), rows)


def of_bins(rows: Sequence[Row]) -> Table:
    """The bins of the predicted class."""
    held = [row for row in rows if row["class"] == -1]
    cells = [
        [
            Cell(f"{row['low']:.3f} to {row['high']:.3f}", row["low"]),
            share(row["share"]),
            plain(row["said"]),
            plain(row["came"]),
            Cell(between(Estimate(row["came"], row["from"], row["to"]))),
        ]
        for row in held
    ]
    return Table(("probability", "share of rows", "said", "came true", "95 % interval"), cells)


def of_losses(rows: Sequence[Row]) -> Table:
    """The histogram of losses."""
    held = [row for row in rows if row["rows"]]
    cells = [[Cell(f"{row['low']:.3g} to {row['high']:.3g}", row["low"]), share(row["rows"]), share(row["loss"])] for row in held]
    return Table(("nats", "of the rows", "of the loss"), cells)


def of_curve(rows: Sequence[Row]) -> Table:
    """The temperature curve."""
    return Table(("temperature", "nats"), [[plain(row["T"], ".4g"), plain(row["nats"])] for row in rows])


def of_pairs(rows: Sequence[Row]) -> Table:
    """The most frequent mistakes."""
    cells = [[name(row["true"]), name(row["said"]), plain(row["rows"], ",")] for row in rows]
    return Table(("true class", "predicted", "rows"), cells)


def _some(count: int, most: int, what: str) -> str:
    """What a table leaves out."""
    return f"{most:,} of {count:,} {what} first" if count > most else ""
