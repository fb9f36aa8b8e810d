"""``python -m bench.evaluation``: `xent evaluate` over Parquet, beside reading the file and beside scikit-learn's functions.

Every measurement runs in a fresh process that has judged a small file before: time from opening the file to the last number, and
the growth of the peak of resident memory. scikit-learn has no way to read a part: it gets the whole file as one float32 matrix.
The predictions are softmax of 2·normal logits, the labels drawn from them, seed 20250101.
"""

import argparse
import gc
import multiprocessing
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
from rich.console import Console
from rich.table import Table

import xent
from bench import machine, memory, report
from xent.evaluate import Columns, Engine, Evaluation, evaluate_files, evaluation

SEED = 20250101
COLUMNS = Columns("y", "probs", "p_")
GROUP_NUMBERS = 1 << 22
"""Numbers of a row group."""
SAME = 1e-6
"""How far xent's log loss may lie from scikit-learn's, which is computed in float32."""
LOG_LOSS, ALL_THREE, READ, XENT = "log_loss alone", "log_loss + brier + curve", "reading the file", "xent evaluate"


@dataclass(frozen=True)
class Problem:
    """A file of predictions."""

    rows: int
    classes: int

    @property
    def shape(self) -> str:
        """As the table names it."""
        return f"{self.rows:,}×{self.classes:,}"


@dataclass(frozen=True)
class Measure:
    """One run: seconds, bytes, and the log loss where it has one."""

    seconds: float
    grown_bytes: int | None
    nats: float | None


PROBLEMS = (Problem(10_000_000, 10), Problem(200_000, 1_000))
QUICK = (Problem(500_000, 10), Problem(10_000, 1_000))
WARM = Problem(2_000, 10)


def write(problem: Problem, folder: Path) -> str:
    """The file, a row group at a time."""
    path = folder / f"{problem.rows}x{problem.classes}.parquet"
    if path.exists():
        return str(path)
    rng, step = np.random.default_rng(SEED), max(1, GROUP_NUMBERS // problem.classes)
    names = [f"p_{n}" for n in range(problem.classes)]
    schema = pa.schema([*((name, pa.float32()) for name in names), ("y", pa.int32())])
    with pa_parquet.ParquetWriter(path, schema) as writer:
        for start in range(0, problem.rows, step):
            logits = 2.0 * rng.standard_normal((min(step, problem.rows - start), problem.classes), np.float32)
            target = (logits + rng.gumbel(size=logits.shape).astype(np.float32)).argmax(axis=1)
            columns = [*xent.softmax(logits).T.copy(), target.astype(np.int32)]
            writer.write_batch(pa.record_batch([pa.array(column) for column in columns], schema=schema))
    return str(path)


def judged(path: str, engine: Engine | None = None) -> Evaluation:
    """By xent."""
    return evaluation(evaluate_files([path], COLUMNS, engine=engine))


def matrix(path: str) -> tuple[np.ndarray, np.ndarray]:
    """The whole file, as scikit-learn needs it."""
    table = pa_parquet.read_table(path)
    names = [name for name in table.column_names if name != "y"]
    return np.stack([table.column(name).to_numpy() for name in names], axis=1), table.column("y").to_numpy()


def read(path: str, problem: Problem) -> None:
    """Every number of the file, in batches, for nothing."""
    with pa_parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(max(1, GROUP_NUMBERS // problem.classes)):
            assert batch.num_rows


def log_loss(path: str) -> float:
    """scikit-learn's."""
    from sklearn import metrics

    probs, target = matrix(path)
    return float(metrics.log_loss(target, probs))


def three(path: str) -> float:
    """scikit-learn's log loss, Brier score and calibration curve of the predicted class."""
    from sklearn import calibration, metrics

    probs, target = matrix(path)
    metrics.brier_score_loss(target, probs)
    calibration.calibration_curve(probs.argmax(axis=1) == target, probs.max(axis=1), n_bins=15)
    return float(metrics.log_loss(target, probs))


def run(way: str, path: str, problem: Problem) -> float | None:
    """One way through a file; its log loss."""
    if way == READ:
        read(path, problem)
        return None
    return {LOG_LOSS: log_loss, ALL_THREE: three, XENT: lambda path: judged(path).log_loss_nats.value}[way](path)


def measured(way: str, path: str, problem: Problem, warm: str) -> Measure:
    """In this process, which has done nothing but a small file of the same kind."""
    warnings.simplefilter("ignore")
    run(way, warm, WARM)
    gc.collect()
    memory.CLEAR.write_text("5")
    before, start = memory._field(memory.STATUS.read_text(), "VmRSS"), time.perf_counter()
    nats = run(way, path, problem)
    seconds = time.perf_counter() - start
    return Measure(seconds, max(0, memory._field(memory.STATUS.read_text(), "VmHWM") - before), nats)


def apart(way: str, path: str, problem: Problem, warm: str) -> Measure:
    """The same in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, way, path, problem, warm).result()


def median(measures: Sequence[Measure]) -> Measure:
    """Of time and memory, each."""
    grown = [m.grown_bytes for m in measures if m.grown_bytes is not None]
    middle = statistics.median([m.seconds for m in measures])
    return Measure(middle, int(statistics.median(grown)) if grown else None, measures[0].nats)


def ways(problem: Problem, folder: Path, repetitions: int, tell: Callable[[str], None]) -> dict[str, Measure]:
    """Every way through one file, in turn."""
    path, warm = write(problem, folder), write(WARM, folder)
    found: dict[str, list[Measure]] = {way: [] for way in (READ, XENT, LOG_LOSS, ALL_THREE)}
    for number in range(repetitions):
        for way, measures in found.items():
            tell(f"{problem.shape}: {way}, {number + 1} of {repetitions}")
            measures.append(apart(way, path, problem, warm))
    return {way: median(measures) for way, measures in found.items()}


def comparison(problem: Problem, found: dict[str, Measure]) -> list[str]:
    """A line of the table."""
    ours, reading = found[XENT], found[READ]
    ratios = [found[way].seconds / ours.seconds for way in (LOG_LOSS, ALL_THREE)]
    times = [report.seconds(found[way].seconds) for way in (XENT, READ, LOG_LOSS, ALL_THREE)]
    sizes = [report.size(found[way].grown_bytes) for way in (XENT, ALL_THREE)]
    numbers = [report.significant(ours.seconds / reading.seconds), *map(report.significant, ratios)]
    return [problem.shape, *times, *numbers, *sizes]


HEADER = (
    "file",
    "xent",
    "read",
    "log_loss",
    "all three",
    "xent ÷ read",
    "log_loss ÷ xent",
    "three ÷ xent",
    "memory",
    "sklearn's",
)


def growth(problem: Problem, folder: Path, factors: Sequence[float], tell: Callable[[str], None]) -> list[list[str]]:
    """Time and memory of xent as the file grows, and time as processes do."""
    lines: list[list[str]] = []
    for factor in factors:
        part = Problem(int(problem.rows * factor), problem.classes)
        tell(f"{part.shape}")
        found = apart(XENT, write(part, folder), part, write(WARM, folder))
        lines.append([part.shape, "this process", report.seconds(found.seconds), report.size(found.grown_bytes)])
    for workers in (1, 2):
        tell(f"{problem.shape}: {workers} workers")
        start = time.perf_counter()
        judged(write(problem, folder), Engine("local", workers))
        lines.append([problem.shape, f"--workers {workers}", report.seconds(time.perf_counter() - start), report.NONE])
    return lines


def main(given: Sequence[str]) -> int:
    """Measure and print; 1 where the numbers disagree."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller files, once each")
    asked, out, err = parser.parse_args(given), Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = 200
    problems, repetitions = (QUICK, 1) if asked.quick else (PROBLEMS, 3)

    def tell(stage: str) -> None:
        err.print(stage, highlight=False)

    table, grown, wrong = Table(*HEADER), Table("file", "engine", "time", "memory"), False
    with tempfile.TemporaryDirectory(prefix="xent-bench-") as name:
        for problem in problems:
            found = ways(problem, Path(name), repetitions, tell)
            table.add_row(*comparison(problem, found))
            wrong |= not abs(found[XENT].nats - found[LOG_LOSS].nats) <= SAME * found[LOG_LOSS].nats
        for line in growth(problems[0], Path(name), (0.25, 1.0, 4.0), tell):
            grown.add_row(*line)
    out.print(table, grown)
    out.print(f"{machine.describe()['cpu']}, {xent.get_num_threads()} threads.", highlight=False)
    if wrong:
        err.print("wrong: xent and scikit-learn disagree", style="bold red")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
