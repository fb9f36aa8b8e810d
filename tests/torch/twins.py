"""Each function beside PyTorch's own, with tensors to call them with: one list for every test that compares the two."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_map_only

import xent.torch as xt

Function = Callable[..., Tensor]
LABELS = torch.tensor([1, 3, -100, 0, 2])
WEIGHT = torch.tensor([0.5, 2.0, 1.0, 1.25], dtype=torch.float64)


class Twins(NamedTuple):
    """The same function twice, of one tensor, and what tensor. Options in float64 suit any dtype of it."""

    ours: Function
    theirs: Function
    x: Tensor


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """From N(0, 1), in float64."""
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def twins(name: str, x: Tensor, *others: Any, **options: Any) -> Twins:
    """The function of that name in both, all but the first tensor given."""

    def theirs(y: Tensor) -> Tensor:
        # PyTorch wants weights and targets in the dtype of the input.
        arguments, keywords = tree_map_only(Tensor, lambda t: t.to(y.dtype) if t.is_floating_point() else t, (others, options))
        return getattr(functional, name)(y, *arguments, **keywords)

    return Twins(lambda y: getattr(xt, name)(y, *others, **options), theirs, x)


def _all() -> dict[str, Twins]:
    x, y = numbers(5, 4), numbers(5, 4, seed=1)
    log_p, p, q = x.log_softmax(1), torch.sigmoid(x), torch.sigmoid(y)
    weights = {"weight": WEIGHT, "pos_weight": WEIGHT.flip(0)}
    return {
        "cross_entropy": twins("cross_entropy", x, LABELS),
        "cross_entropy_sum": twins("cross_entropy", x, LABELS, reduction="sum"),
        "cross_entropy_none": twins("cross_entropy", x, LABELS, reduction="none"),
        "cross_entropy_weighted": twins("cross_entropy", x, LABELS, weight=WEIGHT, label_smoothing=0.1),
        "cross_entropy_mixture": twins("cross_entropy", x, y.softmax(1), label_smoothing=0.1),
        "nll_loss": twins("nll_loss", log_p, LABELS, weight=WEIGHT),
        "nll_loss_none": twins("nll_loss", log_p, LABELS, reduction="none"),
        "bce_logits": twins("binary_cross_entropy_with_logits", x, q),
        "bce_logits_weighted": twins("binary_cross_entropy_with_logits", x, q, **weights),
        "bce_logits_none": twins("binary_cross_entropy_with_logits", x, q, reduction="none"),
        "bce": twins("binary_cross_entropy", p, q, weight=WEIGHT),
        "kl_div": twins("kl_div", log_p, y.softmax(1), reduction="batchmean"),
        "kl_div_log": twins("kl_div", log_p, y.log_softmax(1), reduction="sum", log_target=True),
        "mse_loss": twins("mse_loss", x, y),
        "mse_loss_none": twins("mse_loss", x, y, reduction="none"),
        "gaussian_nll": twins("gaussian_nll_loss", x, y, y.exp(), full=True),
        "softmax": twins("softmax", x, dim=1),
        "log_softmax": twins("log_softmax", x, dim=0),
        "logsigmoid": twins("logsigmoid", x),
    }


TWINS = _all()
ONE_NUMBER = {name: pair for name, pair in TWINS.items() if pair.ours(pair.x).ndim == 0}


def gradient(function: Function, x: Tensor, upstream: Tensor | None = None, **options: Any) -> Tensor:
    """At a copy of x, by backward mode."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    output = function(leaf)
    (found,) = torch.autograd.grad(output, leaf, torch.ones_like(output) if upstream is None else upstream, **options)
    return found
