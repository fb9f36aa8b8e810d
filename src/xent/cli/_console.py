"""What the user sees while fitting, on stderr, and at the end, on stdout."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from xent.cli._extras import INSTALL, has
from xent.cli._outputs import written_names
from xent.cli._scores import number, score_table
from xent.cli._terminal import PipeConsole
from xent.learn._experiment import Experiment
from xent.learn._objective import LossName
from xent.learn._solvers import Callback, Step

Watch = Callable[[LossName], Callback]


@contextmanager
def watching() -> Generator[Watch]:
    """Follow a training on stderr: a live line in a terminal, else a plain line at iterations 0, 1, 2, 5, 10 and so on."""
    console = PipeConsole(stderr=True)
    if not console.is_terminal:
        log = _Log(console)
        yield log.watch
        log.finish()
        return
    texts = [TextColumn("{task.description}"), TextColumn("{task.fields[state]}")]
    with Progress(SpinnerColumn(), *texts, console=console) as progress:
        yield _live_line(progress)


def _live_line(progress: Progress) -> Watch:
    """One line per loss, rewritten at every iteration."""

    def watch(loss: LossName) -> Callback:
        task = progress.add_task(loss, total=None, state="")
        return lambda step: progress.update(task, state=_state(step))

    return watch


class _Log:
    """A line at round iterations and at the last, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        """Nothing has been seen."""
        self._console = console
        self._waiting: str | None = None

    def watch(self, loss: LossName) -> Callback:
        """A callback that prints some of the steps of a training."""
        self.finish()

        def show(step: Step) -> None:
            self._waiting = f"{loss}  {_state(step)}"
            if str(step.iteration).rstrip("0") in {"", "1", "2", "5"}:
                self.finish()

        return show

    def finish(self) -> None:
        """Print the latest step, unless it is printed."""
        if self._waiting is not None:
            self._console.print(self._waiting, highlight=False, soft_wrap=True)
            self._waiting = None


def _state(step: Step) -> str:
    """Iteration, loss with its unit, gradient norm, time since iteration 0."""
    nats = f"{number(step.cross_entropy_nats)} nats"
    return f"iteration {step.iteration:5d}  {nats:>15}  gradient norm {step.gradient_norm:.1e}  {step.elapsed_s:6.1f} s"


def print_report(experiment: Experiment, directory: Path) -> None:
    """The result on stdout: scores beside the baselines, how each training ended, and the files."""
    console = PipeConsole(highlight=False)
    console.print(_heading(experiment), soft_wrap=True, markup=False)
    console.print(score_table(experiment, console), soft_wrap=True)
    console.print()
    for line in [*_endings(experiment), *_lesson(experiment)]:
        console.print(line, soft_wrap=True, markup=False)
    files = ", ".join(str(directory / name) for name in written_names())
    console.print(f"Wrote {files}", soft_wrap=True, markup=False)
    if not has("report"):
        console.print(f"No report.html: it needs optional packages. {INSTALL}", soft_wrap=True, markup=False)


def _heading(experiment: Experiment) -> str:
    """What was learnt from what."""
    table, split = experiment.table, experiment.split
    rows = f"{len(split.train)} training and {len(split.test)} test rows"
    shape = f"{len(table.columns)} feature{'s' if len(table.columns) != 1 else ''}, {len(split.classes)} classes"
    return f"{table.source}: {table.target_name!r} from {shape}; {rows}"


def _endings(experiment: Experiment) -> Iterator[str]:
    """How each training ended."""
    for loss, model in experiment.models.items():
        step = f" of step {model.learning_rate_:.3g}" if model.learning_rate_ is not None else ""
        solver = "L-BFGS" if model.solver == "lbfgs" else "gradient descent"
        norm = model.history_["gradient_norm"][-1]
        end = "converged" if model.converged_ else "not converged (raise --max-iter)"
        if experiment.plan.saturated_start:
            nats = model.history_["cross_entropy_nats"]
            end = f"from {number(nats[0])} to {number(nats[-1])} nats"
        yield f"{loss}: {model.n_iter_} iterations of {solver}{step}, gradient norm {norm:.1e}, {end}"


def _lesson(experiment: Experiment) -> Iterator[str]:
    """What the comparison of two losses shows."""
    if experiment.plan.saturated_start:
        yield (
            f"Both started sure of {_started_class(experiment)}. Every p is then near 0 or 1, and squared error's slope has a "
            "factor p(1-p); cross-entropy's slope is p - y, as large as the mistake. "
            "model.json holds the model trained by cross-entropy."
        )


def _started_class(experiment: Experiment) -> str:
    """The class that both were sure of, and whether it is the rarest."""
    split = experiment.split
    counts = np.bincount(split.labels[split.train])
    name = repr(split.classes[np.argmin(counts)].item())
    return f"the rarest class, {name}" if np.sum(counts == counts.min()) == 1 else f"one class, {name}"
