"""``python -m bench.classifiers``: `SoftmaxRegression` beside scikit-learn's LogisticRegression, to the same objective.

Both minimise the mean cross-entropy plus ``Σ W² / (2·N)``, which is LogisticRegression's default C = 1, by L-BFGS on the same
threads, until no component of the gradient is larger than the same tolerance. Each fit runs in a fresh process that has fitted
something smaller before. xent's time is that at which its objective is what LogisticRegression ended with, or better.
"""

import argparse
import gc
import multiprocessing
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from rich.console import Console
from rich.table import Table

import xent
from bench import machine, memory, report

Who = Literal["xent", "scikit-learn"]
SEED, SPREAD = 20260, 0.3
"""Centres of classes are drawn with this deviation and rows around them with 1: the classes overlap."""
TOL = 1e-6
SAME = 1e-6
"""Objectives that differ relatively by no more count as the same."""


@dataclass(frozen=True)
class Problem:
    """What is fitted; without a peer, so many iterations of xent alone."""

    rows: int
    features: int
    classes: int
    max_iter: int = 10_000
    peer: bool = True

    @property
    def shape(self) -> str:
        """As the table names it."""
        return f"{self.rows:,} × {self.features} features, {self.classes:,} classes"

    @property
    def l2(self) -> float:
        """LogisticRegression's penalty at C = 1."""
        return 0.5 / self.rows


@dataclass(frozen=True)
class Fit:
    """One fit: when each objective was reached, seconds in all, iterations, the objective by its formula, and memory."""

    reached_s: list[float]
    objectives: list[float]
    whole_s: float
    iterations: int
    objective: float
    grown_bytes: int | None

    def until(self, objective: float) -> float | None:
        """Seconds until this objective or a better one."""
        return next((s for s, value in zip(self.reached_s, self.objectives, strict=True) if value <= objective), None)


@dataclass(frozen=True)
class Row:
    """One line of the table; medians of the repetitions."""

    problem: Problem
    xent_s: float | None
    xent_bytes: int | None
    xent_iterations: int
    per_iteration_s: float
    start_objective: float
    xent_objective: float
    peer_s: float | None = None
    peer_bytes: int | None = None
    peer_iterations: int | None = None
    peer_objective: float | None = None

    @property
    def speedup(self) -> float | None:
        """scikit-learn's seconds ÷ xent's."""
        return self.peer_s / self.xent_s if self.peer_s and self.xent_s else None

    @property
    def memory_share(self) -> float | None:
        """xent's memory ÷ scikit-learn's."""
        return self.xent_bytes / self.peer_bytes if self.xent_bytes is not None and self.peer_bytes else None

    @property
    def wrong(self) -> str:
        """What disagrees, if the optima do."""
        if self.peer_objective is None or self.xent_objective <= self.peer_objective * (1.0 + SAME):
            return ""
        return f"{self.problem.shape}: xent ends at {self.xent_objective!r}, scikit-learn at {self.peer_objective!r}"


PROBLEMS = (
    Problem(20_000, 64, 100),
    Problem(20_000, 64, 1_000),
    Problem(50_000, 64, 20_000, max_iter=30, peer=False),
)
QUICK = (Problem(5_000, 64, 100), Problem(5_000, 64, 1_000), Problem(5_000, 64, 5_000, max_iter=5, peer=False))
WARM = Problem(4_096, 64, 300, max_iter=3)


def data(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels; every class has a row."""
    rng = np.random.default_rng(SEED)
    labels = rng.permutation(np.arange(problem.rows) % problem.classes)
    centres = SPREAD * rng.standard_normal((problem.classes, problem.features))
    return centres[labels] + rng.standard_normal((problem.rows, problem.features)), labels


def fit_once(problem: Problem, who: Who) -> Fit:
    """One fit in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, problem, who).result()


def _measured(problem: Problem, who: Who) -> Fit:
    warnings.simplefilter("ignore")
    _run(WARM, who, *data(WARM))
    features, labels = data(problem)
    gc.collect()
    before = _clear()
    start = time.perf_counter()
    model, reached = _run(problem, who, features, labels)
    whole_s = time.perf_counter() - start
    grown = None if before is None else max(0, _told("VmHWM") - before)
    nats = xent.linear_cross_entropy(features, model.coef_, labels, bias=model.intercept_)
    objective = float(nats) + problem.l2 * float(np.vdot(model.coef_, model.coef_))
    at = [(s - start, value) for s, value in reached]
    return Fit([s for s, _ in at], [v for _, v in at], whole_s, int(np.max(model.n_iter_)), objective, grown)


def _clear() -> int | None:
    """Forget the peak so far; the bytes resident now, or None where the system does not tell."""
    if not memory.measurable():
        return None
    memory.CLEAR.write_text("5")
    return _told("VmRSS")


def _told(name: str) -> int:
    return memory._field(memory.STATUS.read_text(), name)


def _run(problem: Problem, who: Who, features: np.ndarray, labels: np.ndarray) -> tuple[Any, list[tuple[float, float]]]:
    """The fitted model, and when it reached which objective, as far as it tells."""
    reached: list[tuple[float, float]] = []
    if who == "xent":
        from xent.learn import SoftmaxRegression

        model = SoftmaxRegression(l2=problem.l2, tol=TOL, max_iter=problem.max_iter)
        return model.fit(features, labels, callback=lambda step: reached.append((time.perf_counter(), step.loss))), reached
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(tol=TOL, max_iter=problem.max_iter).fit(features, labels), reached


def measure(problem: Problem, repetitions: int, tell: Callable[[str], None] = lambda _: None) -> Row:
    """Fits of both, one after the other, so often."""
    ours, theirs = [], []
    for number in range(repetitions):
        tell(f"{problem.shape}: {number + 1} of {repetitions}")
        ours.append(fit_once(problem, "xent"))
        theirs += [fit_once(problem, "scikit-learn")] if problem.peer else []
    row = Row(
        problem,
        _median(fit.whole_s for fit in ours),
        _median(fit.grown_bytes for fit in ours),
        ours[0].iterations,
        statistics.median((fit.reached_s[-1] - fit.reached_s[0]) / fit.iterations for fit in ours),
        ours[0].objectives[0],
        ours[0].objective,
    )
    return _beside(row, ours, theirs) if theirs else row


def _beside(row: Row, ours: Sequence[Fit], theirs: Sequence[Fit]) -> Row:
    # Both may stop a little above the optimum: what is within SAME of the better one counts as reached.
    target = max(theirs[0].objective, min(theirs[0].objective, ours[0].objective) * (1.0 + SAME))
    return replace(
        row,
        xent_s=_median(fit.until(target) for fit in ours),
        peer_s=_median(fit.whole_s for fit in theirs),
        peer_bytes=_median(fit.grown_bytes for fit in theirs),
        peer_iterations=theirs[0].iterations,
        peer_objective=theirs[0].objective,
    )


def _median(values: Iterable[Any]) -> Any:
    """None where any is unknown."""
    known = list(values)
    return None if None in known else statistics.median(known)


def rows(quick: bool = False, tell: Callable[[str], None] = lambda _: None) -> list[Row]:
    """The whole table."""
    problems, repetitions = (QUICK, 1) if quick else (PROBLEMS, 3)
    return [measure(problem, repetitions if problem.peer else 1, tell) for problem in problems]


HEADER = ("fit", "xent", "scikit-learn", "÷ xent", "memory", "peer's memory", "share", "iterations", "s/iteration", "objective")


def cells(row: Row) -> list[str]:
    """One line."""
    peers = [report.NONE if row.peer_s is None else report.seconds(row.peer_s), _number(row.speedup)]
    peaks = [report.size(row.xent_bytes), report.size(row.peer_bytes), _number(row.memory_share)]
    iterations = f"{row.xent_iterations}" + (f" / {row.peer_iterations}" if row.peer_iterations is not None else "")
    fall = f"{row.start_objective:.4f} → {row.xent_objective:.7f}"
    fall += f" / {row.peer_objective:.7f}" if row.peer_objective is not None else ""
    ours = report.NONE if row.xent_s is None else report.seconds(row.xent_s)
    return [row.problem.shape, ours, *peers, *peaks, iterations, report.seconds(row.per_iteration_s), fall]


def _number(value: float | None) -> str:
    return report.NONE if value is None else report.significant(value)


def main(given: Sequence[str]) -> int:
    """Measure and print; 1 where the optima disagree."""
    parser = argparse.ArgumentParser(prog="python -m bench.classifiers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller problems, once each")
    asked, out, err = parser.parse_args(given), Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = 230
    found = rows(asked.quick, lambda stage: err.print(stage, highlight=False))
    table = Table(*HEADER, title="SoftmaxRegression beside LogisticRegression, to the same objective")
    for row in found:
        table.add_row(*cells(row))
    out.print(table)
    out.print(f"{machine.describe()['cpu']}, {xent.get_num_threads()} threads.", highlight=False)
    wrong = [row.wrong for row in found if row.wrong]
    for message in wrong:
        err.print(f"wrong: {message}", style="bold red", highlight=False)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
