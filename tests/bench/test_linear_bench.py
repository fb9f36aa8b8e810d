"""The bench of linear cross-entropy: agreement before times, memory of its own process, goals that hold and fail."""

from dataclasses import replace
from pathlib import Path

import pytest

import bench.linear
from bench import growth, linear, machine, publish, report
from bench.linear_problems import CHUNKED, DENSE, LINEAR, LinearWorkload
from bench.measure import Effort
from bench.problems import Goal
from bench.run import Plan

ONCE = Plan(factors=(1.0,), effort=Effort(least=1, most=1, budget_s=0.0), with_memory=False)
BOTH = ((DENSE, Goal(least_speedup=1e-9, most_bytes=1 << 40)), (CHUNKED, Goal()))
SMALL = LinearWorkload(row="P10", rows=96, width=16, classes=600, peers=BOTH)
EVERY = [
    SMALL,
    replace(SMALL, dtype="bfloat16"),
    replace(SMALL, peaked=True, tolerance=1e-3),
    replace(SMALL, door="numpy", peers=BOTH[:1]),
]


@pytest.mark.parametrize("workload", EVERY, ids=lambda workload: workload.work)
def test_each_kind_of_workload_agrees_and_is_timed_against_each_peer(workload: LinearWorkload) -> None:
    lines = linear.run(workload, 1.0, ONCE)
    assert [line.peer_name for line in lines] == [peer for peer, _ in workload.peers]
    assert all(line.wrong == "" and line.remark == "" and line.speedup > 0 for line in lines)


def test_memory_is_that_beyond_tensors_and_gradients() -> None:
    workload = LinearWorkload(row="P10", rows=1024, width=32, classes=20000, peers=BOTH[:1])
    (line,) = linear.run(workload, 1.0, replace(ONCE, with_memory=True))
    assert line.xent_bytes < workload.logits_bytes < line.peer_bytes
    assert line.met


@pytest.mark.parametrize("fault", ["loss", "gradient", "nan"])
def test_a_wrong_number_is_found_and_nothing_is_timed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = bench.linear._step

    def wrong(hidden, classifier, loss):
        value, by_hidden, by_classifier = right(hidden, classifier, loss)
        if "ours" in loss.__code__.co_freevars:
            value = value * 1.001 if fault == "loss" else value
            by_classifier = by_classifier * (1.01 if fault == "gradient" else float("nan") if fault == "nan" else 1.0)
        return value, by_hidden, by_classifier

    monkeypatch.setattr(bench.linear, "_step", wrong)
    lines = linear.run(SMALL, 1.0, ONCE)
    assert all(line.wrong and line.xent is None for line in lines)


def test_the_goals_are_those_agreed() -> None:
    found = {(w.row, w.shape, peer): goal for w in LINEAR for peer, goal in w.peers if goal != Goal()}
    limit = 64 << 20
    for shape in ("2048×512×32768", "4096×1024×65536"):
        assert found["P10", shape, DENSE] == Goal(least_speedup=1.15, most_bytes=limit)
        assert found["P10", shape, CHUNKED] == Goal(least_speedup=3.5, most_bytes=limit)
        assert found["P11", shape, DENSE] == Goal(least_speedup=1.0, most_bytes=limit)
        assert found["P11", shape, CHUNKED] == Goal(least_speedup=6.0, most_bytes=limit)
    assert found["P12", "2048×512×32768", DENSE] == Goal(least_speedup=1.8, most_bytes=limit)
    assert report.goal(found["P12", "2048×512×32768", DENSE]) == "≥ 1.8 × peer, ≤ 64 MiB"


def test_a_goal_of_memory_can_fail() -> None:
    line = linear.run(SMALL, 1.0, ONCE)[0]
    assert replace(line, xent_bytes=1 << 39).met
    assert replace(line, xent_bytes=1 << 41).met is False


def test_what_is_too_large_is_left_out_and_said() -> None:
    (line, _) = linear.run(SMALL, 4.0, replace(ONCE, most_bytes=1))
    assert "left out" in line.remark
    assert line.met is None


def test_growth_is_drawn(tmp_path: Path) -> None:
    way = {"s": 1.0, "bytes": 1 << 20}
    points = [{"rows": 8, "width": 4, "classes": c, "ways": {"xent": way, DENSE: way, CHUNKED: way}} for c in (1024, 2048)]
    more = [{"rows": n, "width": 4, "classes": 8, "ways": {"xent": way, DENSE: way}} for n in (8, 16)]
    growth.draw({"classes": points, "rows": more}, "here", tmp_path / "images" / "growth.svg")
    assert "PyTorch chunked" in (tmp_path / "images" / "growth.svg").read_text()


def test_the_linear_table_is_written_into_a_block_of_its_own(tmp_path: Path) -> None:
    page = "a\n<!-- bench:begin -->\nkept\n<!-- bench:end -->\n<!-- bench-linear:begin -->\nold\n<!-- bench-linear:end -->\nz\n"
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/performance.md"):
        (tmp_path / name).write_text(page)
    lines = linear.run(SMALL, 1.0, ONCE)
    run = publish.Report("abc", "2025-01-01", machine.describe(), machine.limits(), lines, "bench-linear")
    written = {str(path.relative_to(tmp_path)) for path in publish.write(run, tmp_path)}
    assert written == {"README.md", "docs/performance.md", "bench/results/linear-abc.json", "bench/results/linear-latest.md"}
    text = (tmp_path / "README.md").read_text()
    assert "kept" in text
    assert "old" not in text
    assert "| P10 |" in text
