"""The report of `xent evaluate` as a file: whole under its name, or what was there before."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from xent._errors import ArgumentError
from xent.cli._staging import Staging
from xent.evaluate import Comparison, Evaluation

SUFFIXES = {".html", ".htm"}


def check_report(text: str) -> Path:
    """The path of a report that can be written there; leaves nothing behind.

    Raises:
        ArgumentError: it is a directory, no name of an HTML file, or lies where nothing can be written.
    """
    path = Path(text)
    if path.is_dir() or path.suffix.lower() not in SUFFIXES:
        found = f"{text!r} is a directory" if path.is_dir() else f"found {text!r}"
        raise ArgumentError("--out must name an HTML file", found, "Try: --out report.html")
    with Staging(path.parent, [path.name]) as staging:
        staging.discard()
    return path


def write_report(path: Path, result: Evaluation, comparison: Comparison | None, sources: Sequence[str]) -> None:
    """Write the report of these files, as of now."""
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    text = result.to_html(comparison, sources=sources, date=date)
    with Staging(path.parent, [path.name]) as staging:
        staging.path(path.name).write_text(text, encoding="utf-8")
