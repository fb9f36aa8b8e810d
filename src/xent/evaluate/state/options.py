"""Options as they are kept: plain numbers, texts and tuples of them, whatever hands them over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from xent._check.options import is_whole
from xent._errors import DTypeError

LONGEST = 60
"""What is longer is told by its type alone."""


def shown(value: object) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= LONGEST and "\n" not in text else type(value).__name__


def some(names: Sequence[str]) -> str:
    """Names as Python writes them, the first ten of more."""
    return ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")


def whole(value: Any, name: str) -> int:
    """A whole number of Python or NumPy."""
    if not is_whole(value):
        raise DTypeError(f"{name} must be a whole number", f"found {shown(value)}", "Give an int.")
    return int(value)


def wholes(values: Any, name: str) -> tuple[int, ...]:
    """Whole numbers in a list."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        found = f"found {shown(values)}"
        raise DTypeError(f"{name} must be a list of whole numbers", found, f"One alone is a list as well: {name}=[2].")
    return tuple(whole(value, f"each number in {name}") for value in values)


def flag(value: Any, name: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise DTypeError(f"{name} must be True or False", f"found {shown(value)}", "Say which.")
    return bool(value)


def tolerance(value: Any, name: str) -> float | None:
    """A real number, or None; infinite where float64 does not reach."""
    if value is None:
        return None
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise DTypeError(
            f"{name} must be a number or None", f"found {shown(value)}", "0.001 serves probabilities of three decimals."
        )
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def of_type(value: object, wanted: type, rule: str) -> None:
    """Refuse what is of another type."""
    if not isinstance(value, wanted):
        raise DTypeError(rule, f"found {type(value).__name__}", f"Give a {wanted.__name__}.")


def column_name(value: Any, name: str) -> str | None:
    """A text, or None."""
    if value is not None and not isinstance(value, str):
        raise DTypeError(f"{name} must be the name of a column or None", f"found {shown(value)}", "Give its name as a text.")
    return None if value is None else str(value)


def class_names(values: Any) -> tuple[str, ...]:
    """Names of classes in their order; whole numbers, and truth values, by their texts."""
    return texts(str(value) if is_whole(value) or isinstance(value, bool | np.bool_) else value for value in _listed(values))


def texts(values: Any) -> tuple[str, ...]:
    """Names of classes in their order."""
    names = tuple(_listed(values))
    strange = next((name for name in names if not isinstance(name, str)), "")
    if not isinstance(strange, str):
        raise DTypeError("names of classes must be texts", f"found {shown(strange)}", "Give str() of each.")
    return tuple(map(str, names))


def _listed(values: Any) -> Iterable[Any]:
    """What has an order and is no text itself: letters are no names."""
    if isinstance(values, str | bytes | set | frozenset) or not isinstance(values, Iterable):
        remedy = 'Name them in the order of the columns, say ["no", "yes"].'
        raise DTypeError("classes must be a list of names", f"found {shown(values)}", remedy)
    return values
