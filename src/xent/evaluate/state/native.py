"""Columns of a batch as compiled code takes them: of one type each, in the machine's order of bytes, an element a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DTypeError, ShapeError
from xent.evaluate.state.groups import Groups
from xent.evaluate.state.options import whole


class Wanted(NamedTuple):
    """What a column is to hold."""

    name: str
    words: str
    kinds: tuple[str, ...]
    """Kinds of dtype that hold such, or dtypes, as NumPy codes them."""
    dtype: type[np.generic]
    remedy: str = "Convert them, with astype(float) say."


OF_TEXTS = "Groups.of makes them from texts."
LABELS = Wanted("labels", "whole numbers", ("i", "u"), np.int64, "Convert them; -1 stands where a row has none.")
WEIGHTS = Wanted("weights", "real numbers", ("i", "u", "f"), np.float64)
SIZES = Wanted("numbers of bytes", "real numbers", ("i", "u", "f"), np.float64)
KEYS = Wanted("keys", "uint64", ("u8",), np.uint64, "Hash what tells rows apart into 64 bits.")
PLACES = Wanted("places of groups", "whole numbers", ("i", "u"), np.int64, OF_TEXTS)


def is_plain(values: object) -> bool:
    """Whether this is an array without a mask, which would be lost."""
    return isinstance(values, np.ndarray) and not isinstance(values, np.ma.MaskedArray)


def held(values: Any) -> str:
    """The dtype of an array, or the type of what is none."""
    return str(values.dtype) if is_plain(values) else type(values).__name__


def column(values: Any, wanted: Wanted, source: str) -> npt.NDArray[Any]:
    """The array [N], as it is; refused where it holds something else."""
    known = is_plain(values) and (values.dtype.kind in wanted.kinds or values.dtype.str[1:] in wanted.kinds)
    if not known:
        rule = f"{wanted.name} must be {wanted.words}, in an array of NumPy"
        raise DTypeError(rule, f"{source} has {held(values)}", wanted.remedy)
    if values.ndim != 1:
        raise ShapeError(f"{wanted.name} must be one a row", f"{source} has {values.shape}", "Is an axis to be left out?")
    return values


def native(values: npt.NDArray[Any], wanted: Wanted) -> npt.NDArray[Any]:
    """The same numbers of the wanted type; itself where it is of that."""
    with np.errstate(over="ignore"):
        return np.require(values, wanted.dtype, ["A", "E"])


def keys(values: Any, n: int, source: str) -> npt.NDArray[np.uint64] | None:
    """Keys of n rows, or None."""
    if values is None:
        return None
    array = column(values, KEYS, source)
    _check_length(array, n, "keys", source)
    return native(array, KEYS)


def check_ids(values: Any, n: int, source: str) -> None:
    """Refuse what does not name n rows; names are looked at where they are shown."""
    if values is not None:
        _check_listed(values, "ids", source)
        _check_length(values, n, "ids", source)


def groups(given: Any, source: str) -> Groups:
    """Groups of rows, from what they are or from the name of each row's."""
    if isinstance(given, Groups):
        place = column(given.place, PLACES, source)
        names = _sorted_names(given.names, source)
        if place.size and not (place.min() >= 0 and place.max() < len(names)):
            row = int(np.argmax((place < 0) | (place >= len(names))))
            found = f"{source} has {place[row]} at row {row}"
            raise ArgumentError(f"places of groups must lie in [0, {len(names)})", found, OF_TEXTS)
        return Groups(names, native(place, PLACES))
    _check_listed(given, "groups", source)
    texts = list(given)
    strange = sorted(kind.__name__ for kind in set(map(type, texts)) if not issubclass(kind, str))
    if strange:
        raise DTypeError("groups must be texts", f"{source} has {strange[0]}", "Give str() of each.")
    return Groups.of(texts)


def number(value: Any, name: str, ends: tuple[int, int], remedy: str) -> int:
    """A whole number from one end to the other."""
    known = whole(value, name)
    if not ends[0] <= known <= ends[1]:
        raise ArgumentError(f"{name} must lie in [{ends[0]}, {ends[1]}]", f"found {known}", remedy)
    return known


def _sorted_names(names: Any, source: str) -> tuple[str, ...]:
    """Names of groups: texts, sorted, each once."""
    texts = isinstance(names, tuple | list) and all(isinstance(name, str) for name in names)
    if not texts or not all(one < other for one, other in pairwise(names)):
        found = f"{source} has others" if texts else f"those of {source} are no list of texts"
        raise ArgumentError("names of groups must be texts, sorted, each once", found, OF_TEXTS)
    return tuple(map(str, names))


def _check_listed(values: Any, name: str, source: str) -> None:
    listed = isinstance(values, Sequence) and not isinstance(values, str | bytes | bytearray | memoryview)
    if not listed and not (is_plain(values) and values.ndim == 1):
        raise DTypeError(f"{name} must be a list of texts, one a row", f"{source} has {held(values)}", "Give a list.")


def _check_length(values: Sequence[Any] | npt.NDArray[Any], n: int, name: str, source: str) -> None:
    if len(values) != n:
        raise ShapeError(f"{name} must be one a row", f"{source} has {len(values)} for {n} rows", "Is a row missing?")
