"""Numbers as people read them: the terminal, a notebook and the report write them alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xent.evaluate.means.intervals import Estimate

LEAST_SHARE = 0.0005
"""1000 replicates can show no probability nearer to 0 or 1."""


def number(value: float) -> str:
    """Four decimals; two digits where it is tiny, fewer decimals and commas where it is large."""
    return _written(value, _form(value))


def estimated(estimate: Estimate) -> str:
    """The value, in the digits of its interval."""
    return _written(estimate.value, _form(*_known(estimate)))


def interval(estimate: Estimate) -> str:
    """``[0.1000, 0.2000]`` in the digits of the value, or nothing."""
    return _bracketed(estimate, _form(*_known(estimate)))


def _bracketed(estimate: Estimate, form: str) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{_written(estimate.low, form)}, {_written(estimate.high, form)}]"


def bounds(estimate: Estimate) -> tuple[str, str] | None:
    """The ends of the interval, in the digits of the value."""
    if estimate.low is None or estimate.high is None:
        return None
    form = _form(*_known(estimate))
    return _written(estimate.low, form), _written(estimate.high, form)


def column(estimates: Sequence[Estimate]) -> list[tuple[str, str]]:
    """Values and intervals under each other, all in the same digits; large ones each in its own."""
    known = [number for one in estimates for number in _known(one)]
    form = _form(*known)
    if form != ".4f":
        return [(estimated(one), interval(one)) for one in estimates]
    return [(_written(one.value, form), _bracketed(one, form)) for one in estimates]


def percent(share: float, digits: int = 1) -> str:
    """``12.3 %``; nothing where it is unknown."""
    return f"{100 * share:.{digits}f} %" if share == share else ""


def in_percent(estimate: Estimate) -> tuple[str, str]:
    """A share and its interval as numbers of percent, without the sign of it."""
    if not math.isfinite(estimate.value):
        return number(estimate.value), ""
    span = "" if estimate.low is None or estimate.high is None else f"[{_hundred(estimate.low)}, {_hundred(estimate.high)}]"
    return _hundred(estimate.value), span


def probability(share: float) -> str:
    """Three digits of a share of 1000 replicates; a dash where it is unknown."""
    if share != share:
        return "–"
    return "> 0.999" if share > 1.0 - LEAST_SHARE else "< 0.001" if share < LEAST_SHARE else f"{share:.3f}"


def amount(weight: float) -> str:
    """A number of rows, or their weight: ``2,880``, ``11.25``."""
    return f"{weight:,.0f}" if weight == round(weight) or abs(weight) >= 1e6 else f"{weight:,.6g}"


def plural(count: int, noun: str) -> str:
    """``1 row``, ``2,880 rows``, ``2 classes``."""
    return f"{count:,} {noun}{'' if count == 1 else 'es' if noun.endswith('s') else 's'}"


def _known(estimate: Estimate) -> list[float]:
    """The numbers of an estimate."""
    return [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]


def _hundred(share: float) -> str:
    return f"{round(100.0 * share, 2) + 0.0:.2f}"


def _form(*values: float) -> str:
    """One form for all, by the greatest of them."""
    greatest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    if greatest == 0.0 or 5e-4 <= greatest < 1e3:
        return ".4f"
    return ".1e" if greatest < 1.0 else ",.1f" if greatest < 1e5 else ",.0f" if greatest < 1e9 else ".3e"


def _written(value: float, form: str) -> str:
    """In that form; nothing is written as −0."""
    if not math.isfinite(value):
        return f"{value}"
    return format((round(value, 4) if form == ".4f" else value) + 0.0, form) if value else format(0.0, ".4f")
