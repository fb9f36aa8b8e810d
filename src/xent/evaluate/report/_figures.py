"""The figures of a report: each a chart, its data, what it says in a sentence, and the same numbers as a table."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import number, percent, plural
from xent.evaluate.display.words import counted_in
from xent.evaluate.report import _charts as charts
from xent.evaluate.report import _data as data
from xent.evaluate.report import _tables as tables
from xent.evaluate.report._safe import labels
from xent.evaluate.result import Evaluation

MOST_DRAWN = 40
"""Groups of one picture at the most."""
MOST_NAMED = 3
"""Groups named of those that no picture shows."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, the rows that it draws by the name of their set, its text for who cannot see it, and its numbers."""

    chart: dict[str, Any]
    data: dict[str, list[dict[str, Any]]]
    says: str
    table: tables.Table | None


def figures(result: Evaluation) -> dict[str, Figure]:
    """Every figure for which the evaluation has numbers, by name."""
    return dict([*_losses(result), *_calibration(result), *_confusion(result), *_groups(result)])


def _losses(result: Evaluation) -> Iterator[tuple[str, Figure]]:
    """The parts of the loss, those of the Brier score, and the histogram."""
    parts = data.decomposition(result)
    if len(parts) > 1:
        says = "Bars: " + ", ".join(f"{one.row}, {one.part}: {number(one.high - one.low)} nats" for one in parts)
        chart, rows = (
            charts.decomposition(len({part.row for part in parts}), [part.part for part in parts]),
            [part._asdict() for part in parts],
        )
        yield "decomposition", Figure(chart, {"decomposition": rows}, says, tables.of_parts(parts, "nats"))
    steps = data.brier_steps(result)
    if steps:
        says = "Steps from the uncertainty of the classes to the Brier score of the model"
        rows = [step._asdict() for step in steps]
        yield "brier", Figure(charts.brier(len(steps)), {"brier": rows}, says, tables.of_parts(steps, "Brier score"))
    bins = data.loss_histogram(result)
    if bins:
        says = f"Histogram of the losses; the worst 1 % of rows carry {percent(result.losses.worst_share)} of the loss"
        yield "losses", Figure(charts.losses(bins[0]["low"], bins[-1]["high"]), {"losses": bins}, says, tables.of_losses(bins))


def _calibration(result: Evaluation) -> Iterator[tuple[str, Figure]]:
    """The reliability diagram with how many rows its bins hold, and the temperature curve."""
    bins = data.reliability(result)
    if bins and result.calibration is not None:
        several = bool(result.calibration.by_class)
        says = f"Reliability diagram of the predicted class; calibration error {number(result.calibration.equal_width.value)}"
        yield "reliability", Figure(charts.reliability(classes=several), {"bins": bins}, says, tables.of_bins(bins))
        says = "Histogram of the predicted probability"
        yield "confidence", Figure(charts.confidence(classes=several), {"bins": bins}, says, None)
    curve, split = data.temperature_curve(result), result.refinement
    if curve and split is not None:
        says = f"Log loss against temperature; it is least at T = {split.temperature:.3g}"
        chart = charts.temperature(split.temperature, curve[0]["T"], curve[-1]["T"])
        yield "temperature", Figure(chart, {"temperature": curve}, says, tables.of_curve(curve))


def _confusion(result: Evaluation) -> Iterator[tuple[str, Figure]]:
    """The matrix where it can be read, else the most frequent mistakes."""
    names, weighted = labels(result.classes), counted_in(result) == "weight"
    pairs = data.confused_pairs(result, names)
    cells = data.confusion_cells(result, names)
    if cells:
        says = f"Matrix of {len(names)} true by {len(names)} predicted classes; cells count rows"
        chart = charts.confusion(names, max(cell["rows"] for cell in cells))
        yield "confusion", Figure(chart, {"confusion": cells}, says, tables.of_pairs(pairs, weighted=weighted) if pairs else None)
    elif pairs:
        says = f"The {len(pairs)} most frequent mistakes"
        table = tables.of_pairs(pairs, weighted=weighted)
        yield (
            "mistakes",
            Figure(charts.mistakes(len(pairs), lines=1 + ("\n" in pairs[0]["pair"])), {"mistakes": pairs}, says, table),
        )


def _groups(result: Evaluation) -> Iterator[tuple[str, Figure]]:
    """The groups, where they fit into one picture."""
    rows = data.group_rows(result)
    if 1 < len(rows) <= MOST_DRAWN:
        says = f"Log loss of each value of {shown(result.group_column)}, with intervals, and of {all_rows(result)}"
        yield (
            "groups",
            Figure(charts.groups(len(rows), result.finite_log_loss_nats, all_rows(result)), {"groups": rows}, says, None),
        )


def all_rows(result: Evaluation) -> str:
    """What the line across the groups is the loss of."""
    return "all rows of finite loss" if result.infinite else "all rows"


def groups_left_out(result: Evaluation) -> str:
    """Which groups no picture shows, and why; empty where it shows all."""
    drawn, infinite = len(data.group_rows(result)), [row for row in result.by_group if math.isinf(row.log_loss_nats.value)]
    if drawn > MOST_DRAWN:
        return f"No picture is drawn of more than {MOST_DRAWN} groups; here are {plural(len(result.by_group), 'group')}."
    if not infinite:
        return ""
    names = ", ".join(shown(row.name) for row in infinite[:MOST_NAMED]) + (", …" if len(infinite) > MOST_NAMED else "")
    return f"Of infinite loss, and so in the table alone: {plural(len(infinite), 'group')} ({names})."
