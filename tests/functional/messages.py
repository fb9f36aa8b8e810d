"""Calls that are refused, and what each is told."""

from collections.abc import Callable
from typing import Any

import numpy as np

import xent
from tests.contract.conventions import stored

X = np.zeros((4, 3), np.float32)
T = np.array([0, 1, 2, 0])
Y = np.full((4, 3), 1 / 3)
IMAGES = np.zeros((2, 3, 4, 5), np.float32)
ROWS = "(4,)"
KINDS = f"target must hold class indices shaped {ROWS} or probabilities shaped (4, 3)"


def ce(logits: Any = X, target: Any = T, **options: Any) -> Callable[[], Any]:
    return lambda: xent.cross_entropy(logits, target, **options)


def and_grad(logits: Any = X, target: Any = T, **options: Any) -> Callable[[], Any]:
    return lambda: xent.cross_entropy_and_grad(logits, target, **options)


def bce(logits: Any, target: Any, **options: Any) -> Callable[[], Any]:
    return lambda: xent.binary_cross_entropy(logits, target, **options)


def overlapping() -> Any:
    memory = np.zeros(13, np.float32)
    return xent.cross_entropy_and_grad(memory[:12].reshape(4, 3), T, out=memory[1:].reshape(4, 3))


def onto_target() -> Any:
    target = np.zeros((4, 3), np.float32)
    return xent.mse_loss_and_grad(np.ones((4, 3), np.float32), target, out=target)


def frozen() -> np.ndarray:
    out = np.zeros_like(X)
    out.flags.writeable = False
    return out


def with_values(values: Any, place: tuple[int, ...], value: float) -> np.ndarray:
    found = np.array(values, np.float64)
    found[place] = value
    return found


class Unreadable:
    """What a tensor that records gradients, or one of bfloat16, does when NumPy asks for its numbers."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise self.error


ONES = np.ones((4, 1), np.float32)
CASES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    # the logits
    "masked array": (
        ce(np.ma.masked_array(X)),
        xent.DTypeError,
        "logits must be a plain array; found a masked array. Fill it, or mark rows with ignore_index.",
    ),
    "unreadable": (
        ce(Unreadable(RuntimeError("Can't call numpy() on a tensor"))),
        xent.DTypeError,
        "logits must be readable by NumPy; it says: Can't call numpy() on a tensor. A tensor? Use tensor.detach().",
    ),
    "a dtype NumPy lacks": (
        ce(Unreadable(TypeError("Got unsupported ScalarType BFloat16"))),
        xent.DTypeError,
        "logits must be readable by NumPy; it says: Got unsupported ScalarType BFloat16. "
        "Convert it first: tensor.float().numpy().",
    ),
    "one row of logits, as many labels": (
        ce(np.zeros(4, np.float32), T),
        xent.DTypeError,
        "target must hold class indices shaped () or probabilities shaped (4,); found int64 shaped (4,). "
        "One row of 4 classes is meant? One logit a row belongs to binary_cross_entropy.",
    ),
    "ragged": (
        ce([[0.0, 1.0], [0.0]]),
        xent.ShapeError,
        "logits must be one rectangular array; NumPy says: setting an array element with a sequence. The requested array has an "
        "inhomogeneous shape after 1 dimensions. The detected shape was (2,) + inhomogeneous part.. Are all rows equally long?",
    ),
    "whole numbers for logits": (
        ce(T, X),
        xent.DTypeError,
        "logits must be float16, bfloat16, float32 or float64; found int64. "
        "Were logits and target swapped? Otherwise logits.astype(numpy.float32).",
    ),
    "complex logits": (
        ce(X.astype(complex)),
        xent.DTypeError,
        "logits must be float16, bfloat16, float32 or float64; found complex128. Convert logits with astype.",
    ),
    "foreign byte order": (
        ce(X.astype(">f4")),
        xent.DTypeError,
        'logits must be in native byte order; found >f4. Use astype(dtype.newbyteorder("=")).',
    ),
    "a number for logits": (
        ce(np.float32(1.0), 0),
        xent.ShapeError,
        "logits must have a class axis; found a single number. One row is shaped (C,).",
    ),
    "axis out of range": (ce(axis=2), xent.AxisError, "axis must be a whole number in [-2, 2); found 2. logits has 2 axes."),
    "axis that is no number": (
        ce(axis=True),
        xent.AxisError,
        "axis must be a whole number in [-2, 2); found True. logits has 2 axes.",
    ),
    "no classes": (
        ce(X[:, :0]),
        xent.ShapeError,
        "logits must hold at least one class; the class axis has length 0. Is axis the class axis?",
    ),
    # targets that mean something else
    "one-hot": (
        ce(target=np.eye(3, dtype=int)[T]),
        xent.DTypeError,
        f"{KINDS}; found int64 shaped (4, 3). One-hot? Use target.argmax(1), or target.astype(float) for probabilities.",
    ),
    "one-hot of bool": (
        ce(target=np.eye(3, dtype=bool)[T]),
        xent.DTypeError,
        f"{KINDS}; found bool shaped (4, 3). One-hot? Use target.argmax(1), or target.astype(float) for probabilities.",
    ),
    "labels as floats": (
        ce(target=T.astype(float)),
        xent.DTypeError,
        f"{KINDS}; found float64 shaped (4,). Class indices are whole numbers: target.astype(int), if they are labels.",
    ),
    "labels as bfloat16": (
        ce(target=stored(T, "bfloat16")),
        xent.DTypeError,
        f"{KINDS}; found bfloat16 shaped (4,). Class indices are whole numbers: target.astype(int), if they are labels.",
    ),
    "labels as bool": (
        ce(target=T > 0),
        xent.DTypeError,
        f"{KINDS}; found bool shaped (4,). Two classes? Use target.astype(int); for one logit a row, binary_cross_entropy.",
    ),
    "names": (
        ce(target=np.array(["cat", "dog", "cat", "cow"])),
        xent.DTypeError,
        f"{KINDS}; found <U3 shaped (4,). Map names to numbers first: numpy.unique(target, return_inverse=True)[1].",
    ),
    "an extra axis": (
        ce(target=T[:, None]),
        xent.ShapeError,
        f"{KINDS}; found int64 shaped (4, 1). An extra axis? Use target.squeeze(1).",
    ),
    "a swapped class axis": (
        ce(IMAGES, np.zeros((2, 4, 5), int)),
        xent.ShapeError,
        "target must hold class indices shaped (2, 3, 4) or probabilities shaped (2, 3, 4, 5); found int64 shaped (2, 4, 5). "
        "Is the class axis 1? Then pass axis=1.",
    ),
    "probabilities transposed": (
        ce(target=Y.T),
        xent.ShapeError,
        f"{KINDS}; found float64 shaped (3, 4). Are two axes of the target swapped?",
    ),
    "another batch": (
        ce(target=np.zeros(5, int)),
        xent.ShapeError,
        f"{KINDS}; found int64 shaped (5,). Do logits and target come from the same batch?",
    ),
    # labels out of range
    "labels 1..K": (
        ce(target=[1, 2, 3, 1]),
        xent.LabelError,
        "labels must lie in [0, 3); row 2 holds 3 (1 such rows). Labels 1..K? Use target - 1; or a column of logits is missing.",
    ),
    "a mask of 0 and 255": (
        ce(X[:, :2], np.array([0, 255, 0, 255], np.uint8)),
        xent.LabelError,
        "labels must lie in [0, 2); row 1 holds 255 (2 such rows). "
        "A {0, 255} mask? Use target // 255, or ignore_index=255 if 255 marks what does not count.",
    ),
    "-1 for ignored": (
        ce(target=[0, -1, 2, -1]),
        xent.LabelError,
        "labels must lie in [0, 3); row 1 holds -1 (2 such rows). Is -1 the mark of rows to ignore? Then pass ignore_index=-1.",
    ),
    "another mark": (
        ce(target=[0, 1, -7, 2]),
        xent.LabelError,
        "labels must lie in [0, 3); row 2 holds -7 (1 such rows). "
        "Does a negative label mark rows to ignore? Then pass it as ignore_index.",
    ),
    "too many classes": (
        ce(target=[0, 1, 50257, 9]),
        xent.LabelError,
        "labels must lie in [0, 3); row 2 holds 50257 (2 such rows). Is the tokenizer larger than the classifier?",
    ),
    "ignored rows do not mislead": (
        ce(target=[-100, 1, 2, 3]),
        xent.LabelError,
        "labels must lie in [0, 3); row 3 holds 3 (1 such rows). Labels 1..K? Use target - 1; or a column of logits is missing.",
    ),
    # numbers that are no distributions
    "counts": (
        ce(target=np.array([[1.0, 0.0, 0.0]] * 3 + [[2.0, 1.0, 1.0]])),
        xent.DistributionError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 3 sums to 4 (1 such rows). "
        'Divide each row by its sum if counts were meant; are these logits? validate="off" takes them as they are.',
    ),
    "a negative probability": (
        ce(target=with_values(Y, (1, 0), -0.5)),
        xent.DistributionError,
        "each row of target must be >= 0 and sum to 1 within TOLERANCE; row 1 sums to 0.166666667 and holds -0.5 (1 such rows). "
        'Divide each row by its sum if counts were meant; are these logits? validate="off" takes them as they are.',
    ),
    "logits for log_loss": (
        lambda: xent.log_loss(X, T),
        xent.DistributionError,
        "each row of probs must be >= 0 and sum to 1 within TOLERANCE; row 0 sums to 0 (4 such rows). "
        'Logits belong to cross_entropy, log-probabilities to nll_loss. validate="off" takes them as they are.',
    ),
    "logits for nll_loss": (
        lambda: xent.nll_loss(X + 2.0, T),
        xent.DistributionError,
        "log_probs must be at most 0; row 0 holds 2 (4 such rows). Logits belong to cross_entropy, probabilities to log_loss.",
    ),
    # class weights
    "too few class weights": (
        ce(weight=[1.0, 2.0]),
        xent.ShapeError,
        "weight must hold one number a class, (3,); found shape (2,). numpy.ones(3) weighs all classes alike.",
    ),
    "names for weights": (
        ce(weight=["a", "b", "c"]),
        xent.DTypeError,
        "weight must hold numbers; found <U1. Convert it with astype.",
    ),
    "a negative weight": (
        ce(weight=[1.0, -2.0, 1.0]),
        xent.ArgumentError,
        "weight must be finite and not negative; weight[1] is -2.0. A weight of 0 leaves a class out.",
    ),
    "an endless weight of elements": (
        bce(X, np.zeros((4, 3)), weight=with_values(X, (2, 1), np.inf)),
        xent.ArgumentError,
        "weight must be finite and not negative; weight[(2, 1)] is inf. A weight of 0 leaves a class out.",
    ),
    # options
    "no such reduction": (
        ce(reduction="average"),
        xent.ArgumentError,
        "reduction must be one of 'none', 'sum', 'mean'; found 'average'. Write reduction='none', say.",
    ),
    "no such empty": (
        ce(empty=0),
        xent.ArgumentError,
        "empty must be one of 'nan', 'zero', 'raise'; found 0. Write empty='nan', say.",
    ),
    "no such validate": (
        ce(validate=True),
        xent.ArgumentError,
        "validate must be one of 'raise', 'warn', 'off'; found True. Write validate='raise', say.",
    ),
    "too much smoothing": (
        ce(label_smoothing=1.5),
        xent.ArgumentError,
        "label_smoothing must be a number in [0.0, 1.0]; found 1.5. 0 smooths nothing.",
    ),
    "a negative z-loss": (
        ce(z_loss=-1.0),
        xent.ArgumentError,
        "z_loss must be a number in [0.0, inf); found -1.0. 0 leaves the term out.",
    ),
    "focal of NaN": (
        ce(focal=float("nan")),
        xent.ArgumentError,
        "focal must be a number in [0.0, inf); found nan. 0 is the plain loss.",
    ),
    "a soft cap of 0": (
        ce(softcap=0.0),
        xent.ArgumentError,
        "softcap must be a number in (0.0, inf); found 0.0. None caps nothing.",
    ),
    "an endless scale": (
        ce(scale=float("inf")),
        xent.ArgumentError,
        "scale must be a number in (-inf, inf); found inf. 1 changes nothing.",
    ),
    "a scale of 400 digits": (
        ce(scale=10**400),
        xent.ArgumentError,
        "scale must be a number in (-inf, inf); found a number beyond float64. 1 changes nothing.",
    ),
    "a z-loss of more digits than Python prints": (
        ce(z_loss=10**5000),
        xent.ArgumentError,
        "z_loss must be a number in [0.0, inf); found a number beyond float64. 0 leaves the term out.",
    ),
    "an array of reductions": (
        ce(reduction=np.array([1, 2])),
        xent.ArgumentError,
        "reduction must be one of 'none', 'sum', 'mean'; found array([1, 2]). Write reduction='none', say.",
    ),
    "a normalizer of 0": (
        ce(normalizer=0),
        xent.ArgumentError,
        "normalizer must be a number in (0.0, inf); found 0. None divides by this call's own weight.",
    ),
    "a mark that is no number": (
        ce(ignore_index=None),
        xent.ArgumentError,
        "ignore_index must be a whole number; found None. -100 is the default.",
    ),
    "a mean over nothing": (
        ce(target=[-100] * 4, empty="raise"),
        xent.EmptyMeanError,
        "a mean needs at least one counted row; every row is ignored, has weight 0, or there is none. "
        'empty="zero" or "nan" gives a value instead.',
    ),
    "focal of weighted probabilities": (
        ce(target=Y, weight=[1.0, 2.0, 3.0], focal=2.0),
        xent.ArgumentError,
        "focal with probability targets takes no class weights; focal=2.0 and weight of 3 classes. "
        "The miss 1 - p of a weighted mixture of classes is not defined; use class indices.",
    ),
    "a divergence from an index": (
        lambda: xent.kl_divergence_loss(X, T),
        xent.ArgumentError,
        "kl_divergence_loss compares distributions; found class indices. "
        "From an index the divergence is the cross-entropy itself: use cross_entropy.",
    ),
    # out
    "out of another dtype": (
        and_grad(out=np.zeros((4, 3))),
        xent.ShapeError,
        "out must be a NumPy array of the logits' dtype and shape, float32 (4, 3); found float64 (4, 3). "
        "numpy.empty_like(logits) fits; out=logits overwrites them.",
    ),
    "out that is a list": (
        and_grad(out=[[0.0] * 3] * 4),
        xent.ShapeError,
        "out must be a NumPy array of the logits' dtype and shape, float32 (4, 3); found list. "
        "numpy.empty_like(logits) fits; out=logits overwrites them.",
    ),
    "out that is read-only": (
        and_grad(out=frozen()),
        xent.ArgumentError,
        "out must be writable; found a read-only array. Leave it out, or pass a fresh buffer.",
    ),
    "out onto itself": (
        and_grad(out=np.lib.stride_tricks.as_strided(np.zeros(3, np.float32), (4, 3), (0, 4))),
        xent.ArgumentError,
        "out must not overlap itself; found strides (0, 4). Pass a fresh buffer.",
    ),
    "out onto a part of the logits": (
        overlapping,
        xent.ArgumentError,
        "out must not overlap logits in part; their memory overlaps. Pass out=logits itself, or a fresh buffer.",
    ),
    "out onto the target": (
        onto_target,
        xent.ArgumentError,
        "out must not overlap target in part; their memory overlaps. Pass out=logits itself, or a fresh buffer.",
    ),
    # one number at a time
    "a row against a column": (
        bce(ONES, ONES[:, 0]),
        xent.ShapeError,
        "target must have the shape of logits, (4, 1); found (4,). "
        "xent does not broadcast: a (N,) against a (N, 1) would silently become (N, N).",
    ),
    "names for numbers": (
        lambda: xent.mse_loss(ONES, np.array([["a"]] * 4)),
        xent.DTypeError,
        "target must hold numbers; found <U1. Convert it with astype.",
    ),
    "weights of another shape": (
        bce(X, X, weight=np.ones(4)),
        xent.ShapeError,
        "weight must be shaped (4, 3) or (3,); found (4,). No other broadcasting is done.",
    ),
    "class indices for a binary loss": (
        bce(ONES, [[0], [1], [2], [1]]),
        xent.DistributionError,
        "binary targets must lie in [0, 1]; element 2 is 2. Class indices of more than two classes belong to cross_entropy.",
    ),
    "a binary mask of 0 and 255": (
        bce(ONES, np.array([[0], [255], [0], [255]], np.uint8)),
        xent.DistributionError,
        "binary targets must lie in [0, 1]; element 1 is 255. A {0, 255} mask? Use target / 255.",
    ),
    "signs for a binary loss": (
        bce(ONES, [[1], [1], [-1], [1]]),
        xent.DistributionError,
        "binary targets must lie in [0, 1]; element 2 is -1. Labels -1 and +1? Use (target + 1) / 2.",
    ),
    "a binary target of NaN": (
        bce(ONES, [[0.5], [np.nan], [0.0], [1.0]]),
        xent.DistributionError,
        "binary targets must lie in [0, 1]; element 1 is nan. Class indices of more than two classes belong to cross_entropy.",
    ),
    "a variance of 0": (
        lambda: xent.gaussian_nll_loss(ONES, ONES, with_values(ONES, (3, 0), 0.0)),
        xent.ArgumentError,
        "var must be positive and finite; element 3 is 0. Predict log-variance and pass its exponential; xent clamps nothing.",
    ),
    # backends and threads
    "no such backend": (
        ce(backend="cuda"),
        xent.ArgumentError,
        "backend must be None or one of numba, reference; found 'cuda'. None chooses.",
    ),
    "a list of backends": (
        ce(backend=["numba"]),
        xent.ArgumentError,
        "backend must be None or one of numba, reference; found ['numba']. None chooses.",
    ),
    "no such function": (
        lambda: xent.explain_backend(X, function="crossentropy"),
        xent.ArgumentError,
        "function must name a function of xent; found 'crossentropy'. One of cross_entropy, kl_divergence_loss, nll_loss, "
        "log_loss, softmax, log_softmax, logsumexp, binary_cross_entropy, mse_loss, gaussian_nll_loss, sigmoid, log_sigmoid.",
    ),
    "no threads": (
        lambda: xent.set_num_threads(0),
        xent.ArgumentError,
        "num_threads must be a positive whole number; found 0. 1 computes on the calling thread alone.",
    ),
    "True threads": (
        lambda: xent.set_num_threads(True),
        xent.ArgumentError,
        "num_threads must be a positive whole number; found True. 1 computes on the calling thread alone.",
    ),
    "the name of a number of threads": (
        lambda: xent.set_num_threads("2"),  # type: ignore[arg-type]
        xent.ArgumentError,
        "num_threads must be a positive whole number; found '2'. 1 computes on the calling thread alone.",
    ),
    "endless threads": (
        lambda: xent.set_num_threads(float("inf")),  # type: ignore[arg-type]
        xent.ArgumentError,
        "num_threads must be a positive whole number; found inf. 1 computes on the calling thread alone.",
    ),
}
