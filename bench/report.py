"""The table: for the terminal, for the README, and in full."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.machine import Limits
from bench.measure import Timing
from bench.problems import LINEAR_TABLE, Goal
from bench.run import Result

FULL = (
    *("row", "work", "shape", "xent", "peer", "copy", "÷ copy", "peer ÷ xent", "memory", "peer's memory"),
    *("GB/s", "ns/number", "goal", "met"),
)
COMPACT = ("row", "work", "shape", "xent", "÷ copy", "peer", "peer ÷ xent", "memory", "peer's memory", "goal", "met")
NONE = "–"
COLOURS = {"yes": "green", "no": "bold red", "WRONG": "bold red"}


def seconds(value: float) -> str:
    """Three digits, with the unit that suits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if value >= size:
            return f"{significant(value / size)} {unit}"
    return f"{significant(value / 1e-9)} ns"


def significant(value: float) -> str:
    """Three significant digits without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def size(value: int | None) -> str:
    """Mebibytes."""
    if value is None:
        return NONE
    mib = value / 2**20
    return f"{mib:.0f} MiB" if mib >= 10 else f"{mib:.1f} MiB" if mib >= 0.1 else "< 0.1 MiB"


def goal(asked: Goal) -> str:
    """What is asked, as a person writes it."""
    parts = [
        "" if asked.most_copies is None else f"≤ {asked.most_copies:g} × copy",
        "" if asked.least_speedup is None else f"≥ {asked.least_speedup:g} × peer",
        "" if asked.most_s is None else f"≤ {seconds(asked.most_s)}",
        "" if asked.most_bytes is None else f"≤ {size(asked.most_bytes)}",
    ]
    return ", ".join(filter(None, parts)) or NONE


def met(result: Result) -> str:
    """Yes or no; why not known."""
    if result.wrong:
        return "WRONG"
    if result.met is None:
        return NONE
    return "yes" if result.met else "no"


def _number(value: float | None) -> str:
    return NONE if value is None else significant(value)


def _time(timing: Timing | None) -> str:
    if timing is None:
        return NONE
    spread = f" ±{100 * timing.spread:.0f}%" if timing.samples > 1 else ""
    return seconds(timing.median_s) + spread


def _median(timing: Timing | None) -> str:
    return NONE if timing is None else seconds(timing.median_s)


def full_cells(result: Result) -> list[str]:
    """One line of the full table."""
    per_s = result.touched_bytes / result.xent.median_s / 1e9 if result.xent and result.touched_bytes else None
    per_number = 1e9 * result.xent.median_s / result.numbers if result.xent and result.numbers else None
    return [
        result.row,
        result.work,
        result.shape,
        _time(result.xent),
        f"{_time(result.peer)} {result.peer_name}" if result.peer else result.remark or NONE,
        _median(result.copy),
        _number(result.copies),
        _number(result.speedup),
        size(result.xent_bytes),
        size(result.peer_bytes),
        _number(per_s),
        _number(per_number),
        goal(result.goal) if result.factor == 1.0 else NONE,
        met(result),
    ]


def compact_cells(result: Result) -> list[str]:
    """One line of the README's table."""
    who = result.peer_name if result.row in LINEAR_TABLE else result.peer_name.partition(" ")[0]
    peer = f"{_median(result.peer)} {who}" if result.peer else result.remark or NONE
    memory = [size(result.xent_bytes), size(result.peer_bytes)]
    ratios = [_number(result.copies), peer, _number(result.speedup)]
    return [result.row, result.work, result.shape, _median(result.xent), *ratios, *memory, goal(result.goal), met(result)]


def markdown(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    table = [header, ["---"] * len(header), *lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in table)


def full_markdown(results: Iterable[Result]) -> str:
    """Every size."""
    return markdown(FULL, map(full_cells, results))


def compact_markdown(results: Iterable[Result]) -> str:
    """The main size, columns a reader compares."""
    return markdown(COMPACT, [compact_cells(result) for result in results if result.factor == 1.0])


def origin(commit: str, date: str, machine: dict) -> str:
    """One paragraph: where the numbers come from."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    instructions = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    return (
        f"Commit {commit}, {date}: {machine['cpu']}{instructions}, {machine['threads']} threads, {machine['memory_gib']} GiB, "
        f"{machine['system']}; Python {machine['python']}, {versions}."
    )


def limits_markdown(limits: Limits) -> str:
    """What the machine reaches."""
    lines = [
        ('copy, 1 thread (the column "copy")', f"{limits.copy_1 / 1e9:.1f} GB/s"),
        ("copy, all threads", f"{limits.copy_all / 1e9:.1f} GB/s"),
        ("read, all threads", f"{limits.read_all / 1e9:.1f} GB/s"),
        ("write to fresh memory, all threads", f"{limits.fresh_all / 1e9:.1f} GB/s"),
        ("float32 exp in cache (NumPy), 1 thread", f"{limits.exp_s * 1e9:.2f} ns a number"),
    ]
    return markdown(("limit", "measured"), lines)


def show(results: Iterable[Result], console: Console) -> None:
    """Print the full table, sizes of one workload together, and what disagreed."""
    table = Table(*FULL, title="xent beside its peers; ± is half the range, GB/s counts what must be touched")
    wrong, before = [], 0.0
    for result in results:
        if result.factor <= before and result.row != "P9":
            table.add_section()
        before = result.factor
        cells = full_cells(result)
        table.add_row(*cells[:-1], Text(cells[-1], COLOURS.get(cells[-1], "")), style="" if result.factor == 1.0 else "dim")
        wrong += [result.wrong] if result.wrong else []
    console.print(table)
    for message in wrong:
        console.print(Text(f"wrong: {message}", "bold red"))
