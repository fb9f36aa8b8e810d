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
    if result.infinite:
        yield f"  without {result.infinite:,} infinite rows", Estimate(result.finite_log_loss_nats), "nats"
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
        yield "  smooth", Estimate(result.calibration.smooth), ""
    if result.baselines is not None:
        yield "guess: class frequencies", Estimate(result.baselines.frequencies_nats), "nats"
        yield f"guess: all alike, ln {len(result.classes)}", Estimate(result.baselines.uniform_nats), "nats"


def meaning(result: Evaluation) -> Iterator[str]:
    """What the numbers say, in words."""
    if result.infinite:
        yield (
            f"The log loss is infinite: {result.infinite:,} rows gave their true class a probability of 0. "
            "A model must never be that sure; nothing is clipped here."
        )
    if result.baselines is not None and math.isfinite(result.baselines.skill):
        skill = result.baselines.skill
        known = f"saves {100 * skill:.1f} % of" if skill > 0.0 else f"costs {-100 * skill:.1f} % more than"
        yield f"The model {known} the loss of naming the class frequencies."
    if result.refinement is not None:
        yield from _split(result.refinement)
    if result.losses.worst_share == result.losses.worst_share and not result.infinite:
        yield f"The worst 1 % of rows carry {100 * result.losses.worst_share:.1f} % of the loss."


def _split(split: Refinement) -> Iterator[str]:
    """What a temperature would gain, and what it cannot."""
    gain, of = split.calibration_nats, "" if split.complete else f" (on a sample of {split.rows:,} rows)"
    yield (
        f"Calibration: one temperature, T = {split.temperature:.3g}, would remove {number(gain.value)} nats "
        f"{interval(gain)}{of}; "
        f"{number(split.refinement_nats)} nats are what the model does not know."
    )
    if split.temperature > 1.0 and gain.low is not None and gain.low > 0.0:
        yield "It is too sure of itself: temperatures above 1 soften its probabilities."


def number(value: float) -> str:
    """Four decimals, four digits where it is tiny or large."""
    return f"{value:.4f}" if value == 0.0 or 1e-3 <= abs(value) < 1e4 else f"{value:.4g}"


def interval(estimate: Estimate) -> str:
    """``[0.1, 0.2]``, or nothing."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def percent(share: float) -> str:
    """``12.3 %``; nothing where it is unknown."""
    return f"{100 * share:.1f} %" if share == share else ""


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
