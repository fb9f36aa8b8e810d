"""Training steps in PyTorch: a loss of `torch.nn.functional` or of `xent.torch`, and its backward pass into a fresh gradient."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

import xent
from bench.inputs import Inputs
from bench.problems import Workload

Loss = Callable[[Any], Any]


def call(module: str, name: str, workload: Workload, inputs: Inputs, *, compiled: bool = False, **more: Any) -> Callable[[], Any]:
    """``(loss, gradient)`` of the function of that name, or the loss alone where the workload asks for no gradient."""
    torch = import_module("torch")
    torch.set_num_threads(xent.get_num_threads())
    leaf = tensor(inputs.logits)
    loss = _loss(import_module(module), name, workload, inputs, more)
    loss = torch.compile(loss, fullgraph=True, dynamic=False) if compiled else loss
    if not workload.with_grad:
        return partial(_without_graph, torch, partial(loss, leaf))
    leaf.requires_grad_()
    return partial(_step, leaf, partial(loss, leaf))


def tensor(array: np.ndarray) -> Any:
    """The array's memory as a tensor."""
    torch = import_module("torch")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def array(value: Any) -> np.ndarray:
    """What a call returned as an array."""
    if not hasattr(value, "detach"):
        return np.asarray(value)
    plain = value.detach()
    if str(plain.dtype) == "torch.bfloat16":
        from ml_dtypes import bfloat16

        return plain.view(import_module("torch").int16).numpy().view(bfloat16)
    return plain.numpy()


def _loss(functional: Any, name: str, workload: Workload, inputs: Inputs, more: dict[str, Any]) -> Loss:
    assert inputs.target is not None
    target = tensor(inputs.target)
    if name == "kl_div":
        return lambda x: functional.kl_div(functional.log_softmax(x, dim=1), target, reduction="batchmean", **more)
    options: dict[str, Any] = {**dict(workload.options), **more}
    if inputs.weight is not None:
        options["weight"] = tensor(inputs.weight)
    return lambda x: getattr(functional, name)(x, target, **options)


def _step(leaf: Any, loss: Callable[[], Any]) -> tuple[Any, Any]:
    leaf.grad = None
    value = loss()
    value.backward()
    return value, leaf.grad


def _without_graph(torch: Any, loss: Callable[[], Any]) -> Any:
    with torch.no_grad():
        return loss()
