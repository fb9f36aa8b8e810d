"""What `xent evaluate` shows: a line of progress while reading, and the result."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from xent.cli._sheet import sheet
from xent.cli._terminal import PipeConsole
from xent.evaluate import Comparison, Estimate, Evaluation
from xent.evaluate.display.names import shown
from xent.evaluate.display.numerals import amount, column, number, percent, plural, probability
from xent.evaluate.display.verdict import measures, short_names, verdict
from xent.evaluate.display.words import counted_in, headline, left_out, meaning, row_name, worst_classes, worst_groups

MOST_CLASSES, MOST_ROWS, MOST_GROUPS = 10, 5, 20
MOST_LETTERS = 12
"""Letters of a model's name that fit over a column; longer ones are called A and B there."""
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


def print_json(result: Evaluation, comparison: Comparison | None, other: Evaluation | None, sources: Sequence[str]) -> None:
    """Everything, for programs."""
    text = result.to_json(comparison, other, sources=sources)
    PipeConsole(highlight=False).print(text, soft_wrap=True, markup=False, highlight=False)


def print_written(report: Path, *, aside: bool) -> None:
    """Where the report is; on stderr where stdout holds JSON."""
    PipeConsole(stderr=aside, highlight=False).print(f"Wrote {report}", soft_wrap=True, markup=False)


def print_evaluation(result: Evaluation, comparison: Comparison | None, sources: Sequence[str], *, placed: bool) -> None:
    """The result on stdout: numbers with intervals, what they mean, and where the loss comes from.

    `placed` tells that labels were numbers and the classes are called otherwise.
    """
    console = PipeConsole(highlight=False)
    width = console.width
    _print(console, [_heading(result, sources), *_cautions(result, placed=placed)])
    _print(console, sheet(width, ("", "value", "95 % interval", "unit"), list(headline(result)), spare=("unit",)))
    _print(console, meaning(result))
    for lines in _details(result, width):
        _print(console, ["", *lines])
    if comparison is not None:
        _print(console, ["", *_compared(comparison, width)])


def _cautions(result: Evaluation, *, placed: bool) -> Iterator[str]:
    """What a reader must know before any number."""
    if placed:
        yield "Labels are read as places of the classes, from 0: the classes are not called by numbers."
    if result.missing:
        verb = "is" if len(result.missing) == 1 else "are"
        yield f"Partial: {plural(len(result.missing), 'unit')} of work {verb} missing, {shown(result.missing[0])} among them."
        yield f"The first failed so: {shown(result.failure, 1000)}"


def _print(console: Console, lines: Iterable[str | Text]) -> None:
    """Lines as they are, however long."""
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _heading(result: Evaluation, sources: Sequence[str]) -> str:
    """What was judged."""
    out = "".join(f", {count:,} {why} left out" for count, why in left_out(result))
    classes = f", {plural(len(result.classes), 'class')}" if result.classes else ""
    others = len(set(sources)) - 1  # a file named twice counts once
    more = f" and {others} more" if others else ""
    return f"{shown(sources[0])}{more}: {plural(result.counted, 'row')}{classes}, {result.kind}{out}"


def _details(result: Evaluation, width: int) -> Iterator[list[Text]]:
    """Classes, groups, rows."""
    if result.by_class:
        yield _classes(result, width)
    if result.by_group:
        yield _groups(result, width)
    if result.surprising:
        yield _rows(result, width)


def _classes(result: Evaluation, width: int) -> list[Text]:
    """The classes that carry most of the loss."""
    headings = ("class", counted_in(result), "log loss", "95 % interval", "share", "recall", "precision", "mean p", "freq.")
    ordered = worst_classes(result)
    losses = column([row.log_loss_nats for row in ordered])
    rows: list[list[str]] = []
    for row, (nats, span) in list(zip(ordered, losses, strict=True))[:MOST_CLASSES]:
        shares = (row.share_of_loss, row.recall, row.precision, row.predicted_share, row.actual_share)
        rows.append([shown(row.name), amount(row.weight), nats, span, *map(percent, shares)])
    lines = sheet(width, headings, rows, spare=("freq.", "mean p", "95 % interval", "precision", "share"))
    return [*lines, *_some(MOST_CLASSES, len(ordered), "classes, those with most of the loss first")]


def _groups(result: Evaluation, width: int) -> list[Text]:
    """Each value of the column to judge by, the worst first."""
    known = {"accuracy": bool(result.classes), "bits/byte": result.bits_per_byte is not None}
    headings = [
        shown(result.group_column or ""),
        counted_in(result),
        "log loss",
        "95 % interval",
        *(k for k in known if known[k]),
    ]
    ordered = worst_groups(result)
    losses = column([row.log_loss_nats for row in ordered])
    rows: list[list[str]] = []
    for row, (nats, span) in list(zip(ordered, losses, strict=True))[:MOST_GROUPS]:
        accuracy = [] if row.accuracy is None else [percent(row.accuracy)]
        size = [] if row.bits_per_byte is None else [number(row.bits_per_byte)]
        rows.append([shown(row.name), amount(row.weight), nats, span, *accuracy, *size])
    lines = sheet(width, headings, rows, spare=("95 % interval", "accuracy"))
    return [*lines, *_some(MOST_GROUPS, len(ordered), "values, those of greatest loss first")]


def _some(most: int, count: int, what: str) -> list[Text]:
    """What a table leaves out."""
    return [Text(f"{most} of {count:,} {what}", style="dim")] if count > most else []


def _rows(result: Evaluation, width: int) -> list[Text]:
    """The most surprising rows."""
    headings = ["most surprising rows", "log loss", *(["true class", "predicted", "with p"] if result.classes else [])]
    rows: list[list[str]] = []
    losses = column([Estimate(row.nats) for row in result.surprising[:MOST_ROWS]])
    for row, (nats, _) in zip(result.surprising, losses, strict=False):
        name = row_name(row.id, row.row, row.source, f" of file {row.source + 1}" if row.source else "")
        known = result.classes and [result.classes[row.target], result.classes[row.predicted], f"{row.confidence:.4f}"]
        rows.append([name.replace("\N{NO-BREAK SPACE}", " "), nats, *map(shown, known)])
    return sheet(width, headings, rows, spare=("with p",))


def _compared(comparison: Comparison, width: int) -> list[Text]:
    """The first model beside the second, and which is better."""
    names = short_names(comparison.names)
    short = names if max(map(len, names)) <= MOST_LETTERS else ("A", "B")
    headings = ("", *short, "difference", "95 % interval", "P(better)")
    rows = [[one.name, *one.means(), *one.written(one.of.difference), probability(one.of.better)] for one in measures(comparison)]
    beside = (
        " beside ".join(map(shown, comparison.names)) if short == names else "A: {}; B: {}".format(*map(shown, comparison.names))
    )
    title = f"{beside}. Difference: {short[0]} less {short[1]}; P(better): that {short[0]} is better."
    return [Text(title), *sheet(width, headings, rows, spare=(headings[-1], *short)), *map(Text, verdict(comparison))]
