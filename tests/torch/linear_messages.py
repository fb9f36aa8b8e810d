"""Calls of the linear loss that are refused, and what each is told, in the names of PyTorch's arguments."""

from types import SimpleNamespace
from typing import Any

import torch

import xent
import xent.torch as xt
from tests.torch.messages import NAN, Refused, T, Y, changed, label, of

H, W = torch.zeros(4, 5), torch.zeros(3, 5)
FEW, MASS = torch.zeros(4, 2, dtype=torch.long), torch.full((4, 2), 0.5)
POSITIONS = W[:, None]
KINDS = "target must hold class indices shaped (4,) or probabilities shaped (4, 3)"
FITS = "linear_weight must be shaped (C, 5), for hidden states of 5 numbers"
FLOATS = "must be float16, bfloat16, float32 or float64"
PAIR = "classes and probabilities of a target must both be shaped (4, k)"
NAMED = "A tuple is a pair (classes, probabilities) of k classes a row; labels alone are a tensor."
ORDER = "The pair is (classes, probabilities)."
TENSOR = "NumPy arrays belong to the functions of xent itself."


def lce(input: Any = H, linear_weight: Any = W, target: Any = T, **options: Any) -> tuple[Any, ...]:
    return of(xt.linear_cross_entropy, input, linear_weight, target, **options)


def shape(text: str, *arguments: Any, **options: Any) -> Refused:
    return Refused(*lce(*arguments, **options), xent.ShapeError, ValueError, text)


def dtype(text: str, *arguments: Any, **options: Any) -> Refused:
    return Refused(*lce(*arguments, **options), xent.DTypeError, TypeError, text)


def argument(text: str, *arguments: Any, **options: Any) -> Refused:
    return Refused(*lce(*arguments, **options), xent.ArgumentError, ValueError, text)


def labels(text: str, *arguments: Any, **options: Any) -> Refused:
    return Refused(*lce(*arguments, **options), xent.LabelError, IndexError, text)


BY_FORMULA: dict[str, Refused] = {
    "hidden states of no axis": shape(
        "input must end in the axis of its D numbers; found a single number. One row is shaped (D,).", torch.tensor(1.0)
    ),
    "a head of one class, flat": shape(
        "linear_weight must be a matrix, one row of D weights a class: (C, D); found shape (5,). Reshape it.", H, W[0]
    ),
    "a transposed head": shape(
        f"{FITS}; found (5, 3). Are these its logits? Pass what the head was given. "
        "Or does it lie transposed? Pass linear_weight.T.",
        H,
        W.T,
    ),
    "a head of another model": shape(f"{FITS}; found (3, 6). Do both come from the same model?", H, torch.zeros(3, 6)),
    "a head of no classes": shape(
        "linear_weight must hold at least one class; found shape (0, 5). Did a selection come out empty?", H, W[:0]
    ),
    "a bias of another head": shape(
        "linear_bias must hold one number a class, (3,); found shape (4,). "
        "Leave it out if the classifier has none; is it the bias of another layer?",
        linear_bias=torch.zeros(4),
    ),
    "a bias of whole numbers": dtype(
        f"linear_bias {FLOATS}; found torch.int64. linear_bias.float(), unless the arguments are swapped.", linear_bias=T[:3]
    ),
    "tokens for hidden states": dtype(
        f"input {FLOATS}; found torch.int64. input.float(), unless the arguments are swapped.", H.long()
    ),
    "a head of whole numbers": dtype(
        f"linear_weight {FLOATS}; found torch.int64. linear_weight.float(), unless the arguments are swapped.", H, W.long()
    ),
    "a pair of two widths": shape(f"{PAIR}; found (4, 2) and (4, 1). {NAMED}", target=(FEW, MASS[:, :1])),
    "a pair of another batch": shape(f"{PAIR}; found (3, 2) and (3, 2). {NAMED}", target=(FEW[:3], MASS[:3])),
    "a pair of floats": dtype(f"the classes of target must be integers; found float32. {ORDER}", target=(MASS, MASS)),
    "a pair of integers": dtype(f"the probabilities of target must be floats; found int64. {ORDER}", target=(FEW, FEW)),
    "a pair the wrong way round": dtype(f"the classes of target must be integers; found float32. {ORDER}", target=(MASS, FEW)),
    "a pair that names no class": labels(
        "the classes of target must lie in [0, 3); row 1 holds 3 (1 such rows). "
        "A row with fewer classes names any class with probability 0; one that does not count has sample_weight 0.",
        target=(changed(FEW, (1, 1), 3), MASS),
    ),
    "counts in a pair": Refused(
        *lce(target=(FEW, 2.0 * MASS), validate="raise"),
        xent.DistributionError,
        ValueError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 0 sums to 2 (4 such rows). "
        'The largest k of many probabilities? Divide each row by its sum. validate="off" takes them as they are.',
    ),
    "a negative row weight": argument(
        "sample_weight must be finite and not negative; sample_weight[1] is -1.0. A weight of 0 leaves a row out.",
        sample_weight=label(1.0, -1.0, 1.0, 1.0),
    ),
    "a row weight of NaN": argument(
        "sample_weight must be finite and not negative; sample_weight[2] is nan. A weight of 0 leaves a row out.",
        sample_weight=label(1.0, 1.0, NAN, 1.0),
    ),
    "row weights of another batch": shape(
        "sample_weight must hold one number a row, shaped (4,); found shape (3,). "
        "It is shaped like input without its last axis; weights of classes are weight=.",
        sample_weight=torch.ones(3),
    ),
    "a shift back": argument(
        "shift must be a whole number of at least 0; found -1. 1 lets each position predict the next; 0 itself.", shift=-1
    ),
    "a shift of one row": shape(
        "shift needs an axis of positions; found one row and shift=1. input is shaped (..., T, D) then.", H[0], W, T[0], shift=1
    ),
    "a limit of no bytes": argument(
        "memory_limit must be a positive whole number of bytes; found 0. 64 << 20 is 64 MiB; None chooses.", memory_limit=0
    ),
    "a limit that is no whole number": argument(
        "memory_limit must be a positive whole number of bytes; found 1000000000.0. 64 << 20 is 64 MiB; None chooses.",
        memory_limit=1e9,
    ),
    "a mark among probabilities of a head": argument(
        "ignore_index belongs to class indices; found ignore_index=0 with a target of probabilities. "
        "Leave it out; a sample_weight of 0 leaves a row out.",
        target=Y,
        ignore_index=0,
    ),
    "focal of weighted probabilities of a head": argument(
        "focal with probability targets takes no class weights; focal=2.0 and weight of 3 classes. "
        "The miss 1 - p of a weighted mixture of classes is not defined; use class indices.",
        target=Y,
        weight=torch.ones(3),
        focal=2.0,
    ),
    "too few class weights of a head": shape(
        "weight must hold one number a class, (3,); found shape (2,). torch.ones(3) weighs all classes alike.",
        weight=torch.ones(2),
    ),
    "a negative class weight of a head": argument(
        "weight must be finite and not negative; weight[1] is -2.0. A weight of 0 leaves a class out.",
        weight=label(1.0, -2.0, 1.0),
    ),
    "more than all left out": argument(
        "tolerance must be a number in [0.0, 1.0]; found 2.0. 0 leaves out nothing.", tolerance=2.0
    ),
    "too much smoothing of a head": argument(
        "label_smoothing must be a number in [0.0, 1.0]; found 1.5. 0 smooths nothing.", label_smoothing=1.5
    ),
    "one-hot of a head": dtype(
        f"{KINDS}; found int64 shaped (4, 3). One-hot? Use target.argmax(1), or target.float() for probabilities.",
        target=torch.eye(3, dtype=torch.long)[T],
    ),
    "labels of a head as floats": dtype(
        f"{KINDS}; found float32 shaped (4,). Class indices are whole numbers: target.long(), if they are labels.",
        target=T.float(),
    ),
    "labels of a head with an extra axis": shape(
        f"{KINDS}; found int64 shaped (4, 1). An extra axis? Use target.squeeze(1).", target=T[:, None]
    ),
    "labels of another batch": shape(
        f"{KINDS}; found int64 shaped (5,). A target is shaped like the hidden states without their last axis. "
        "Do both come from the same batch?",
        target=torch.zeros(5, dtype=torch.long),
    ),
    "labels 1..K of a head": labels(
        "labels must lie in [0, 3); row 2 holds 3 (1 such rows). Labels 1..K? Use target - 1; or a column of logits is missing.",
        target=T + 1,
    ),
    "too few rows in the head": labels(
        "labels must lie in [0, 3); row 0 holds 50257 (4 such rows). Is the tokenizer larger than the classifier?",
        target=T + 50257,
    ),
    "a mean of a head over nothing": Refused(
        *lce(target=T - T - 100, empty="raise"),
        xent.EmptyMeanError,
        ValueError,
        "a mean needs at least one counted row; every row is ignored, has weight 0, or there is none. "
        'empty="zero" or "nan" gives a value instead.',
    ),
    "many positions and more": argument(
        "a classifier of many positions takes PyTorch's own options alone; found linear_weight shaped (3, 1, 5). "
        "Call once for each position, with linear_weight[:, position].",
        H,
        POSITIONS,
        T[:, None],
        z_loss=0.1,
    ),
    "many positions of many axes": shape(
        "a classifier of many positions, (C, d, ..., D), takes an input shaped (N, D); found (3, 1, 5) and (1, 4, 5). "
        "A classifier of one position is shaped (C, D).",
        H[None],
        POSITIONS,
        T[:, None],
    ),
    "many positions of another width": shape(
        "a classifier of many positions, (C, d, ..., D), takes an input shaped (N, D); found (3, 2, 6) and (4, 5). "
        "A classifier of one position is shaped (C, D).",
        H,
        torch.zeros(3, 2, 6),
        T[:, None],
    ),
    "another kind of options": argument(
        "options must be torch.nn.LinearCrossEntropyOptions, or None; found dict. "
        "None lets xent plan; memory_limit= bounds it in bytes.",
        options={"batch_chunk_size": 5},
    ),
    "chunks of no row": argument(
        "options.batch_chunk_size must be a whole number of at least 1; found 0. It counts something.",
        options=SimpleNamespace(batch_chunk_size=0),
    ),
}

ELSEWHERE: dict[str, Refused] = {
    "a limit too small for one row": argument(
        "memory_limit must hold the work of at least one row; found 10 bytes. "
        "The smallest that works here is BYTES; what grows with the rows or the classifier is counted in.",
        memory_limit=10,
    ),
    "three parts for a target": shape(
        "a target of few classes a row is a pair (classes, probabilities); found a tuple of 3. "
        "One tensor is a target of class indices or of all probabilities.",
        target=(FEW, MASS, T),
    ),
    "a list for a target": dtype(
        f"target must be a torch tensor; found list. torch.as_tensor(target) makes one; {TENSOR}", target=[0, 1, 2, 0]
    ),
    "a pair of arrays": dtype(
        f"target[0] must be a torch tensor; found ndarray. torch.as_tensor(target[0]) makes one; {TENSOR}",
        target=(FEW.numpy(), MASS),
    ),
    "an array for a head": dtype(
        f"linear_weight must be a torch tensor; found ndarray. torch.as_tensor(linear_weight) makes one; {TENSOR}", H, W.numpy()
    ),
    "a list of row weights": dtype(
        f"sample_weight must be a torch tensor; found list. torch.as_tensor(sample_weight) makes one; {TENSOR}",
        sample_weight=[1.0] * 4,
    ),
    "kernels for a head of no memory": Refused(
        *lce(H.to("meta"), W.to("meta"), T.to("meta"), backend="reference"),
        xent.BackendError,
        RuntimeError,
        "a backend asked for by name serves or refuses; reference: the tensors are on meta. "
        'backend=None or "torch" takes the formula in torch operators.',
    ),
    "a module of another number of weights": Refused(
        xt.LinearCrossEntropyLoss,
        (5, 3),
        {"weight": torch.ones(2)},
        xent.ArgumentError,
        ValueError,
        "weight must hold one number a class, (3,); found shape (2,). torch.ones(3) weighs all classes alike.",
    ),
    "the best of no guess of a head": Refused(
        lambda: xt.linear_cross_entropy(H, W, T, return_stats=True)[1].top_k(0),
        (),
        {},
        xent.ArgumentError,
        ValueError,
        "k must be a whole number of at least 1; found 0. 1 counts the best guess alone.",
    ),
}
"""What the formula does not refuse, or no call of it reaches."""
