"""Linear cross-entropy beside the dense way, whose logits are stored: each way through it, and tensors to call it with."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import LinearCrossEntropyOptions, functional
from torch.testing import assert_close

import xent.torch as xt
from tests.torch.twins import numbers
from tests.torch.ways import FORMULA, KERNELS

N, C, D = 12, 300, 5
CLASSES_ONLY = 6200
"""Bytes that hold no row of 300 logits in float64, and so make a call walk over the classes."""
FIVE_ROWS = LinearCrossEntropyOptions(batch_chunk_size=5)
KERNEL_WAYS: dict[str, dict[str, Any]] = {
    **{f"{name} by rows": {"backend": name} for name in KERNELS},
    **{f"{name} by classes": {"backend": name, "memory_limit": CLASSES_ONLY} for name in KERNELS},
    **{f"{name}, five rows": {"backend": name, "options": FIVE_ROWS} for name in KERNELS},
}
FORMULAS: dict[str, dict[str, Any]] = {
    "formula": {"backend": FORMULA},
    "formula, five rows": {"backend": FORMULA, "options": FIVE_ROWS},
}
EVERY_WAY = KERNEL_WAYS | FORMULAS
EXACT = {"rtol": 1e-9, "atol": 1e-12}
"""Between two computations in float64."""


def hidden(*lead: int, width: int = D, seed: int = 1) -> Tensor:
    """[..., D]."""
    return numbers(*lead, width, seed=seed)


def head(classes: int = C, width: int = D) -> tuple[Tensor, Tensor]:
    """[C, D] and [C]."""
    return numbers(classes, width, seed=2), numbers(classes, seed=3)


def labels(*lead: int, classes: int = C, ignored: bool = True) -> Tensor:
    """Class indices, some of which do not count."""
    size = torch.Size(lead)
    found = (torch.arange(size.numel()) * 37 + 5) % classes
    return torch.where(torch.arange(size.numel()) % 5 == 2, -100 if ignored else 0, found).reshape(size)


def mixture(*lead: int, classes: int = C, seed: int = 4) -> Tensor:
    """Probabilities of all classes, some of them 0."""
    p = numbers(*lead, classes, seed=seed).softmax(-1)
    p = p.masked_fill(torch.arange(classes) % 3 == 1, 0.0)
    return p / p.sum(-1, keepdim=True)


def pair(*lead: int, classes: int = C, few: int = 4) -> tuple[Tensor, Tensor]:
    """A few classes a row, some of them named twice, and their probabilities, the last 0."""
    places = (torch.arange(torch.Size(lead).numel() * few) * 11 % classes).reshape(*lead, few)
    places[..., 1] = places[..., 0]
    mass = numbers(*lead, few, seed=5).exp()
    mass[..., -1] = 0.0
    return places, mass / mass.sum(-1, keepdim=True)


def target_of(kind: str, *lead: int, classes: int = C) -> Any:
    """Labels, probabilities of all classes, or of few."""
    return {"labels": labels, "probabilities": mixture, "pair": pair}[kind](*lead, classes=classes)


def dense(
    input: Tensor,
    linear_weight: Tensor,
    target: Any,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    sample_weight: Tensor | None = None,
    shift: int = 0,
    reduction: str = "mean",
    normalizer: Any = None,
    empty: str = "nan",
    **options: Any,
) -> Tensor:
    """The definition: `cross_entropy` of stored logits, each row for itself, then weights, then the sum."""
    logits, lead = functional.linear(input, linear_weight, linear_bias), input.shape[:-1]
    classes = logits.shape[-1]
    if isinstance(target, tuple):
        target = torch.zeros_like(logits).scatter_add(-1, target[0], target[1].to(logits.dtype))
    index = not target.is_floating_point()
    v = logits.new_ones(lead) if sample_weight is None else sample_weight.to(logits.dtype)
    last = len(lead) - 1
    if shift:
        length = max(0, lead[-1] - shift)
        first = min(shift, lead[-1])
        logits = logits.narrow(last, 0, length)
        target, v = target.narrow(last, first, length), v.narrow(last, first, length)
    flat = target.reshape(-1) if index else target.reshape(-1, classes)
    more: Any = {"reduction": "none", "backend": "torch"} | options
    rows = xt.cross_entropy(logits.reshape(-1, classes), flat, weight, **more).reshape(v.shape)
    rows, counts = v * rows, v
    if index:
        counted = target != options.get("ignore_index", -100)
        w = logits.new_ones(classes) if weight is None else weight.to(logits.dtype)
        counts = v * torch.where(counted, w[target.masked_fill(~counted, 0)], 0.0)
    if reduction == "none":
        return functional.pad(rows, (0, lead[-1] - rows.shape[-1])) if shift else rows
    if reduction == "sum" or normalizer is not None:
        return rows.sum() / (1.0 if reduction == "sum" else normalizer)
    nothing = counts.sum() == 0.0
    over_nothing = logits.new_full((), 0.0 if empty == "zero" else torch.nan)
    return torch.where(nothing, over_nothing, rows.sum() / torch.where(nothing, 1.0, counts.sum()))


def leaves(*tensors: Tensor | None) -> list[Any]:
    """Copies that ask for gradients."""
    return [None if t is None else t.detach().clone().requires_grad_() for t in tensors]


def everything(loss: Any, given: Sequence[Tensor | None], target: Any, **options: Any) -> tuple[Tensor, ...]:
    """The loss, and its gradients by hidden states, classifier and bias, each row's loss weighed differently."""
    at = leaves(*given)
    value = loss(at[0], at[1], target, linear_bias=at[2] if len(at) > 2 else None, **options)
    upstream = torch.linspace(-1.0, 2.0, value.numel(), dtype=value.dtype).reshape(value.shape) if value.ndim else None
    found = torch.autograd.grad(value, [t for t in at if t is not None], upstream)
    return value.detach(), *found


def assert_dense(given: Sequence[Tensor | None], target: Any, way: dict[str, Any], what: str = "", **options: Any) -> None:
    """Value and all gradients, in float64."""
    found = everything(xt.linear_cross_entropy, given, target, **options | way)
    expected = everything(dense, given, target, **options)
    for name, ours, right in zip(("loss", "hidden", "classifier", "bias"), found, expected, strict=False):
        assert_close(ours, right, equal_nan=True, msg=lambda text, name=name: f"{name} {what} {options}\n{text}", **EXACT)
