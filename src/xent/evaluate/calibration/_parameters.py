"""Rules about the parameters of calibrators; what they let pass can be saved and loaded again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, cast

import numpy as np

from xent._errors import ArgumentError
from xent.evaluate.calibration._entries import shown

MOST = 2**63
"""Whole numbers that int64 does not hold have no place in an array."""
RULE = "classes must be a list of names: all texts, all whole numbers, or True and False"


def real(value: Any) -> float:
    """A number in float64; NaN for what is none, True and False among them."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def found(value: object) -> str:
    """``found 0.5``, in one short line."""
    return f"found {' '.join(shown(value).split())}"


def check_penalty(name: str, value: object) -> None:
    """Refuse what is no number, or a negative one."""
    if not 0.0 <= real(value) < math.inf:
        remedy = "1e-8 is the default." if name == "tol" else "0 switches a penalty off."
        raise ArgumentError(f"{name} must be a finite number of at least 0", found(value), remedy)


def check_count(name: str, value: Any) -> None:
    """Refuse what counts no iterations."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 1 <= int(value) < MOST:
        raise ArgumentError(f"{name} must be a whole number of at least 1", found(value), "1000 is the default.")


def names_of(classes: Any) -> list[Any] | None:
    """The names of classes as Python's values, as given; None where they are numbers from 0.

    Raises:
        ArgumentError: they are no list, or names that no file could hold.
    """
    if classes is None:
        return None
    listed = classes.tolist() if hasattr(classes, "tolist") else classes
    if isinstance(listed, str | bytes | bytearray) or not isinstance(listed, Sequence):
        raise ArgumentError(RULE, found(classes), "Name all, in the order of the columns: classes=['no', 'yes'].")
    names = [name.item() if isinstance(name, np.generic) else name for name in cast("Sequence[Any]", listed)]
    kinds = {_kind(name) for name in names}
    if len(kinds) > 1 or not kinds <= {str, int, bool}:
        raise ArgumentError(RULE, found(names), "Name them by texts.")
    strange = next((name for name in names if not _holds(name)), None)
    if strange is not None:
        rule = "names of classes must be Unicode that does not end in NUL, or whole numbers in int64"
        raise ArgumentError(rule, found(strange), "Give it another name.")
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise ArgumentError("names of classes must differ", f"{twice!r} stands twice", "Rename one of the columns.")
    return names


def _kind(name: Any) -> type:
    """What a name is, of the kinds there are."""
    return next((kind for kind in (bool, int, str) if isinstance(name, kind)), object)


def _holds(name: Any) -> bool:
    """Whether arrays and files give a name back as it was."""
    if isinstance(name, int):
        return -MOST <= name < MOST
    return not name.endswith("\0") and name == name.encode(errors="replace").decode()
