"""Rules about a classifier and the hidden states it is given."""

from typing import Any

import numpy as np

from xent._check.arrays import as_array, as_floats, not_negative
from xent._check.options import is_whole
from xent._errors import ArgumentError, DTypeError, LabelError, ShapeError
from xent._typing import Array, Storage

Shape = tuple[int, ...]


def fits(hidden: Shape, classifier: Shape) -> None:
    """Hidden states [..., D] and a classifier [C, D] with at least one class."""
    if not hidden:
        raise ShapeError("hidden must end in the axis of its D numbers", "found a single number", "One row is shaped (D,).")
    if len(classifier) != 2:
        raise ShapeError(
            "classifier must be a matrix, one row of D weights a class: (C, D)", f"found shape {classifier}", "Reshape it."
        )
    if classifier[1] != hidden[-1]:
        turned = "Are these its logits? Pass what the head was given. Or does it lie transposed? Pass classifier.T."
        lies = turned if classifier[0] == hidden[-1] else "Do both come from the same model?"
        raise ShapeError(
            f"classifier must be shaped (C, {hidden[-1]}), for hidden states of {hidden[-1]} numbers", f"found {classifier}", lies
        )
    if classifier[0] == 0:
        raise ShapeError(
            "classifier must hold at least one class", f"found shape {classifier}", "Did a selection come out empty?"
        )


def fits_bias(bias: Shape, classes: int) -> None:
    """One number a class."""
    if bias != (classes,):
        raise ShapeError(
            f"bias must hold one number a class, ({classes},)",
            f"found shape {bias}",
            "Leave it out if the classifier has none; is it the bias of another layer?",
        )


def bias_of(bias: Any, classes: int) -> tuple[Array, Storage]:
    """The bias and its storage."""
    array, storage = as_floats(bias, "bias")
    fits_bias(array.shape, classes)
    return array, storage


def sample_weights(weight: Any, rows: Shape) -> Array:
    """One number a row, finite and not negative, float64."""
    array = as_array(weight, "sample_weight")
    fits_rows(array.shape, rows)
    return not_negative(array, "sample_weight", "row")


def fits_rows(found: Shape, rows: Shape) -> None:
    """No broadcasting."""
    if found != rows:
        raise ShapeError(
            f"sample_weight must hold one number a row, shaped {rows}",
            f"found shape {found}",
            "It is shaped like hidden without its last axis; weights of classes are weight=.",
        )


def shifted_by(shift: object, rows: Shape) -> int:
    """How many positions ahead the target of a position stands."""
    if not is_whole(shift) or shift < 0:
        raise ArgumentError(
            "shift must be a whole number of at least 0", f"found {shift!r}", "1 lets each position predict the next; 0 itself."
        )
    if shift and not rows:
        raise ShapeError(
            "shift needs an axis of positions", f"found one row and shift={shift}", "hidden is shaped (..., T, D) then."
        )
    return int(shift)


def memory_bytes(limit: object) -> int | None:
    """A number of bytes, or None."""
    if limit is None or (is_whole(limit) and limit > 0):
        return None if limit is None else int(limit)
    raise ArgumentError(
        "memory_limit must be a positive whole number of bytes", f"found {limit!r}", "64 << 20 is 64 MiB; None chooses."
    )


def enough(limit: int | None, smallest: int) -> ArgumentError:
    """What is said of a limit that nothing fits into."""
    return ArgumentError(
        "memory_limit must hold the work of at least one row",
        f"found {limit} bytes",
        f"The smallest that works here is {smallest}; what grows with the rows or the classifier is counted in.",
    )


def sparse_pair(target: tuple[Any, ...], rows: Shape) -> tuple[Array, Array]:
    """Classes and probabilities, both [..., k] for hidden states [..., D]."""
    is_pair(target)
    classes, probs = as_array(target[0], "the classes of target"), as_array(target[1], "the probabilities of target")
    fits_pair(classes, probs, rows)
    return classes, probs


def is_pair(target: tuple[Any, ...]) -> None:
    """Two of them."""
    if len(target) != 2:
        raise ShapeError(
            "a target of few classes a row is a pair (classes, probabilities)",
            f"found a tuple of {len(target)}",
            "One array is a target of class indices or of all probabilities.",
        )


def without_class_axis(error: ShapeError, found: Shape, rows: Shape, shift: int) -> ShapeError:
    """What is said of a target that does not fit logits, where there are none whose axes could be moved."""
    if "class axis" not in error.remedy and "logits" not in error.remedy:
        return error
    remedy = "A target is shaped like the hidden states without their last axis. Do both come from the same batch?"
    if shift and len(found) == len(rows) and found[:-1] == rows[:-1] and found[-1] == rows[-1] - shift:
        remedy = f"With shift={shift} targets are given whole, one a hidden state: the call shifts them."
    elif np.prod(found) == np.prod(rows):
        remedy = f"One label a hidden state? Use target.reshape({', '.join(map(str, rows))})."
    return ShapeError(error.rule, error.found, remedy)


def fits_pair(classes: Array, probs: Array, rows: Shape) -> None:
    """Both [..., k], integers and floats; of either no more is read than shape and dtype."""
    if classes.shape != probs.shape or classes.shape[:-1] != rows or len(classes.shape) != len(rows) + 1:
        raise ShapeError(
            f"classes and probabilities of a target must both be shaped ({', '.join([*map(str, rows), 'k'])})",
            f"found {classes.shape} and {probs.shape}",
            "A tuple is a pair (classes, probabilities) of k classes a row; labels alone are an array.",
        )
    if classes.dtype.kind not in "iu":
        raise DTypeError(
            "the classes of target must be integers", f"found {classes.dtype}", "The pair is (classes, probabilities)."
        )
    if probs.dtype.kind != "f" and probs.dtype.name != "bfloat16":
        raise DTypeError(
            "the probabilities of target must be floats", f"found {probs.dtype}", "The pair is (classes, probabilities)."
        )


def sparse_classes(classes: Array, number: int) -> Array:
    """[n, k] int64 in [0, C)."""
    bad = (classes < 0) | (classes >= number)
    if bad.any():
        row = int(np.argmax(bad.any(axis=1)))
        raise LabelError(
            f"the classes of target must lie in [0, {number})",
            f"row {row} holds {int(classes[row][bad[row]][0])} ({int(bad.any(axis=1).sum())} such rows)",
            "A row with fewer classes names any class with probability 0; one that does not count has sample_weight 0.",
        )
    return classes.astype(np.int64)
