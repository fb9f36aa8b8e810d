"""``--write``: the numbers of a clean commit into the README, docs/performance.md and bench/results."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.machine import Limits
from bench.run import Result

TABLES = {"bench": ("", "Latest results"), "bench-linear": ("linear-", "Latest results of linear cross-entropy")}
"""Name of a block between markers, the prefix of its results, and their heading."""


class Refusal(Exception):  # noqa: N818 (not an error of the program)
    """Why nothing is written."""


@dataclass(frozen=True)
class Report:
    """A whole run and where it comes from."""

    commit: str
    date: str
    machine: dict[str, object]
    limits: Limits
    results: Sequence[Result]
    table: str = "bench"
    """Which of `TABLES` it is."""

    def as_json(self) -> str:
        """Everything measured, in seconds and bytes, with the ratios."""
        rows = [
            {**asdict(result), "copies": result.copies, "speedup": result.speedup, "goal_met": result.met}
            for result in self.results
        ]
        head = {"commit": self.commit, "date": self.date, "machine": self.machine, "limits": asdict(self.limits)}
        return json.dumps({**head, "results": rows}, indent=1, ensure_ascii=False) + "\n"

    def full(self) -> str:
        """Origin, limits and every size, as Markdown."""
        head = report.origin(self.commit, self.date, self.machine)
        unmet = [f"{r.row} {r.work} {r.shape}" for r in self.results if r.met is False]
        verdict = "Goals not met: " + "; ".join(unmet) + "." if unmet else "Every goal that could be judged is met."
        return "\n\n".join([head, verdict, report.limits_markdown(self.limits), report.full_markdown(self.results)])

    def compact(self) -> str:
        """Origin and the main size, as Markdown."""
        head = report.origin(self.commit, self.date, self.machine)
        return "\n\n".join([report.compact_markdown(self.results), head])


def today() -> str:
    """The date, in UTC."""
    return datetime.now(UTC).date().isoformat()


def clean_commit() -> str:
    """The commit that the working tree equals.

    Raises:
        Refusal: outside a repository, or if files differ.
    """
    commit, changed = machine.commit(), machine.changed()
    if commit is None or changed is None:
        raise Refusal("numbers are written for a commit; this is no git repository.")
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise Refusal(f"numbers are written for a commit, and these differ from it: {', '.join(changed[:3])}{more}.")
    return commit


def accept(results: Sequence[Result], commit: str) -> None:
    """Refuse what may not be written.

    Raises:
        Refusal: if a check failed, or the tree is no longer the commit that was measured.
    """
    wrong = [result.wrong for result in results if result.wrong]
    if wrong:
        raise Refusal(f"a time is written only where the numbers agree: {'; '.join(wrong)}.")
    if clean_commit() != commit:
        raise Refusal(f"the working tree left commit {commit} during the run.")


def between_markers(page: str, block: str, table: str = "bench") -> str:
    """The page with its block replaced.

    Raises:
        Refusal: if the page has no such block.
    """
    first, last = f"<!-- {table}:begin -->", f"<!-- {table}:end -->"
    head, begin, rest = page.partition(first)
    _, end, tail = rest.partition(last)
    if not begin or not end:
        raise Refusal(f"no {first} … {last} to write between.")
    return f"{head}{first}\n\n{block}\n\n{last}{tail}"


def write(run: Report, root: Path = machine.ROOT) -> list[Path]:
    """Write the four files; all texts are made before the first is touched."""
    readme, page, results = root / "README.md", root / "docs" / "performance.md", root / "bench" / "results"
    prefix, heading = TABLES[run.table]
    texts = {
        readme: between_markers(readme.read_text(), run.compact(), run.table),
        page: between_markers(page.read_text(), run.full(), run.table),
        results / f"{prefix}{run.commit}.json": run.as_json(),
        results / f"{prefix}latest.md": f"# {heading}\n\n{run.full()}\n",
    }
    results.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)
    return list(texts)
