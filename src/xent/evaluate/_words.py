"""What an evaluation says, in numbers and sentences: the terminal and the report say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from xent.evaluate._intervals import Estimate
from xent.evaluate._refinement import Refinement
from xent.evaluate.result import Evaluation


def headline(result: Evaluation) -> Iterator[tuple[str, Estimate, str]]:
    """Name, number and unit of each line of the summary."""
    yield "log loss", result.log_loss_nats, "nats"
    yield "", result.log_loss_bits, "bits"
    if math.isinf(result.log_loss_nats.value):
        yield "  without infinite rows", Estimate(result.finite_log_loss_nats), "nats"
    yield "perplexity", result.perplexity, ""
    if result.bits_per_byte is not None:
        yield "bits per byte", result.bits_per_byte, "bits"
    if result.brier is not None:
        yield "Brier score (0 to 2)", result.brier.score, ""
    if result.accuracy is not None:
        yield "accuracy", result.accuracy, ""
    for k, share in result.top_k.items():
        yield f"top-{k} accuracy", share, ""
    if result.calibration is not None:
        yield "calibration error (ECE)", result.calibration.equal_width, ""
        yield "  without bins (smooth ECE)", Estimate(result.calibration.smooth), ""
    if result.baselines is not None:
        yield "guess: class frequencies", Estimate(result.baselines.frequencies_nats), "nats"
        yield f"guess: all alike, ln {len(result.classes)}", Estimate(result.baselines.uniform_nats), "nats"


def _rows(count: int) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def meaning(result: Evaluation) -> Iterator[str]:
    """What the numbers say, in words."""
    if math.isinf(result.log_loss_nats.value):
        yield (
            f"The log loss is infinite: {_rows(result.infinite)} gave the true class a probability of 0. "
            "A model must never be that sure; nothing is clipped here."
        )
    if result.baselines is not None and math.isfinite(result.baselines.skill):
        skill = result.baselines.skill
        known = f"{100 * skill:.1f} % below" if skill > 0.0 else f"{-100 * skill:.1f} % above"
        yield f"The log loss is {known} that of always predicting the class frequencies."
    if result.refinement is not None:
        yield from _split(result.refinement)
    if result.losses.worst_share == result.losses.worst_share and not result.infinite:
        yield f"The worst 1 % of rows carry {100 * result.losses.worst_share:.1f} % of the loss."


def _split(split: Refinement) -> Iterator[str]:
    """What a temperature would gain, judged on rows it was not fitted to, and what it cannot."""
    gain, of = split.calibration_nats, "" if split.complete else f", on a sample of {split.rows:,} rows"
    found = f"(T = {split.temperature:.3g}, judged out of fold{of})"
    if gain.low is None or gain.low <= 0.0:
        change = f"{number(-gain.value)} nats {interval(Estimate(-gain.value, *_turned(gain)))}".rstrip()
        yield f"Calibration: a temperature gains nothing that these rows can show: it changes the log loss by {change} {found}."
        return
    yield (
        f"Calibration: one temperature would remove {number(gain.value)} nats {interval(gain)} {found}; "
        f"{number(split.refinement_nats)} nats stay: what the model cannot tell, and noise of the labels."
    )
    sharp = "too sure of itself: a temperature above 1 softens", "not sure enough: a temperature below 1 sharpens"
    sure = sharp[0] if split.temperature > 1.0 else sharp[1]
    yield f"It is {sure} its probabilities. `xent calibrate` fits it."


def _turned(estimate: Estimate) -> tuple[float | None, float | None]:
    """The ends of the interval of the negative."""
    return (None, None) if estimate.low is None or estimate.high is None else (-estimate.high, -estimate.low)


def number(value: float) -> str:
    """Four decimals; two digits where it is tiny, four where it is large."""
    if value == 0.0 or 5e-4 <= abs(value) < 1e4:
        return f"{value + 0.0:.4f}"
    return f"{value:.2g}" if abs(value) < 1.0 else f"{value:.4g}"


def interval(estimate: Estimate) -> str:
    """``[0.1, 0.2]``, or nothing."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def percent(share: float) -> str:
    """``12.3 %``; nothing where it is unknown."""
    return f"{100 * share:.1f} %" if share == share else ""


def summary(result: Evaluation) -> str:
    """The summary as plain text."""
    lines = [(name, number(one.value), interval(one), unit) for name, one, unit in headline(result)]
    widths = [max(len(line[n]) for line in lines) for n in range(3)]
    table = [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {unit}".rstrip() for a, b, c, unit in lines]
    return "\n".join([*table, *meaning(result)])


def summary_html(result: Evaluation) -> str:
    """The summary as a piece of HTML without style or script; every text is escaped."""
    count = f"{result.counted:,} rows" + (f", {len(result.classes):,} classes" if result.classes else "")
    heads = "".join(f"<th>{escape(head)}</th>" for head in (count, "value", "95 % interval", "unit"))
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(text)}</td>" for text in (name, number(one.value), interval(one), unit)) + "</tr>"
        for name, one, unit in headline(result)
    )
    words = "".join(f"<li>{escape(line)}</li>" for line in meaning(result))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table><ul>{words}</ul>"
