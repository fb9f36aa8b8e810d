"""What the pictures show, as plain rows: the report's charts, its tables of the same numbers, and Matplotlib draw from here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from xent.evaluate.display.words import worst_groups
from xent.evaluate.means.tables import LossBin
from xent.evaluate.report._safe import brief, labels
from xent.evaluate.result import Evaluation
from xent.evaluate.state.places import LEAST_OCTAVE, OCTAVES

Row = dict[str, Any]

MOST_LOSS_BINS, LEAST_BITS = 48, 26
"""Bins of the histogram of losses, and octaves below the greatest loss after which small losses are one bin."""
MOST_MATRIX, MOST_PAIRS = 50, 20
"""Classes up to which confusions are a matrix, and pairs that are shown where there are more."""
MOST_LETTERS = 26
"""Letters of each name beside a bar."""
LOWERS = "lowers it"
"""What a step is called whose length is taken off."""
SMALLEST_BITS, LARGEST_BITS = float(LEAST_OCTAVE), float(LEAST_OCTAVE + OCTAVES)
"""Losses below and above these powers of two lie in one bin each."""


class Part(NamedTuple):
    """A bar from one number to another."""

    row: str
    part: str
    low: float
    high: float

    @property
    def change(self) -> float:
        """Its length; below 0 for a step that lowers the score."""
        return (self.low - self.high) if self.part == LOWERS else self.high - self.low


def decomposition(result: Evaluation) -> list[Part]:
    """The log loss in its two parts, and the two guesses that look at nothing, in nats."""
    nats, split = result.finite_log_loss_nats, result.refinement
    parts = [Part("log loss", "log loss", 0.0, nats)]
    if split is not None:
        gain = max(split.calibration_nats.value, 0.0)
        parts = [Part("log loss", "refinement", 0.0, nats - gain), Part("log loss", "calibration", nats - gain, nats)]
    if result.baselines is not None:
        known, alike = result.baselines.frequencies_nats, result.baselines.uniform_nats
        parts += [Part("class frequencies", "guess", 0.0, known), Part("all classes alike", "guess", 0.0, alike)]
    return [part for part in parts if math.isfinite(part.high)] if math.isfinite(nats) else []


def brier_steps(result: Evaluation) -> list[Part]:
    """From the score of the frequencies to that of the model, step by step; empty where the parts are not known."""
    score = result.brier
    if score is None or score.reliability is None or score.resolution is None or score.within is None:
        return []
    steps = {"resolution": -score.resolution, "reliability": score.reliability, "within bins": score.within}
    ends = np.cumsum([score.uncertainty, *steps.values()]).tolist()
    bars = zip(steps, pairwise(ends), strict=True)
    moves = [Part(name, LOWERS if b < a else "raises the score", min(a, b), max(a, b)) for name, (a, b) in bars]
    whole = [Part("uncertainty", "score", 0.0, score.uncertainty), Part("Brier score", "score", 0.0, score.score.value)]
    return [whole[0], *moves, whole[1]]


def reliability(result: Evaluation) -> list[Row]:
    """Bins of the predicted class, number -1, and of every class where there are tables of them."""
    errors = result.calibration
    if errors is None:
        return []
    total = sum(band.bin.weight for band in errors.bins)
    rows = [
        _bin(-1, band.bin, total) | {"from": _rounded(band.frequency.low), "to": _rounded(band.frequency.high)}
        for band in errors.bins
    ]
    for number, bins in enumerate(errors.by_class):
        whole = sum(one.weight for one in bins)
        rows += [_bin(number, one, whole) | {"from": None, "to": None} for one in bins]
    return rows


def _bin(number: int, one: Any, total: float) -> Row:
    """A bin as a row; `share` is its part of the weight."""
    row = {"class": number, "low": one.low, "high": one.high, "said": one.confidence, "came": one.frequency}
    row["share"] = one.weight / total if total else 0.0
    return {name: value if name == "class" else _rounded(value) for name, value in row.items()}


def _rounded(value: float | None) -> float | None:
    """Six digits are more than a picture shows; None for what is no number."""
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def loss_histogram(result: Evaluation) -> list[Row]:
    """Shares of the rows and of the loss between edges a fixed ratio apart; infinite losses are no part of it.

    The first bin may hold all smaller losses, and the last all greater ones: `name` says so.
    """
    held = result.losses.bins
    if not held:
        return []
    edges = _loss_edges(held)
    weight, nats, lowest = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1), len(edges)
    for one in held:
        # Of a bin from 0 the upper edge is known alone.
        nats_of_it = one.low or float(np.nextafter(one.high, 0.0))
        at = int(np.clip(np.searchsorted(edges, nats_of_it, "right") - 1, 0, len(weight) - 1))
        weight[at], nats[at], lowest = weight[at] + one.weight, nats[at] + one.nats, min(lowest, at)
    names = [f"{low:.3g} to {high:.3g}" for low, high in pairwise(edges)]
    if held[0].low < edges[lowest]:
        names[lowest] = f"below {edges[lowest + 1]:.2g}"
    if math.isinf(held[-1].high):
        names[-1] = f"{edges[-2]:.4g} and above"
    loss = nats.sum()
    shares = zip((weight / weight.sum()).tolist(), (nats / loss if loss else nats).tolist(), strict=True)
    return [
        {"low": low, "high": high, "name": name, "rows": _rounded(of_rows), "loss": _rounded(of_loss)}
        for (low, high), name, (of_rows, of_loss) in zip(pairwise(edges), names, shares, strict=True)
    ]


def _loss_edges(held: Sequence[LossBin]) -> list[float]:
    """Edges of the histogram: as fine as its room allows, and a last bin for losses above those that are told apart."""
    above = math.isinf(held[-1].high)
    top = LARGEST_BITS if above else math.log2(held[-1].high)
    least = math.log2(max(held[0].low, 2.0**SMALLEST_BITS))
    bottom = min(max(least, top - LEAST_BITS), top - 1.0)
    step = next(s for s in (0.125, 0.25, 0.5, 1.0) if (top - bottom) / s <= MOST_LOSS_BINS)
    return [2.0 ** (n * step) for n in range(math.floor(bottom / step), math.ceil(top / step) + 1 + above)]


def confusion_cells(result: Evaluation, names: Sequence[str]) -> list[Row]:
    """Cells of the matrix that hold a row; `share` is of the rows of the true class. Empty where a matrix would be too large."""
    if result.confusion is None or not 0 < len(names) <= MOST_MATRIX:
        return []
    totals = np.zeros(len(names))
    for true, _, rows in result.confusion:
        totals[true] += rows
    return [
        {"true": names[true], "said": names[said], "rows": rows, "share": _rounded(rows / totals[true]), "right": true == said}
        for true, said, rows in result.confusion
    ]


def confused_pairs(result: Evaluation, names: Sequence[str]) -> list[Row]:
    """The most frequent mistakes, greatest first; `pair` is what a bar is called, in two lines where it is long."""
    wrong = [pair for pair in result.confusion or () if pair[0] != pair[1]]
    wrong.sort(key=lambda pair: (-pair[2], pair[0], pair[1]))
    shown = list(dict.fromkeys(names[place] for pair in wrong[:MOST_PAIRS] for place in pair[:2]))
    short = dict(zip(shown, brief(shown, MOST_LETTERS), strict=True))
    pairs = [(names[true], names[said], rows) for true, said, rows in wrong[:MOST_PAIRS]]
    between = "\n→ " if any(len(short[a]) + len(short[b]) > MOST_LETTERS for a, b, _ in pairs) else " → "
    return [{"true": a, "said": b, "pair": f"{short[a]}{between}{short[b]}", "rows": rows} for a, b, rows in pairs]


def temperature_curve(result: Evaluation) -> list[Row]:
    """Temperature and mean loss."""
    curve = () if result.refinement is None else result.refinement.curve
    return [{"T": t, "nats": nats} for t, nats in curve if math.isfinite(nats)]


def group_rows(result: Evaluation) -> list[Row]:
    """The loss of each group, with its interval; the worst first."""
    ordered = worst_groups(result)
    losses = [(name, row.log_loss_nats) for name, row in zip(labels([row.name for row in ordered]), ordered, strict=True)]
    return [
        {"group": name, "nats": one.value, "low": one.low, "high": one.high} for name, one in losses if math.isfinite(one.value)
    ]
