"""The peers, each doing equal work on the same arrays: PyTorch eager with autograd, SciPy, scikit-learn."""

from functools import partial
from importlib import import_module
from importlib.util import find_spec
from shutil import which

import numpy as np

from bench import torch_calls
from bench.calls import Call
from bench.inputs import Inputs
from bench.problems import Workload

LIBRARIES = {"torch": "torch", "torch.compile": "torch", "scipy": "SciPy", "sklearn": "scikit-learn"}


def library(workload: Workload) -> str:
    """The package the peer comes from."""
    return workload.peer.partition(" ")[0]


def missing(workload: Workload) -> str | None:
    """Why there is no peer here; None if there is one."""
    name = library(workload)
    if name == "torch.compile" and find_spec("torch") and (reason := compiler_missing()):
        return reason
    return None if find_spec(name.partition(".")[0]) else f"{LIBRARIES[name]} is not installed"


def compiler_missing() -> str | None:
    """Why `torch.compile` cannot compile here; None if it can."""
    return None if any(map(which, ("g++", "clang++", "c++"))) else "torch.compile needs a C++ compiler"


def theirs(workload: Workload, inputs: Inputs) -> Call:
    """The peer's call: a fresh gradient at each step where the workload has one, as its users do."""
    makers = {"torch": _torch, "torch.compile": partial(_torch, compiled=True), "scipy": _scipy, "sklearn": _sklearn}
    return makers[library(workload)](workload, inputs)


def _scipy(workload: Workload, inputs: Inputs) -> Call:
    return partial(getattr(import_module("scipy.special"), workload.function), inputs.logits, axis=-1)


def _sklearn(workload: Workload, inputs: Inputs) -> Call:
    metrics = import_module("sklearn.metrics")
    return partial(metrics.log_loss, inputs.target, inputs.logits, labels=np.arange(workload.classes))


def _torch(workload: Workload, inputs: Inputs, *, compiled: bool = False) -> Call:
    return torch_calls.call("torch.nn.functional", workload.peer.partition(" ")[2], workload, inputs, compiled=compiled)
