"""A whole training step of the transformer language model of the examples, with each of the four losses of its head."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

import xent
from bench import memory
from bench.linear_problems import CHUNKED, DENSE
from bench.measure import Effort, interleaved
from bench.problems import Goal
from bench.run import Result, Tell

EXAMPLES = Path(__file__).parent.parent / "examples"
PAIRS = (("xent", "dense"), ("xent", "chunked"), ("xent-tolerance", "dense"))
"""A line each: xent's loss, and the peer's."""
WORDS = {"xent": "xt.linear_cross_entropy", "xent-tolerance": "xt.linear_cross_entropy, tolerance={}"}
PEERS = {"dense": DENSE, "chunked": CHUNKED}
STEPS = 16
"""Batches drawn beforehand and walked in a circle."""
MEMORY_STEPS = 2
LOSS_RTOL = 1e-4


def language_model(effort: Effort, tell: Tell = lambda _: None, *, learnt_steps: int = 0, quick: bool = False) -> list[Result]:
    """A line for each pair: the steps of all losses are timed in turn; memory is measured in a process for each loss.

    A tolerance leaves out nothing as long as a model knows nothing: `learnt_steps` are trained before the times, with xent.
    """
    blank: dict[str, Any] = {"row": "LM2", "factor": 1.0, "goal": Goal(), "shape": "–"}
    lacks = [name for name in ("torch", "tokenizers") if not find_spec(name)]
    if lacks:
        return [Result(**blank, work="training step, byte pairs", remark=f"{lacks[0]} is not installed")]
    with _example() as example:
        tell("text and vocabulary")
        size = example.QUICK if quick else example.FULL
        plan = example.prepare(size, seed=0, steps=STEPS + learnt_steps)
        blank["shape"] = f"{size.batch}×{size.length} tokens of {size.vocabulary:,}, width {size.width}"
        steps = _steps(example, plan, learnt_steps, tell)
        first = {name: step() for name, step in steps.items()}
        wrong = [name for name, loss in first.items() if not abs(loss - first["dense"]) <= LOSS_RTOL * first["dense"]]
        if wrong:
            said = f"training step: loss of {wrong[0]} is {first[wrong[0]]!r} where dense has {first['dense']!r}"
            return [Result(**blank, work="training step, byte pairs", wrong=said)]
        tell("times")
        times = interleaved(steps, effort)
        tell("memory")
        grown = _grown(example, plan) if memory.measurable() else {}
    return [_result(blank, times, grown, *pair, learnt_steps, example.TOLERANCE) for pair in PAIRS]


@contextmanager
def _example() -> Iterator[Any]:
    """The example and the modules beside it, for this process and for those that it starts."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        yield import_module("torch_language_model")
    finally:
        sys.path.remove(str(EXAMPLES))


def _steps(example: Any, plan: Any, learnt_steps: int, tell: Tell) -> dict[str, Callable[[], float]]:
    """A step of each loss; all start from the same weights and see the same batches."""
    torch = import_module("torch")
    torch.set_num_threads(plan.size.threads or xent.get_num_threads())
    batches = plan.batches()
    tell("training before the times")
    learnt = _trainer(torch, example, plan, "xent", batches[STEPS:], None)
    for _ in range(learnt_steps):
        learnt[1]()
    weights = learnt[0].state_dict()
    return {name: _trainer(torch, example, plan, name, batches[:STEPS], weights)[1] for name in example.LOSSES}


def _trainer(torch: Any, example: Any, plan: Any, name: str, batches: list[Any], weights: Any) -> tuple[Any, Callable[[], float]]:
    torch.manual_seed(0)
    model = example.LanguageModel(plan.size)
    if weights is not None:
        model.load_state_dict(weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=example.LEARNING_RATE)
    return model, partial(_step, example, model, optimizer, example.LOSSES[name], cycle(batches))


def _step(example: Any, model: Any, optimizer: Any, loss_of: Any, batches: Iterator[Any]) -> float:
    return example.train_step(model, optimizer, loss_of, next(batches))


def _grown(example: Any, plan: Any) -> dict[str, int | None]:
    """Peak growth in a few steps of a training that is alone in its process."""
    short = example.Plan(plan.size, plan.seed, MEMORY_STEPS, plan.train_windows, plan.test_windows[:1])
    return {name: example.in_own_process(name, short).peak_growth_bytes for name in example.LOSSES}


def _result(
    blank: dict[str, Any], times: Any, grown: dict[str, Any], ours: str, peer: str, learnt_steps: int, tolerance: float
) -> Result:
    words = WORDS[ours].format(tolerance) + (f", after {learnt_steps} steps" if learnt_steps else "")
    return Result(
        **blank,
        work=f"training step, {words}",
        peer_name=PEERS[peer],
        xent=times[ours],
        peer=times[peer],
        xent_bytes=grown.get(ours),
        peer_bytes=grown.get(peer),
    )
