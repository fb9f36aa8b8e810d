"""Calls of linear cross-entropy that are refused, and what each is told."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

import xent

H, W = np.zeros((4, 3), np.float32), np.zeros((5, 3), np.float32)
T, Y = np.array([0, 1, 2, 0]), np.full((4, 5), 0.2)
FEW, MASS = np.zeros((4, 2), int), np.full((4, 2), 0.5)
SHAPED = "classes and probabilities of a target must both be shaped (4, k)"
PAIR = "A tuple is a pair (classes, probabilities) of k classes a row; labels alone are an array."
LEAST = "The smallest that works here is BYTES; what grows with the rows or the classifier is counted in."
WHICH = "found 'float8'. Write"


def linear(hidden: Any = H, classifier: Any = W, target: Any = T, **options: Any) -> Callable[[], Any]:
    return lambda: xent.linear_cross_entropy(hidden, classifier, target, **options)


def and_gradients(**options: Any) -> Callable[[], Any]:
    return lambda: xent.linear_cross_entropy_and_grad(H, W, T, **options)


def planned(rows: Any = 4, classes: Any = 5, width: Any = 3, **options: Any) -> Callable[[], Any]:
    return lambda: xent.plan_linear(rows, classes, width, **options)


LINEAR_CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # hidden states and the classifier
    "a number for hidden states": (
        linear(np.float32(1.0)),
        xent.ShapeError,
        "hidden must end in the axis of its D numbers; found a single number. One row is shaped (D,).",
    ),
    "a classifier of no classes": (
        linear(H, W[:0], T),
        xent.ShapeError,
        "classifier must hold at least one class; found shape (0, 3). Did a selection come out empty?",
    ),
    "whole numbers for hidden states": (
        linear(T, W, H),
        xent.DTypeError,
        "hidden must be float16, bfloat16, float32 or float64; found int64. "
        "Were hidden and target swapped? Otherwise hidden.astype(numpy.float32).",
    ),
    "masked hidden states": (
        linear(np.ma.masked_array(H)),
        xent.DTypeError,
        "hidden must be a plain array; found a masked array. Fill it, or mark rows with ignore_index.",
    ),
    "sparse hidden states": (
        linear(sparse.csr_array(H)),
        xent.DTypeError,
        "hidden must be a dense array; found csr_array. Use .toarray(), if it fits memory.",
    ),
    "labels already shifted": (
        lambda: xent.linear_cross_entropy(H[None], W, np.zeros((1, 3), np.int64), shift=1),
        xent.ShapeError,
        "target must hold class indices shaped (1, 4) or probabilities shaped (1, 4, 5); found int64 shaped (1, 3). "
        "With shift=1 targets are given whole, one a hidden state: the call shifts them.",
    ),
    "flat labels of hidden states in two axes": (
        lambda: xent.linear_cross_entropy(H.reshape(2, 2, 3), W, T),
        xent.ShapeError,
        "target must hold class indices shaped (2, 2) or probabilities shaped (2, 2, 5); found int64 shaped (4,). "
        "One label a hidden state? Use target.reshape(2, 2).",
    ),
    "a classifier of one axis": (
        linear(classifier=W[0]),
        xent.ShapeError,
        "classifier must be a matrix, one row of D weights a class: (C, D); found shape (3,). Reshape it.",
    ),
    "a transposed classifier": (
        linear(classifier=W.T),
        xent.ShapeError,
        "classifier must be shaped (C, 3), for hidden states of 3 numbers; found (3, 5). "
        "Are these its logits? Pass what the head was given. Or does it lie transposed? Pass classifier.T.",
    ),
    "a classifier of another width": (
        linear(classifier=np.zeros((5, 4), np.float32)),
        xent.ShapeError,
        "classifier must be shaped (C, 3), for hidden states of 3 numbers; found (5, 4). Do both come from the same model?",
    ),
    "a bias of another layer": (
        linear(bias=np.zeros(3, np.float32)),
        xent.ShapeError,
        "bias must hold one number a class, (5,); found shape (3,). "
        "Leave it out if the classifier has none; is it the bias of another layer?",
    ),
    "a bias of whole numbers": (
        linear(bias=np.zeros(5, int)),
        xent.DTypeError,
        "bias must be float16, bfloat16, float32 or float64; found int64. "
        "Were bias and target swapped? Otherwise bias.astype(numpy.float32).",
    ),
    # weights and options
    "class weights for row weights": (
        linear(sample_weight=np.ones(5)),
        xent.ShapeError,
        "sample_weight must hold one number a row, shaped (4,); found shape (5,). "
        "It is shaped like hidden without its last axis; weights of classes are weight=.",
    ),
    "row weights with an axis more": (
        linear(sample_weight=np.ones((4, 1))),
        xent.ShapeError,
        "sample_weight must hold one number a row, shaped (4,); found shape (4, 1). "
        "It is shaped like hidden without its last axis; weights of classes are weight=.",
    ),
    "row weights that are names": (
        linear(sample_weight=list("abcd")),
        xent.DTypeError,
        "sample_weight must hold numbers; found <U1. Convert it with astype.",
    ),
    "row weights for class weights": (
        linear(weight=np.ones(4)),
        xent.ShapeError,
        "weight must hold one number a class, (5,); found shape (4,). numpy.ones(5) weighs all classes alike.",
    ),
    "a shift backwards": (
        linear(shift=-1),
        xent.ArgumentError,
        "shift must be a whole number of at least 0; found -1. 1 lets each position predict the next; 0 itself.",
    ),
    "a shift that is true": (
        linear(shift=True),
        xent.ArgumentError,
        "shift must be a whole number of at least 0; found True. 1 lets each position predict the next; 0 itself.",
    ),
    "half a shift": (
        linear(shift=0.5),
        xent.ArgumentError,
        "shift must be a whole number of at least 0; found 0.5. 1 lets each position predict the next; 0 itself.",
    ),
    "a shift of one row": (
        linear(H[0], target=0, shift=1),
        xent.ShapeError,
        "shift needs an axis of positions; found one row and shift=1. hidden is shaped (..., T, D) then.",
    ),
    "no memory at all": (
        linear(memory_limit=0),
        xent.ArgumentError,
        "memory_limit must be a positive whole number of bytes; found 0. 64 << 20 is 64 MiB; None chooses.",
    ),
    "memory in words": (
        linear(memory_limit="64 MiB"),
        xent.ArgumentError,
        "memory_limit must be a positive whole number of bytes; found '64 MiB'. 64 << 20 is 64 MiB; None chooses.",
    ),
    "too little memory": (
        linear(memory_limit=1000),
        xent.ArgumentError,
        f"memory_limit must hold the work of at least one row; found 1000 bytes. {LEAST}",
    ),
    "too little memory for gradients": (
        and_gradients(memory_limit=1000),
        xent.ArgumentError,
        f"memory_limit must hold the work of at least one row; found 1000 bytes. {LEAST}",
    ),
    "a linear mean over nothing": (
        linear(target=[-100] * 4, empty="raise"),
        xent.EmptyMeanError,
        "a mean needs at least one counted row; every row is ignored, has weight 0, or there is none. "
        'empty="zero" or "nan" gives a value instead.',
    ),
    "a focal mixture of weighted classes": (
        linear(target=Y, focal=2.0, weight=np.ones(5)),
        xent.ArgumentError,
        "focal with probability targets takes no class weights; focal=2.0 and weight of 5 classes. "
        "The miss 1 - p of a weighted mixture of classes is not defined; use class indices.",
    ),
    # targets
    "a label beyond the classifier": (
        linear(target=[0, 1, 7, 0]),
        xent.LabelError,
        "labels must lie in [0, 5); row 2 holds 7 (1 such rows). Is the tokenizer larger than the classifier?",
    ),
    "labels of other rows": (
        linear(target=T[:3]),
        xent.ShapeError,
        "target must hold class indices shaped (4,) or probabilities shaped (4, 5); found int64 shaped (3,). "
        "A target is shaped like the hidden states without their last axis. Do both come from the same batch?",
    ),
    "probabilities that are counts": (
        linear(target=Y * 2),
        xent.DistributionError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 0 sums to 2 (4 such rows). "
        'Divide each row by its sum if counts were meant; are these logits? validate="off" takes them as they are.',
    ),
    "three for a pair": (
        linear(target=(FEW, MASS, MASS)),
        xent.ShapeError,
        "a target of few classes a row is a pair (classes, probabilities); found a tuple of 3. "
        "One array is a target of class indices or of all probabilities.",
    ),
    "a pair of two shapes": (
        linear(target=(FEW, MASS[:, :1])),
        xent.ShapeError,
        f"{SHAPED}; found (4, 2) and (4, 1). {PAIR}",
    ),
    "a pair of other rows": (
        linear(target=(FEW[:3], MASS[:3])),
        xent.ShapeError,
        f"{SHAPED}; found (3, 2) and (3, 2). {PAIR}",
    ),
    "a pair of one class a row": (
        linear(target=(T, np.ones(4))),
        xent.ShapeError,
        f"{SHAPED}; found (4,) and (4,). {PAIR}",
    ),
    "a pair the other way round": (
        linear(target=(MASS, FEW)),
        xent.DTypeError,
        "the classes of target must be integers; found float64. The pair is (classes, probabilities).",
    ),
    "a pair of classes and classes": (
        linear(target=(FEW, FEW)),
        xent.DTypeError,
        "the probabilities of target must be floats; found int64. The pair is (classes, probabilities).",
    ),
    "a class of a pair beyond the classifier": (
        linear(target=(np.array([[0, 1], [0, 5], [0, 0], [-1, 9]]), MASS)),
        xent.LabelError,
        "the classes of target must lie in [0, 5); row 1 holds 5 (2 such rows). "
        "A row with fewer classes names any class with probability 0; one that does not count has sample_weight 0.",
    ),
    "a pair that sums to two in a row": (
        linear(target=(FEW, MASS * [[1], [1], [2], [1]])),
        xent.DistributionError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 2 sums to 2 (1 such rows). "
        'The largest k of many probabilities? Divide each row by its sum. validate="off" takes them as they are.',
    ),
    "a pair that sums to two in a row after one that does not count": (
        linear(target=(FEW, MASS * [[1], [1], [2], [1]]), sample_weight=[0.0, 1.0, 1.0, 1.0]),
        xent.DistributionError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 2 sums to 2 (1 such rows). "
        'The largest k of many probabilities? Divide each row by its sum. validate="off" takes them as they are.',
    ),
    # plans
    "fewer than no rows": (
        planned(-1),
        xent.ArgumentError,
        "rows must be a whole number of at least 0; found -1. It counts something.",
    ),
    "a plan of no classes": (
        planned(classes=0),
        xent.ArgumentError,
        "classes must be a whole number of at least 1; found 0. It counts something.",
    ),
    "a plan of no width": (
        planned(width=0),
        xent.ArgumentError,
        "width must be a whole number of at least 1; found 0. It counts something.",
    ),
    "a plan of a dtype there is not": (
        planned(dtype="float8"),
        xent.ArgumentError,
        f"dtype must be one of 'float32', 'bfloat16', 'float16', 'float64'; {WHICH} dtype='float32', say.",
    ),
    "a plan of a classifier of a dtype there is not": (
        planned(classifier_dtype="float8"),
        xent.ArgumentError,
        f"classifier_dtype must be one of 'float32', 'bfloat16', 'float16', 'float64'; {WHICH} classifier_dtype='float32', say.",
    ),
    "a plan of less memory than nothing": (
        planned(memory_limit=-1),
        xent.ArgumentError,
        "memory_limit must be a positive whole number of bytes; found -1. 64 << 20 is 64 MiB; None chooses.",
    ),
    "a plan of too little memory": (
        planned(memory_limit=1000),
        xent.ArgumentError,
        f"memory_limit must hold the work of at least one row; found 1000 bytes. {LEAST}",
    ),
}
