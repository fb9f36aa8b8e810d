"""The products of a linear loss by PyTorch's own BLAS and threads, on the memory of arrays."""

import warnings

import torch
from torch import Tensor

from xent._typing import Array, Floats, Storage


class TorchAlgebra:
    """As `xent.schedules.linear.algebra.Algebra` says; PyTorch's product can add, and takes no memory for it."""

    room = 0

    def multiply(self, a: Floats, b: Floats, out: Floats, *, add: bool) -> None:
        """``out = a·b``, or ``out += a·b``."""
        goal = _seen(out)
        if min(goal.shape) > 1:
            torch.addmm(goal, _seen(a), _seen(b), beta=1.0 if add else 0.0, out=goal)
            return
        # Products of a vector part their sums by the address they go to: a tensor's own is always aligned alike.
        product = torch.mm(_seen(a), _seen(b))
        goal.add_(product) if add else goal.copy_(product)

    def widen(self, stored: Array, storage: Storage, out: Floats) -> None:
        """The same numbers in the dtype of out."""
        _seen(out).copy_(_seen(stored, storage))

    def narrow(self, values: Floats, storage: Storage, out: Array) -> None:
        """Rounded into out."""
        _seen(out, storage).copy_(_seen(values))


def _seen(array: Array, storage: Storage | None = None) -> Tensor:
    """The array as a tensor."""
    if not array.flags.writeable:
        with warnings.catch_warnings():
            # It is read alone.
            warnings.simplefilter("ignore", UserWarning)
            tensor = torch.from_numpy(array)
    else:
        tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if storage == "bfloat16" else tensor
