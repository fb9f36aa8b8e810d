"""The commonest call on few numbers, where the objects that a call is made of would take longer than its kernel.

Plain cross-entropy of a contiguous matrix and class indices, reduced: no other options, no schedule, one block. The same kernel
on the same numbers, so the same bits as the long way; a test says so.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xent._check.targets import labels
from xent.kernels.contract import KnownCoefficients, Problem, Want
from xent.kernels.select import choose
from xent.losses.reduction import mean, per_unit, total

MOST_NUMBERS = 1 << 16
_NOTHING_MORE = Want()


def serves(x: Tensor, target: Tensor) -> bool:
    """Whether the tensors are what this way is for."""
    return (
        x.dtype is torch.float32
        and target.dtype is torch.int64
        and x.ndim == 2
        and target.ndim == 1
        and 0 < x.numel() <= MOST_NUMBERS
        and x.shape[0] == target.shape[0]
        and x.is_contiguous()
        and target.is_contiguous()
    )


def value_and_gradient(x: Tensor, target: Tensor, ignore_index: int, averaged: bool) -> tuple[Tensor, Tensor] | None:
    """Loss and gradient; None where nothing is counted, which is for the long way to settle."""
    logits: Any = x.detach().numpy()
    indices, ignored = labels(target.numpy(), logits.shape[1], ignore_index)
    count = float(len(indices) - ignored)
    if not count:
        return None
    out = np.empty_like(logits)
    known = KnownCoefficients(0.0, per_unit(count) if averaged else 1.0, 0.0)
    problem = Problem(logits, "float32", indices)
    rows = choose(None, "float32").statistics_and_gradient(problem, _NOTHING_MORE, known, out)
    value = total(rows.surprisal)
    return torch.tensor(mean(value, count) if averaged else value, dtype=torch.float32), torch.from_numpy(out)
