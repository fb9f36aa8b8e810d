"""Rows to be counted, and the rules that they keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError, DistributionError, DTypeError, LabelError, ShapeError
from xent.evaluate.state import native
from xent.evaluate.state.groups import Groups
from xent.evaluate.state.hashing import Keys, row_keys
from xent.evaluate.state.judge import SUM_TOLERANCE, sum_tolerance
from xent.evaluate.state.options import some
from xent.evaluate.state.spec import Spec

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LEAST_WEIGHT, MOST_WEIGHT = 1e-75, 1e75
"""The squares of others, times the square of a loss, could leave float64."""
MOST_NUMBER = 2**63 - 1
"""Sources and rows are numbered in int64."""
ROUNDED, ROUNDED_CLASS, MOST_ROUNDED = 0.01, 0.005, 0.05
"""Sums of numbers in [0, 1] so near 1 look like rounding: for few classes, for each of many, and at most."""
STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.06)
"""Tolerances to name."""
SLACK = 1e-12
"""What sums in another order may differ by."""
LEAST_ALIKE = 20
"""With fewer rows chance may make distributions of logits."""
MEND = "Mend or remove these rows."
SKIP = "Mend these rows, or leave them out and count them: --skip-unfit (skip_unfit=True)."
LOOKS = {
    "probs": "Are these logits, or log-probabilities? Say so.",
    "log-probs": "Are these logits, or probabilities? Say so.",
    "target-log-probs": "Are these probabilities? Take their logarithm.",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive rows of a source.

    Args:
        values: [N, C] predictions, or [N] log-probabilities of the targets, in float16, float32 or float64.
        target: [N] class indices, in any whole numbers; -1 for rows that do not count.
        source: the number of the source, a file say, among all; -1 for a part of one, whose rows have no numbers of their own.
        first: the number of the first row in its source, from 0.
        name: what to call the source in messages.
        keys: [N] in uint64: what decides how a row is drawn again; else source and row do.
        ids: [N] what the user calls a row.
        weight: [N] 0, or in [1e-75, 1e75].
        size: [N] bytes of what a row predicts.
        group: [N] the value of the column to judge by.
        placed: how many labels were numbers that say the place of a class, as no class is called by a number.
    """

    values: npt.NDArray[Any]
    target: Indices
    source: int = 0
    first: int = 0
    name: str = "the predictions"
    keys: Keys | None = None
    ids: Sequence[str] | None = None
    weight: Floats | None = None
    size: Floats | None = None
    group: Sequence[str] | Groups | None = None
    placed: int = 0

    def row_keys(self) -> Keys:
        """[N] the key of each row."""
        return row_keys(self.source, self.first, len(self.target)) if self.keys is None else self.keys

    def called(self, row: int) -> str:
        """What the user calls a row; nothing where it is called nothing."""
        name: Any = "" if self.ids is None else self.ids[row]
        if not isinstance(name, str):
            raise DTypeError("ids must be texts", f"{self.place(row)} has {type(name).__name__}", "Give str() of each.")
        return str(name)

    def place(self, row: int) -> str:
        """What to call a row in a message."""
        known = f" (id {self.ids[row]!r})" if self.ids is not None else ""
        return f"row {self.first + row}{known} of {self.name}"


def check(spec: Spec, batch: Batch) -> Batch:
    """The batch as compiled code takes it.

    Refused where its arrays are none, or do not belong together, or where labels and weights break a rule.
    """
    n = len(native.column(batch.target, native.LABELS, batch.name))
    _check_values(spec, batch, n)
    native.check_ids(batch.ids, n, batch.name)
    known = replace(
        batch,
        source=native.number(batch.source, "source", (-MOST_NUMBER - 1, MOST_NUMBER), "Sources are counted from 0."),
        first=native.number(batch.first, "first", (0, MOST_NUMBER - n), "Rows are counted from 0."),
        placed=native.number(batch.placed, "placed", (0, n), "It counts rows of this batch."),
        keys=native.keys(batch.keys, n, batch.name),
        group=None if batch.group is None else native.groups(batch.group, batch.name),
    )
    _check_labels(spec, known)
    _check_brought(batch.name, n, "groups", spec.by is not None, None if known.group is None else (len(known.group),))
    return replace(
        known,
        target=native.native(batch.target, native.LABELS),
        weight=_amounts(known, batch.weight, spec.weighted, native.WEIGHTS),
        size=_amounts(known, batch.size, spec.sized, native.SIZES),
    )


def _check_values(spec: Spec, batch: Batch, n: int) -> None:
    if not native.is_plain(batch.values) or batch.values.dtype.name not in SUM_TOLERANCE:
        rule = f"predictions must be {', '.join(SUM_TOLERANCE)}"
        raise DTypeError(rule, f"{batch.name} has {native.held(batch.values)}", "Convert them, with astype(float) say.")
    expected = (n,) if spec.kind == "target-log-probs" else (n, spec.n_classes)
    if batch.values.shape != expected:
        rule = f"predictions must be shaped {expected}, as targets and classes are"
        raise ShapeError(rule, f"{batch.name} has {batch.values.shape}", "Is a column missing, or one too many?")


def _check_brought(source: str, n: int, name: str, wanted: bool, shape: tuple[int, ...] | None) -> None:
    """Refuse a column that the spec does not name, or that is not of n rows; None for none."""
    if wanted != (shape is not None) or (shape is not None and shape != (n,)):
        rule = f"a batch brings {name}, one a row, if the spec says so, and else none"
        given = "none" if shape is None else f"{shape} for {n} rows"
        raise ArgumentError(rule, f"the spec says {wanted} and {source} has {given}", "Make the two agree.")


def _check_labels(spec: Spec, batch: Batch) -> None:
    most = max(spec.n_classes, 1)
    bad = (batch.target < -1) | (batch.target >= most)
    if bad.any():
        row = int(np.argmax(bad))
        found = f"{batch.place(row)} holds {batch.target[row]} ({int(bad.sum())} such rows)"
        remedy = "Do labels count from 1?" if batch.target[row] == most else "Does the label name a class without a column?"
        raise LabelError(f"labels must lie in [0, {most}), or be -1 where a row does not count", found, remedy)


def _amounts(batch: Batch, given: Any, wanted: bool, column: native.Wanted) -> Floats | None:
    """Amounts in float64; refused where they are negative, not finite, or their squares are beyond measure."""
    found = None if given is None else native.column(given, column, batch.name)
    _check_brought(batch.name, len(batch.target), column.name, wanted, None if found is None else found.shape)
    if found is None:
        return None
    values: Floats = native.native(found, column)
    bad = ~((values == 0.0) | ((values >= LEAST_WEIGHT) & (values <= MOST_WEIGHT)))
    if bad.any():
        row = int(np.argmax(bad))
        place = f"{batch.place(row)} holds {values[row]:g} ({int(bad.sum())} such rows)"
        rule = f"{column.name} must be 0 or lie in [{LEAST_WEIGHT:g}, {MOST_WEIGHT:g}]"
        remedy = "0 leaves a row out; of weights only their ratios matter, so divide all by the greatest."
        raise ArgumentError(rule, place, remedy if column is native.WEIGHTS else "Mend or remove these rows.")
    return values


def distributions(spec: Spec, batch: Batch, rows: Indices) -> bool:
    """Whether logits of these rows are all distributions: real scores are none, but by a wonder. True of no row."""
    step = max(1, 2**16 // max(spec.n_classes, 1))
    return spec.kind == "logits" and all(_alike(batch.values[rows[n : n + step]]) for n in range(0, len(rows), step))


def with_nan(batch: Batch, rows: Indices) -> int:
    """How many of some rows hold NaN, or nothing."""
    return sum(bool(np.isnan(batch.values[row]).any()) for row in rows.tolist())


def _alike(values: npt.NDArray[Any]) -> bool:
    wide = np.asarray(values, np.float64)
    if wide.shape[1] == 2 and (wide[:, 0] == 0.0).any():
        # One score of two classes stands beside a 0, and may be 1.
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        return bool((wide >= 0.0).all() and (np.abs(wide.sum(axis=1) - 1.0) <= SUM_TOLERANCE["float16"]).all())


def check_contradiction(rows: int, alike: bool) -> None:
    """Refuse logits that are all distributions; few may be so by chance."""
    if alike and rows >= LEAST_ALIKE:
        found = f"all {rows} rows hold no negative number and each sums to 1"
        remedy = "They look like probabilities: declare them so, by --probs or kind='probs'."
        raise DistributionError("logits are any real numbers", found, remedy)


def unfit_error(spec: Spec, batch: Batch, unfit: npt.NDArray[np.bool_], mend: str = MEND) -> DistributionError:
    """What is wrong with the first of the rows [N] that are not what they are declared to be; `mend` is the plain remedy."""
    row, count = int(np.argmax(unfit)), int(unfit.sum())
    values = np.asarray(batch.values[row], np.float64).reshape(-1)
    if np.isnan(values).any():
        rule, found = "predictions must be numbers", f"{batch.place(row)} {_hole(spec, values)}"
    elif spec.kind == "logits":
        rule, found = "a row of logits needs a finite one and no +inf", f"{batch.place(row)} has none or holds +inf"
    elif spec.kind == "target-log-probs":
        rule, found = "log-probabilities must be at most 0", f"{batch.place(row)} holds {values[0]:.6g}"
    else:
        rule, found = _sum_of(spec, batch, row, values)
    remedy = mend if np.isnan(values).any() or spec.kind == "logits" else _looks(spec, values)
    return DistributionError(rule, f"{found} ({count} such rows)", remedy)


def _looks(spec: Spec, values: Floats) -> str:
    """What a row seems to hold instead of what is declared."""
    if spec.kind == "target-log-probs" and values[0] > 1.0:
        return "Are these losses, −log p? Change their sign."
    if spec.kind != "probs" or values.min() < 0.0 or values.max() > 101.0:
        return LOOKS[spec.kind]
    total = float(values.sum())
    off, allowed = abs(total - 1.0) + SLACK, min(max(ROUNDED, ROUNDED_CLASS * len(values)), MOST_ROUNDED)
    if values.max() <= 1.0 + SLACK and off <= allowed + 2 * SLACK:
        step = next(step for step in STEPS if off <= step)
        return (
            f"Were they rounded? Write more digits, or allow it: --sum-tolerance {step:g} (sum_tolerance=); nothing is rescaled."
        )
    if abs(total - 100.0) <= 1.0:
        return "Are these percentages? Divide by 100."
    if len(values) > 2 and 1.5 <= total and values.max() <= 1.0 + SLACK:
        return f"Is a column among them that is no class? They are {some(spec.classes)}."
    return LOOKS[spec.kind]


def _hole(spec: Spec, values: Floats) -> str:
    """What a row lacks: a cell without a value is read as NaN."""
    of = f" for class {spec.classes[int(np.argmax(np.isnan(values)))]!r}" if spec.classes else ""
    return f"holds NaN, or nothing,{of}".rstrip(",")


def _sum_of(spec: Spec, batch: Batch, row: int, values: Floats) -> tuple[str, str]:
    """The rule for a distribution, and how a row breaks it."""
    tolerance = sum_tolerance(spec, batch.values)
    with np.errstate(over="ignore"):
        total = float(np.sum(np.exp(values) if spec.kind == "log-probs" else values))
    extreme = values.max() if spec.kind == "log-probs" else values.min()
    rule = f"each row of {spec.kind} must be a distribution, whose probabilities are at least 0 and sum to 1 within {tolerance:g}"
    beyond = extreme > 0.0 if spec.kind == "log-probs" else extreme < 0.0
    return rule, f"in {batch.place(row)} they sum to {total:.9g}" + (f" and one is {extreme:.6g}" if beyond else "")
