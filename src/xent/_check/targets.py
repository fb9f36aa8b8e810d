"""Rules about targets: class indices shaped like the rows, or probabilities shaped like the logits."""

import inspect
import math
import warnings
from typing import Any

import numpy as np

from xent._errors import DistributionError, DistributionWarning, DTypeError, LabelError, ShapeError
from xent._typing import Array, IndicesN, RowMeasure, RowsN

_INT64, _UINT64 = np.dtype(np.int64), np.dtype(np.uint64)


def is_indices(target: Array, shape: tuple[int, ...], axis: int) -> bool:
    """True for class indices, False for probabilities; anything else is named for what it looks like."""
    rows = shape[:axis] + shape[axis + 1 :]
    kind = target.dtype.kind
    if target.shape == rows and kind in "iu":
        return True
    if target.shape == shape and (kind == "f" or target.dtype.name == "bfloat16"):
        return False
    raise _unfit(target, shape, rows, axis)


def labels(target: Any, classes: int, ignore_index: int) -> tuple[IndicesN, int]:
    """Flat int64 indices with -1 where ignored, and how many are ignored.

    Read as unsigned, a negative label is huge: one maximum finds every bad row, and every ignored one.
    """
    flat = target if target.ndim == 1 and target.flags.c_contiguous else np.ascontiguousarray(target).reshape(-1)
    if flat.dtype.kind == "u":
        unsigned = flat.astype(_UINT64)
    else:
        # A read-only array is another type to a compiler: a copy of the labels is cheaper than a second compilation.
        flat = flat if flat.dtype == _INT64 and flat.flags.writeable else flat.astype(_INT64)
        unsigned = flat.view(_UINT64)
    hidden = 0 <= ignore_index < classes
    if flat.size == 0 or (not hidden and np.maximum.reduce(unsigned) < classes):
        return (unsigned.view(_INT64) if flat.dtype.kind == "u" else flat), 0
    if ignore_index < 0:
        ignored = unsigned.view(np.int64) == ignore_index if flat.dtype.kind == "i" else np.zeros(flat.size, bool)
    else:
        ignored = unsigned == ignore_index
    bad = (unsigned >= classes) & ~ignored
    if bad.any():
        raise _bad_labels(flat, bad, classes, ignore_index)
    return np.where(ignored, np.int64(-1), unsigned.view(np.int64)), int(np.count_nonzero(ignored))


TARGET_REMEDY = "Divide each row by its sum if counts were meant; are these logits?"
ONE_LOGIT_REMEDY = "One logit a row? Use binary_cross_entropy."
GIVEN_REMEDY = "Logits belong to cross_entropy, log-probabilities to nll_loss."


def distributions(
    measured: RowMeasure, counted: Array | None, tolerance: float, *, name: str, validate: str, remedy: str
) -> None:
    """Counted rows that are not negative and sum to one, else the worst row is named."""
    total, lowest = measured.total, measured.lowest
    if validate == "off" or total.size == 0:
        return
    with np.errstate(invalid="ignore"):
        bad = ~((lowest >= 0.0) & (np.abs(total - 1.0) <= tolerance))
    if counted is not None:
        bad &= counted
    if not bad.any():
        return
    row = _worst(total, lowest, bad)
    found = f"row {row} sums to {total[row]:.9g}" + ("" if lowest[row] >= 0.0 else f" and holds {lowest[row]:.9g}")
    error = DistributionError(
        f"each row of {name} must be >= 0 and sum to 1 within {tolerance:.1e}",
        f"{found} ({int(bad.sum())} such rows)",
        remedy + ' validate="off" takes them as they are.',
    )
    _report(error, validate)


def _worst(total: RowsN, lowest: RowsN, bad: Array) -> int:
    """The row to name: NaN before negative before the sum farthest from one."""
    with np.errstate(invalid="ignore"):
        score = np.abs(total - 1.0) + np.where(lowest < 0.0, 1e300, 0.0)
    return int(np.argmax(np.where(bad, np.where(np.isnan(score), np.inf, score), -1.0)))


def log_probabilities_only(highest: RowsN, counted: Array | None, tolerance: float, *, name: str, validate: str) -> None:
    """Numbers that are at most 0, but for the rounding of a logarithm; NaN is left to give NaN."""
    good = ~(highest > tolerance)
    if counted is not None:
        good |= ~counted
    if good.all():
        return
    row = int(np.argmin(good))
    error = DistributionError(
        f"{name} must be at most 0",
        f"row {row} holds {highest[row]:.9g} ({int((~good).sum())} such rows)",
        "Logits belong to cross_entropy, probabilities to log_loss.",
    )
    _report(error, validate)


def _report(error: DistributionError, validate: str) -> None:
    """Raise, or warn where the caller asked for warnings."""
    if validate == "raise":
        raise error
    warnings.warn(str(error), DistributionWarning, stacklevel=levels_to_caller())


def levels_to_caller() -> int:
    """How many frames up the first one is that is neither xent's nor PyTorch's: the line that a warning should name."""
    level, frame = 0, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("xent", "torch"):
        level, frame = level + 1, frame.f_back
    return level


def _bad_labels(flat: Array, bad: Array, classes: int, ignore_index: int) -> LabelError:
    row, count = int(np.argmax(bad)), int(np.count_nonzero(bad))
    return LabelError(
        f"labels must lie in [0, {classes})",
        f"row {row} holds {int(flat[row])} ({count} such rows)",
        _likely_cause(flat[flat != ignore_index], classes),
    )


def _likely_cause(values: Array, classes: int) -> str:
    """What labels outside the range usually are."""
    low, high = int(values.min()), int(values.max())
    if classes == 1 and {low, high} <= {0, 1}:
        return ONE_LOGIT_REMEDY
    if high == 255 and set(np.unique(values).tolist()) <= {0, 255}:
        return "A {0, 255} mask? Use target // 255, or ignore_index=255 if 255 marks what does not count."
    if low >= 1 and high == classes:
        return "Labels 1..K? Use target - 1; or a column of logits is missing."
    if low == -1 and high < classes:
        return "Is -1 the mark of rows to ignore? Then pass ignore_index=-1."
    if low < 0:
        return "Does a negative label mark rows to ignore? Then pass it as ignore_index."
    return "Is the tokenizer larger than the classifier?"


def _unfit(target: Array, shape: tuple[int, ...], rows: tuple[int, ...], axis: int) -> ShapeError | DTypeError:
    """Name what the target looks like, and the one line that mends it."""
    rule = f"target must hold class indices shaped {rows} or probabilities shaped {shape}"
    found = f"found {target.dtype} shaped {target.shape}"
    kind = "f" if target.dtype.name == "bfloat16" else target.dtype.kind
    if len(shape) == 1 and target.shape == shape:
        return DTypeError(
            rule, found, f"One row of {shape[0]} classes is meant? One logit a row belongs to binary_cross_entropy."
        )
    if kind in "iub" and target.shape == shape:
        return DTypeError(rule, found, f"One-hot? Use target.argmax({axis}), or target.astype(float) for probabilities.")
    if target.shape == rows and kind == "f":
        return DTypeError(rule, found, "Class indices are whole numbers: target.astype(int), if they are labels.")
    if target.shape == rows and kind == "b":
        return DTypeError(rule, found, "Two classes? Use target.astype(int); for one logit a row, binary_cross_entropy.")
    if kind not in "iufb":
        return DTypeError(rule, found, "Map names to numbers first: numpy.unique(target, return_inverse=True)[1].")
    return ShapeError(rule, found, _shape_remedy(target.shape, shape, rows, axis))


def _shape_remedy(found: tuple[int, ...], shape: tuple[int, ...], rows: tuple[int, ...], axis: int) -> str:
    if len(found) == len(shape) and found[:axis] + found[axis + 1 :] == rows and found[axis] == 1:
        return f"An extra axis? Use target.squeeze({axis})."
    for other in range(len(shape)):
        if other != axis and found == shape[:other] + shape[other + 1 :]:
            return f"Is the class axis {other}? Then pass axis={other}."
    if found != rows and math.prod(found) == math.prod(rows):
        return f"Flatten logits and target alike? Use target.reshape({', '.join(map(str, rows))})."
    if sorted(found) == sorted(shape) and found != shape:
        return "Are two axes of the target swapped?"
    return "Do logits and target come from the same batch?"
