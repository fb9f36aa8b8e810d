"""Arrays and tensors as batches: all rows at once, or batches one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from xent._errors import ArgumentError, DTypeError, LabelError, ShapeError
from xent.evaluate.inputs.arrow import both_classes
from xent.evaluate.inputs.ids import Place, Texts, groups, id_keys
from xent.evaluate.inputs.labels import Names, labelled
from xent.evaluate.inputs.plain import without_nan
from xent.evaluate.inputs.values import amounts_of, as_array, column_of
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.judge import SUM_TOLERANCE
from xent.evaluate.state.spec import Choices, Kind, Spec

NAME = "the arrays"
GROUP = "group"
"""What the column to judge by is called where it has no name."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the caller knows of some rows, one of each a row."""

    predictions: Any
    target: Any = None
    weight: Any = None
    size: Any = None
    id: Any = None
    by: Any = None

    @property
    def given(self) -> set[str]:
        """The names of what is known beside predictions and target."""
        return {field.name for field in fields(self)[2:] if getattr(self, field.name) is not None}


def array_batch(kind: Kind, parts: Parts, first: int = 0, classes: Sequence[str] = ()) -> Batch:
    """Rows from arrays or tensors; one score a row becomes two classes.

    Raises:
        XentError: an array that is none, holds something else, or has not one element a row.
    """
    numbers, place = _predictions(kind, parts.predictions), Place(NAME, first)
    n = len(numbers)
    target = column_of(parts.target, "target", n)
    if target is None and kind != "target-log-probs":
        remedy = "Give target=, or an iterable of (predictions, target)."
        raise ArgumentError("predictions need their true classes", "target is None", remedy)
    called, group = column_of(parts.id, "id", n), column_of(parts.by, "by", n)
    return Batch(
        numbers,
        np.zeros(n, np.int64) if target is None else _indices(target, tuple(classes), place),
        first=first,
        name=NAME,
        keys=None if called is None else id_keys(called, "id", place),
        ids=None if called is None else Texts(called),
        weight=amounts_of(parts.weight, "weight", n),
        size=amounts_of(parts.size, "size", n),
        group=None if group is None else groups(group, "by", place),
    )


def _predictions(kind: Kind, values: Any) -> npt.NDArray[Any]:
    """[N, C], or [N] of targets alone, in one of the dtypes that are judged."""
    numbers = as_array(values)
    if not numbers.ndim:
        found = f"found {type(values).__name__}"
        remedy = "Give an array, a path, a data frame, or an iterable of (predictions, target) alone."
        raise ShapeError("predictions must have a row for each target", found, remedy)
    if numbers.dtype.kind in "iub":
        numbers = numbers.astype(np.float64)
    if numbers.dtype.name not in SUM_TOLERANCE:
        rule = f"predictions must be {', '.join(SUM_TOLERANCE)}"
        raise DTypeError(rule, f"found {numbers.dtype}", "Convert them, with astype(float) say.")
    if numbers.ndim == 2 and numbers.shape[1] == 1:
        remedy = "Scores of the second of two classes have one dimension: predictions[:, 0]."
        raise ShapeError("predictions need a column for each class", f"found {numbers.shape}", remedy)
    return both_classes(numbers, kind) if numbers.ndim == 1 and kind != "target-log-probs" else numbers


def _indices(target: pa.Array, classes: tuple[str, ...], place: Place) -> npt.NDArray[np.int64]:
    """Class indices, -1 where there is none: from indices, or from what classes are called."""
    target = without_nan(target.cast(pa.string()) if pa.types.is_binary(target.type) else target)
    if classes:
        if pa.types.is_integer(target.type) and "-1" not in classes:
            target = pc.if_else(pc.equal(target, pa.scalar(-1, pa.int64())), pa.scalar(None, target.type), target)
        return labelled(target, Names(classes, "target"), place, certain=True)[0]
    whole = _whole(target, place) if pa.types.is_floating(target.type) else target
    if pa.types.is_boolean(whole.type) or pa.types.is_null(whole.type):
        whole = whole.cast(pa.int64())
    if not pa.types.is_integer(whole.type):
        found, remedy = f"found {target.type}", "Names need classes=, in the order of the columns."
        raise ArgumentError("with arrays the target must be whole numbers or names of classes, one a row", found, remedy)
    if pa.types.is_uint64(whole.type):
        _check_within(pc.less(whole, pa.scalar(2**63, pa.uint64())), whole, place)
    values = whole.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return np.where(whole.is_null().to_numpy(zero_copy_only=False), -1, values) if whole.null_count else values


def _whole(target: pa.Array, place: Place) -> pa.Array:
    """Floats as whole numbers; as they are where one has a fraction."""
    _check_within(pc.less(pc.abs(target), 2.0**53), target, place)
    return target if pc.any(pc.not_equal(pc.floor(target), target)).as_py() else target.cast(pa.int64())


def _check_within(inside: pa.Array, target: pa.Array, place: Place) -> None:
    """Refuse labels that are beyond all classes."""
    beyond = ~inside.fill_null(True).to_numpy(zero_copy_only=False)
    if beyond.any():
        row = int(np.argmax(beyond))
        found = f"{place.of(row)} holds {target[row]} ({int(beyond.sum())} such rows)"
        raise LabelError("labels must be classes, or NaN where there is none", found, "Mend or remove these rows.")


def given_batches(kind: Kind, batches: Iterable[Any], classes: Sequence[str] = ()) -> Iterator[Batch]:
    """Batches as pairs of predictions and target, or as mappings with what else is known of the rows."""
    first, given = 0, None
    for number, item in enumerate(batches):
        parts = _parted(item, number)
        given = parts.given if given is None else given
        if parts.given != given:
            found = f"batch {number} brings {_listed(parts.given)}, and those before bring {_listed(given)}"
            raise ArgumentError("all batches must bring the same", found, "Give it with every batch, or with none.")
        batch = array_batch(kind, parts, first, classes)
        first += len(batch.target)
        yield batch


def _parted(item: Any, number: int) -> Parts:
    """What a batch brings."""
    names = tuple(field.name for field in fields(Parts))
    if isinstance(item, Mapping):
        if "predictions" in item and set(item) <= set(names):
            return Parts(**item)
        found = f"batch {number} is one of {_listed(map(str, item))}"
    elif isinstance(item, tuple | list) and 1 <= len(item) <= 3:
        return Parts(*item)
    else:
        found = f"batch {number} is {type(item).__name__}" + (f" of {len(item)}" if hasattr(item, "__len__") else "")
    rule = f"a batch is (predictions, target), (predictions, target, weight) or a mapping of {', '.join(names)}"
    raise ArgumentError(rule, found, "Name what it holds, in a mapping.")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing else"


def spec_for(kind: Kind, classes: Sequence[str], first: Batch, choices: Choices) -> Spec:
    """What arrays like the first batch hold; classes without names are called by their numbers."""
    alone = kind == "target-log-probs"
    n = 0 if alone or first.values.ndim < 2 else first.values.shape[1]
    names = tuple(classes) or tuple(str(number) for number in range(n))
    by = None if first.group is None else GROUP
    return Spec(kind, names, weighted=first.weight is not None, sized=first.size is not None, by=by, **asdict(choices))


def peeked(batches: Iterator[Batch]) -> tuple[Batch, Iterator[Batch]]:
    """The first batch, and all of them."""
    first = next(batches, None)
    if first is None:
        raise ArgumentError("there must be rows to judge", "there is no batch", "Give at least one.")
    return first, chain([first], batches)
