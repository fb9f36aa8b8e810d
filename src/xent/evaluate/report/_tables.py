"""The tables of a report: cells as text with the number to sort by, and whether a text is a name from data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import amount, bounds, estimated, number, percent, plural, probability
from xent.evaluate.display.verdict import measures, short_names
from xent.evaluate.display.words import counted_in, row_name, worst_classes, worst_groups
from xent.evaluate.means.comparison import Comparison
from xent.evaluate.means.intervals import Estimate
from xent.evaluate.report._data import Part, Row
from xent.evaluate.result import Evaluation

MOST_CLASSES, MOST_GROUPS = 500, 200
MOST_WHOLE = 20
"""Rows up to which a table is shown whole; a longer one says how many it has, and scrolls."""


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
    noun: str = "row"
    """What a row is of."""

    @property
    def long(self) -> bool:
        """Whether it scrolls."""
        return len(self.rows) > MOST_WHOLE

    @property
    def size(self) -> str:
        """How many rows it has, or shows of how many."""
        return self.caption or plural(len(self.rows), self.noun)

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
    """With minus signs as wide as the plus sign and a sign for infinity; exponents keep theirs."""
    return re.sub("(?<!e)-", "−", text).replace("inf", "∞")


def said(line: str) -> str:
    """A sentence with minus signs before its numbers; names in it stay as they are."""
    return re.sub(r"(?:(?<=\[)|(?<=, )|(?<= by ))-(?=\d)", "−", line)


def estimate(of: Estimate) -> Cell:
    """The value, in the digits of its interval."""
    return Cell(signed(estimated(of)), of.value) if math.isfinite(of.value) else plain(of.value)


def between(of: Estimate) -> str:
    """The interval in words of a report."""
    return " to ".join(map(signed, bounds(of) or ()))


def classes(result: Evaluation) -> Table:
    """The classes, those with most of the loss first."""
    headings = ("class", counted_in(result), "log loss", "95 % interval", "share of loss", "recall", "precision")
    headings += ("mean p", "frequency")
    ordered = worst_classes(result)
    rows = [
        [
            name(row.name),
            Cell(amount(row.weight), row.weight),
            estimate(row.log_loss_nats),
            Cell(between(row.log_loss_nats)),
            *map(share, (row.share_of_loss, row.recall, row.precision, row.predicted_share, row.actual_share)),
        ]
        for row in ordered[:MOST_CLASSES]
    ]
    return Table(headings, rows, _some(len(ordered), MOST_CLASSES, "classes, those with most of the loss"), "class")


def groups(result: Evaluation) -> Table:
    """The values of the column to judge by, the worst first."""
    headings = [shown(result.group_column or ""), counted_in(result), "log loss", "95 % interval"]
    headings += ["bits per byte"] * (result.bits_per_byte is not None) + ["Brier score", "accuracy"] * bool(result.classes)
    ordered = worst_groups(result)
    rows = [
        [
            name(row.name),
            Cell(amount(row.weight), row.weight),
            estimate(row.log_loss_nats),
            Cell(between(row.log_loss_nats)),
            *([] if row.bits_per_byte is None else [plain(row.bits_per_byte)]),
            *([plain(row.brier), share(row.accuracy)] if result.classes else []),
        ]
        for row in ordered[:MOST_GROUPS]
    ]
    return Table(tuple(headings), rows, _some(len(ordered), MOST_GROUPS, "groups, those of greatest loss"), "group")


def surprising(result: Evaluation, sources: Sequence[str]) -> Table:
    """The rows of greatest loss."""
    rows = [
        [_place(row.id, row.row, row.source, sources), plain(row.nats)]
        + ([name(result.classes[row.target]), name(result.classes[row.predicted])] if result.classes else [])
        + ([plain(row.confidence, ".4f")] if result.classes else [])
        for row in result.surprising
    ]
    first = "id (row)" if any(row.id for row in result.surprising) else "row"
    headings = (first, "log loss", "true class", "predicted", "with p")
    return Table(headings if result.classes else headings[:2], rows)


def _place(id: str, row: int, source: int, sources: Sequence[str]) -> Cell:
    """What a row is called, and in which file it stands."""
    where = f" of {sources[source]}" if len(sources) > 1 and source < len(sources) else f" of file {source + 1}" if source else ""
    return Cell(row_name(id, row, source, shown(where)), name=True)


def compared(comparison: Comparison) -> Table:
    """The first model beside the second."""
    names = short_names(comparison.names)
    rows: list[list[Cell]] = []
    for line in measures(comparison):
        of, means = line.of, line.means()
        gap, span = line.written(of.difference)
        cells = [
            _number(text, value) for text, value in ((means[0], of.first), (means[1], of.second), (gap, of.difference.value))
        ]
        rows.append([Cell(line.name), *cells, Cell(_to(span)), Cell(probability(of.better), of.better)])
    return Table(("", *names, "difference", "95 % interval", f"P({names[0]} better)"), rows)


def _to(span: str) -> str:
    """``[a, b]`` as the report's other tables write it: ``a to b``."""
    return signed(span.strip("[]").replace(", ", " to "))


def _number(text: str, value: float) -> Cell:
    """A number that is written already."""
    return Cell(signed(text), value) if math.isfinite(value) else plain(value)


def quantiles(result: Evaluation) -> Table:
    """Losses below which a share of the rows lies."""
    rows = [[Cell(f"{100 * at:g} % of rows", at), plain(nats)] for at, nats in result.losses.quantiles.items()]
    return Table(("share", "loss below (nats)"), rows)


def of_parts(parts: Iterable[Part], unit: str) -> Table:
    """The bars of a picture."""
    rows = [[Cell(part.row), Cell(part.part), plain(part.change)] for part in parts]
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
    return Table(("probability", "share of rows", "said", "came true", "95 % interval"), cells, noun="bin")


def of_losses(rows: Sequence[Row]) -> Table:
    """The histogram of losses."""
    cells = [[Cell(row["name"], row["low"]), share(row["rows"]), share(row["loss"])] for row in rows if row["rows"]]
    return Table(("nats", "of the rows", "of the loss"), cells, noun="bin")


def of_curve(rows: Sequence[Row]) -> Table:
    """The temperature curve."""
    return Table(("temperature", "nats"), [[plain(row["T"], ".4g"), plain(row["nats"])] for row in rows])


def of_pairs(rows: Sequence[Row], *, weighted: bool = False) -> Table:
    """The most frequent mistakes."""
    cells = [[name(row["true"]), name(row["said"]), plain(row["rows"], ",")] for row in rows]
    return Table(("true class", "predicted", "rows, unweighted" if weighted else "rows"), cells)


def _some(count: int, most: int, what: str) -> str:
    """What a table leaves out."""
    return f"{most:,} of {count:,} {what} first" if count > most else ""
