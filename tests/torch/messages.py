"""Calls of the PyTorch door that are refused, and what each is told."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

import xent
import xent.torch as xt

NAN, INF = float("nan"), float("inf")
X, T = torch.zeros(4, 3), torch.tensor([0, 1, 2, 0])
Y = torch.full((4, 3), 1 / 3)
COLUMN = torch.zeros(4, 1)
IMAGES, MASKS = torch.zeros(2, 4, 5, 3), torch.zeros(2, 4, 5, dtype=torch.long)
ONEHOT = torch.eye(3, dtype=torch.long)[T]
KINDS = "target must hold class indices shaped (4,) or probabilities shaped (4, 3)"
FLOATS = "input must be float16, bfloat16, float32 or float64"
BROADCAST = (
    "xent does not broadcast: a (N,) against a (N, 1) would silently become (N, N). "
    "target.view_as(input) or .expand_as(input), if that is meant."
)
NEGATIVE = "A weight of 0 leaves an element out."


class Refused(NamedTuple):
    """A call, the error it gets, the built-in class that a caller may catch instead, and the message."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    kind: type[Exception]
    like: type[Exception]
    text: str

    def call(self, **way: Any) -> Any:
        """The call, by the way asked for."""
        return self.function(*self.arguments, **self.options | way)


def ce(input: Any = X, target: Any = T, **options: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    return xt.cross_entropy, (input, target), options


def of(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[Any, ...]:
    return function, arguments, options


def changed(values: Tensor, place: tuple[int, ...], value: float) -> Tensor:
    found = values.clone()
    found[place] = value
    return found


def label(value: float, *more: float) -> Tensor:
    return torch.tensor([value, *more])


BCE, BCE_LOGITS = xt.binary_cross_entropy, xt.binary_cross_entropy_with_logits

SHAPES_AND_DTYPES: dict[str, Refused] = {
    "one-hot": Refused(
        *ce(target=ONEHOT),
        xent.DTypeError,
        TypeError,
        f"{KINDS}; found int64 shaped (4, 3). One-hot? Use target.argmax(1), or target.float() for probabilities.",
    ),
    "one-hot of bool": Refused(
        *ce(target=ONEHOT.bool()),
        xent.DTypeError,
        TypeError,
        f"{KINDS}; found bool shaped (4, 3). One-hot? Use target.argmax(1), or target.float() for probabilities.",
    ),
    "labels as floats": Refused(
        *ce(target=T.float()),
        xent.DTypeError,
        TypeError,
        f"{KINDS}; found float32 shaped (4,). Class indices are whole numbers: target.long(), if they are labels.",
    ),
    "labels as bfloat16": Refused(
        *ce(target=T.bfloat16()),
        xent.DTypeError,
        TypeError,
        f"{KINDS}; found bfloat16 shaped (4,). Class indices are whole numbers: target.long(), if they are labels.",
    ),
    "labels as bool": Refused(
        *ce(target=T > 0),
        xent.DTypeError,
        TypeError,
        f"{KINDS}; found bool shaped (4,). "
        "Two classes? Use target.long(); for one logit a row, binary_cross_entropy_with_logits.",
    ),
    "an extra axis": Refused(
        *ce(target=T[:, None]),
        xent.ShapeError,
        ValueError,
        f"{KINDS}; found int64 shaped (4, 1). An extra axis? Use target.squeeze(1).",
    ),
    "a swapped class axis": Refused(
        *ce(IMAGES, MASKS),
        xent.ShapeError,
        ValueError,
        "target must hold class indices shaped (2, 5, 3) or probabilities shaped (2, 4, 5, 3); found int64 shaped (2, 4, 5). "
        "Is the class axis 3? It must be axis 1: input.movedim(3, 1).",
    ),
    "a language model's class axis": Refused(
        *ce(torch.zeros(2, 7, 3), torch.zeros(2, 7, dtype=torch.long)),
        xent.ShapeError,
        ValueError,
        "target must hold class indices shaped (2, 3) or probabilities shaped (2, 7, 3); found int64 shaped (2, 7). "
        "Is the class axis 2? It must be axis 1: input.movedim(2, 1).",
    ),
    "probabilities transposed": Refused(
        *ce(target=Y.T),
        xent.ShapeError,
        ValueError,
        f"{KINDS}; found float32 shaped (3, 4). Are two axes of the target swapped?",
    ),
    "labels that were not flattened": Refused(
        *ce(torch.zeros(14, 3), torch.zeros(2, 7, dtype=torch.long)),
        xent.ShapeError,
        ValueError,
        "target must hold class indices shaped (14,) or probabilities shaped (14, 3); found int64 shaped (2, 7). "
        "Flatten logits and target alike? Use target.reshape(14).",
    ),
    "another batch": Refused(
        *ce(target=torch.zeros(5, dtype=torch.long)),
        xent.ShapeError,
        ValueError,
        f"{KINDS}; found int64 shaped (5,). Do logits and target come from the same batch?",
    ),
    "one row of logits, as many labels": Refused(
        *ce(torch.zeros(4), T),
        xent.DTypeError,
        TypeError,
        "target must hold class indices shaped () or probabilities shaped (4,); found int64 shaped (4,). "
        "One row of 4 classes is meant? One logit a row belongs to binary_cross_entropy_with_logits.",
    ),
    "whole numbers for logits": Refused(
        *ce(T, X),
        xent.DTypeError,
        TypeError,
        f"{FLOATS}; found torch.int64. input.float(), unless the arguments are swapped.",
    ),
    "a single number": Refused(
        *ce(torch.tensor(1.0), torch.tensor(0)),
        xent.ShapeError,
        ValueError,
        "input must have a class axis; found a single number. One row is shaped (C,).",
    ),
    "no classes": Refused(
        *ce(X[:, :0]),
        xent.ShapeError,
        ValueError,
        "input must hold at least one class; the class axis has length 0. Is axis 1 the class axis?",
    ),
    "too few class weights": Refused(
        *ce(weight=torch.ones(2)),
        xent.ShapeError,
        ValueError,
        "weight must hold one number a class, (3,); found shape (2,). torch.ones(3) weighs all classes alike.",
    ),
    "a mark among probabilities": Refused(
        *ce(target=Y, ignore_index=0),
        xent.ArgumentError,
        ValueError,
        "ignore_index belongs to class indices; found ignore_index=0 with a target of probabilities. "
        "Leave it out; a row of zeros in the target counts nothing.",
    ),
    "focal of weighted probabilities": Refused(
        *ce(target=Y, weight=torch.ones(3), focal=2.0),
        xent.ArgumentError,
        ValueError,
        "focal with probability targets takes no class weights; focal=2.0 and weight of 3 classes. "
        "The miss 1 - p of a weighted mixture of classes is not defined; use class indices.",
    ),
    "probabilities for nll_loss": Refused(
        *of(xt.nll_loss, X, Y),
        xent.DTypeError,
        TypeError,
        "nll_loss takes class indices; found torch.float32 shaped (4, 3). "
        "cross_entropy takes probabilities as target, kl_div compares distributions.",
    ),
    "a row against a column": Refused(
        *of(BCE_LOGITS, COLUMN, COLUMN[:, 0]),
        xent.ShapeError,
        ValueError,
        f"target must have the shape of input, (4, 1); found (4,). {BROADCAST}",
    ),
    "a column of probabilities against a row": Refused(
        *of(BCE, COLUMN, COLUMN[:, 0]),
        xent.ShapeError,
        ValueError,
        f"target must have the shape of input, (4, 1); found (4,). {BROADCAST}",
    ),
    "a squared table of pairs": Refused(
        *of(xt.mse_loss, COLUMN, COLUMN[:, 0]),
        xent.ShapeError,
        ValueError,
        f"target must have the shape of input, (4, 1); found (4,). {BROADCAST}",
    ),
    "a weight for each column": Refused(
        *of(xt.mse_loss, X, X, weight=torch.ones(3)),
        xent.ShapeError,
        ValueError,
        f"weight must have the shape of input, (4, 3); found (3,). {BROADCAST.replace('target', 'weight')}",
    ),
    "divergence from one row": Refused(
        *of(xt.kl_div, X, Y[:1]),
        xent.ShapeError,
        ValueError,
        f"target must have the shape of input, (4, 3); found (1, 3). {BROADCAST}",
    ),
    "weights that do not expand": Refused(
        *of(BCE_LOGITS, X, X, weight=torch.ones(4)),
        xent.ShapeError,
        ValueError,
        "weight must expand to the shape of input, (4, 3); found (4,). "
        "Weights line up with the last axes; an axis of length 1 is repeated.",
    ),
    "positive weights that do not expand": Refused(
        *of(BCE_LOGITS, X, X, pos_weight=torch.ones(2, 4, 3)),
        xent.ShapeError,
        ValueError,
        "pos_weight must expand to the shape of input, (4, 3); found (2, 4, 3). "
        "Weights line up with the last axes; an axis of length 1 is repeated.",
    ),
    "a variance for each column": Refused(
        *of(xt.gaussian_nll_loss, X, X, torch.ones(3)),
        xent.ShapeError,
        ValueError,
        "var must have the shape of input, (4, 3); found (3,). One number a row is shaped (..., 1), or has no last axis.",
    ),
    "a target for one row": Refused(
        *of(xt.gaussian_nll_loss, X, X[:1], Y),
        xent.ShapeError,
        ValueError,
        f"target must have the shape of input, (4, 3); found (1, 3). {BROADCAST}",
    ),
}
"""What shapes, dtypes and options say by themselves: found while PyTorch records as well."""

LABELS: dict[str, Refused] = {
    "labels 1..K": Refused(
        *ce(target=T + 1),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 3); row 2 holds 3 (1 such rows). Labels 1..K? Use target - 1; or a column of logits is missing.",
    ),
    "a mask of 0 and 255": Refused(
        *ce(X[:, :2], torch.tensor([0, 255, 0, 255], dtype=torch.uint8)),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 2); row 1 holds 255 (2 such rows). "
        "A {0, 255} mask? Use target // 255, or ignore_index=255 if 255 marks what does not count.",
    ),
    "-1 for ignored": Refused(
        *ce(target=label(0, -1, 2, -1)),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 3); row 1 holds -1 (2 such rows). Is -1 the mark of rows to ignore? Then pass ignore_index=-1.",
    ),
    "another mark": Refused(
        *ce(target=label(0, 1, -7, 2)),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 3); row 2 holds -7 (1 such rows). "
        "Does a negative label mark rows to ignore? Then pass it as ignore_index.",
    ),
    "too many classes": Refused(
        *ce(target=label(0, 1, 50257, 9)),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 3); row 2 holds 50257 (2 such rows). Is the tokenizer larger than the classifier?",
    ),
    "a bad label of log-probabilities": Refused(
        *of(xt.nll_loss, X, T + 1),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 3); row 2 holds 3 (1 such rows). Labels 1..K? Use target - 1; or a column of logits is missing.",
    ),
    "one logit a row": Refused(
        *ce(COLUMN, torch.tensor([0, 1, 1, 0])),
        xent.LabelError,
        IndexError,
        "labels must lie in [0, 1); row 1 holds 1 (2 such rows). One logit a row? Use binary_cross_entropy_with_logits.",
    ),
}
