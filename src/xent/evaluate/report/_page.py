"""The report as one HTML text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import amount, percent, plural
from xent.evaluate.display.verdict import short_names, verdict
from xent.evaluate.display.words import coded, left_out, meaning
from xent.evaluate.means.comparison import Comparison
from xent.evaluate.means.intervals import Estimate
from xent.evaluate.report import _tables as tables
from xent.evaluate.report._figures import Figure, all_rows, figures, groups_left_out
from xent.evaluate.report._safe import json_text, labels, policy
from xent.evaluate.report._script import script
from xent.evaluate.result import Evaluation

MOST_TILES, MOST_SOURCES = 6, 3
"""Numbers of the head beside each other, and files that are named there."""
KINDS = {
    "probs": "probabilities",
    "logits": "logits",
    "log-probs": "log-probabilities",
    "target-log-probs": "log-probabilities of the true class alone",
}


@dataclass(frozen=True, slots=True)
class Headline:
    """A number of the head of the report, and what it is in a few words."""

    name: str
    value: str
    interval: str
    note: str


def html(
    result: Evaluation,
    comparison: Comparison | None = None,
    *,
    sources: Sequence[str] = (),
    title: str = "",
    date: str = "",
) -> str:
    """The report as one text of HTML that holds all it needs.

    Args:
        result: what is reported.
        comparison: of this model, the first, with another.
        sources: the files that were read, in the order in which rows name them.
        title: the heading; by default it says what was judged.
        date: of the evaluation, as text.
    """
    pictures = figures(result)
    used = {name: rows for figure in pictures.values() for name, rows in figure.data.items()}
    charts = {name: figure.chart for name, figure in pictures.items()}
    headlines = list(_headlines(result))
    page = {
        "title": shown(title or _title(sources)),
        "heading": shown(title) if title else "How good these predictions are",
        "facts": list(_facts(result, comparison, sources, date)),
        "notices": list(_notices(result)),
        "headlines": headlines,
        "columns": _columns(len(headlines)),
        "of_classes": bool(result.classes),
        "weighted": result.weight != result.counted,
        "meaning": [Markup(coded(tables.said(line))) for line in meaning(result)],
        "figures": pictures,
        "classes": tables.classes(result) if result.by_class else None,
        "chosen": labels(result.classes) if _selectable(pictures, result) else [],
        "groups": tables.groups(result) if result.by_group else None,
        "group_column": shown(result.group_column or ""),
        "of_groups": {"line": all_rows(result), "left_out": groups_left_out(result)},
        "surprising": tables.surprising(result, sources) if result.surprising else None,
        "quantiles": tables.quantiles(result),
        "worst": percent(result.losses.worst_share),
        "comparison": None if comparison is None else tables.compared(comparison),
        "verdict": [] if comparison is None else list(map(tables.said, verdict(comparison))),
        "beside": ("", "") if comparison is None else short_names(comparison.names),
        "said_nats": None if result.entropy_nats is None else tables.plain(result.entropy_nats.value).text,
        "charts": Markup(json_text({"datasets": used, "charts": charts})),
        "version": version("xent"),
    }
    return _written(page)


def _written(page: dict[str, Any]) -> str:
    """The page with its style and script, and the policy that allows these alone."""
    style, code = _style(), script()
    allowed = policy([code], [style])
    text = _template().render(page, policy=Markup(allowed), style=Markup(style), script=Markup(code))
    return text.strip() + "\n"


@cache
def _style() -> str:
    return files("xent.evaluate.report").joinpath("templates", "page.css").read_text(encoding="utf-8")


@cache
def _template() -> Template:
    """The template; every value in it is escaped unless it is Markup, and an unknown one is an error."""
    loader = PackageLoader("xent.evaluate.report")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html.j2")


def _title(sources: Sequence[str]) -> str:
    return f"Evaluation of {sources[0]}" if sources else "Evaluation"


def _selectable(pictures: dict[str, Figure], result: Evaluation) -> bool:
    """Whether a class can be chosen in the reliability diagram."""
    return "reliability" in pictures and result.calibration is not None and bool(result.calibration.by_class)


def _columns(tiles: int) -> int:
    """Numbers of the head beside each other, at most six, so that every line of them is full or nearly so."""
    lines = math.ceil(tiles / MOST_TILES)
    return math.ceil(tiles / lines)


def _facts(result: Evaluation, comparison: Comparison | None, sources: Sequence[str], date: str) -> Iterator[tuple[str, str]]:
    """What was judged: names and texts."""
    if sources:
        more = f" and {len(sources) - MOST_SOURCES:,} more" if len(sources) > MOST_SOURCES else ""
        yield "file" if len(sources) == 1 else "files", ", ".join(map(shown, sources[:MOST_SOURCES])) + more
    if comparison is not None:
        yield "beside", shown(comparison.names[1])
    yield "rows", f"{result.counted:,}"
    if result.weight != result.counted:
        yield "weight", amount(result.weight)
    if result.classes:
        yield "classes", f"{len(result.classes):,}"
    yield "predictions", KINDS.get(result.kind, result.kind)
    if date:
        yield "judged", date


def _notices(result: Evaluation) -> Iterator[str]:
    """What is missing, and rows that are not like the others."""
    if result.missing:
        are = "is" if len(result.missing) == 1 else "are"
        units = f"{plural(len(result.missing), 'unit')} of work {are} missing"
        yield f"This result is partial: {units}, {shown(result.missing[0])} among them."
    for count, why in left_out(result):
        yield f"Left out, {why}: {count:,} of {plural(result.rows, 'row')}."
    if result.infinite:
        loss = tables.plain(result.finite_log_loss_nats).text
        rows = f"{plural(result.infinite, 'row')} {'has' if result.infinite == 1 else 'have'} infinite loss"
        yield f"{rows}. The log loss of the others is {loss} nats; pictures show these."


def _headlines(result: Evaluation) -> Iterator[Headline]:
    """The numbers of the head, the log loss first."""
    yield _number("log loss", result.log_loss_nats, "nats per row; 0 is perfect")
    yield _number("in bits", result.log_loss_bits, "bits per row, nats ÷ ln 2")
    yield _number("perplexity", result.perplexity, "as uncertain as a fair choice among so many")
    if result.bits_per_byte is not None:
        yield _number("bits per byte", result.bits_per_byte, "what a byte costs to encode")
    if result.accuracy is not None:
        yield _number("accuracy", result.accuracy, "rows whose most probable class is true", percentage=True)
    for k, among in result.top_k.items():
        yield _number(f"top-{k} accuracy", among, f"rows whose class is among the {k} most probable", percentage=True)
    if result.brier is not None:
        yield _number("Brier score", result.brier.score, "squared error of the probabilities, 0 to 2")
    if result.calibration is not None:
        yield _number("calibration error", result.calibration.equal_width, "ECE: mean gap of confidence and accuracy")


def _number(name: str, estimate: Estimate, note: str, *, percentage: bool = False) -> Headline:
    """A number as text, with its interval."""
    if percentage and math.isfinite(estimate.value):
        ends = [end for end in (estimate.low, estimate.high) if end is not None]
        span = " to ".join(percent(end, 2) for end in ends)
        return Headline(name, percent(estimate.value, 2), span, note)
    return Headline(name, tables.estimate(estimate).text, tables.between(estimate), note)
