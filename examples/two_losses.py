"""Train a model twice, with PyTorch's cross-entropy and with xent's, from the same seed on the same batches, and compare.

What torch_digits.py and torch_characters.py share: the training loop, the table, the picture of both loss curves.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

try:
    import numpy as np
    import torch
    from matplotlib.figure import Figure
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from torch import Tensor, nn

    import xent.torch as xt
except ModuleNotFoundError as error:
    sys.exit(f"{error.name} is missing. Run in the clone of xent: pip install '.[torch,learn,cli]'")

LIMIT = 1e-4
"""How far apart, relative to PyTorch's, the losses of one step may be."""
FLOAT32_ROUNDING = 2.0**-24
PALE, DARK, RED, GREY = "#F5C58A", "#0B3C5D", "#B22222", "#666666"


@dataclass(frozen=True)
class Plan:
    """What both trainings have in common."""

    build: Callable[[], nn.Module]
    """A fresh model that maps a batch's inputs to [N, C] logits; its weights are drawn after the seed is set."""
    optimizer: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
    batches: Sequence[tuple[Tensor, Tensor]]
    """(inputs, [N] labels) of every step."""
    seed: int


@dataclass(frozen=True)
class Run:
    """One training: the loss before each step, the seconds that all steps took, and what came of it."""

    name: str
    loss_function: nn.Module
    model: nn.Module
    loss_nats: np.ndarray
    elapsed_s: float


def parse_options(description: str, out: str) -> argparse.Namespace:
    """steps, seed and out of the command line."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--steps", type=_positive, default=200, help="gradient steps of each training")
    parser.add_argument("--seed", type=int, default=0, help="draws the first weights and the batches")
    parser.add_argument("--out", type=Path, default=Path(out), metavar="FOLDER", help="where the picture goes")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be 1 or more, found {text}")
    return int(text)


def train_both(plan: Plan) -> tuple[Run, Run]:
    """The two trainings, one after the other, with a line of progress for each on stderr."""
    # One thread adds in the same order every time. Models this small gain little from a second, and lose tenfold to it where
    # other programs keep the cores busy.
    torch.set_num_threads(1)
    columns = TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[state]}")
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        by_torch = train(plan, "torch.nn", nn.CrossEntropyLoss(), progress)
        by_xent = train(plan, "xent.torch", xt.CrossEntropyLoss(), progress)
    return by_torch, by_xent


def train(plan: Plan, name: str, loss_function: nn.Module, progress: Progress) -> Run:
    """An ordinary training loop: nothing in it knows whose loss it is."""
    torch.manual_seed(plan.seed)
    model = plan.build()
    optimizer = plan.optimizer(model.parameters())
    bar = progress.add_task(name, total=len(plan.batches), state="first call")
    _warm_up(model, loss_function, plan.batches[0])
    progress.reset(bar)
    loss_nats = []
    start = time.perf_counter()
    for inputs, labels in plan.batches:
        loss = loss_function(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_nats.append(loss.item())
        progress.update(bar, advance=1, state=f"{loss_nats[-1]:.4f} nats")
    return Run(name, loss_function, model, np.array(loss_nats), time.perf_counter() - start)


def _warm_up(model: nn.Module, loss_function: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
    """The first call compiles kernels or loads them; those seconds are no part of the training."""
    inputs, labels = batch
    loss_function(model(inputs), labels).backward()


@torch.no_grad()
def score(run: Run, inputs: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean loss in nats, by the loss that the model was trained with, and the share of right answers."""
    logits = run.model(inputs)
    return run.loss_function(logits, labels).item(), (logits.argmax(dim=1) == labels).double().mean().item()


def differences(by_torch: Run, by_xent: Run) -> np.ndarray:
    """Of every step, relative to PyTorch's loss."""
    return np.abs(by_xent.loss_nats - by_torch.loss_nats) / np.abs(by_torch.loss_nats)


def report(runs: tuple[Run, Run], measures: Mapping[str, Sequence[str]], title: str, out: Path) -> None:
    """Table and picture; ends the program with status 1 where the curves are too far apart."""
    print_table(runs, measures)
    apart = differences(*runs)
    step = int(apart.argmax())
    print(f"largest relative difference of the two curves: {apart[step]:.1e} at step {step} (limit {LIMIT:.0e})")
    path = out / "curves.svg"
    out.mkdir(parents=True, exist_ok=True)
    draw(runs, title).savefig(path)
    print(f"wrote {path}")
    # Written so that NaN fails.
    if not apart[step] <= LIMIT:
        said = ", ".join(f"{run.name} {run.loss_nats[step]:.7g} nats" for run in runs)
        sys.exit(f"The curves differ by {apart[step]:.1e} at step {step}, more than {LIMIT:.0e}: {said}.")


def print_table(runs: tuple[Run, Run], measures: Mapping[str, Sequence[str]]) -> None:
    """A column for each loss."""
    rows = {
        f"{len(runs[0].loss_nats)} steps with the loss of": [run.name for run in runs],
        "loss of the last batch (nats)": [f"{run.loss_nats[-1]:.5f}" for run in runs],
        **measures,
        "seconds of training": [f"{run.elapsed_s:.1f}" for run in runs],
    }
    for label, (left, right) in rows.items():
        print(f"{label:<34}{left:>12}{right:>12}")


def draw(runs: tuple[Run, Run], title: str) -> Figure:
    """The curves, one inside the other, above their relative difference."""
    figure = Figure(figsize=(7, 6), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(3, 2))
    by_torch, by_xent = runs
    upper.plot(by_torch.loss_nats, color=PALE, linewidth=6, label="torch.nn.CrossEntropyLoss")
    upper.plot(by_xent.loss_nats, color=DARK, linewidth=1.2, label="xent.torch.CrossEntropyLoss")
    upper.set(ylabel="loss before the step (nats)", ylim=(0, None), title=title)
    upper.legend(frameon=False)
    _draw_differences(lower, differences(by_torch, by_xent))
    return figure


def _draw_differences(axes, apart: np.ndarray) -> None:
    """On a logarithmic scale, where steps without any difference have no place: they are counted in words."""
    axes.plot(np.where(apart > 0, apart, np.nan), ".", color=DARK)
    axes.axhline(LIMIT, color=RED, linestyle="--")
    axes.axhline(FLOAT32_ROUNDING, color=GREY, linestyle=":")
    top = 2 * apart[np.isfinite(apart)].max(initial=5e-4)
    axes.set(xlabel="step", ylabel="relative difference\n|xent − torch| / torch", yscale="log", ylim=(1e-9, top))
    _note(axes, f"limit: {LIMIT:.0e}", LIMIT, RED)
    _note(axes, f"one rounding to float32: {FLOAT32_ROUNDING:.0e}", FLOAT32_ROUNDING / 4, GREY)
    _note(axes, f"not drawn: {np.sum(apart == 0)} of {len(apart)} steps, without any difference", 1.2e-9, DARK)


def _note(axes, text: str, height: float, color: str) -> None:
    axes.annotate(text, (0.01, height), (0, 3), ("axes fraction", "data"), "offset points", color=color, fontsize="small")
