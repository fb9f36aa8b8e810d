"""Arrays and tensors as batches: all rows at once, or batches one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from xent._check import arrays as rules
from xent._errors import ArgumentError, DTypeError, LabelError, ShapeError
from xent.evaluate.inputs.arrow import both_classes
from xent.evaluate.inputs.ids import Place, Texts, groups, id_keys
from xent.evaluate.state.batch import Batch
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
    numbers = _predictions(kind, parts.predictions)
    n = len(numbers)
    if parts.target is None and kind != "target-log-probs":
        remedy = "Give target=, or an iterable of (predictions, target)."
        raise ArgumentError("predictions need their true classes", "target is None", remedy)
    known = np.zeros(n, np.int64) if parts.target is None else _indices(as_array(parts.target, "target"), classes)
    called, group = _names(parts.id, "id", n), _names(parts.by, "by", n)
    return Batch(
        numbers,
        known,
        first=first,
        name=NAME,
        keys=None if called is None else id_keys(called, "id", Place(NAME, first)),
        ids=None if called is None else Texts(called),
        weight=_amounts(parts.weight, "weight", n),
        size=_amounts(parts.size, "size", n),
        group=None if group is None else groups(group),
    )


def as_array(value: Any, name: str = "predictions") -> npt.NDArray[Any]:
    """An array; a tensor is taken from its graph and device, and bfloat16 becomes float32, which holds it."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
    array = rules.as_array(value, name)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _predictions(kind: Kind, values: Any) -> npt.NDArray[Any]:
    numbers = as_array(values)
    if not numbers.ndim:
        found = f"found {type(values).__name__}"
        remedy = "Give an array, a path, a data frame, or an iterable of (predictions, target) alone."
        raise ShapeError("predictions must have a row for each target", found, remedy)
    if numbers.dtype.kind in "iub":
        numbers = numbers.astype(np.float64)
    return both_classes(numbers, kind) if numbers.ndim == 1 and kind != "target-log-probs" else numbers


def _one_a_row(value: Any, name: str, n: int) -> npt.NDArray[Any]:
    """The array, refused if it has not an element for each row."""
    array = as_array(value, name)
    if array.shape != (n,):
        remedy = "A name of a column serves with a table."
        raise ShapeError(f"with arrays {name} must have one value a row", f"found {array.shape} for {n} rows", remedy)
    return array


def _amounts(value: Any, name: str, n: int) -> npt.NDArray[np.float64] | None:
    """Weights, or numbers of bytes."""
    if value is None:
        return None
    array = _one_a_row(value, name, n)
    if array.dtype.kind not in "iubf":
        raise DTypeError(f"{name} must be numbers, one a row", f"found {array.dtype}", "Convert it, with astype(float) say.")
    return array.astype(np.float64)


def _names(value: Any, name: str, n: int) -> pa.Array | None:
    """What rows, or groups of them, are called."""
    if value is None:
        return None
    array = _one_a_row(value, name, n)
    try:
        return pa.array(array if array.dtype.kind in "iubf" else array.tolist(), from_pandas=True)
    except pa.ArrowException as error:
        raise DTypeError(f"{name} must be texts or numbers, all of one kind", f"Arrow says: {error}", "Convert it.") from error


def _indices(target: npt.NDArray[Any], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Class indices, -1 where there is none: from whole numbers, from floats without fractions, or from names of classes."""
    if classes and target.dtype.kind in "OUST" and target.ndim == 1:
        return _named(target.tolist(), classes)
    if target.ndim == 1 and target.dtype.kind == "f":
        target = _whole(target)
    if target.dtype.kind not in "iub" or target.ndim != 1:
        found = f"found {target.dtype} shaped {target.shape}"
        remedy = "Names need classes=, in the order of the columns."
        raise ArgumentError("with arrays the target must be whole numbers or names of classes, one a row", found, remedy)
    if target.dtype == np.uint64:
        target = np.minimum(target, np.uint64(2**62))
    return target.astype(np.int64)


def _named(labels: Sequence[Any], classes: Sequence[str]) -> npt.NDArray[np.int64]:
    """Class indices from names of classes."""
    place = {name: number for number, name in enumerate(classes)}
    strange = [row for row, label in enumerate(labels) if not _missing(label) and str(label) not in place]
    if strange:
        found = f"row {strange[0]} of {NAME} holds {labels[strange[0]]!r} ({len(strange)} such rows)"
        remedy = "Does the label need another spelling? None leaves a row out."
        raise LabelError("labels must be names of classes", found, remedy)
    return np.array([-1 if _missing(label) else place[str(label)] for label in labels], np.int64)


def _whole(target: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Floats as whole numbers, -1 for NaN; as they are where one has a fraction."""
    beyond = ~(np.isnan(target) | (np.abs(target) < 2.0**53))
    if beyond.any():
        row = int(np.argmax(beyond))
        found = f"row {row} of {NAME} holds {target[row]} ({int(beyond.sum())} such rows)"
        raise LabelError("labels must be classes, or NaN where there is none", found, "Mend or remove these rows.")
    return target if (target % 1.0 > 0.0).any() else np.where(np.isnan(target), -1.0, target).astype(np.int64)


def _missing(label: Any) -> bool:
    """Whether a label says that there is none."""
    same = label == label
    return label is None or not (isinstance(same, bool | np.bool_) and same)


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
