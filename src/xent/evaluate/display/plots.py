# pyright: reportUnknownMemberType=false
"""The report's pictures by Matplotlib, for papers and notebooks: each function gives a figure and touches no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.evaluate.report import _data as data
from xent.evaluate.report._safe import labels
from xent.evaluate.result import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision.
BLUE, ORANGE, GREY, DARK = "#0072B2", "#D55E00", "#b3bac3", "#555555"
MOST_LISTED = 10
"""Classes that a message names."""
LEAST_DECIMAL, SHORT_NAME = 1e-4, 2
"""An axis from less than this has powers of ten; names of so many letters stand upright under a cell."""
LARGEST, CELL_WIDTH = 7.0, 32.0
"""Points of the figures in a cell of the confusion matrix, and of as many of them as fill it."""
PARTS = {"refinement": BLUE, "calibration": ORANGE, "log loss": BLUE, "guess": GREY}
STEPS = {"lowers it": BLUE, "raises the score": ORANGE, "score": GREY}


def reliability(result: Evaluation, of: str | None) -> Figure:
    """The reliability diagram above the shares of the rows."""
    number = -1 if of is None else _class_number(result, of)
    bins = [row for row in _known(data.reliability(result), "classes") if row["class"] == number]
    if not bins:
        raise ArgumentError(
            "bins of each class are kept for at most 100 classes", f"there are {len(result.classes)}", "Leave `of` out."
        )
    figure, (above, below) = _figure(2, figsize=(4.8, 5.6), height_ratios=(4, 1), sharex=True)
    said = [row["said"] for row in bins]
    above.plot([0, 1], [0, 1], color=DARK, linestyle=":", linewidth=1.2)
    if number < 0:
        low, high = ([np.nan if row[end] is None else row[end] for row in bins] for end in ("from", "to"))
        above.fill_between(said, low, high, color=BLUE, alpha=0.18, linewidth=0)
    above.plot(said, [row["came"] for row in bins], color=BLUE, marker="o", markersize=4.5)
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="how often it came true", title=_plain(of or "the predicted class"))
    lows, widths = [row["low"] for row in bins], [row["high"] - row["low"] for row in bins]
    below.bar(lows, [row["share"] for row in bins], widths, align="edge", color=GREY, edgecolor="white")
    below.set(xlabel="predicted probability", ylabel="share of rows")
    return figure


def losses(result: Evaluation) -> Figure:
    """The histogram of losses."""
    bins = _known(data.loss_histogram(result), "finite losses")
    figure, (axes,) = _figure(1, figsize=(6.4, 3.6))
    lows, widths = [row["low"] for row in bins], [row["high"] - row["low"] for row in bins]
    for name, colour in (("rows", BLUE), ("loss", ORANGE)):
        axes.bar(lows, [row[name] for row in bins], widths, align="edge", color=colour, alpha=0.6, label=f"of the {name}")
    axes.set(xlabel="loss of a row (nats)", ylabel="share")
    _logarithmic(axes, (1.0,), powers=lows[0] < LEAST_DECIMAL)
    axes.legend(frameon=False)
    return figure


def confusion(result: Evaluation) -> Figure:
    """The matrix of shares of the true class, or the most frequent mistakes."""
    names = [_plain(name) for name in labels(result.classes)]
    if not data.confusion_cells(result, names):
        return _mistakes(result, names)
    counts = np.zeros((len(names), len(names)))
    for true, said, rows in result.confusion or ():
        counts[true, said] = rows
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    side = 2.2 + 0.28 * len(names)
    figure, (axes,) = _figure(1, figsize=(side + 0.6, side))
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    _write_counts(axes, counts, shares)
    ticks = np.arange(len(names))
    short = max(map(len, names)) <= SHORT_NAME
    axes.set_xticks(ticks, names, rotation=0 if short else 45, ha="center" if short else "right")
    axes.set_yticks(ticks, names)
    axes.set(xlabel="predicted", ylabel="true class")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, label="share of the rows of the true class", shrink=0.8)
    return figure


def _write_counts(axes: Axes, counts: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> None:
    """Rows of each cell that has any, white where it is dark."""
    size = min(LARGEST, CELL_WIDTH / len(f"{counts.max():,.0f}"))
    for true, said in np.argwhere(counts > 0.0).tolist():
        colour = "white" if shares[true, said] > 0.5 else DARK
        axes.text(said, true, f"{counts[true, said]:,.0f}", ha="center", va="center", fontsize=size, color=colour)


def _mistakes(result: Evaluation, names: list[str]) -> Figure:
    """The most frequent mistakes as bars."""
    pairs = _known(data.confused_pairs(result, names), "mistakes")
    figure, (axes,) = _figure(1, figsize=(6.4, 0.8 + 0.26 * len(pairs)))
    axes.barh(np.arange(len(pairs)), [pair["rows"] for pair in pairs], color=ORANGE)
    axes.set_yticks(np.arange(len(pairs)), [f"{pair['true']} → {pair['said']}" for pair in pairs])
    axes.invert_yaxis()
    axes.set(xlabel="rows")
    return figure


def temperature(result: Evaluation) -> Figure:
    """The temperature curve."""
    curve, split = (
        _known(data.temperature_curve(result), "a fitted temperature, which needs classes and 20 rows"),
        result.refinement,
    )
    figure, (axes,) = _figure(1, figsize=(5.6, 3.6))
    axes.plot([row["T"] for row in curve], [row["nats"] for row in curve], color=BLUE, marker="o", markersize=3)
    axes.axvline(1.0, color=DARK, linestyle=":", label="as predicted")
    if split is not None:
        axes.axvline(split.temperature, color=ORANGE, linestyle="--", label=f"T = {split.temperature:.3g}")
    axes.set(xlabel="temperature", ylabel="log loss (nats)")
    _logarithmic(axes, (1.0, 2.0, 5.0))
    axes.legend(frameon=False)
    return figure


def decomposition(result: Evaluation) -> Figure:
    """The parts of the log loss, and beside them those of the Brier score where they are known."""
    panels = [(_known(data.decomposition(result), "a finite loss"), PARTS, "nats per row")]
    steps = data.brier_steps(result)
    panels += [(steps, STEPS, "Brier score")] if steps else []
    figure, axes = _figure(len(panels), figsize=(6.4, 2.2 * len(panels)))
    for one, (parts, colours, unit) in zip(axes, panels, strict=True):
        _bars(one, parts, colours)
        one.set(xlabel=unit)
    return figure


def _bars(axes: Axes, parts: list[data.Part], colours: dict[str, str]) -> None:
    """Horizontal bars from one number to another, a colour for each kind."""
    rows = list(dict.fromkeys(part.row for part in parts))
    for kind, colour in colours.items():
        held = [part for part in parts if part.part == kind]
        label = kind if kind not in {"guess", "score"} else None
        if held:
            places, lows = [rows.index(part.row) for part in held], [part.low for part in held]
            widths = [part.high - part.low for part in held]
            axes.barh(places, widths, left=lows, color=colour, label=label, height=0.7)
    axes.set_yticks(range(len(rows)), rows)
    axes.invert_yaxis()
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize="small")


def _logarithmic(axes: Axes, digits: tuple[float, ...], *, powers: bool = False) -> None:
    """A logarithmic x axis with labels at these multiples of the powers of ten: plain numbers, or all as powers."""
    from matplotlib.ticker import FormatStrFormatter, LogFormatterMathtext, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=digits))
    axes.xaxis.set_major_formatter(LogFormatterMathtext() if powers else FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _figure(rows: int, **options: Any) -> tuple[Figure, list[Axes]]:
    """A figure of its own with axes under each other."""
    from matplotlib.figure import Figure

    layout = {name: options.pop(name) for name in ("height_ratios", "sharex") if name in options}
    figure = Figure(layout="constrained", **options)
    axes = list(figure.subplots(rows, 1, squeeze=False, **layout)[:, 0])
    for one in axes:
        one.grid(visible=True, color="#e6e9ed", linewidth=0.6)
        one.set_axisbelow(True)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _class_number(result: Evaluation, name: str) -> int:
    """The place of a class; ArgumentError where there is none of that name."""
    if name in result.classes:
        return result.classes.index(name)
    more = f", … ({len(result.classes) - MOST_LISTED:,} more)" if len(result.classes) > MOST_LISTED else ""
    listed = ", ".join(map(repr, result.classes[:MOST_LISTED])) + more
    raise ArgumentError("of= names a class", f"found {name!r}", f"Name one of: {listed}.")


def _known(rows: list[Any], what: str) -> list[Any]:
    """The rows; ArgumentError where this evaluation has none to draw."""
    if rows:
        return rows
    raise ArgumentError(f"this plot needs {what}", "this evaluation has none", "Draw another.")


def _plain(text: str) -> str:
    """A text in which Matplotlib finds no formula."""
    return text.replace("$", r"\$")
