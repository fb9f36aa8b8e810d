"""What an evaluation says, in numbers and sentences: the terminal and the report say the same."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import estimated, in_percent, interval, number, plural
from xent.evaluate.means.intervals import Estimate
from xent.evaluate.means.refinement import Refinement
from xent.evaluate.means.tables import ClassRow, GroupRow
from xent.evaluate.result import Evaluation

HIGHEST = 999.0
"""Temperatures from here on stopped at the bound of the search."""
FLAT = (0.999, 1.05)
"""The loss there over that of all classes alike, where the predictions know nothing that a higher temperature would show."""
COIN = 0.5
"""The least share of rows of two classes that a guess without knowledge has right: others name the more frequent class."""


class Line(NamedTuple):
    """A line of the summary, as text."""

    name: str
    value: str
    interval: str
    unit: str


def headline(result: Evaluation) -> Iterator[Line]:
    """The lines of the summary."""
    yield _line("log loss", result.log_loss_nats, "nats")
    yield _line("", result.log_loss_bits, "bits")
    if math.isinf(result.log_loss_nats.value):
        yield _line("  without infinite rows", Estimate(result.finite_log_loss_nats), "nats")
    yield _line("perplexity", result.perplexity)
    if result.bits_per_byte is not None:
        yield _line("bits per byte", result.bits_per_byte, "bits")
    if result.brier is not None:
        yield _line("Brier score (0 to 2)", result.brier.score)
    if result.accuracy is not None:
        yield Line("accuracy", *in_percent(result.accuracy), "%")
    for k, share in result.top_k.items():
        yield Line(f"top-{k} accuracy", *in_percent(share), "%")
    if result.calibration is not None:
        yield _line("calibration error (ECE)", result.calibration.equal_width)
        yield _line("  without bins (smooth ECE)", Estimate(result.calibration.smooth))
    if result.baselines is not None:
        yield _line("guess: class frequencies", Estimate(result.baselines.frequencies_nats), "nats")
        yield _line(f"guess: all alike, ln {len(result.classes)}", Estimate(result.baselines.uniform_nats), "nats")


def _line(name: str, estimate: Estimate, unit: str = "") -> Line:
    """A number with its interval."""
    return Line(name, estimated(estimate), interval(estimate), unit)


def meaning(result: Evaluation) -> Iterator[str]:
    """What the numbers say, in words."""
    if math.isinf(result.log_loss_nats.value):
        what = "the true class" if result.classes else "what came true"
        yield (
            f"The log loss is infinite: {plural(result.infinite, 'row')} gave {what} a probability of 0. "
            "A model must never be that sure; nothing is clipped here."
        )
    if result.baselines is not None and math.isfinite(result.baselines.skill):
        skill = result.baselines.skill
        known = f"{100 * skill:.1f} % below" if skill > 0.0 else f"{-100 * skill:.1f} % above"
        yield f"The log loss is {known} that of always predicting the class frequencies."
    if _turned_around(result):
        yield "Fewer rows are right than by guessing: are the two classes the other way around?"
    if result.refinement is not None:
        yield from _split(result, result.refinement)
    if result.losses.worst_share == result.losses.worst_share and not result.infinite:
        yield f"The worst 1 % of rows carry {100 * result.losses.worst_share:.1f} % of the loss."


def _turned_around(result: Evaluation) -> bool:
    """Whether two classes are told apart, and each taken for the other."""
    high = None if result.accuracy is None else result.accuracy.high
    return len(result.classes) == 2 and high is not None and high < COIN


def _split(result: Evaluation, split: Refinement) -> Iterator[str]:
    """What a temperature would gain, judged on rows it was not fitted to, and what it cannot."""
    endless = math.isinf(result.log_loss_nats.value)
    of = "Calibration, of the rows of finite loss alone" if endless else "Calibration"
    if split.temperature >= HIGHEST:
        yield f"{of}: {_too_high(result, split)}."
    else:
        yield from _gain(split, of, advise=not endless)
    if endless:
        yield (
            "No temperature makes the log loss finite; isotonic curves with a floor can: "
            "`xent calibrate --method isotonic --floor 1e-6`."
        )


def _too_high(result: Evaluation, split: Refinement) -> str:
    """What is said of a temperature at its bound, which was not found but stopped."""
    if result.baselines is not None and FLAT[0] <= split.refinement_nats / result.baselines.uniform_nats <= FLAT[1]:
        return "no temperature is high enough, the predictions are worse than naming all classes alike"
    return "no temperature up to 1000 is high enough: divide the logits by a power of ten first"


def _gain(split: Refinement, of: str, *, advise: bool) -> Iterator[str]:
    """What a temperature that was found would gain."""
    gain, sample = split.calibration_nats, "" if split.complete else f", on a sample of {plural(split.rows, 'row')}"
    found = f"(T = {split.temperature:.3g}, judged out of fold{sample})"
    if gain.low is None or gain.low <= 0.0:
        change, verb = (gain, "lower") if gain.value >= 0.0 else (Estimate(-gain.value, *_turned(gain)), "raise")
        by = f"{estimated(change)} nats {interval(change)}".rstrip()
        yield f"{of}: a temperature gains nothing that these rows can show: it would {verb} the log loss by {by} {found}."
        return
    yield (
        f"{of}: one temperature would remove {estimated(gain)} nats {interval(gain)} {found}; "
        f"{number(split.refinement_nats)} nats stay: what the model cannot tell, and noise of the labels."
    )
    sharp = "too sure of itself: a temperature above 1 softens", "not sure enough: a temperature below 1 sharpens"
    sure = sharp[0] if split.temperature > 1.0 else sharp[1]
    yield f"It is {sure} its probabilities." + (" `xent calibrate` fits it." if advise else "")


def _turned(estimate: Estimate) -> tuple[float | None, float | None]:
    """The ends of the interval of the negative."""
    return (None, None) if estimate.low is None or estimate.high is None else (-estimate.high, -estimate.low)


def row_name(id: str, row: int, source: int, where: str) -> str:
    """What a row is called: its id, and its number where it stands; a row of a part of a source has none."""
    number = f"row\N{NO-BREAK SPACE}{row}{where}"
    if not id:
        return number
    return shown(id) if source < 0 else f"{shown(id)} ({number})"


def left_out(result: Evaluation) -> Iterator[tuple[int, str]]:
    """Rows that did not count, and why."""
    counts = ((result.ignored, "without a label"), (result.nan, "with NaN"), (result.unfit - result.nan, "out of range"))
    yield from ((count, why) for count, why in counts if count)


def counted_in(result: Evaluation) -> str:
    """What a table counts: rows, or their weight."""
    return "rows" if result.weight == result.counted else "weight"


def worst_classes(result: Evaluation) -> list[ClassRow]:
    """The classes, those with most of the loss first."""
    return sorted(result.by_class, key=lambda row: (row.log_loss_nats.value != math.inf, -_or(row.share_of_loss, 0.0)))


def worst_groups(result: Evaluation) -> list[GroupRow]:
    """The groups, those of greatest loss first; without a loss last."""
    return sorted(result.by_group, key=lambda row: -_or(row.log_loss_nats.value, -math.inf))


def _or(value: float, otherwise: float) -> float:
    return value if value == value else otherwise


def summary(result: Evaluation) -> str:
    """The summary as plain text."""
    lines = list(headline(result))
    widths = [max(len(line[n]) for line in lines) for n in range(3)]
    table = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {unit}".rstrip() for a, b, c, unit in lines]
    return "\n".join([*table, *meaning(result)])


def summary_html(result: Evaluation) -> str:
    """The summary as a piece of HTML without style or script; every text is escaped."""
    count = plural(result.counted, "row") + (f", {plural(len(result.classes), 'class')}" if result.classes else "")
    heads = "".join(f"<th>{escape(head)}</th>" for head in (count, "value", "95 % interval", "unit"))
    lines = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in line) + "</tr>" for line in headline(result))
    words = "".join(f"<li>{coded(line)}</li>" for line in meaning(result))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table><ul>{words}</ul>"


def coded(line: str) -> str:
    """A sentence as HTML: escaped, then what stands in backticks as code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(line))
