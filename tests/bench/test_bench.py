"""The bench runs, renders, and refuses: nothing here depends on how long anything takes."""

import json
import platform
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import bench.check
import bench.peers
from bench import machine, memory, publish, report
from bench.__main__ import arguments, main
from bench.calls import ours
from bench.inputs import make
from bench.machine import Limits
from bench.measure import Effort, Timing, interleaved
from bench.problems import ALL, ROWS, WORKLOADS, Goal, Workload
from bench.run import Plan, Result, run
from bench.training import training_step

ONCE = Plan((1.0,), Effort(least=1, most=1, budget_s=0.0), with_memory=False, backend="reference")
PLAIN = replace(WORKLOADS[0], rows=5, classes=7)
HALF_SECOND = Timing(0.5, 0.4, 0.6, 3)
DONE = Result(
    row="P1", work="cross_entropy", shape="4×8", factor=1.0, goal=Goal(most_copies=2.0, least_speedup=2.0),
    xent=HALF_SECOND, copy=HALF_SECOND, peer=Timing(1.0, 1.0, 1.0, 3), peer_name="torch cross_entropy", xent_bytes=0,
)  # fmt: skip
LIMITS = Limits(1e9, 2e9, 2e9, 1e9, 1e-9)
LINEAR_BLOCK = "<!-- bench-linear:begin -->\nits own\n<!-- bench-linear:end -->"
PAGE = f"before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\n{LINEAR_BLOCK}\nafter\n"


def named(workload: Workload) -> str:
    return f"{workload.row}-{workload.work}-{workload.shape}"


def a_report(*results: Result) -> publish.Report:
    return publish.Report("abc1234", "2025-01-01", machine.describe(), LIMITS, results)


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("workload", ALL, ids=named)
def test_every_workload_agrees_with_its_peer_and_is_timed(workload: Workload) -> None:
    backend = ONCE.backend if workload.door == "numpy" else None
    small = replace(workload, rows=5, classes=min(workload.classes, 7), image=workload.image and (3, 4))
    result = run(small, 1.0, replace(ONCE, backend=backend))
    assert not result.wrong
    assert not result.remark
    assert all(timing.median_s > 0 for timing in (result.xent, result.peer, result.copy))
    assert result.copies > 0
    assert result.speedup > 0


def test_the_training_step_is_the_same_with_both_losses_and_is_timed() -> None:
    result = training_step(ONCE.effort)
    assert not result.wrong
    assert not result.remark
    assert result.speedup > 0


def test_rows_are_those_of_the_goals() -> None:
    assert ROWS == ("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9", "LM", "P10", "P11", "P12", "LM2")


def test_a_missing_peer_is_said_and_truth_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.peers, "find_spec", lambda name: None)
    result = run(PLAIN, 1.0, ONCE)
    assert result.remark == "torch is not installed"
    assert (result.wrong, result.peer, result.speedup, result.met) == ("", None, None, None if result.copies <= 1.3 else False)
    assert "torch is not installed" in report.full_markdown([result])


@pytest.mark.parametrize("fault", ["loss", "gradient", "one number", "nan loss", "nan gradient", "scaled by 1.0001"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_wrong_number_is_found(fault: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if dtype != "float32" and fault == "scaled by 1.0001":
        pytest.skip("less than these types can hold")

    def spoilt(*given: object) -> object:
        loss, gradient = ours(*given)()
        changes = {
            "loss": (loss * 1.001, gradient),
            "nan loss": (np.nan, gradient),
            "gradient": (loss, gradient * gradient.dtype.type(1.1)),
        }
        if fault in changes:
            return lambda: changes[fault]
        if fault == "scaled by 1.0001":
            return lambda: (loss, gradient * np.float32(1.0001))
        gradient[2, 3] = np.nan if fault == "nan gradient" else 2 * gradient[2, 3]
        return lambda: (loss, gradient)

    workload = replace(PLAIN, dtype=dtype)
    monkeypatch.setattr(bench.check, "ours", spoilt)
    wrong = bench.check.disagreement(workload, make(workload), "reference")
    assert wrong is not None
    assert wrong.startswith("cross_entropy_and_grad on 5×7")


def test_small_numbers_of_float16_may_be_one_subnormal_apart_and_no_more() -> None:
    step = np.finfo(np.float16).smallest_subnormal
    right = np.array([-(2.0**-14), 0.0, 3.0 * step], np.float16)
    loose = replace(bench.check.TOLERANCES["float16"], total=1.0)
    assert bench.check._array(right + np.array([0.0, step, -step], np.float16), right, loose) is None
    assert "differs by up to" in (bench.check._array(right + np.array([0.0, 2 * step, 0.0], np.float16), right, loose) or "")


def test_what_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.run, "disagreement", lambda *given: "it differs")
    result = run(PLAIN, 1.0, ONCE)
    assert (result.wrong, result.xent, result.met, report.met(result)) == ("it differs", None, None, "WRONG")


def test_repetitions_interleave() -> None:
    called: list[str] = []
    timings = interleaved({name: lambda name=name: called.append(name) for name in "abc"}, Effort(least=4, most=4, budget_s=0.0))
    assert {timing.samples for timing in timings.values()} == {4}
    runs = [name for name, before in zip(called, [None, *called], strict=False) if name != before]
    assert len(runs) >= 4 * 3 - 1
    assert max(Counter(runs).values()) - min(Counter(runs).values()) <= 3


@pytest.mark.skipif(not memory.measurable(), reason="the system does not tell a process's peak")
def test_peak_growth_sees_a_fresh_gradient() -> None:
    workload = replace(PLAIN, rows=512, classes=4096, fresh=True)
    grown = memory.peak_growth_bytes(workload, "xent", "reference")
    assert grown >= 0.95 * workload.logits_bytes


def test_what_does_not_fit_is_skipped_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: 1)
    result = run(PLAIN, 1.0, ONCE)
    assert result.xent is None
    assert result.remark.startswith("needs about")


@pytest.mark.parametrize(
    ("change", "met"),
    [
        ({}, True),
        ({"copy": Timing(0.2, 0.2, 0.2, 3)}, False),
        ({"peer": Timing(0.9, 0.9, 0.9, 3)}, False),
        ({"peer": None}, None),
        ({"peer": None, "copy": Timing(0.2, 0.2, 0.2, 3)}, False),
        ({"goal": Goal(most_s=0.5)}, True),
        ({"goal": Goal(most_s=0.49)}, False),
        ({"goal": Goal()}, None),
        ({"factor": 4.0}, None),
    ],
)
def test_a_goal_is_met_only_if_each_part_is(change: dict, met: bool | None) -> None:
    assert replace(DONE, **change).met is met


def test_the_table_shows_every_row() -> None:
    console = Console(width=220)
    with console.capture() as capture:
        report.show([replace(DONE, factor=0.25), DONE, replace(DONE, wrong="it differs")], console)
    text = capture.get()
    assert text.count("cross_entropy") >= 3
    for word in ("500 ms", "1.00 s ±0% torch", "≤ 2 × copy, ≥ 2 × peer", "yes", "WRONG", "it differs"):
        assert word in text


def test_the_readme_holds_the_main_size_only() -> None:
    table = report.compact_markdown([replace(DONE, factor=0.25, shape="1×8"), DONE])
    assert "| 4×8 |" in table
    assert "1×8" not in table


@pytest.mark.parametrize(
    ("value", "text"), [(2.0, "2.00 s"), (0.0481, "48.1 ms"), (15.3e-6, "15.3 µs"), (5e-10, "0.50 ns"), (123e-3, "123 ms")]
)
def test_seconds_have_three_digits_and_a_unit(value: float, text: str) -> None:
    assert report.seconds(value) == text


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(PAGE)
    (tmp_path / "docs" / "performance.md").write_text(PAGE)
    return tmp_path


def test_written_pages_name_commit_and_machine_and_keep_the_rest(pages: Path) -> None:
    publish.write(a_report(DONE, replace(DONE, factor=4.0)), pages)
    for page in (pages / "README.md", pages / "docs" / "performance.md"):
        text = page.read_text()
        assert text.startswith("before\n")
        assert text.endswith(f"{LINEAR_BLOCK}\nafter\n")
        assert "old" not in text
        assert "abc1234" in text
    written = json.loads((pages / "bench" / "results" / "abc1234.json").read_text())
    assert written["commit"] == "abc1234"
    assert [row["speedup"] for row in written["results"]] == [2.0, 2.0]
    assert "500 ms" in (pages / "bench" / "results" / "latest.md").read_text()


def test_writing_twice_writes_the_same(pages: Path) -> None:
    publish.write(a_report(DONE), pages)
    first = (pages / "README.md").read_text()
    publish.write(a_report(DONE), pages)
    assert (pages / "README.md").read_text() == first


def test_a_page_without_a_block_is_refused_before_anything_is_written(pages: Path) -> None:
    (pages / "docs" / "performance.md").write_text("no block")
    with pytest.raises(publish.Refusal, match="bench:begin"):
        publish.write(a_report(DONE), pages)
    assert (pages / "README.md").read_text() == PAGE
    assert not (pages / "bench").exists()


def test_failed_checks_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "clean_commit", lambda: "abc1234")
    publish.accept([DONE], "abc1234")
    with pytest.raises(publish.Refusal, match="it differs"):
        publish.accept([DONE, replace(DONE, wrong="it differs")], "abc1234")
    with pytest.raises(publish.Refusal, match="left commit"):
        publish.accept([DONE], "def5678")


def test_a_changed_file_forbids_writing_and_written_pages_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(machine, "ROOT", tmp_path)
    git("init")
    (tmp_path / "README.md").write_text("a")
    (tmp_path / "kernel.py").write_text("a")
    git("add", ".")
    git("commit", "-m", "a")
    (tmp_path / "README.md").write_text("b")
    assert publish.clean_commit() == machine.commit()
    (tmp_path / "kernel.py").write_text("b")
    (tmp_path / "new.py").write_text("b")
    assert machine.changed() == ["kernel.py", "new.py"]
    with pytest.raises(publish.Refusal, match=r"kernel\.py, new\.py"):
        publish.clean_commit()


def test_outside_a_repository_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "git", lambda *words: None)
    with pytest.raises(publish.Refusal, match="no git repository"):
        publish.clean_commit()


def test_a_refusal_ends_the_command_before_it_measures(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setattr(machine, "changed", lambda: ["src/kernel.py"])
    monkeypatch.setattr("bench.__main__.measure", lambda *given: pytest.fail("measured"))
    assert main(["--write"]) == 1
    assert "Nothing written" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["P99"], ["--write", "P1"], ["--write", "--quick"]])
def test_senseless_arguments_are_refused(given: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        arguments(given)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_the_description_names_no_machine() -> None:
    text = json.dumps(machine.describe())
    assert str(Path.home()) not in text
    assert platform.node() not in text


def test_limits_are_positive() -> None:
    limits = machine.limits(1 << 16, Effort(least=1, most=1, budget_s=0.0))
    assert all(value > 0 for value in vars(limits).values())


@pytest.mark.parametrize("page", ["README.md", "docs/performance.md"])
def test_pages_have_a_block_to_write(page: str) -> None:
    assert "| 4×8 |" in publish.between_markers((machine.ROOT / page).read_text(), a_report(DONE).compact())
