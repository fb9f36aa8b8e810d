"""Cross-entropy whose gradient is written over the logits: a tensor of their size less. Refused where autograd would be wrong."""

from typing import Any

import torch
from torch import Tensor

from xent._errors import ArgumentError
from xent.torch._cross_entropy import CrossEntropy
from xent.torch._engine import Tensors, recording, saves_elsewhere, times_upstream, why_formula
from xent.torch._tensors import array_of, loss_of, torch_threads

RULE = "inplace=True writes the gradient over the logits"


def in_place(work: CrossEntropy, tensors: Tensors, with_statistics: bool) -> Tensor:
    """The loss; the input holds its gradient afterwards, if one was asked for."""
    x = tensors[0]
    assert x is not None
    if refusal := _why_not(work, x, tensors, with_statistics):
        found, remedy = refusal
        raise ArgumentError(RULE, found, remedy)
    if not (torch.is_grad_enabled() and x.requires_grad):
        with torch_threads():
            return work.value(tensors)
    return _InPlace.apply(work, *tensors)  # pyright: ignore[reportUnknownMemberType, reportReturnType]


def _why_not(work: CrossEntropy, x: Tensor, tensors: Tensors, with_statistics: bool) -> tuple[str, str] | None:
    """What is wrong with it here and what to do; None if nothing is."""
    out = "Leave inplace out."
    if reason := why_formula(work, tensors):
        return reason, out
    if recording(tensors):
        return "PyTorch is recording this call, and must not see its input change", out
    if work.backend == "torch":
        return 'backend="torch" computes no gradient of its own', out
    if with_statistics:
        return "with return_stats=True the gradient depends on what is asked later", "Leave one of the two out."
    if not work.one_number:
        found = 'with reduction="none" the gradient depends on what is asked later'
        return found, 'Use reduction="mean" or "sum", or leave inplace out.'
    if x.requires_grad and x.is_leaf:
        return "the input is a leaf of the graph: its own values would be lost", "Leave inplace out, or use what a layer gives."
    if x._base is not None and x._base.requires_grad and x._base.is_leaf:
        return "the input is a view of a leaf, whose own values would be lost", "Leave inplace out, or use what a layer gives."
    if x.is_neg():
        return "the input is stored with its sign turned", "Use input.resolve_neg()."
    if _overlaps_itself(x):
        return f"the input overlaps itself, with strides {x.stride()}", "Use input.contiguous()."
    if saves_elsewhere():
        return "saved tensors are recomputed or moved, as under activation checkpointing", out
    return None


def _overlaps_itself(x: Tensor) -> bool:
    """Whether two elements may share memory: some step is shorter than what the smaller steps reach."""
    reach = 0
    for step, length in sorted(zip(x.stride(), x.shape, strict=True)):
        if length > 1 and step <= reach:
            return True
        reach += step * (length - 1)
    return False


class _InPlace(torch.autograd.Function):
    """The gradient lives in the input's memory from the forward pass on, and can be taken once."""

    @staticmethod
    def forward(ctx: Any, work: CrossEntropy, *tensors: Tensor | None) -> Tensor:
        """Value and gradient in one visit, after every check: a refused call has written nothing."""
        x = tensors[0]
        assert x is not None
        with torch_threads():
            call = work.prepared(tensors)
            array = array_of(x)
            values = call.gradient_into(array, call.reducer.upstream)
        # Whoever saved these logits for a backward pass of their own is told so by autograd.
        torch.autograd.graph.increment_version(x)
        # It counts changes together with the input.
        ctx.ready = x.detach()
        ctx.version = x._version
        return loss_of(call.reducer.reduce(values, call.given))

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """What was written, times upstream."""
        ready, ctx.ready = ctx.ready, None
        if torch.is_grad_enabled() or ready is None:
            raise ArgumentError(
                RULE,
                "a second derivative was asked for" if ready is not None else "a second backward pass was asked for",
                "The logits it would need are gone: leave inplace out.",
            )
        if ready._version != ctx.version:
            raise ArgumentError(RULE, "the input was changed between the loss and its backward pass", "Leave inplace out.")
        return None, *times_upstream((ready, None, None), upstream[0])
