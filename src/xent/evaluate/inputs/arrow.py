"""From record batches of Arrow to batches of an evaluation, without a copy where the memory allows."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import ArgumentError, DTypeError, LabelError
from xent.evaluate.inputs.columns import Layout
from xent.evaluate.inputs.ids import Place, Texts, first_null, groups, id_keys
from xent.evaluate.state.batch import Batch

Indices = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def batch_of(rows: pa.RecordBatch, layout: Layout, *, source: int = 0, first: int = 0, name: str = "the table") -> Batch:
    """The rows of a record batch; `first` is the number of its first row in its source.

    Raises:
        XentError: a cell that is missing or of no use; names column, row and value.
    """
    place = Place(name, first)
    rows = _plain(rows, name)
    target, placed = _target(rows, layout, place)
    return Batch(
        values=_predictions(rows, layout, place),
        target=target,
        source=source,
        first=first,
        name=name,
        keys=None if layout.id is None else id_keys(rows.column(layout.id), layout.id, place),
        ids=None if layout.id is None else Texts(rows.column(layout.id)),
        weight=_amounts(rows, layout.weight, place),
        size=_amounts(rows, layout.size, place),
        group=None if layout.by is None else groups(rows.column(layout.by)),
        placed=placed,
    )


def _plain(rows: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """The same with every text of one type, dictionaries written out, and extension types as what they are stored as."""
    for number, field in enumerate(rows.schema):
        if pa.types.is_floating(field.type):
            continue
        column = rows.column(number)
        if isinstance(field.type, pa.BaseExtensionType):
            column = column.storage
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
            column = column.cast(pa.string())
        if pa.types.is_string(column.type):
            _check_text(column, field.name, name)
        if column.type != field.type:
            rows = rows.set_column(number, field.name, column)
    return rows


def _check_text(column: pa.Array, name: str, source: str) -> None:
    """Refuse text that is none: a file may hold any bytes where it declares text."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        found = f"column {name!r} of {source} holds other bytes"
        raise ArgumentError("text must be UTF-8", found, "Write it anew, from texts.") from error


def _predictions(rows: pa.RecordBatch, layout: Layout, place: Place) -> npt.NDArray[Any]:
    """[N, C] numbers, or [N] where they are the target's alone."""
    columns = [rows.column(name) for name in layout.predictions]
    if len(columns) > 1:
        numbers = [_numbers(column, name, place) for column, name in zip(columns, layout.predictions, strict=True)]
        # One copy a column, side by side: a transposed view is read block by block.
        return np.stack(numbers).T
    kind = columns[0].type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _lists(columns[0], layout, place)
    numbers = _numbers(columns[0], layout.predictions[0], place)
    return numbers if layout.spec.kind == "target-log-probs" else both_classes(numbers, layout.spec.kind)


def both_classes(second: npt.NDArray[Any], kind: str) -> npt.NDArray[Any]:
    """[N, 2] from the score of the second of two classes."""
    if kind == "logits":
        return np.stack([np.zeros_like(second), second], axis=1)
    wide = second.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        first = _log_rest(wide) if kind == "log-probs" else 1.0 - wide
    return np.stack([first, wide], axis=1)


def _log_rest(log_probs: Floats) -> Floats:
    """``log(1 − e^x)``, right for x near 0 as well."""
    near = log_probs > -np.log(2.0)
    return np.where(near, np.log(-np.expm1(log_probs)), np.log1p(-np.exp(np.where(near, -1.0, log_probs))))


def _lists(column: pa.Array, layout: Layout, place: Place) -> npt.NDArray[Any]:
    """A column of lists, all as long as there are classes; NaN where a row has none."""
    name, n = layout.predictions[0], layout.spec.n_classes
    valid = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    held = column.drop_null() if column.null_count else column
    if not pa.types.is_fixed_size_list(column.type):
        lengths = pc.list_value_length(held).to_numpy(zero_copy_only=False)
        if (lengths != n).any():
            at = int(np.argmax(lengths != n))
            found = f"{place.of(int(valid[at]))} has {lengths[at]} in {name!r}"
            raise ArgumentError(f"a row of predictions needs {n} numbers, one a class", found, "Repair or remove the row.")
    numbers = _numbers(held.flatten(), name, Place(place.name, place.first, valid, n)).reshape(-1, n)
    if not column.null_count:
        return numbers
    spread = np.full((len(column), n), np.nan, numbers.dtype)
    spread[valid] = numbers
    return spread


def _numbers(column: pa.Array, name: str, place: Place) -> npt.NDArray[Any]:
    """A column of numbers, NaN where one is missing; integers as float64."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return _strict_numbers(column.cast(pa.string()), name, place)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        rule = f"predictions, weights and bytes must be numbers; column {name!r} must hold them"
        raise DTypeError(rule, f"in {place.name} it holds {kind}", "Convert it, or name another column.")
    numbers = column if pa.types.is_floating(kind) else column.cast(pa.float64())
    return numbers.to_numpy(zero_copy_only=False)


NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?inf$|^nan$"
"""How numbers are written in text: a point, an exponent, inf, nan; nothing else, and no spaces."""
ZERO = r"^[+-]?[0.]+([eE]|$)"
"""What is 0 as it is written, not only as float64 has it."""


def _strict_numbers(column: pa.Array, name: str, place: Place) -> Floats:
    """Text as float64, NaN where there is none; a cell that is no number, or beyond float64, is refused with its row."""
    written = pc.match_substring_regex(column, NUMBER).fill_null(True)
    if not pc.all(written).as_py():
        raise _strange_number(column, name, place, ~written.to_numpy(zero_copy_only=False), "is no number")
    values = pc.cast(pc.utf8_ltrim(column, "+"), pa.float64()).to_numpy(zero_copy_only=False)
    for beyond, meant in ((np.isinf(values), "inf"), (values == 0.0, ZERO)):
        if beyond.any():
            beyond &= ~pc.match_substring_regex(column, meant).fill_null(True).to_numpy(zero_copy_only=False)
        if beyond.any():
            raise _strange_number(column, name, place, beyond, "is beyond float64")
    return values


def _strange_number(column: pa.Array, name: str, place: Place, bad: npt.NDArray[np.bool_], fault: str) -> ArgumentError:
    row = int(np.argmax(bad))
    text = column[row].as_py()
    shown = repr(text if len(text) <= 40 else text[:40] + "...")
    found = f"in {place.of(row)} column {name!r} holds {shown}, which {fault} ({int(bad.sum())} such cells)"
    return ArgumentError("numbers are written as 0.5, 5e-1, inf or nan", found, "Repair or remove the row.")


def _amounts(rows: pa.RecordBatch, name: str | None, place: Place) -> Floats | None:
    """Weights, or numbers of bytes; none may be missing."""
    if name is None:
        return None
    column = rows.column(name)
    if column.null_count:
        found = f"{place.of(first_null(column))} has none in {name!r} ({column.null_count} such cells)"
        raise ArgumentError("every row needs a number in this column", found, "Fill the cells or remove the rows.")
    return _numbers(column, name, place).astype(np.float64)


def _target(rows: pa.RecordBatch, layout: Layout, place: Place) -> tuple[Indices, int]:
    """Class indices, and how many labels were places; -1 where a row has no class, and 0 where there is one number a row."""
    if layout.spec.kind == "target-log-probs":
        return np.zeros(rows.num_rows, np.int64), 0
    if layout.target is None:
        return np.full(rows.num_rows, -1), 0
    column = rows.column(layout.target)
    found, placed = _indices(column, layout, place)
    if placed:
        _check_places(layout, place)
    strange = pc.and_(found.is_null(), column.is_valid())
    if pc.any(strange).as_py():
        at = strange.to_numpy(zero_copy_only=False)
        raise _strange_label(column[int(np.argmax(at))].as_py(), layout, place.of(int(np.argmax(at))), int(at.sum()))
    return found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), placed


def _indices(column: pa.Array, layout: Layout, place: Place) -> tuple[pa.Array, int]:
    """Class indices by name, or else by place, and how many are by place; none where a label is no class."""
    classes = layout.spec.classes
    known, placed = _known(column.type, layout, place)
    if known.type == pa.float64():
        column = column.cast(known.type, safe=False)
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


def _known(kind: pa.DataType, layout: Layout, place: Place) -> tuple[pa.Array, bool]:
    """The classes as values of the target's type: by their names, or, where these are no integers, by their places."""
    classes = layout.spec.classes
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
    rule = f"true classes must be texts, whole numbers or booleans; column {layout.target!r} must hold them"
    raise DTypeError(rule, f"in {place.name} it holds {kind}", "Convert it, or name another column.")


def _same_number(classes: tuple[str, ...], place: Place) -> LabelError:
    """What is said of two classes called by the same number."""
    first: dict[float | None, str] = {}
    one, other = next((seen, text) for text in classes if (seen := first.setdefault(_number(text), text)) != text)
    found = f"{one!r} and {other!r} are the same, and labels of {place.name} are numbers"
    return LabelError("classes must be called by different numbers", found, "Write labels as text, or name the classes anew.")


ENDS_IN_NUMBER = re.compile(r"(.*?)(\d{1,9})", re.DOTALL)


def _check_places(layout: Layout, place: Place) -> None:
    """Refuse to take numbers for places of classes whose names are all alike but for other numbers at their ends."""
    ends = [match.groups() for text in layout.spec.classes if (match := ENDS_IN_NUMBER.fullmatch(text))]
    numbers = [int(number) for _, number in ends]
    if len(ends) < layout.spec.n_classes or len({stem for stem, _ in ends}) > 1 or numbers == list(range(len(ends))):
        return
    more = ", ..." if len(ends) > 10 else ""
    called = ", ".join(map(repr, layout.spec.classes[:10])) + more
    found = f"in {place.name} they are numbers, and the classes are called {called}"
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


def _strange_label(value: Any, layout: Layout, place: str, count: int) -> LabelError:
    classes = layout.spec.classes
    shown = ", ".join(map(repr, classes[:10])) + (", ..." if len(classes) > 10 else "")
    found = f"{place} holds {value!r} in {layout.target!r} ({count} such rows)"
    remedy = "Is a column missing, or does the label need another spelling? An empty cell leaves a row out."
    if len(layout.predictions) == 1 and classes == ("0", "1"):
        remedy = "One column of scores names no classes: --classes FIRST,SECOND (classes=) does; the score is the second's."
    if _number(str(value)) == len(classes) and all(_number(text) in (None, n) for n, text in enumerate(classes)):
        remedy = "Do labels count from 1?"
    return LabelError(f"true classes must be among the {len(classes)} of the columns ({shown})", found, remedy)
