"""``python -m bench.growth``: linear cross-entropy as classes and rows grow, beside PyTorch's ways; a picture for the docs."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

from bench import linear, machine, publish
from bench.linear_problems import CHUNKED, DENSE, GROWTH_IN_CLASSES, GROWTH_IN_ROWS, LinearWorkload
from bench.measure import Effort
from bench.run import Plan, Result

PICTURE, NUMBERS = Path("docs/images/linear-growth.svg"), Path("bench/results/linear-growth.json")
PLAN = Plan(factors=(1.0,), effort=Effort(least=2, most=5, budget_s=2.0))
WAYS = {"xent": ("xent", "C0", "o"), DENSE: ("PyTorch dense", "C1", "s"), CHUNKED: ("PyTorch chunked", "C2", "^")}
"""Label, colour and mark of each way."""


def measured(workloads: Sequence[LinearWorkload], console: Console) -> list[dict[str, Any]]:
    """Seconds and bytes of every way at every size."""
    points: list[dict[str, Any]] = []
    for workload in track(workloads, f"growth in {workloads[0].row}", console=console):
        lines = linear.run(workload, 1.0, PLAN)
        wrong = [line.wrong for line in lines if line.wrong]
        if wrong:
            raise publish.Refusal(f"a time is written only where the numbers agree: {wrong[0]}.")
        points.append({"rows": workload.rows, "width": workload.width, "classes": workload.classes, "ways": _ways(lines)})
    return points


def _ways(lines: Sequence[Result]) -> dict[str, dict[str, float | int | None]]:
    first = lines[0]
    found = {"xent": {"s": first.xent.median_s if first.xent else None, "bytes": first.xent_bytes}}
    found |= {line.peer_name: {"s": line.peer.median_s if line.peer else None, "bytes": line.peer_bytes} for line in lines}
    return found


def draw(found: dict[str, list[dict[str, Any]]], origin: str, path: Path) -> None:
    """Time and memory over classes, and over rows."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "xent"
    figure, panels = pyplot.subplots(2, 2, figsize=(9, 6.5), sharex="col", layout="constrained")
    for column, (over, points) in enumerate(found.items()):
        fixed = "rows" if over == "classes" else "classes"
        for row, (what, unit) in enumerate((("s", 1.0), ("bytes", 2.0**20))):
            _panel(panels[row][column], over, what, unit, points)
        panels[0][column].set_title(f"{points[0][fixed]:,} {fixed}, width {points[0]['width']}", fontsize=10)
        panels[1][column].set_xlabel(over)
    panels[0][0].set_ylabel("loss and gradients, seconds")
    panels[1][0].set_ylabel("peak beyond tensors and gradients, MiB")
    panels[0][0].legend(fontsize=9)
    figure.suptitle("Linear cross-entropy as it grows, float32", fontsize=12)
    figure.supxlabel(origin, fontsize=6, color="0.4")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _panel(panel: Any, over: str, what: str, unit: float, points: list[dict[str, Any]]) -> None:
    for way, (label, colour, mark) in WAYS.items():
        known = [(p[over], p["ways"][way][what] / unit) for p in points if p["ways"].get(way, {}).get(what) is not None]
        if known:
            panel.plot(*zip(*known, strict=True), color=colour, marker=mark, label=label)
    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.set_xticks([p[over] for p in points], [_short(p[over]) for p in points])
    panel.minorticks_off()
    panel.grid(alpha=0.3, which="both")


def _short(number: int) -> str:
    return f"{number >> 10}k" if number >= 1024 else str(number)


def main(given: Sequence[str]) -> int:
    """Measure, and write picture and numbers if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PICTURE} and {NUMBERS}; on a clean commit")
    asked, console = parser.parse_args(given), Console(stderr=True)
    try:
        commit = publish.clean_commit() if asked.write else machine.commit() or "unknown"
        found = {"classes": measured(GROWTH_IN_CLASSES, console), "rows": measured(GROWTH_IN_ROWS, console)}
    except publish.Refusal as refusal:
        console.print(f"Nothing written: {refusal}", style="bold red", highlight=False)
        return 1
    described = machine.describe()
    print(json.dumps(found, indent=1))
    if asked.write:
        origin = f"Commit {commit}, {publish.today()}: {described['cpu']}, {described['threads']} threads."
        draw(found, origin, machine.ROOT / PICTURE)
        head = {"commit": commit, "date": publish.today(), "machine": described}
        (machine.ROOT / NUMBERS).write_text(json.dumps({**head, **found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
