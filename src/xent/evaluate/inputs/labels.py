"""Class indices from labels: names, numbers and booleans, by one rule wherever they come from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import DTypeError, LabelError
from xent.evaluate.inputs.ids import Place
from xent.evaluate.inputs.plain import NUMBER, without_nan
from xent.evaluate.state.options import some

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Names:
    """What labels may be: the classes, the column that holds the labels, and whether the classes are those of one score a row."""

    classes: tuple[str, ...]
    column: str
    score: bool = False


def labelled(column: pa.Array, names: Names, place: Place, *, certain: bool = False) -> tuple[Indices, int]:
    """Class indices, -1 where a row has no label, and how many labels were places; these need no proof where that is certain.

    Raises:
        XentError: a label that is no class; names the first row, and how many there are.
    """
    column = without_nan(column)
    found, placed = _indices(column, names, place)
    if placed and not certain:
        _check_places(names.classes, place)
    strange = pc.and_(found.is_null(), column.is_valid())
    if pc.any(strange).as_py():
        at = strange.to_numpy(zero_copy_only=False)
        raise _strange_label(column[int(np.argmax(at))].as_py(), names, place.of(int(np.argmax(at))), int(at.sum()))
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), placed


def _indices(column: pa.Array, names: Names, place: Place) -> tuple[pa.Array, int]:
    """Class indices by name, or else by place, and how many are by place; none where a label is no class."""
    classes = names.classes
    known, placed = _known(column.type, names, place)
    if known.type == pa.float64():
        column = column.cast(known.type, safe=False)
    if pa.types.is_null(column.type):
        column = column.cast(known.type)
    found = pc.index_in(column, value_set=known, skip_nulls=True)
    if known.type == pa.string() and found.null_count > column.null_count:
        return _by_number(column, found, classes)
    return found, len(found) - found.null_count if placed else 0


WHOLE = r"^(\d+)\.0+$"
"""How a whole number is written by what knows fractions alone: ``1.0``."""


def _by_number(column: pa.Array, found: pa.Array, classes: tuple[str, ...]) -> tuple[pa.Array, int]:
    """The same where texts that name no class are numbers: those of the classes, or places; ``1.0`` is 1."""
    numbers = [_number(text) for text in classes]
    plain = pc.replace_substring_regex(column, WHOLE, r"\1")
    if None not in numbers:
        named = plain if len(set(numbers)) == len(numbers) else column
        return pc.coalesce(found, pc.index_in(named, value_set=pa.array(classes, pa.string()), skip_nulls=True)), 0
    # Among classes such as 1.5 and 2.5 a label 1.0 is rather a name without a column.
    fractions = any(re.match(NUMBER, text) for text in classes)
    places = pa.array([str(n) for n in range(len(classes))])
    either = pc.coalesce(found, pc.index_in(column if fractions else plain, value_set=places, skip_nulls=True))
    return either, found.null_count - either.null_count


def _numbered(classes: tuple[str, ...]) -> bool:
    """Whether every class is called by a whole number."""
    return all(_number(text) is not None for text in classes)


def _known(kind: pa.DataType, names: Names, place: Place) -> tuple[pa.Array, bool]:
    """The classes as values of the target's type: by their names, or, where these are no integers, by their places."""
    classes = names.classes
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return pa.array(classes, pa.string()), False
    if pa.types.is_boolean(kind):
        return _booleans(classes), False
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        placed = not _numbered(classes)
        numbers = range(len(classes)) if placed else [_number(text) for text in classes]
        if len(set(numbers)) < len(classes):
            raise _same_number(classes, place)
        return pa.array(numbers, pa.float64()), placed
    rule = f"true classes must be texts, whole numbers or booleans; column {names.column!r} must hold them"
    raise DTypeError(rule, f"in {place.name} it holds {kind}", "Convert it, or name another column.")


def _same_number(classes: tuple[str, ...], place: Place) -> LabelError:
    """What is said of two classes called by the same number."""
    first: dict[float | None, str] = {}
    one, other = next((seen, text) for text in classes if (seen := first.setdefault(_number(text), text)) != text)
    found = f"{one!r} and {other!r} are the same, and labels of {place.name} are numbers"
    return LabelError("classes must be called by different numbers", found, "Write labels as text, or name the classes anew.")


ENDS_IN_NUMBER = re.compile(r"(.*?)(\d{1,9})", re.DOTALL)


def _check_places(classes: tuple[str, ...], place: Place) -> None:
    """Refuse to take numbers for places of classes whose names are all alike but for other numbers at their ends."""
    ends = [match.groups() for text in classes if (match := ENDS_IN_NUMBER.fullmatch(text))]
    numbers = [int(number) for _, number in ends]
    if len(ends) < len(classes) or len({stem for stem, _ in ends}) > 1 or numbers == list(range(len(ends))):
        return
    more = ", ..." if len(ends) > 10 else ""
    found = f"in {place.name} they are numbers, and the classes are called {some(classes)}"
    meant = ",".join(map(str, numbers[:10])) + more
    remedy = f"If these are meant, say --classes {meant} (classes=) or a longer prefix; else write names as labels."
    raise LabelError("labels that are numbers must be those of the classes, or their places from 0", found, remedy)


def _number(text: str) -> float | None:
    """What a class is called, as a whole number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if value.is_integer() and abs(value) < 2**53 else None


def _booleans(classes: tuple[str, ...]) -> pa.Array:
    """False and True, in the order in which the classes are called so; else the first and the second."""
    words = [text.lower() for text in classes]
    return pa.array([word == "true" for word in words] if sorted(words) == ["false", "true"] else [False, True])


def _strange_label(value: Any, names: Names, place: str, count: int) -> LabelError:
    classes = names.classes
    found = f"{place} holds {value!r} in {names.column!r} ({count} such rows)"
    remedy = "Is a column missing, or does the label need another spelling? An empty cell leaves a row out."
    if names.score and classes == ("0", "1"):
        remedy = "One column of scores names no classes: --classes FIRST,SECOND (classes=) does; the score is the second's."
    if _number(str(value)) == len(classes) and all(_number(text) in (None, n) for n, text in enumerate(classes)):
        remedy = "Do labels count from 1?"
    return LabelError(f"true classes must be among the {len(classes)} of the columns ({some(classes)})", found, remedy)
