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

from xent.evaluate._comparison import Comparison
from xent.evaluate._shown import shown
from xent.evaluate._words import meaning, percent
from xent.evaluate.report import _tables as tables
from xent.evaluate.report._figures import Figure, figures
from xent.evaluate.report._safe import json_text, labels, policy
from xent.evaluate.report._script import script
from xent.evaluate.result import Evaluation

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
    against: str = "",
    title: str = "",
) -> str:
    """The report as one text of HTML that holds all it needs.

    Args:
        result: what is reported.
        comparison: of this model, the first, with another.
        sources: the files that were read, in the order in which rows name them.
        against: what the other model's predictions are called.
        title: the heading; by default it says what was judged.
    """
    pictures = figures(result)
    used = {name: rows for figure in pictures.values() for name, rows in figure.data.items()}
    charts = {name: figure.chart for name, figure in pictures.items()}
    page = {
        "title": shown(title or _title(sources)),
        "heading": shown(title) if title else "How good these predictions are",
        "facts": list(_facts(result, sources)),
        "notices": list(_notices(result)),
        "headlines": list(_headlines(result)),
        "meaning": list(meaning(result)),
        "figures": pictures,
        "classes": tables.classes(result) if result.by_class else None,
        "chosen": labels(result.classes) if _selectable(pictures, result) else [],
        "groups": tables.groups(result) if result.by_group else None,
        "group_column": shown(result.group_column or ""),
        "surprising": tables.surprising(result, sources) if result.surprising else None,
        "quantiles": tables.quantiles(result),
        "worst": percent(result.losses.worst_share),
        "comparison": None if comparison is None else tables.compared(comparison),
        "against": shown(against or "the second model"),
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


def _facts(result: Evaluation, sources: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What was judged: names and texts."""
    if sources:
        more = f" and {len(sources) - 1:,} more" if len(sources) > 1 else ""
        yield "file" if len(sources) == 1 else "files", shown(sources[0]) + more
    yield "rows", f"{result.counted:,}"
    if result.weight != result.counted:
        yield "weight", f"{result.weight:,.6g}"
    if result.classes:
        yield "classes", f"{len(result.classes):,}"
    yield "predictions", KINDS.get(result.kind, result.kind)


def _notices(result: Evaluation) -> Iterator[str]:
    """What is missing, and rows that are not like the others."""
    if result.missing:
        yield f"This result is partial: {len(result.missing):,} units of work are missing, {shown(result.missing[0])} among them."
    if result.ignored:
        yield f"{result.ignored:,} of {result.rows:,} rows have no label and were left out."
    if result.unfit:
        yield f"{result.unfit:,} of {result.rows:,} rows are no predictions (NaN, or no distribution) and were left out."
    if result.infinite:
        loss = tables.plain(result.finite_log_loss_nats).text
        yield f"{result.infinite:,} rows have infinite loss. Without them it is {loss} nats; pictures show the finite rows."


def _headlines(result: Evaluation) -> Iterator[Headline]:
    """The numbers of the head, the log loss first."""
    yield _number("log loss", result.log_loss_nats, "nats per row; 0 is perfect")
    yield _number("in bits", result.log_loss_bits, "bits per row, nats ÷ ln 2")
    yield _number("perplexity", result.perplexity, "as uncertain as among so many equal classes")
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


def _number(name: str, estimate: Any, note: str, *, percentage: bool = False) -> Headline:
    """A number as text, with its interval."""
    if percentage and math.isfinite(estimate.value):
        ends = (estimate.low, estimate.high)
        span = "" if None in ends else " to ".join(percent(end) for end in ends)
        return Headline(name, percent(estimate.value), span, note)
    return Headline(name, tables.plain(estimate.value).text, tables.between(estimate), note)
