"""Tables of text that fit the width there is: columns that can be spared go, names fold, and no number is cut."""

from collections.abc import Collection, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells
from rich.text import Text

GAP = "  "
LEAST_NAME = 8
"""Columns of the terminal that names are folded into at the least."""


def sheet(width: int, headings: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str] = ()) -> list[Text]:
    """Headings, a rule, and the rows; numbers stand to the right. Of the columns in `spare` the first go first."""
    gone: set[str] = set()
    for heading in spare:
        if _needed(headings, rows, gone) <= width:
            break
        gone.add(heading)
    kept = [n for n, heading in enumerate(headings) if heading not in gone]
    lines = [[headings[n] for n in kept], *([row[n] for n in kept] for row in rows)]
    widths = [max(cell_len(line[n]) for line in lines) for n in range(len(kept))]
    widths[0] = min(widths[0], max(LEAST_NAME, width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)))
    texts = [Text(text) for line in lines for text in _folded(line, widths)]
    heads = len(list(_folded(lines[0], widths)))
    for text in texts[:heads]:
        text.stylize("bold")
    whole = sum(widths) + len(GAP) * (len(widths) - 1)
    return [*texts[:heads], Text("─" * min(whole, max(width, 1))), *texts[heads:], *_absent(headings, gone)]


def _absent(headings: Sequence[str], gone: Collection[str]) -> list[Text]:
    """What a wider terminal would show."""
    names = ", ".join(heading for heading in headings if heading in gone)
    return [Text(f"(without {names}: the terminal is narrow)", style="dim")] if gone else []


def _needed(headings: Sequence[str], rows: Sequence[Sequence[str]], gone: Collection[str]) -> int:
    """The width of the table without some columns."""
    kept = [n for n, heading in enumerate(headings) if heading not in gone]
    return sum(max(cell_len(line[n]) for line in (headings, *rows)) for n in kept) + len(GAP) * (len(kept) - 1)


def _folded(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    """The lines of a row: its name may take several."""
    names = chop_cells(line[0], widths[0]) or [""]
    rest = GAP.join(" " * (room - cell_len(text)) + text for text, room in zip(line[1:], widths[1:], strict=True))
    return [_padded(name, widths[0], after) for name, after in zip_longest(names, [rest], fillvalue="")]


def _padded(name: str, room: int, rest: str) -> str:
    return f"{name}{' ' * (room - cell_len(name))}{GAP}{rest}".rstrip()
