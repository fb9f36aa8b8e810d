"""Calls refused for their numbers, their options, or the way they ask for; with `messages.py` all that this door refuses."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import xent
import xent.torch as xt
from tests.torch.messages import BCE, BCE_LOGITS, COLUMN, INF, NAN, NEGATIVE, Refused, T, X, Y, ce, changed, label, of

INTERVAL = "binary targets must lie in [0, 1]; element"
MORE_CLASSES = "Class indices of more than two classes belong to cross_entropy."
ROWS = "each row of target must be >= 0 and sum to 1 within TOLERANCE;"
COUNTS = 'Divide each row by its sum if counts were meant; are these logits? validate="off" takes them as they are.'
OVER = "inplace=True writes the gradient over the logits;"
OUT = "Leave inplace out."


def column(*values: float) -> Tensor:
    return torch.tensor(values)[:, None]


NUMBERS: dict[str, Refused] = {
    "counts": Refused(
        *ce(target=label([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [2.0, 1.0, 1.0]), validate="raise"),
        xent.DistributionError,
        ValueError,
        f"{ROWS} row 3 sums to 4 (1 such rows). {COUNTS}",
    ),
    "a negative probability": Refused(
        *ce(target=label([1.5, -0.5, 0.0], *[[1.0, 0.0, 0.0]] * 3), validate="raise"),
        xent.DistributionError,
        ValueError,
        f"{ROWS} row 0 sums to 1 and holds -0.5 (1 such rows). {COUNTS}",
    ),
    "one probability a row": Refused(
        *ce(COLUMN, COLUMN, validate="raise"),
        xent.DistributionError,
        ValueError,
        f"{ROWS} row 0 sums to 0 (4 such rows). "
        'One logit a row? Use binary_cross_entropy_with_logits. validate="off" takes them as they are.',
    ),
    "logits for nll_loss": Refused(
        *of(xt.nll_loss, X + 2.0, T),
        xent.DistributionError,
        ValueError,
        "log_probs must be at most 0; row 0 holds 2 (4 such rows). "
        "Logits belong to cross_entropy, probabilities to nll_loss as their logarithms.",
    ),
    "a negative class weight": Refused(
        *ce(weight=label(1.0, -2.0, 1.0)),
        xent.ArgumentError,
        ValueError,
        "weight must be finite and not negative; weight[1] is -2.0. A weight of 0 leaves a class out.",
    ),
    "an endless class weight": Refused(
        *of(xt.nll_loss, X, T, weight=label(1.0, 1.0, INF)),
        xent.ArgumentError,
        ValueError,
        "weight must be finite and not negative; weight[2] is inf. A weight of 0 leaves a class out.",
    ),
    "a negative weight of elements": Refused(
        *of(BCE_LOGITS, X, X, weight=changed(X, (2, 1), -1.0)),
        xent.ArgumentError,
        ValueError,
        f"weight must be finite and not negative; element 7 is -1. {NEGATIVE}",
    ),
    "a weight of NaN": Refused(
        *of(xt.mse_loss, X, X, weight=changed(X, (0, 0), NAN)),
        xent.ArgumentError,
        ValueError,
        f"weight must be finite and not negative; element 0 is nan. {NEGATIVE}",
    ),
    "a negative positive weight": Refused(
        *of(BCE_LOGITS, X, X, pos_weight=label(1.0, 1.0, -3.0)),
        xent.ArgumentError,
        ValueError,
        f"pos_weight must be finite and not negative; element 2 is -3. {NEGATIVE}",
    ),
    "class indices for a binary loss": Refused(
        *of(BCE_LOGITS, COLUMN, column(0, 1, 2, 1)), xent.DistributionError, ValueError, f"{INTERVAL} 2 is 2. {MORE_CLASSES}"
    ),
    "a binary mask of 0 and 255": Refused(
        *of(BCE_LOGITS, COLUMN, column(0, 255, 0, 255)),
        xent.DistributionError,
        ValueError,
        f"{INTERVAL} 1 is 255. A {{0, 255}} mask? Use target / 255.",
    ),
    "signs for a binary loss": Refused(
        *of(BCE, COLUMN, column(1, 1, -1, 1)),
        xent.DistributionError,
        ValueError,
        f"{INTERVAL} 2 is -1. Labels -1 and +1? Use (target + 1) / 2.",
    ),
    "a binary target of NaN": Refused(
        *of(BCE_LOGITS, COLUMN, column(0.5, NAN, 0.0, 1.0)),
        xent.DistributionError,
        ValueError,
        f"{INTERVAL} 1 is nan. {MORE_CLASSES}",
    ),
    "logits for a loss of probabilities": Refused(
        *of(BCE, column(0.5, 2.0, -1.5, 0.0), COLUMN),
        xent.DistributionError,
        ValueError,
        "probabilities must lie in [0, 1]; element 1 is 2. Logits belong to binary_cross_entropy_with_logits.",
    ),
    "a probability of NaN": Refused(
        *of(BCE, column(0.5, NAN, 0.0, 0.0), COLUMN),
        xent.DistributionError,
        ValueError,
        "probabilities must lie in [0, 1]; element 1 is nan. Logits belong to binary_cross_entropy_with_logits.",
    ),
    "a negative variance": Refused(
        *of(xt.gaussian_nll_loss, X, X, changed(Y, (3, 0), -2.0)),
        xent.ArgumentError,
        ValueError,
        "var must be finite and not negative; found -2. Predict log-variance and pass its exponential.",
    ),
    "a variance of NaN": Refused(
        *of(xt.gaussian_nll_loss, X, X, changed(Y, (0, 1), NAN)),
        xent.ArgumentError,
        ValueError,
        "var must be finite and not negative; found nan. Predict log-variance and pass its exponential.",
    ),
    "a mean over nothing": Refused(
        *ce(target=torch.full((4,), -100), empty="raise"),
        xent.EmptyMeanError,
        ValueError,
        "a mean needs at least one counted row; every row is ignored, has weight 0, or there is none. "
        'empty="zero" or "nan" gives a value instead.',
    ),
    "a mean over no element": Refused(
        *of(xt.mse_loss, X[:0], X[:0], empty="raise"),
        xent.EmptyMeanError,
        ValueError,
        "a mean needs at least one counted row; every row is ignored, has weight 0, or there is none. "
        'empty="zero" or "nan" gives a value instead.',
    ),
}
"""What only the numbers in a tensor tell."""


def option(name: str, value: Any, rule: str, found: str, remedy: str, like: Any = None) -> Refused:
    call = like or ce()
    text = f"{name} must be {rule}; found {found}. {remedy}"
    return Refused(call[0], call[1], call[2] | {name: value}, xent.ArgumentError, ValueError, text)


REDUCTIONS = "one of 'none', 'mean', 'sum'"
DISTANCE, SOFTMAX = of(xt.kl_div, X, Y), of(xt.softmax, X)
GAUSSIAN = xt.gaussian_nll_loss
GAUSS = of(GAUSSIAN, X, X, Y)
OPTIONS: dict[str, Refused] = {
    "no such reduction": option("reduction", "average", REDUCTIONS, "'average'", "Write reduction='mean', say."),
    "no reduction": option("reduction", None, REDUCTIONS, "None", "Write reduction='mean', say."),
    "no such reduction of a divergence": option(
        "reduction", "rowmean", f"{REDUCTIONS}, 'batchmean'", "'rowmean'", "Write reduction='mean', say.", DISTANCE
    ),
    "no such empty": option("empty", 0, "one of 'nan', 'zero', 'raise'", "0", "Write empty='nan', say."),
    "no such validate": option("validate", True, "one of 'raise', 'warn', 'off'", "True", "Write validate='raise', say."),
    "too much smoothing": option("label_smoothing", 1.5, "a number in [0.0, 1.0]", "1.5", "0 smooths nothing."),
    "negative smoothing": option("label_smoothing", -0.1, "a number in [0.0, 1.0]", "-0.1", "0 smooths nothing."),
    "a negative z-loss": option("z_loss", -1.0, "a number in [0.0, inf)", "-1.0", "0 leaves the term out."),
    "focal of NaN": option("focal", NAN, "a number in [0.0, inf)", "nan", "0 is the plain loss."),
    "a soft cap of 0": option("softcap", 0.0, "a number in (0.0, inf)", "0.0", "None caps nothing."),
    "an endless scale": option("scale", INF, "a number in (-inf, inf)", "inf", "1 changes nothing."),
    "a normalizer of 0": option("normalizer", 0, "a number in (0.0, inf)", "0", "None divides by this call's own weight."),
    "a word for normalizer": option(
        "normalizer", "N", "a number in (0.0, inf)", "'N'", "None divides by this call's own weight."
    ),
    "a mark that is no number": option("ignore_index", None, "a whole number", "None", "-100 is the default."),
    "a least variance of 0": option("eps", 0.0, "a number in (0.0, inf)", "0.0", "1e-6 is the default.", GAUSS),
    "one negative variance": option(
        "var", -1.0, "a number in [0.0, inf)", "-1.0", "A variance is the square of a standard deviation.", of(GAUSSIAN, X, X)
    ),
    "a normalizer of no size": option(
        "normalizer", torch.tensor(0.0), "a number in (0, inf)", "0.0", "None divides by the weight."
    ),
}
"""Options out of range."""

ELSEWHERE: dict[str, Refused] = {
    "no such axis": Refused(
        *of(xt.softmax, X, 2), xent.AxisError, IndexError, "dim must lie in [-2, 2); found 2. input has 2 axes."
    ),
    "True for an axis": Refused(
        *of(xt.log_softmax, X, True), xent.AxisError, IndexError, "dim must lie in [-2, 2); found True. input has 2 axes."
    ),
    "an array": Refused(
        *ce(X.numpy()),
        xent.DTypeError,
        TypeError,
        "input must be a torch tensor; found ndarray. "
        "torch.as_tensor(input) makes one; NumPy arrays belong to the functions of xent itself.",
    ),
    "a sparse tensor": Refused(
        *of(BCE_LOGITS, X.to_sparse(), X),
        xent.DTypeError,
        TypeError,
        "input must be a dense tensor; found torch.sparse_coo. Use input.to_dense().",
    ),
    "complex logits": Refused(
        *ce(X.to(torch.complex64)),
        xent.DTypeError,
        TypeError,
        "input must hold real numbers; found torch.complex64. Use input.to(torch.float32).",
    ),
    "a target in eight bits": Refused(
        *of(xt.mse_loss, X, X.to(torch.float8_e4m3fn)),
        xent.DTypeError,
        TypeError,
        "target must hold real numbers; found torch.float8_e4m3fn. Use target.to(torch.float32).",
    ),
    "a list of labels": Refused(
        *ce(target=[0, 1, 2, 0]),
        xent.DTypeError,
        TypeError,
        "target must be a torch tensor; found list. "
        "torch.as_tensor(target) makes one; NumPy arrays belong to the functions of xent itself.",
    ),
    "a list of positive weights": Refused(
        *of(BCE_LOGITS, X, X, pos_weight=[1.0, 1.0, 1.0]),
        xent.DTypeError,
        TypeError,
        "pos_weight must be a torch tensor; found list. "
        "torch.as_tensor(pos_weight) makes one; NumPy arrays belong to the functions of xent itself.",
    ),
    "a normalizer for each row": Refused(
        *ce(normalizer=torch.ones(4)),
        xent.ShapeError,
        ValueError,
        "normalizer must be one number; found shape (4,). Use normalizer.sum().",
    ),
    "the best of no guess": Refused(
        lambda: xt.cross_entropy(X, T, return_stats=True)[1].top_k(0),
        (),
        {},
        xent.ArgumentError,
        ValueError,
        "k must be a whole number of at least 1; found 0. 1 counts the best guess alone.",
    ),
    "no such backend": Refused(
        *ce(backend="cuda"),
        xent.ArgumentError,
        ValueError,
        "backend must be None or one of numba, reference, torch; found 'cuda'. None chooses.",
    ),
    "no such backend to explain": Refused(
        *of(xt.explain_backend, X, backend="cuda"),
        xent.ArgumentError,
        ValueError,
        "backend must be None or one of numba, reference, torch; found 'cuda'. None chooses.",
    ),
    "a backend that refuses": Refused(
        *ce(X.to("meta"), T.to("meta"), backend="reference"),
        xent.BackendError,
        RuntimeError,
        "a backend asked for by name serves or refuses; reference: the tensors are on meta. "
        'backend=None or "torch" takes the formula in torch operators.',
    ),
}
"""What else is refused, whatever the way."""


def in_place(make: Callable[[Tensor], Tensor], found: str, remedy: str = OUT, target: Any = T, **options: Any) -> Refused:
    """Refused with inplace=True for the input that is made of a leaf."""

    def call(**way: Any) -> Any:
        return xt.cross_entropy(make(X.clone().requires_grad_()), target, inplace=True, **options | way)

    return Refused(call, (), {}, xent.ArgumentError, ValueError, f"{OVER} {found}. {remedy}")


def of_layer(leaf: Tensor) -> Tensor:
    return leaf * 1.0


LATER = 'Use reduction="mean" or "sum", or leave inplace out.'
IN_PLACE: dict[str, Refused] = {
    "over a leaf": in_place(
        lambda leaf: leaf,
        "the input is a leaf of the graph: its own values would be lost",
        "Leave inplace out, or use what a layer gives.",
    ),
    "over a view of a leaf": in_place(
        lambda leaf: leaf.view(4, 3),
        "the input is a view of a leaf, whose own values would be lost",
        "Leave inplace out, or use what a layer gives.",
    ),
    "over one row for all": in_place(
        lambda leaf: of_layer(leaf)[:1].expand(4, 3), "the input overlaps itself, with strides (0, 1)", "Use input.contiguous()."
    ),
    "over each row's loss": in_place(
        of_layer, 'with reduction="none" the gradient depends on what is asked later', LATER, reduction="none"
    ),
    "beside statistics": in_place(
        of_layer,
        "with return_stats=True the gradient depends on what is asked later",
        "Leave one of the two out.",
        return_stats=True,
    ),
    "by the formula": in_place(of_layer, 'backend="torch" computes no gradient of its own', backend="torch"),
    "on no memory": in_place(lambda leaf: leaf.to("meta"), "the tensors are on meta", target=T.to("meta")),
    "where the target learns": in_place(
        of_layer, "a gradient is asked for that only the formula has", target=Y.clone().requires_grad_()
    ),
}
"""What may not be overwritten."""
