"""``python -m bench [P1 P3 ...] [--quick] [--write]``."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import linear, machine, publish, report
from bench.language_model import language_model
from bench.linear_problems import LINEAR
from bench.measure import Effort
from bench.problems import ALL, FACTORS, LINEAR_TABLE, ROWS, TABLE
from bench.run import Plan, Result, Tell, run, run_first_calls
from bench.training import training_step

QUICK = Plan(factors=(1.0,), effort=Effort(least=3, most=5, budget_s=1.0))
WHOLE = Plan(factors=FACTORS, effort=Effort())
TABLE_WIDTH = 230
BUSY = 0.5
"""Load average above which others are at work."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Time xent beside PyTorch, SciPy, scikit-learn and a copy of the same bytes, interleaved, "
        "at ¼, 1 and 4 times the size; peak memory in processes of their own. "
        "About ten minutes; nothing else should run meanwhile.",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"rows of the table to run: {', '.join(ROWS)}; without any, all")
    parser.add_argument("--quick", action="store_true", help="the main size only, few repetitions")
    parser.add_argument("--linear", action="store_true", help=f"the table of linear cross-entropy: {', '.join(LINEAR_TABLE)}")
    parser.add_argument("--most-mib", type=int, metavar="N", help="leave out logits of more than N MiB; the table says so")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put the table into README.md and docs/performance.md, everything into bench/results; "
        "all rows, on a clean commit, and only if all checks pass",
    )
    parsed = parser.parse_args(given)
    if unknown := [row for row in parsed.rows if row not in ROWS]:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}")
    whole = LINEAR_TABLE if parsed.linear else TABLE
    if parsed.linear and parsed.rows:
        parser.error("--linear names its rows")
    if parsed.write and (parsed.rows or parsed.quick):
        parser.error("--write writes a whole table: leave out --quick and the names of rows")
    parsed.rows = parsed.rows or (whole if parsed.write or parsed.linear else ROWS)
    return parsed


def measure(rows: Sequence[str], plan: Plan, console: Console) -> list[Result]:
    """Run the rows named, showing what is being done."""
    chosen = [workload for workload in ALL if workload.row in rows]
    linear_chosen = [workload for workload in LINEAR if workload.row in rows]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        total = sum(len(plan.sizes(workload)) for workload in chosen)
        total += sum(len(linear.sizes(workload, plan)) for workload in linear_chosen)
        task = progress.add_task("", total=total + sum(row in rows for row in ("P9", "LM", "LM2")))
        results = []
        for workload in chosen:
            for factor in plan.sizes(workload):
                tell = _tell(progress, task, f"{workload.row} {workload.scaled(factor).shape}")
                results.append(run(workload, factor, plan, tell))
                progress.advance(task)
        for workload in linear_chosen:
            for factor in linear.sizes(workload, plan):
                tell = _tell(progress, task, f"{workload.row} {workload.scaled(factor).shape}")
                results += linear.run(workload, factor, plan, tell)
                progress.advance(task)
        if "P9" in rows:
            results += run_first_calls(tell=_tell(progress, task, "P9"))
            progress.advance(task)
        if "LM" in rows:
            results.append(training_step(plan.effort, _tell(progress, task, "LM")))
            progress.advance(task)
        if "LM2" in rows:
            results += language_model(plan.effort, _tell(progress, task, "LM2"), quick=len(plan.factors) == 1)
            progress.advance(task)
        progress.update(task, description="done")
    return results


def _tell(progress: Progress, task: int, name: str) -> Tell:
    return lambda stage: progress.update(task, description=f"{name}: {stage}")


def main(given: Sequence[str]) -> int:
    """Measure, print, and write if asked; 1 where numbers disagree or writing is refused."""
    asked, out, err = arguments(given), Console(), Console(stderr=True)
    if not out.is_terminal:
        out.width = TABLE_WIDTH
    try:
        commit = publish.clean_commit() if asked.write else machine.commit() or "unknown"
        description = machine.describe()
        if description["load_before"] and description["load_before"] > BUSY:
            err.print(f"The machine is busy (load {description['load_before']}): times will be too long.", style="yellow")
        plan = QUICK if asked.quick else WHOLE
        if asked.most_mib is not None:
            plan = replace(plan, most_bytes=asked.most_mib << 20)
        results = measure(asked.rows, plan, err)
        report.show(results, out)
        out.print(report.origin(commit, publish.today(), description), highlight=False)
        if asked.write:
            publish.accept(results, commit)
            limits, table = machine.limits(), "bench-linear" if asked.linear else "bench"
            written = publish.write(publish.Report(commit, publish.today(), description, limits, results, table))
            err.print("Written:", ", ".join(str(path.relative_to(machine.ROOT)) for path in written))
    except publish.Refusal as refusal:
        err.print(f"Nothing written: {refusal}", style="bold red", highlight=False)
        return 1
    return int(any(result.wrong for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
