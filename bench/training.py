"""A whole training step: the character language model of the examples with PyTorch's loss and with xent's."""

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xent
from bench.measure import Effort, interleaved
from bench.problems import Goal
from bench.run import Result, Tell

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS = 64
"""Batches drawn beforehand and walked in a circle."""
LOSS_RTOL = 1e-4


def training_step(effort: Effort, tell: Tell = lambda _: None) -> Result:
    """One line: forward pass, loss, backward pass and update; the loss is the only difference."""
    blank: dict[str, Any] = {"row": "LM", "work": "training step, characters", "factor": 1.0, "goal": Goal()}
    if not find_spec("torch"):
        return Result(**blank, shape="–", remark="torch is not installed")
    tell("times")
    example = _example()
    codes, alphabet = example.read()
    batches = example.draw_batches(codes, STEPS, seed=0)
    blank["shape"] = f"{example.BATCH}×{example.WINDOW} characters of {len(alphabet)}"
    torch = import_module("torch")
    torch.set_num_threads(xent.get_num_threads())
    losses = {"xent": import_module("xent.torch").CrossEntropyLoss(), "peer": torch.nn.CrossEntropyLoss()}
    steps = {name: _stepper(torch, example, len(alphabet), batches, loss) for name, loss in losses.items()}
    first = {name: step() for name, step in steps.items()}
    if not abs(first["xent"] - first["peer"]) <= LOSS_RTOL * first["peer"]:
        return Result(**blank, wrong=f"training step: loss is {first['xent']!r} where the peer has {first['peer']!r}")
    return Result(**blank, peer_name="torch CrossEntropyLoss", **interleaved(steps, effort))


def _example() -> Any:
    sys.path.insert(0, str(EXAMPLES))
    try:
        return import_module("torch_characters")
    finally:
        sys.path.remove(str(EXAMPLES))


def _stepper(torch: Any, example: Any, classes: int, batches: list[Any], loss: Callable[..., Any]) -> Callable[[], float]:
    torch.manual_seed(0)
    model = example.NextCharacter(classes)
    optimizer = torch.optim.SGD(model.parameters(), lr=example.LEARNING_RATE, momentum=example.MOMENTUM)
    return partial(_step, model, optimizer, iter(_circle(batches)), loss)


def _circle(batches: list[Any]) -> Any:
    while True:
        yield from batches


def _step(model: Any, optimizer: Any, batches: Any, loss: Callable[..., Any]) -> float:
    inputs, labels = next(batches)
    value = loss(model(inputs), labels)
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()
