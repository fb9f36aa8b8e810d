"""The peers, each doing equal work on the same arrays: PyTorch eager with autograd, SciPy, scikit-learn."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import xent
from bench.calls import Call
from bench.inputs import Inputs
from bench.problems import Workload

LIBRARIES = {"torch": "torch", "scipy": "SciPy", "sklearn": "scikit-learn"}


def library(workload: Workload) -> str:
    """The package the peer comes from."""
    return workload.peer.partition(" ")[0]


def missing(workload: Workload) -> str | None:
    """Why there is no peer here; None if there is one."""
    name = library(workload)
    return None if find_spec(name) else f"{LIBRARIES[name]} is not installed"


def theirs(workload: Workload, inputs: Inputs) -> Call:
    """The peer's call: a fresh gradient at each step where the workload has one, as its users do."""
    make = {"torch": _torch, "scipy": _scipy, "sklearn": _sklearn}[library(workload)]
    return make(workload, inputs)


def _scipy(workload: Workload, inputs: Inputs) -> Call:
    return partial(getattr(import_module("scipy.special"), workload.function), inputs.logits, axis=-1)


def _sklearn(workload: Workload, inputs: Inputs) -> Call:
    metrics = import_module("sklearn.metrics")
    return partial(metrics.log_loss, inputs.target, inputs.logits, labels=np.arange(workload.classes))


def _torch(workload: Workload, inputs: Inputs) -> Call:
    torch = import_module("torch")
    torch.set_num_threads(xent.get_num_threads())
    leaf = _tensor(inputs.logits)
    loss = partial(_torch_loss(workload, inputs), leaf)
    if not workload.with_grad:
        return partial(_without_graph, torch, loss)
    leaf.requires_grad_()
    return partial(_step, leaf, loss)


def _step(leaf: Any, loss: Callable[[], Any]) -> tuple[Any, Any]:
    leaf.grad = None
    value = loss()
    value.backward()
    return value, leaf.grad


def _without_graph(torch: Any, loss: Callable[[], Any]) -> Any:
    with torch.no_grad():
        return loss()


def _torch_loss(workload: Workload, inputs: Inputs) -> Callable[[Any], Any]:
    functional = import_module("torch.nn.functional")
    assert inputs.target is not None
    target = _tensor(inputs.target)
    name = workload.peer.partition(" ")[2]
    if name == "kl_div":
        return lambda x: functional.kl_div(functional.log_softmax(x, dim=1), target, reduction="batchmean")
    options: dict[str, Any] = dict(workload.options)
    if inputs.weight is not None:
        options["weight"] = _tensor(inputs.weight)
    return lambda x: getattr(functional, name)(x, target, **options)


def _tensor(array: np.ndarray) -> Any:
    torch = import_module("torch")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
