"""Entries of a JSON object that somebody else may have written: taken one by one, and each checked."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from xent.evaluate.means.temperature import WIDEST

Floats = npt.NDArray[np.float64]


class Entries:
    """Entries of a JSON object, taken one by one and checked; none may be left over."""

    def __init__(self, value: Any, name: str) -> None:
        """The object of this name."""
        if not isinstance(value, dict):
            raise ValueError(f"{name} is no object")
        self._left, self._name = dict(cast("dict[str, Any]", value)), name

    def take(self, name: str) -> Any:
        """Whatever is there."""
        if name not in self._left:
            raise ValueError(f"{self._name} has no {name!r}")
        return self._left.pop(name)

    def text(self, name: str, *known: str) -> str:
        """One of the known texts."""
        value = self.take(name)
        if value not in known:
            raise ValueError(f"{name} is {shown(value)}, which is none of {', '.join(known)}")
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = _number(self.take(name), name)
        if not math.isfinite(value):
            raise ValueError(f"{name} is {value:g}")
        return value

    def temperature(self) -> float:
        """One that a fit can give: at most 1000 times sharper or softer, but for rounding."""
        value = self.number("temperature")
        if not 0.999 / WIDEST <= value <= 1.001 * WIDEST:
            raise ValueError(f"temperature is {value:g}, which no fit gives: it lies in [{1 / WIDEST:g}, {WIDEST:g}]")
        return value

    def count(self, name: str) -> int:
        """A whole number, at least 0."""
        value = self.take(name)
        if type(value) is not int or value < 0:
            raise ValueError(f"{name} is {shown(value)}, which is no count")
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.take(name)
        if not isinstance(value, bool):
            raise ValueError(f"{name} is {shown(value)}, which is neither true nor false")
        return value

    def loss(self, name: str) -> float:
        """A loss, at least 0; "infinity" where it is."""
        value = self.take(name)
        known = math.inf if value == "infinity" else _number(value, name)
        if not known >= 0.0:
            raise ValueError(f"{name} is {known:g}")
        return known

    def vector(self, name: str, length: int | None = None) -> Floats:
        """Finite numbers, so many or at least one."""
        return _vector(self.take(name), name, length)

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """[rows, columns] finite numbers."""
        value = self.rows(name, rows)
        return np.stack([_vector(row, f"row {n} of {name}", columns) for n, row in enumerate(value)])

    def rows(self, name: str, count: int) -> list[Any]:
        """A list of so many."""
        value = self.take(name)
        if not isinstance(value, list) or len(cast("list[Any]", value)) != count:
            raise ValueError(f"{name} is no list of {count}")
        return cast("list[Any]", value)

    def done(self) -> None:
        """Refuse what nobody took."""
        if self._left:
            raise ValueError(f"{self._name} has {next(iter(self._left))!r}, which is unknown")


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is {shown(value)}, which is no number")
    return float(value)


def _vector(value: Any, name: str, length: int | None) -> Floats:
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")
    numbers = [_number(item, name) for item in cast("list[Any]", value)]
    if len(numbers) != length if length is not None else not numbers:
        raise ValueError(f"{name} has {len(numbers)} numbers, not {length or 'some'}")
    array = np.array(numbers, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array


def shown(value: Any) -> str:
    """A value of a file, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 40 else text[:40] + "..."
