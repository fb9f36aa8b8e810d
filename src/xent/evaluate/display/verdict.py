"""Which of two models is better, in lines of a table and in sentences: the terminal and the report say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePath

from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import column, estimated, in_percent, interval, number, plural, probability
from xent.evaluate.means.comparison import Comparison, Difference
from xent.evaluate.means.intervals import Estimate


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of a comparison: what is compared, in which unit, and whether more of it is better."""

    name: str
    within: str
    """The name inside a sentence."""
    unit: str
    of: Difference
    share: bool = False
    """Whether it is a share, shown as numbers of percent, of which more is better."""

    def means(self) -> tuple[str, str]:
        """Those of the first and the second, in the same digits."""
        pair = [Estimate(self.of.first), Estimate(self.of.second)]
        first, second = (in_percent(one)[0] for one in pair) if self.share else (text for text, _ in column(pair))
        return first, second

    def written(self, estimate: Estimate) -> tuple[str, str]:
        """A difference and its interval, as text."""
        return in_percent(estimate) if self.share else (estimated(estimate), interval(estimate))


def measures(comparison: Comparison) -> Iterator[Measure]:
    """What is known of both."""
    yield Measure("log loss, nats", "log loss", "nats", comparison.log_loss_nats)
    if comparison.log_loss_after_temperature_nats is not None:
        after = comparison.log_loss_after_temperature_nats
        yield Measure("  after temperature", "log loss after one temperature each", "nats", after)
    if comparison.brier is not None:
        yield Measure("Brier score", "Brier score", "", comparison.brier)
    if comparison.accuracy is not None:
        yield Measure("accuracy, %", "accuracy", "percentage points", comparison.accuracy, share=True)


def short_names(names: Sequence[str]) -> tuple[str, str]:
    """What tells the two apart, as it is shown: the file without its folder where that is enough."""
    first, second = (PurePath(name).name or name for name in names)
    if first == second:
        first, second = names
    if first == second:
        first, second = f"{first} (1)", f"{second} (2)"
    return shown(first), shown(second)


def verdict(comparison: Comparison) -> Iterator[str]:
    """A sentence for each measure."""
    names = short_names(comparison.names)
    for measure in measures(comparison):
        yield _sentence(measure, names)
        if measure.of is comparison.log_loss_nats:
            yield from _infinite(comparison, names)


def verdict_html(comparison: Comparison) -> str:
    """The numbers of both and the sentences as a piece of HTML without style or script; every text is escaped."""
    names = short_names(comparison.names)
    headings = ("", *names, "difference", "95 % interval", f"P({names[0]} better)")
    lines = (
        (one.name, *one.means(), *one.written(one.of.difference), probability(one.of.better)) for one in measures(comparison)
    )
    heads = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    rows = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in lines)
    words = "".join(f"<li>{escape(line)}</li>" for line in verdict(comparison))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><ul>{words}</ul>"


def _sentence(measure: Measure, names: tuple[str, str]) -> str:
    """Who is better, by how much, or that these rows do not tell."""
    gap, unit = measure.of.difference, f" {measure.unit}" if measure.unit else ""
    if math.isnan(gap.value):
        return f"In {measure.within} nothing can be said: both are infinite."
    if math.isinf(gap.value):
        return f"In {measure.within} {names[gap.value > 0.0]} is better: that of {names[gap.value < 0.0]} is infinite."
    size = gap if gap.value >= 0.0 else _negative(gap)
    text, span = measure.written(size)
    found = f"{text}{unit} {span}".rstrip()
    if gap.low is None or gap.high is None or gap.low <= 0.0 <= gap.high:
        which = f"{names[gap.value < 0.0]} has {found} more" if gap.value else "both are alike"
        return f"In {measure.within} these rows do not tell which is better: {which}."
    better = names[(gap.value < 0.0) == measure.share]
    return f"In {measure.within} {better} is better, by {found}."


def _infinite(comparison: Comparison, names: tuple[str, str]) -> Iterator[str]:
    """How many rows make a log loss infinite, and the loss of the others."""
    for name, rows, nats in zip(names, comparison.infinite, comparison.finite_log_loss_nats, strict=True):
        if rows:
            others = f"; that of its other rows is {number(nats)} nats" if math.isfinite(nats) else ""
            yield f"The log loss of {name} is infinite by {plural(rows, 'row')}{others}."


def _negative(estimate: Estimate) -> Estimate:
    """The estimate of the negative."""
    ends = (None, None) if estimate.low is None or estimate.high is None else (-estimate.high, -estimate.low)
    return Estimate(-estimate.value, *ends)
