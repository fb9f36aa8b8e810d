"""Which way a call goes, told to whoever asks."""

from torch import Tensor

from xent.kernels import select
from xent.torch._arguments import is_tensor
from xent.torch._cross_entropy import CrossEntropy
from xent.torch._engine import FORMULA, check_backend, why_formula
from xent.torch._tensors import storage_of


def explain_backend(input: Tensor, target: Tensor | None = None, *, backend: str | None = None) -> None:
    """Print which backend would serve `cross_entropy` of these tensors here and now, and why each other would not.

    An arrow ``->`` marks the one chosen. Asked inside a transform or under `torch.no_grad`, it answers for that.

    Args:
        input: the logits of the call in question.
        target: its target, whose need for a gradient decides too.
        backend: the name the call would give, or None.

    Returns:
        None; the reasons are printed, one line a backend.

    Raises:
        ArgumentError: no backend has that name; lists the names.

    Example:
        >>> import torch
        >>> import xent.torch as xt
        >>> xt.explain_backend(torch.zeros(2, 3))
        -> numba: serves float32 on cpu
           reference: serves float32 on cpu
           torch: serves any tensor, with the formula in torch operators
        >>> xt.explain_backend(torch.zeros(2, 3, device="meta"))
           numba: the tensors are on meta
           reference: the tensors are on meta
        -> torch: serves any tensor, with the formula in torch operators

    References:
        `xent.kernels.contract`, what a backend promises.
    """
    check_backend(backend)
    storage = storage_of(is_tensor(input, "input"), "input")
    refusal = why_formula(CrossEntropy(), (input, target, None))
    verdicts = {name: refusal or select.reason(name, storage) for name in select.names()}
    chosen = backend or next((name for name, reason in verdicts.items() if reason is None), FORMULA)
    for name, reason in verdicts.items():
        print(f"{'->' if name == chosen else '  '} {name}: {reason or f'serves {storage} on {input.device.type}'}")
    print(f"{'->' if chosen == FORMULA else '  '} {FORMULA}: serves any tensor, with the formula in torch operators")
