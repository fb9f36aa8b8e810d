"""The temperature of least loss, by few passes over the rows.

With β = 1/T the mean loss is convex: its slope ``E_p[x] − x_target`` rises with β, as its derivative is the variance of x
under p. Every pass sums loss, slope and curvature at several β at once. The sums are exact, so neither order nor batches
change a bit of β.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq

from xent._errors import ArgumentError
from xent.evaluate.means.temperature import WIDEST, Scored
from xent.evaluate.state.exact import ExactSums, ratio
from xent.kernels.cpu.threads import for_each

Floats = npt.NDArray[np.float64]

FIRST = (0.25, 1.0, 4.0)
"""Where the first pass looks."""
TOLERANCE = 1e-9
"""Relative; the loss is then within 1e-18 of the least."""
NATS, STEEPER, FLATTER, CURVATURE = range(4)
"""What is summed of each β; slopes above and below 0 apart, as exact sums hold no negative numbers."""

Passes = Callable[[], Iterable[Sequence[Callable[[], Scored]]]]
"""Begins another pass; of every batch, what makes its pieces."""


@dataclass(frozen=True, slots=True)
class Point:
    """Of the mean loss in nats at one β: value, first and second derivative."""

    inverse: float
    nats: float
    slope: float
    curvature: float

    @property
    def settled(self) -> bool:
        """Whether Newton's step from here is nothing."""
        return abs(self.slope) <= TOLERANCE * self.curvature * self.inverse


@dataclass(frozen=True, slots=True)
class Found:
    """The best β, what the loss was at 1, how many passes it took, and over how many rows."""

    best: Point
    before_nats: float
    passes: int
    rows: int


def least(passes: Passes) -> Found:
    """The β in [1/1000, 1000] where the mean loss is least; 1 where it is all alike.

    Raises:
        ArgumentError: no row counts.
    """
    points: list[Point] = []
    asked, count, rows = FIRST, 0, 0
    while asked:
        new, rows = _pass(passes, asked)
        points, count = sorted([*points, *new], key=lambda point: point.inverse), count + 1
        asked = _next(points)
    best = min(points, key=lambda point: (abs(point.slope), abs(np.log(point.inverse))))
    before = next(point.nats for point in points if point.inverse == 1.0)
    return Found(best, before, count, rows)


def _pass(passes: Passes, asked: Sequence[float]) -> tuple[list[Point], int]:
    """Read all rows once."""
    sums, rows = ExactSums(4 * len(asked) + 1), 0
    for batch in passes():
        parts: list[Floats] = [np.empty((0, 0))] * len(batch)

        def work(number: int, batch: Sequence[Callable[[], Scored]] = batch, parts: list[Floats] = parts) -> None:
            parts[number] = _terms(batch[number](), asked)

        for_each(work, range(len(batch)))
        for terms in parts:
            sums.add(terms.reshape(-1), np.repeat(np.arange(len(sums)), terms.shape[1]))
            rows += terms.shape[1]
    if not rows:
        found = "every row is without a class or has weight zero"
        raise ArgumentError("there must be rows to fit to", found, "Is the column of true classes empty?")
    return _points(sums, asked), rows


def _terms(rows: Scored, asked: Sequence[float]) -> Floats:
    """[4·K + 1, n] what each row adds to the sums of each β, and its weight."""
    terms = np.empty((4 * len(asked) + 1, len(rows.target)))
    for n, inverse in enumerate(asked):
        nats, slope, curvature = rows.terms(inverse)
        terms[4 * n + NATS], terms[4 * n + CURVATURE] = nats, curvature
        terms[4 * n + STEEPER], terms[4 * n + FLATTER] = np.maximum(slope, 0.0), np.maximum(-slope, 0.0)
    terms[-1] = 1.0
    return terms * rows.weight + 0.0


def _points(sums: ExactSums, asked: Sequence[float]) -> list[Point]:
    """Means; here alone anything is divided."""
    *parts, weight = sums.wholes()
    points: list[Point] = []
    for n, inverse in enumerate(asked):
        nats, steeper, flatter, curvature = parts[4 * n : 4 * n + 4]
        points.append(Point(inverse, ratio(nats, weight), ratio(steeper - flatter, weight), ratio(curvature, weight)))
    return points


def _next(points: Sequence[Point]) -> tuple[float, ...]:
    """Where to look next; nowhere where the best is found."""
    if any(point.settled for point in points):
        return ()
    low = [point for point in points if point.slope < 0.0]
    high = [point for point in points if point.slope > 0.0]
    if not high:
        top = points[-1].inverse
        return () if top >= WIDEST else (min(4.0 * top, WIDEST), min(16.0 * top, WIDEST))[: 1 + (4.0 * top < WIDEST)]
    if not low:
        end, bottom = 1.0 / WIDEST, points[0].inverse
        return () if bottom <= end else (max(bottom / 4.0, end), max(bottom / 16.0, end))[: 1 + (bottom / 4.0 > end)]
    return _between(low[-1], high[0])


def _between(low: Point, high: Point) -> tuple[float, ...]:
    """Where a cubic through both slopes and their derivatives is 0, and the middle."""
    if high.inverse <= low.inverse * (1.0 + TOLERANCE):
        return ()
    middle, near = float(np.sqrt(low.inverse * high.inverse)), _cubic_root(low, high)
    return (middle, near) if low.inverse < near < high.inverse and near != middle else (middle,)


def _cubic_root(low: Point, high: Point) -> float:
    """The root of Hermite's cubic through two slopes, one below 0 and one above."""
    width = high.inverse - low.inverse

    def cubic(t: float) -> float:
        s = 1.0 - t
        ends = s * s * (1.0 + 2.0 * t) * low.slope + t * t * (3.0 - 2.0 * t) * high.slope
        return ends + width * s * t * (s * low.curvature - t * high.curvature)

    root: Any = brentq(cubic, 0.0, 1.0, xtol=1e-15)
    return low.inverse + width * float(root)
