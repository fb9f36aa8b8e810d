"""The three ways a call can go, and which one it takes.

kernels    tensors in this process's memory: xent's kernels, one visit for value and gradient; higher orders from the formula
operators  while PyTorch records (`torch.compile`, `torch.export`, fake tensors): the same kernels behind registered operators
formula    everything else: `_formula.py` in torch operators
"""

import math
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor
from torch.autograd import forward_ad

from xent._errors import ArgumentError, BackendError
from xent.kernels import select
from xent.torch._tensors import torch_threads

Tensors: TypeAlias = tuple[Tensor | None, ...]
"""The tensors of a call: the input, its target, and what weighs them; None where one is left out."""
Outputs: TypeAlias = Tensor | tuple[Tensor, ...]
_KNOWN = (Tensor, torch.nn.Parameter, FakeTensor, FunctionalTensor)
"""Tensors whose memory kernels read, and those that PyTorch records with; other kinds know torch operators alone."""
FORMULA = "torch"
"""The name of the formula among the backends."""


class Work(Protocol):
    """A call with all its options, apart from its tensors."""

    @property
    def backend(self) -> str | None:
        """The backend asked for."""
        ...

    @property
    def by_kernels(self) -> tuple[int, ...]:
        """Places of the tensors that kernels can differentiate by."""
        ...

    @property
    def one_number(self) -> bool:
        """Whether the result is one number, so that its gradient is known up to a factor before anything is asked of it."""
        ...

    @property
    def keeps_output(self) -> bool:
        """Whether the derivative is written with the result, which then follows the tensors that `gradients` is given."""
        ...

    def check(self, tensors: Tensors, /) -> None:
        """Refuse shapes and dtypes that do not belong together; looks at no number."""
        ...

    def check_values(self, tensors: Tensors, /) -> None:
        """Refuse numbers that cannot be meant."""
        ...

    def value(self, tensors: Tensors, /) -> Outputs:
        """By kernels, after every check."""
        ...

    def gradients(self, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor, ...], /) -> Tensors:
        """Gradients of Σ upstream · output where needed, by kernels."""
        ...

    def formula(self, tensors: Tensors, /) -> Outputs:
        """The same value in torch operators."""
        ...

    def operator(self, tensors: Tensors, /) -> Outputs:
        """The same value by the registered operator."""
        ...


class OneNumber(Work, Protocol):
    """A call whose result may be one number."""

    def value_and_gradients(self, tensors: Tensors, needed: tuple[bool, ...], /) -> tuple[Tensor, Tensors]:
        """The number and its gradients where needed, in one visit."""
        ...


def call(work: Work, tensors: Tensors) -> Outputs:
    """The value of a call, differentiable, by the way that serves."""
    if work.backend is not None:
        check_backend(work.backend)
    reason = why_formula(work, tensors)
    if work.backend == FORMULA or reason is not None:
        if work.backend not in (None, FORMULA):
            _refuse(work, str(reason))
        return by_formula(work, tensors)
    if recording(tensors):
        work.check(tensors)
        return work.operator(tensors)
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        return _Kernels.apply(work, *tensors)  # pyright: ignore[reportUnknownMemberType, reportReturnType]
    with torch_threads():
        return work.value(tensors)


def by_formula(work: Work, tensors: Tensors) -> Outputs:
    """The formula, after what can be checked: nothing can be read under a transform, while recording, or without data."""
    work.check(tensors)
    if readable(tensors):
        work.check_values(tuple(None if t is None else t.detach() for t in tensors))
    return work.formula(tensors)


def readable(tensors: Tensors) -> bool:
    """Whether the numbers can be looked at: under no transform, not while recording, and where there are any."""
    if torch._C._are_functorch_transforms_active() or recording(tensors):
        return False
    return not any(t is not None and t.is_meta for t in tensors)


def why_formula(work: Work, tensors: Tensors) -> str | None:
    """The reason why kernels do not serve; None if they do."""
    if torch._C._are_functorch_transforms_active():
        return "a torch.func transform is at work"
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        return "torch.jit.trace records"
    differentiates = torch.is_grad_enabled()
    for place, tensor in enumerate(tensors):
        if tensor is None:
            continue
        if type(tensor) not in _KNOWN:
            return f"a tensor is a {type(tensor).__name__}"
        if tensor.device.type != "cpu":
            return f"the tensors are on {tensor.device.type}"
        if forward_ad._current_level >= 0 and forward_ad.unpack_dual(tensor).tangent is not None:
            return "forward-mode differentiation is at work"
        if differentiates and tensor.requires_grad and place not in work.by_kernels:
            return "a gradient is asked for that only the formula has"
    return None


def recording(tensors: Tensors) -> bool:
    """Whether PyTorch traces this call rather than runs it."""
    if torch.compiler.is_compiling():
        return True
    if torch._C._len_torch_dispatch_stack():
        return True
    return any(isinstance(t, FakeTensor | FunctionalTensor) for t in tensors)


def check_backend(backend: str | None) -> None:
    """A name that some backend bears."""
    names = (*select.names(), FORMULA)
    if backend is not None and backend not in names:
        raise ArgumentError(f"backend must be None or one of {', '.join(names)}", f"found {backend!r}", "None chooses.")


def _refuse(work: Work, reason: str) -> None:
    raise BackendError(
        "a backend asked for by name serves or refuses",
        f"{work.backend}: {reason}",
        'backend=None or "torch" takes the formula in torch operators.',
    )


class _Kernels(torch.autograd.Function):
    """Value and, where it is one number, its gradient in the same visit; kept until the first backward pass takes it."""

    @staticmethod
    def forward(ctx: Any, work: Work, *tensors: Tensor | None) -> Outputs:
        """Value by kernels."""
        ctx.work, ctx.ready = work, None
        with torch_threads():
            if work.one_number and not saves_elsewhere():
                outputs, ctx.ready = cast(OneNumber, work).value_and_gradients(tensors, ctx.needs_input_grad[1:])
            else:
                outputs = work.value(tensors)
        if isinstance(outputs, tuple):
            ctx.mark_non_differentiable(*(o for o in outputs if not o.is_floating_point()))
        ctx.save_for_backward(*tensors, *((outputs,) if work.keeps_output else ()))
        return outputs

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """What was kept, times upstream; computed anew for a second pass; by the formula where it is differentiated again."""
        work, saved, needed = ctx.work, ctx.saved_tensors, ctx.needs_input_grad[1:]
        if torch.is_grad_enabled() or any(map(_is_batch, upstream)):
            return (None, *again(work, saved[: len(needed)], needed, upstream))
        ready, ctx.ready = ctx.ready, None
        if ready is not None and all(g is None or _stays_exact(g, upstream[0].item()) for g in ready):
            return (None, *times_upstream(ready, upstream[0]))
        with torch_threads():
            return (None, *work.gradients(saved, needed, upstream))


def _is_batch(upstream: Tensor) -> bool:
    """Whether it stands for many upstreams at once, as with ``is_grads_batched``."""
    functorch: Any = getattr(torch._C, "_functorch")  # noqa: B009 - PyTorch's stubs do not name it
    return functorch.is_legacy_batchedtensor(upstream) or functorch.is_batchedtensor(upstream)


def _stays_exact(gradient: Tensor, factor: float) -> bool:
    """Whether multiplying rounds as little as computing anew with the factor inside, once in half precision."""
    if factor == 1.0 or gradient.itemsize > 2:
        return True
    # A power of 2 moves the exponent alone, of which bfloat16 has as many as float32.
    return gradient.dtype == torch.bfloat16 and abs(math.frexp(factor)[0]) == 0.5


def saves_elsewhere() -> bool:
    """Whether saved tensors go through hooks, as under activation checkpointing, which is there to keep little."""
    autograd: Any = getattr(torch._C, "_autograd")  # noqa: B009 - PyTorch's stubs do not name it
    return autograd._top_saved_tensors_default_hooks(True) is not None


def times_upstream(gradients: Tensors, upstream: Tensor) -> Tensors:
    """The gradients times one number, in place."""
    factor = upstream.item()
    return gradients if factor == 1.0 else tuple(None if g is None else g.mul_(factor) for g in gradients)


def again(work: Work, tensors: Tensors, needed: tuple[bool, ...], upstream: tuple[Tensor | None, ...]) -> Tensors:
    """Gradients that can be differentiated again."""
    with torch.enable_grad():
        outputs = work.formula(tensors)
        pairs = zip(outputs if isinstance(outputs, tuple) else (outputs,), upstream, strict=True)
        kept = [(o, u) for o, u in pairs if o.requires_grad and u is not None]
        wanted = [t for t, need in zip(tensors, needed, strict=True) if need and t is not None]
        found = iter(
            torch.autograd.grad([o for o, _ in kept], wanted, [u for _, u in kept], create_graph=True, allow_unused=True)
        )
    return tuple(next(found) if need else None for need in needed)
