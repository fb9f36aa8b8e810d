"""What torch_language_model.py notes of a training, and how it tells: two tables and a picture."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARES = (1e-4, 1e-3, 1e-2)
QUANTILES = (0.1, 0.5, 0.9)
FEW = 1 / 16
"""Share of the classes below which xent leaves the others out of its products; more are as fast with all of them."""
TOLD = 5
"""Losses that the table shows of each training after the first."""
SHADES = ("#0B3C5D", "#3E8E7E", "#B22222")
LINES = {
    "dense": {"color": "#F5C58A", "linewidth": 6},
    "chunked": {"color": "#999999", "linewidth": 3},
    "xent": {"color": "#0B3C5D", "linewidth": 1.5},
    "xent-tolerance": {"color": "#B22222", "linewidth": 1.2, "linestyle": "--"},
}


@dataclass(frozen=True)
class Moment:
    """What rows of text that is not trained on are like after so many steps."""

    step: int
    test_nats: float
    classes: list[list[float]]
    """[shares, quantiles] how many classes hold all but that share of a row's probability."""
    dropped: list[float]
    """[shares] mean probability that xent leaves out of a row's gradient; 0 where products of whole rows are as fast."""


@dataclass(frozen=True)
class Run:
    """One training."""

    name: str
    loss_nats: list[float]
    step_s: list[float]
    peak_growth_bytes: int | None
    """Of the hungriest step, over what was resident before the first; None where the system does not tell."""
    moments: list[Moment]

    @property
    def median_s(self) -> float:
        """Of the steps."""
        return statistics.median(self.step_s)


def line(label: str, cells: Sequence[str]) -> None:
    print(f"{label:<34}" + "".join(f"{cell:>16}" for cell in cells))


def print_runs(runs: Sequence[Run]) -> None:
    """A column for each loss."""
    steps = len(runs[0].loss_nats)
    print()
    line("loss of the batch (nats)", [run.name for run in runs])
    for step in sorted({1, *(max(1, steps * part // TOLD) for part in range(1, TOLD + 1))}):
        line(f"  step {step}", [f"{run.loss_nats[step - 1]:.5f}" for run in runs])
    line("loss of other files (nats)", [f"{run.moments[-1].test_nats:.5f}" for run in runs])
    line("median step (s)", [f"{run.median_s:.3f}" for run in runs])
    line("peak growth of a step (MiB)", [ratio(run.peak_growth_bytes, 2**20, 0) for run in runs])
    if len(runs) > 1:
        print_ratios(runs, runs[0])


def print_ratios(runs: Sequence[Run], base: Run) -> None:
    line(f"loss: farthest from {base.name}", [f"{difference(run, base):.1e}" for run in runs])
    line(f"times as fast as {base.name}", [ratio(base.median_s, run.median_s) for run in runs])
    line(f"memory, of that of {base.name}", [ratio(run.peak_growth_bytes, base.peak_growth_bytes) for run in runs])


def ratio(part: float | None, whole: float | None, digits: int = 2) -> str:
    return f"{part / whole:.{digits}f}" if part and whole else "–"


def difference(run: Run, other: Run) -> float:
    """Largest of all steps, relative."""
    return max(abs(a - b) / b for a, b in zip(run.loss_nats, other.loss_nats, strict=True))


def print_moments(run: Run, vocabulary: int) -> None:
    """Whether a tolerance can gain anything yet: the more the model knows, the fewer classes matter."""
    print(f"\nRows of other files, {run.name}: how many of {vocabulary:,} classes hold all but τ of the probability")
    titles = [f"{100 * q:.0f} % of rows" for q in QUANTILES]
    print(f"{'step':>6}{'loss':>9}{'τ':>9}" + "".join(f"{title:>14}" for title in titles) + f"{'left out by xent':>19}")
    for moment in run.moments:
        for share, classes, dropped in zip(SHARES, moment.classes, moment.dropped, strict=True):
            cells = "".join(f"{count:>14,.0f}" for count in classes)
            print(f"{moment.step:>6}{moment.test_nats:>9.3f}{share:>9.0e}{cells}{dropped:>19.1e}")


def draw(runs: Sequence[Run], vocabulary: int, path: Path) -> None:
    """Losses, seconds of each step, and how few classes hold a row's probability."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(14, 4.4), layout="constrained")
    losses, seconds, classes = figure.subplots(1, 3)
    for run in runs:
        steps = range(1, len(run.loss_nats) + 1)
        losses.plot(steps, run.loss_nats, label=run.name, **LINES[run.name])
        seconds.plot(steps, running_median(run.step_s), **LINES[run.name])
    losses.set(xlabel="step", ylabel="nats", title="Loss of the batch")
    losses.legend(frameon=False, title="loss of the head")
    seconds.set(xlabel="step", ylabel="seconds (running median)", ylim=(0, None), title="Forward, loss, backward, update")
    draw_moments(classes, runs[-1].moments, vocabulary)
    for axes in (losses, seconds, classes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def draw_moments(axes, moments: Sequence[Moment], vocabulary: int) -> None:
    """The median row, and around it the rows between the outer quantiles."""
    steps = [moment.step for moment in moments]
    for at, (share, color) in enumerate(zip(SHARES, SHADES, strict=True)):
        low, middle, high = zip(*(moment.classes[at] for moment in moments), strict=True)
        axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(steps, middle, "o-", color=color, label=f"τ = {share:g}")
    axes.axhline(vocabulary * FEW, color="#666666", linestyle=":")
    axes.annotate("fewer: xent leaves out the rest", (0, vocabulary * FEW), (4, -12), textcoords="offset points", color="#666666")
    axes.set(xlabel="step", yscale="log", ylim=(1, 2 * vocabulary), ylabel=f"classes, of {vocabulary:,}")
    axes.set_title("Classes that hold all but τ of the probability\n(rows of other files: median, and 10 % to 90 %)")
    axes.legend(frameon=False, loc="lower left")


def running_median(values: Sequence[float], reach: int = 5) -> list[float]:
    """Of each value and its neighbours: the noise of a busy machine is not the subject."""
    return [statistics.median(values[max(0, at - reach) : at + reach + 1]) for at in range(len(values))]
