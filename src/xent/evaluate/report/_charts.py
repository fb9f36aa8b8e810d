"""The pictures as Vega-Lite, by altair. Colours are variables of the page's style: light, dark and print need one picture.

Data lie beside the pictures, in sets of their own; no name from data becomes part of an expression.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

from xent.evaluate.report._data import LOWERS

Spec = dict[str, Any]

BLUE, ORANGE, GREY, INK, PAPER = "var(--blue)", "var(--orange)", "var(--grey)", "var(--ink)", "var(--paper)"
ROW = 26
"""Pixels of a row of bars."""
EXTENT = 34
"""Pixels of axis labels, so that pictures under each other share their horizontal axis."""
MOST_NUMBERED = 12
"""Classes up to which the cells of the matrix show their counts."""
MOST_SIDE, LONGEST_LABEL, LONGEST_PAIR = 64, 90, 190
"""Pixels of a cell of the matrix, of a name beside it, and of names beside a bar, at the most."""
MOST_DECADES = 8
"""Labels of an axis of powers of ten at the most."""
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
AUTOSIZE: Spec = {"type": "fit-x", "contains": "padding"}
CONFIG: Spec = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "gridColor": "var(--line)",
        "domainColor": "var(--edge)",
        "tickColor": "var(--edge)",
        "labelFontSize": 11,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "titlePadding": 8,
        "labelLimit": 130,
        "tickCount": 5,
    },
    "legend": {
        "orient": "top",
        "title": None,
        "labelColor": INK,
        "labelFontSize": 12,
        "symbolType": "square",
        "offset": 8,
        "padding": 0,
    },
    "text": {"color": INK, "fontSize": 12},
}


def decomposition(rows: int, parts: Sequence[str]) -> Spec:
    """So many bars: these parts of the log loss, and the guesses."""
    colours = {"refinement": BLUE, "calibration": ORANGE, "log loss": BLUE, "guess": GREY}
    held = [part for part in colours if part in parts]
    colour = _colours(held, [colours[part] for part in held], "part", legend=_legend([part for part in held if part != "guess"]))
    return _bars("decomposition", rows, colour, "nats per row")


def brier(rows: int) -> Spec:
    """Steps from the frequencies' score to the model's."""
    kinds = {"raises the score": ORANGE, LOWERS: BLUE, "score": GREY}
    colour = _colours(list(kinds), list(kinds.values()), "part", legend=_legend(list(kinds)[:2]))
    return _bars("brier", rows, colour, "Brier score")


def _bars(data: str, rows: int, colour: alt.Color, title: str) -> Spec:
    """Horizontal bars from `low` to `high`, one line per `row` in the order of the data, with their lengths at the end."""
    y = alt.Y("row:N", sort=None, title=None, axis=_plain_axis())
    tips = [_tip("row:N", "bar"), _tip("part:N", "part"), _tip("size:Q", title, ".4f")]
    held = alt.Chart(alt.NamedData(data)).transform_calculate(
        size=f"(datum.high - datum.low) * (datum.part == '{LOWERS}' ? -1 : 1)"
    )
    bars = held.mark_bar(height=ROW - 8, cornerRadius=1).encode(
        x=alt.X("low:Q", title=title), x2="high", y=y, color=colour, tooltip=tips
    )
    ends = held.transform_aggregate(end="max(high)", length="sum(size)", groupby=["row"])
    ends = ends.mark_text(align="left", dx=5, color=INK, fontSize=12)
    texts = ends.encode(x="end:Q", y=y, text=alt.Text("length:Q", format=".4f"))
    room = {"left": 0, "right": 44, "top": 5, "bottom": 5}
    return _finished(alt.layer(bars, texts), height=rows * ROW) | {"padding": room}


def reliability(*, classes: bool) -> Spec:
    """How often bins came true against what they said, with intervals, and the diagonal."""
    x = alt.X("said:Q", title="predicted probability", scale=_unit_scale())
    y = alt.Y("came:Q", title="how often it came true", scale=_unit_scale(), axis=alt.Axis(minExtent=EXTENT))
    tips = [_tip("said:Q", "said", ".3f"), _tip("came:Q", "came true", ".3f"), _tip("share:Q", "share of rows", ".2%")]
    tips += [_tip("from:Q", "95 % from", ".3f"), _tip("to:Q", "95 % to", ".3f")]
    held = _chosen(alt.Chart(alt.NamedData("bins")), classes=classes)
    ends = alt.Chart(alt.InlineData(values=[{"at": 0}, {"at": 1}])).mark_line(strokeDash=[4, 4], color="var(--edge)")
    diagonal = ends.encode(x=alt.X("at:Q", scale=_unit_scale()), y=alt.Y("at:Q", scale=_unit_scale()))
    band = held.mark_area(color=BLUE, opacity=0.18).encode(x=x, y=alt.Y("from:Q", scale=_unit_scale()), y2="to")
    line = held.mark_line(color=BLUE, strokeWidth=1.5).encode(x=x, y=y)
    points = held.mark_point(color=BLUE, filled=True, size=55, opacity=1).encode(x=x, y=y, tooltip=tips)
    return _finished(_selectable(alt.layer(diagonal, band, line, points), classes=classes), height=300)


def confidence(*, classes: bool) -> Spec:
    """How many rows each bin holds."""
    held = _chosen(alt.Chart(alt.NamedData("bins")), classes=classes)
    bars = held.mark_rect(color=GREY, stroke=PAPER, strokeWidth=1).encode(
        x=alt.X("low:Q", title="predicted probability", scale=_unit_scale()),
        x2="high",
        y=alt.Y("share:Q", title="share of rows", axis=alt.Axis(format="%", tickCount=3, minExtent=EXTENT)),
        y2=alt.datum(0),
        tooltip=[_tip("low:Q", "from", ".3f"), _tip("high:Q", "to", ".3f"), _tip("share:Q", "share of rows", ".2%")],
    )
    return _finished(_selectable(alt.layer(bars), classes=classes), height=90)


def losses(low: float, high: float) -> Spec:
    """Shares of the rows, and of the loss, by how great the loss is, from the least to the greatest."""
    scale = alt.Scale(type="log", nice=False, domain=[low, high])
    x = alt.X("low:Q", title="loss of a row (nats, logarithmic)", scale=scale, axis=_decades(low, high))
    tips = [_tip("name:N", "nats"), _tip("rows:Q", "of the rows", ".2%"), _tip("loss:Q", "of the loss", ".2%")]
    kinds = ["of the rows", "of the loss"]
    chart = alt.Chart().transform_fold(["rows", "loss"], as_=["kind", "part"]).transform_calculate(of="'of the ' + datum.kind")
    chart = chart.mark_rect(opacity=0.6).encode(
        x=x,
        x2="high",
        y=alt.Y("part:Q", title="share", axis=alt.Axis(format="%")),
        y2=alt.datum(0),
        color=_colours(kinds, [BLUE, ORANGE], "of"),
        tooltip=tips,
    )
    return _spec(chart, "losses", height=240)


def confusion(names: Sequence[str], most_rows: int) -> Spec:
    """The matrix: what is right in one colour, mistakes in another, stronger the larger their share of the true class.

    Cells are squares; the page makes them smaller where it is narrow, and turns names that do not fit over one.
    """
    longest = max(map(len, names))
    side = max(14, min(MOST_SIDE, 440 // len(names)))
    square = {"cells": len(names), "side": side, "letters": longest, "room": 60 + min(7 * longest, LONGEST_LABEL)}
    held = alt.Chart(alt.NamedData("confusion"))
    x = alt.X("said:N", sort=list(names), title="predicted", axis=_short_axis(labelAngle=0))
    y = alt.Y("true:N", sort=list(names), title="true class", axis=_short_axis())
    tips = [
        _tip("true:N", "true"),
        _tip("said:N", "predicted"),
        _tip("rows:Q", "rows", ","),
        _tip("share:Q", "of the class", ".1%"),
    ]
    colour = alt.condition("datum.right", alt.value(BLUE), alt.value(ORANGE))
    # Counts stay readable on a cell of half its colour, in light and in dark.
    strongest = 1.0 if len(names) > MOST_NUMBERED else 0.55
    strength = alt.Opacity("share:Q", legend=None, scale=alt.Scale(type="sqrt", domain=[0, 1], range=[0.2, strongest]))
    cells = held.mark_rect(stroke=PAPER, strokeWidth=1).encode(x=x, y=y, color=colour, opacity=strength, tooltip=tips)
    if len(names) > MOST_NUMBERED:
        return _square(alt.layer(cells), square)
    form = "," if most_rows < 10**5 else ".3~s"
    digits = len(f"{most_rows:,}") if most_rows < 10**5 else 5
    size = alt.ExprRef(f"max(7, min(12, width / {len(names)} * {1.6 / digits:.3f}))")
    counts = held.mark_text(fontSize=size, color=INK).encode(x=x, y=y, text=alt.Text("rows:Q", format=form), tooltip=tips)
    return _square(alt.layer(cells, counts), square)


def _square(chart: Any, square: Spec) -> Spec:
    """A matrix of square cells, as large as the page allows."""
    across = square["cells"] * square["side"]
    return _finished(chart, height=across, width=across) | {"autosize": {"type": "pad"}, "usermeta": {"square": square}}


def _short_axis(**options: Any) -> alt.Axis:
    """Names of classes without lines."""
    return alt.Axis(labelLimit=LONGEST_LABEL, domain=False, ticks=False, labelOverlap=True, **options)


def mistakes(rows: int, lines: int) -> Spec:
    """The most frequent mistakes as bars, each called in so many lines."""
    axis = _plain_axis(labelExpr="split(datum.label, '\\n')", labelLimit=LONGEST_PAIR)
    chart = alt.Chart().mark_bar(color=ORANGE, height=ROW - 10, cornerRadius=1)
    chart = chart.encode(
        x=alt.X("rows:Q", title="rows", axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("pair:N", sort=None, title=None, axis=axis),
        tooltip=[_tip("true:N", "true"), _tip("said:N", "predicted"), _tip("rows:Q", "rows", ",")],
    )
    return _spec(chart, "mistakes", height=rows * (ROW - 16 + 14 * lines))


def temperature(fitted: float, low: float, high: float) -> Spec:
    """The loss against the temperature, with what was found, and 1, which changes nothing."""
    scale = alt.Scale(type="log", domain=[min(low, 1.0), max(high, 1.0)], nice=False)
    x = alt.X("T:Q", title="temperature (logarithmic)", scale=scale, axis=_powers())
    y = alt.Y("nats:Q", title="log loss (nats)", scale=alt.Scale(zero=False))
    tips = [_tip("T:Q", "temperature", ".3~g"), _tip("nats:Q", "nats", ".4f")]
    curve = alt.Chart(alt.NamedData("temperature")).encode(x=x, y=y, tooltip=tips)
    marks = alt.Chart(alt.InlineData(values=[{"T": 1, "what": "as predicted"}, {"T": fitted, "what": f"T = {fitted:.3g}"}]))
    colour = _colours(
        ["as predicted", f"T = {fitted:.3g}"], [INK, ORANGE], "what", legend=alt.Legend(symbolType="stroke", symbolDash=[4, 3])
    )
    rules = marks.mark_rule(strokeWidth=1.5, strokeDash=[4, 3]).encode(x=x, color=colour)
    line = curve.mark_line(color=BLUE, strokeWidth=1.5)
    return _finished(alt.layer(rules, line, curve.mark_point(color=BLUE, filled=True, size=25, opacity=1)), height=200)


def groups(rows: int, whole: float, of: str) -> Spec:
    """The loss of each group with its interval, and a line for that of all rows, or of those named."""
    held = alt.Chart(alt.NamedData("groups"))
    y = alt.Y("group:N", sort=None, title=None, axis=_plain_axis())
    tips = [
        _tip("group:N", "group"),
        _tip("nats:Q", "nats", ".4f"),
        _tip("low:Q", "95 % from", ".4f"),
        _tip("high:Q", "to", ".4f"),
    ]
    nats = alt.Scale(zero=False, padding=12)
    bars = held.mark_rule(color=BLUE, strokeWidth=3, opacity=0.4).encode(x=alt.X("low:Q", scale=nats), x2="high", y=y)
    points = held.mark_point(color=BLUE, filled=True, size=60, opacity=1)
    points = points.encode(x=alt.X("nats:Q", title="log loss (nats)", scale=nats), y=y, tooltip=tips)
    line = alt.Chart(alt.InlineData(values=[{"nats": whole, "what": of}])).mark_rule(strokeWidth=1.5, strokeDash=[4, 3])
    legend = alt.Legend(symbolType="stroke", symbolDash=[4, 3])
    rule = line.encode(x=alt.X("nats:Q", scale=nats), color=_colours([of], [INK], "what", legend=legend))
    return _finished(alt.layer(rule, bars, points), height=rows * (ROW - 4))


def _chosen(chart: alt.Chart, *, classes: bool) -> alt.Chart:
    """Bins of the class that the page's selector names; -1 is the predicted one."""
    return chart.transform_filter("datum.class == chosen" if classes else "datum.class == -1")


def _selectable(chart: Any, *, classes: bool) -> Any:
    """The chart with the signal that the page's selector sets."""
    return chart.add_params(alt.param(name="chosen", value=-1)) if classes else chart


def _legend(values: Sequence[str]) -> alt.Legend:
    """A legend of some of the kinds."""
    return alt.Legend(values=list(values))


def _plain_axis(**options: Any) -> alt.Axis:
    """Names without lines."""
    return alt.Axis(domain=False, ticks=False, labelColor=INK, labelFontSize=12, labelPadding=6, **options)


def _powers() -> alt.Axis:
    """Few labels of an axis of powers."""
    return alt.Axis(format=".2~g", tickCount=6, labelOverlap=True, grid=False)


def _decades(low: float, high: float) -> alt.Axis:
    """Powers of ten, all written alike: as decimals, or where they reach too far as powers."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    if first > last or (last - first < 2 and high / low < 100.0):
        return _powers()
    every = 1 if last - first < MOST_DECADES else 2 if last - first < 2 * MOST_DECADES else 3
    values = [10.0**n for n in range(first, last + 1, every)]
    if first >= -4 and last <= 4:
        return alt.Axis(values=values, format="~f", grid=False)
    exponents = ", ".join(f"'{n}': '10{str(n).translate(RAISED)}'" for n in range(first, last + 1, every))
    return alt.Axis(values=values, labelExpr=f"{{{exponents}}}[round(log(datum.value) / LN10)]", grid=False)


def _unit_scale() -> alt.Scale:
    """From 0 to 1."""
    return alt.Scale(domain=[0, 1], nice=False)


def _colours(order: list[str], colours: list[str], field: str, **options: Any) -> alt.Color:
    """The colour of each kind."""
    return alt.Color(f"{field}:N", scale=_range(order, colours), **options)


def _range(order: list[str], colours: list[str]) -> alt.Scale:
    """Colours in an order."""
    return alt.Scale(domain=order, range=colours)


def _tip(field: str, title: str, form: str | None = None) -> alt.Tooltip:
    """A line of what is shown under the pointer."""
    return alt.Tooltip(field, title=title, format=form) if form else alt.Tooltip(field, title=title)


def _spec(chart: alt.Chart, data: str, *, height: Any) -> Spec:
    """A chart of one layer with the data of that name."""
    chart.data = alt.NamedData(data)
    return _finished(chart, height=height)


def _finished(chart: Any, *, height: Any, width: Any = "container") -> Spec:
    """As wide as its place on the page, and in the page's colours, whatever theme altair has been given."""
    with alt.theme.enable("none"):
        return chart.properties(width=width, height=height, autosize=AUTOSIZE, config=CONFIG).to_dict()
