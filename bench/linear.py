"""Linear cross-entropy beside PyTorch's dense and chunked ways: agreement first, then memory, then interleaved times."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

import xent
from bench import memory
from bench.linear_problems import CHUNKED, COMPILED, DENSE, LinearWorkload
from bench.measure import Effort, interleaved
from bench.peers import compiler_missing
from bench.run import Plan, Result, Tell

Call = Callable[[], Any]
"""Returns the loss and the gradients by hidden states and classifier."""
LOSS_RTOL = 2e-5
GRADIENT_RTOL = {"float32": 1e-4, "bfloat16": 2.0**-7}


def run(workload: LinearWorkload, factor: float, plan: Plan, tell: Tell = lambda _: None) -> list[Result]:
    """One line a peer, the times of all in one interleaved run."""
    scaled = workload.scaled(factor)
    lines = [_line(scaled, factor, peer, goal) for peer, goal in scaled.peers]
    if reason := _left_out(scaled, plan, factor):
        return [replace(line, remark=reason) for line in lines]
    names = ["xent", *(peer for peer, _ in scaled.peers if not _absent(peer))]
    tell("memory")
    grown = {name: _growth(scaled, name) for name in names} if plan.with_memory else {}
    tell("agreement")
    if wrong := disagreement(scaled):
        return [replace(line, wrong=wrong) for line in lines]
    tell("times")
    tensors = make(scaled)
    times = interleaved({name: call(scaled, name, tensors) for name in names}, _effort(workload, plan, factor))
    return [
        replace(
            line,
            xent=times["xent"],
            peer=times.get(line.peer_name),
            xent_bytes=grown.get("xent"),
            peer_bytes=grown.get(line.peer_name),
            remark=_absent(line.peer_name) or "",
        )
        for line in lines
    ]


def _line(workload: LinearWorkload, factor: float, peer: str, goal: Any) -> Result:
    return Result(row=workload.row, work=workload.work, shape=workload.shape, factor=factor, goal=goal, peer_name=peer)


def sizes(workload: LinearWorkload, plan: Plan) -> tuple[float, ...]:
    """Times its rows that a workload is run."""
    return (1.0,) if workload.once else plan.factors


def _effort(workload: LinearWorkload, plan: Plan, factor: float) -> Effort:
    effort = replace(plan.effort_at(factor), budget_s=5 * plan.effort.budget_s)
    return replace(effort, least=min(2, effort.least)) if workload.once else effort


def _left_out(workload: LinearWorkload, plan: Plan, factor: float) -> str | None:
    if not find_spec("torch"):
        return "torch is not installed"
    if factor > 1.0 and plan.most_bytes is not None and workload.logits_bytes > plan.most_bytes:
        return f"left out: {workload.logits_bytes >> 20} MiB of logits, --most-mib {plan.most_bytes >> 20}"
    need, available = 6 * 4 * workload.rows * workload.classes, memory.available_bytes()
    short = available is not None and need > available
    return f"needs about {need / 2**30:.0f} GiB, {available / 2**30:.0f} are free" if short and available else None


def _absent(peer: str) -> str | None:
    if peer == COMPILED:
        return compiler_missing()
    functional = import_module("torch.nn.functional")
    if peer == CHUNKED and not hasattr(functional, "linear_cross_entropy"):
        return "this PyTorch has no linear_cross_entropy"
    return None


def make(workload: LinearWorkload) -> tuple[Any, Any, Any]:
    """Hidden states, classifier and labels; with peaked rows the hidden states point to the weights of their label."""
    torch = import_module("torch")
    torch.set_num_threads(xent.get_num_threads())
    generator = torch.Generator().manual_seed(20250101)
    classifier = torch.randn(workload.classes, workload.width, generator=generator) / workload.width**0.5
    target = torch.randint(workload.classes, (workload.rows,), generator=generator)
    hidden = torch.randn(workload.rows, workload.width, generator=generator)
    if workload.peaked:
        hidden = 5.0 * hidden + 30.0 * classifier[target]
    dtype = getattr(torch, workload.dtype)
    return hidden.to(dtype).requires_grad_(), classifier.to(dtype).requires_grad_(), target


def call(workload: LinearWorkload, name: str, tensors: tuple[Any, Any, Any]) -> Call:
    """The step of xent or of a peer on these tensors, gradients fresh each time."""
    hidden, classifier, target = tensors
    if name == "xent" and workload.door == "numpy":
        arrays = hidden.detach().numpy(), classifier.detach().numpy(), target.numpy()
        return partial(_numpy_step, *arrays)
    return partial(_step, hidden, classifier, _loss(workload, name, target))


def _loss(workload: LinearWorkload, name: str, target: Any) -> Callable[[Any, Any], Any]:
    torch = import_module("torch")
    functional = torch.nn.functional
    if name == "xent":
        ours = import_module("xent.torch").linear_cross_entropy
        return lambda hidden, classifier: ours(hidden, classifier, target, tolerance=workload.tolerance)
    if name == CHUNKED:
        options = torch.nn.LinearCrossEntropyOptions()
        return lambda hidden, classifier: functional.linear_cross_entropy(hidden, classifier, target, options=options)

    def dense(hidden: Any, classifier: Any) -> Any:
        return functional.cross_entropy(functional.linear(hidden, classifier), target)

    return torch.compile(dense, fullgraph=True, dynamic=False) if name == COMPILED else dense


def _step(hidden: Any, classifier: Any, loss: Callable[[Any, Any], Any]) -> tuple[Any, Any, Any]:
    hidden.grad = classifier.grad = None
    value = loss(hidden, classifier)
    value.backward()
    return value.detach(), hidden.grad, classifier.grad


def _numpy_step(hidden: np.ndarray, classifier: np.ndarray, target: np.ndarray) -> tuple[Any, Any, Any]:
    loss, gradients = xent.linear_cross_entropy_and_grad(hidden, classifier, target)
    torch = import_module("torch")
    return torch.tensor(loss), torch.from_numpy(gradients.hidden), torch.from_numpy(gradients.classifier)


def disagreement(workload: LinearWorkload) -> str | None:
    """What differs between xent and PyTorch's dense way in float32, or None."""
    tensors = make(workload)
    mine = [part.clone() for part in call(workload, "xent", tensors)()]
    hidden, classifier, target = tensors
    wide = hidden.detach().float().requires_grad_(), classifier.detach().float().requires_grad_(), target
    truth = call(workload, DENSE, wide)()
    if not abs(float(mine[0]) - float(truth[0])) <= LOSS_RTOL * abs(float(truth[0])):
        return f"{workload.work} on {workload.shape}: loss is {float(mine[0])!r} where the peer has {float(truth[0])!r}"
    bounds = _bounds(workload, *(part.detach() for part in wide[:2]))
    for what, bound, x, y in zip(("hidden states", "classifier"), bounds, mine[1:], truth[1:], strict=True):
        far, size = float((x.float() - y).norm()), float(y.norm())
        if not far <= GRADIENT_RTOL[workload.dtype] * size + bound:
            return f"{workload.work} on {workload.shape}: gradient of the {what} differs by {far:.3g} of {size:.3g}"
    return None


def _bounds(workload: LinearWorkload, hidden: Any, classifier: Any) -> tuple[float, float]:
    """How far a tolerance may move the gradients of hidden states and classifier: docs/derivations/certified-filtering.md."""
    each = workload.tolerance / workload.rows
    return each * workload.rows**0.5 * float(classifier.norm(dim=1).max()), each * float(hidden.norm(dim=1).sum())


def _growth(workload: LinearWorkload, name: str) -> int | None:
    """The lesser of two: now and then pages that the system has not taken back yet count as well."""
    grown = [memory.in_own_process(_prepared, workload, name) for _ in range(2)]
    known = [value for value in grown if value is not None]
    return max(0, min(known) - workload.gradient_bytes) if known else None


def _prepared(workload: LinearWorkload, name: str) -> tuple[Call, Call]:
    short = workload.in_short()
    return call(short, name, make(short)), call(workload, name, make(workload))
