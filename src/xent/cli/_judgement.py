"""What `xent evaluate` shows: a line of progress while reading, and the result."""

import json
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from xent.cli._terminal import PipeConsole
from xent.evaluate import Comparison, Difference, Evaluation
from xent.evaluate._shown import shown
from xent.evaluate._words import headline, interval, meaning, number, percent

MOST_CLASSES, MOST_ROWS, MOST_GROUPS = 10, 5, 20
EVERY_S = 10.0
"""Seconds between two lines of progress where there is no terminal."""

Watch = Callable[[int, int | None], None]
"""Hears how many rows were read, and how many there are where that is known."""


class _Speed(ProgressColumn):
    """Rows a second."""

    def render(self, task: Task) -> Text:
        """As a number with commas."""
        return Text(f"{task.speed:,.0f} rows/s" if task.speed else "")


@contextmanager
def reading_rows() -> Generator[Watch]:
    """Follow a reading on stderr: a live line in a terminal, else a line every ten seconds."""
    console = PipeConsole(stderr=True)
    if not console.is_terminal:
        yield _log(console)
        return
    columns = (TextColumn("{task.completed:,} rows"), BarColumn(), _Speed(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _log(console: Console) -> Watch:
    """A line now and then, for logs and pipes."""
    start = last = time.monotonic()

    def watch(done: int, total: int | None) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_S:
            last = now
            rest = f" of {total:,}" if total else ""
            console.print(f"{done:,}{rest} rows, {done / (now - start):,.0f} rows/s", highlight=False, soft_wrap=True)

    return watch


def print_json(result: Evaluation, comparison: Comparison | None) -> None:
    """Everything, for programs."""
    text = (
        result.to_json()
        if comparison is None
        else json.dumps(
            {"evaluation": json.loads(result.to_json()), "comparison": comparison.as_dict()}, indent=2, ensure_ascii=False
        )
    )
    PipeConsole(highlight=False).print(text, soft_wrap=True, markup=False, highlight=False)


def print_written(report: Path, *, aside: bool) -> None:
    """Where the report is; on stderr where stdout holds JSON."""
    PipeConsole(stderr=aside, highlight=False).print(f"Wrote {report}", soft_wrap=True, markup=False)


def print_evaluation(result: Evaluation, comparison: Comparison | None, sources: Sequence[str], *, placed: bool) -> None:
    """The result on stdout: numbers with intervals, what they mean, and where the loss comes from.

    `placed` tells that labels were numbers and the classes are called otherwise.
    """
    console = PipeConsole(highlight=False)
    console.print(_heading(result, sources), soft_wrap=True, markup=False)
    if placed:
        line = "Labels are read as places of the classes, from 0: the classes are not called by numbers."
        console.print(line, soft_wrap=True, markup=False)
    if result.missing:
        line = f"Partial: {len(result.missing)} units of work are missing, {shown(result.missing[0])} among them."
        for text in (line, f"The first failed so: {shown(result.failure, 1000)}"):
            console.print(text, soft_wrap=True, markup=False)
    console.print(_numbers(result))
    for line in meaning(result):
        console.print(line, soft_wrap=True, markup=False)
    for table in _details(result):
        console.print()
        console.print(table)
    if comparison is not None:
        console.print()
        console.print(_compared(comparison))


def _heading(result: Evaluation, sources: Sequence[str]) -> str:
    """What was judged."""
    left = [(result.ignored, "without a label"), (result.unfit, "unfit")]
    out = "".join(f", {count:,} {why} left out" for count, why in left if count)
    classes = f", {len(result.classes)} classes" if result.classes else ""
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return f"{shown(sources[0])}{more}: {result.counted:,} rows{classes}, {result.kind}{out}"


def _numbers(result: Evaluation) -> Table:
    """The headline: each number with its interval and unit."""
    table = _table("", "value", "95 % interval", "unit")
    for name, estimate, unit in headline(result):
        table.add_row(name, number(estimate.value), interval(estimate), unit)
    return table


def _details(result: Evaluation) -> Iterator[Table]:
    """Classes, groups, rows."""
    if result.by_class:
        yield _classes(result)
    if result.by_group:
        yield _groups(result)
    if result.surprising:
        yield _rows(result)


def _classes(result: Evaluation) -> Table:
    """The classes that carry most of the loss."""
    table = _table("class", _counted(result), "log loss", "share", "recall", "precision", "mean p", "freq.")
    ordered = sorted(result.by_class, key=lambda row: -row.share_of_loss if row.share_of_loss == row.share_of_loss else 0.0)
    for row in ordered[:MOST_CLASSES]:
        shares = (row.share_of_loss, row.recall, row.precision, row.predicted_share, row.actual_share)
        table.add_row(_name(row.name), f"{row.weight:,.6g}", number(row.log_loss_nats), *map(percent, shares))
    if len(ordered) > MOST_CLASSES:
        table.caption = f"{MOST_CLASSES} of {len(ordered)} classes, those with most of the loss first"
    return table


def _counted(result: Evaluation) -> str:
    """What a table counts: rows, or their weight."""
    return "rows" if result.weight == result.counted else "weight"


def _groups(result: Evaluation) -> Table:
    """Each value of the column to judge by."""
    known = ["accuracy"] if result.classes else []
    table = _table(_name(result.group_column or ""), _counted(result), "log loss", "95 % interval", *known)
    for row in result.by_group[:MOST_GROUPS]:
        accuracy = [] if row.accuracy is None else [percent(row.accuracy)]
        loss = row.log_loss_nats
        table.add_row(_name(row.name), f"{row.weight:,.6g}", number(loss.value), interval(loss), *accuracy)
    if len(result.by_group) > MOST_GROUPS:
        table.caption = f"{MOST_GROUPS} of {len(result.by_group)} values"
    return table


def _rows(result: Evaluation) -> Table:
    """The most surprising rows."""
    known = ["true class", "predicted", "with p"] if result.classes else []
    table = _table("most surprising rows", "log loss", *known)
    for row in result.surprising[:MOST_ROWS]:
        name = row.id or f"row {row.row}" + (f" of file {row.source + 1}" if row.source else "")
        cells: list[str | Text] = []
        if known:
            cells = [_name(result.classes[row.target]), _name(result.classes[row.predicted]), f"{row.confidence:.4f}"]
        table.add_row(_name(name), number(row.nats), *cells)
    return table


def _compared(comparison: Comparison) -> Table:
    """The first model beside the second."""
    table = _table("", "first", "second", "first − second", "95 % interval", "P(first better)")
    lines: list[tuple[str, Difference | None]] = [
        ("log loss, nats", comparison.log_loss_nats),
        ("Brier score", comparison.brier),
        ("accuracy", comparison.accuracy),
    ]
    for name, line in lines:
        if line is not None:
            values = (number(line.first), number(line.second), number(line.difference.value))
            table.add_row(name, *values, interval(line.difference), _probability(line.better))
    return table


def _probability(share: float) -> str:
    """Three digits of a share of 1000 replicates, which can show no more."""
    return "> 0.999" if share > 0.9995 else "< 0.001" if share < 0.0005 else f"{share:.3f}"


def _name(text: str) -> Text:
    """A name that comes from data: no markup, no control characters."""
    return Text(shown(text))


def _table(*headings: str | Text) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", no_wrap=bool(place), overflow="fold")
    return table
