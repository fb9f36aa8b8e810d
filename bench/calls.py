"""What is timed: xent's call, and a copy of the logits' bytes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import xent
from bench import torch_calls
from bench.inputs import Inputs
from bench.problems import Workload

Call = Callable[[], Any]
"""Returns ``(loss, gradient)``, or the one result where there is no gradient."""


def ours(workload: Workload, inputs: Inputs, backend: str | None = None) -> Call:
    """The public function on these inputs."""
    if workload.door == "torch":
        return torch_calls.call("xent.torch", workload.function, workload, inputs, backend=backend)
    options: dict[str, Any] = {**dict(workload.options), "backend": backend}
    if workload.weighted:
        options["weight"] = inputs.weight
    if workload.with_grad and not workload.fresh:
        options["out"] = inputs.buffer
    arguments = [inputs.logits] if inputs.target is None else [inputs.logits, inputs.target]
    return partial(getattr(xent, workload.function), *arguments, **options)


def copy(inputs: Inputs) -> Call:
    """``np.copyto`` on one thread: every byte of the logits read once and written once."""
    return partial(np.copyto, inputs.buffer.view(np.uint8), inputs.logits.view(np.uint8))
