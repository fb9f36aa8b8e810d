"""What the user sees: progress on stderr while fitting, the result as a table on stdout."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

from xent.cli._outputs import NAMES
from xent.learn._experiment import Experiment, Score, bits, perplexity
from xent.learn._objective import LossName
from xent.learn._solvers import Callback, Step

Watch = Callable[[LossName], Callback]

HEADINGS = ("train nats", "train bits", "test nats", "test bits", "test perplexity", "train accuracy", "test accuracy")


@contextmanager
def watching() -> Generator[Watch]:
    """Follow a training on stderr: a live line in a terminal, else a plain line at iterations 0, 1, 2, 5, 10, 20 and so on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain_lines(console)
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


def _plain_lines(console: Console) -> Watch:
    """A line at round iterations, for logs and pipes."""

    def watch(loss: LossName) -> Callback:
        def show(step: Step) -> None:
            if str(step.iteration).rstrip("0") in {"", "1", "2", "5"}:
                console.print(f"{loss}  {_state(step)}", highlight=False, soft_wrap=True)

        return show

    return watch


def _state(step: Step) -> str:
    """Iteration, loss with its unit, gradient norm, time."""
    nats = f"{step.cross_entropy_nats:.4f} nats"
    return f"iteration {step.iteration:5d}  {nats:>12}  gradient norm {step.gradient_norm:.1e}  {step.elapsed_s:6.1f} s"


def print_report(experiment: Experiment, directory: Path) -> None:
    """The result on stdout: scores beside the baselines, how each training ended, and the files."""
    console = Console(highlight=False)
    console.print(_heading(experiment), soft_wrap=True, markup=False)
    console.print(_score_table(experiment))
    console.print()
    for line in [*_endings(experiment), *_lesson(experiment)]:
        console.print(line, soft_wrap=True, markup=False)
    files = ", ".join(str(directory / name) for name in NAMES)
    console.print(f"Wrote {files}", soft_wrap=True, markup=False)


def _heading(experiment: Experiment) -> str:
    """What was learnt from what."""
    table, split = experiment.table, experiment.split
    rows = f"{len(split.train)} training and {len(split.test)} test rows"
    shape = f"{len(table.columns)} feature{'s' if len(table.columns) != 1 else ''}, {len(split.classes)} classes"
    return f"{table.source}: {table.target_name!r} from {shape}; {rows}"


def _score_table(experiment: Experiment) -> Table:
    """One line per predictor, models first."""
    table = Table(box=SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("mean loss per row")
    for heading in HEADINGS:
        table.add_column("\n".join(heading.split()), justify="right")
    n_models = len(experiment.models)
    for number, score in enumerate(experiment.scores):
        style = "bold" if number < n_models else "dim"
        table.add_row(_label(score, experiment), *_cells(score), style=style, end_section=number == n_models - 1)
    return table


def _label(score: Score, experiment: Experiment) -> str:
    """A predictor's name; the uniform one's says what its loss is."""
    if score is experiment.scores[-1]:
        return f"all alike, ln {len(experiment.split.classes)}"
    return score.name


def _cells(score: Score) -> list[str]:
    """Numbers of one line."""
    nats = [score.train_nats, bits(score.train_nats), score.test_nats, bits(score.test_nats)]
    shares = [f"{100 * share:.1f} %" for share in (score.train_accuracy, score.test_accuracy)]
    return [*(f"{value:.4f}" for value in nats), f"{perplexity(score.test_nats):.4g}", *shares]


def _endings(experiment: Experiment) -> Iterator[str]:
    """How each training ended."""
    for loss, model in experiment.models.items():
        step = f" of step {model.learning_rate_:.3g}" if model.learning_rate_ is not None else ""
        solver = "L-BFGS" if model.solver == "lbfgs" else "gradient descent"
        norm = model.history_["gradient_norm"][-1]
        end = "converged" if model.converged_ else "not converged (raise --max-iter)"
        if experiment.plan.saturated_start:
            nats = model.history_["cross_entropy_nats"]
            end = f"from {nats[0]:.4f} to {nats[-1]:.4f} nats"
        yield f"{loss}: {model.n_iter_} iterations of {solver}{step}, gradient norm {norm:.1e}, {end}"


def _lesson(experiment: Experiment) -> Iterator[str]:
    """What the comparison of two losses shows."""
    if experiment.plan.saturated_start:
        yield (
            "Both started sure of the rarest class. Every p is then near 0 or 1, and squared error's slope has a factor p(1-p); "
            "cross-entropy's slope is p - y, as large as the mistake. model.json holds the model trained by cross-entropy."
        )
