"""What `xent evaluate` prints, writes and refuses."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet
import pytest

import xent
from tests.evaluate.conftest import Rows
from xent.cli._main import run

ROWS = Rows(600, 3)
HOSTILE = ("[red]x", "\x1b[31mred\x1b[0m", "\u202eabc")


def table(names: tuple[str, ...] = ROWS.names, probs: np.ndarray = ROWS.probs) -> pa.Table:
    columns = {f"p_{name}": probs[:, n] for n, name in enumerate(names)}
    target = np.array(names, object)[ROWS.target]
    return pa.table({**columns, "y": pa.array(target), "g": ROWS.group, "w": ROWS.weight, "n": ROWS.size, "id": ROWS.ids})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    pa_parquet.write_table(table(), tmp_path / "a.parquet", row_group_size=200)
    flat = (ROWS.probs + 1.0) / 4.0
    pa_csv.write_csv(table(probs=flat), tmp_path / "b.csv")
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    code = run(["evaluate", *arguments])
    found = capsys.readouterr()
    assert (code, found.err) == (0, "")
    return found.out


def test_it_says_how_good_the_predictions_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "a.parquet", "--probs", "p_", "--target", "y", "--top-k", "2", "--by", "g", "--id", "id")
    assert out.startswith("a.parquet: 600 rows, 3 classes, probs\n")
    assert re.search(rf"log loss +{ROWS.nats.mean():.4f} +\[0\.\d+, \d\.\d+\] +nats", out)
    assert re.search(rf"{ROWS.nats.mean() / np.log(2):.4f} +\[.*\] +bits", out)
    assert re.search(r"top-2 accuracy +\d\d\.\d\d +\[\d\d\.\d\d, \d\d\.\d\d\] +%", out)
    assert "guess: all alike, ln 3" in out
    assert "Calibration: " in out
    assert re.search(r"^g +rows", out, re.MULTILINE)
    worst = np.argmax(ROWS.nats)
    assert re.search(rf"id-{worst} \(row {worst}\) +{ROWS.nats[worst]:.4f} +k{ROWS.target[worst]} +k\d", out)


def test_json_holds_the_same_as_python(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(capsys, "a.parquet", "--probs", "p_", "--target", "y", "--json")
    assert json.loads(out) == json.loads(
        xent.evaluate("a.parquet", "y", kind="probs", columns="p_").to_json(sources=["a.parquet"])
    )


@pytest.mark.parametrize("options", [["--engine", "local", "--workers", "2"], ["--resume", "states"]])
def test_an_engine_prints_the_same(folder: Path, capsys: pytest.CaptureFixture[str], options: list[str]) -> None:
    arguments = ["a.parquet", "--probs", "p_", "--target", "y", "--weights", "w"]
    assert printed(capsys, *arguments, *options) == printed(capsys, *arguments)


def test_two_models_on_the_same_rows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a.parquet", "--against", "b.csv", "--probs", "p_", "--target", "y", "--id", "id"]
    out = printed(capsys, *arguments)
    assert re.search(r"log loss, nats +0\.\d+ +\d\.\d+ +-0\.\d+ +\[-0\.\d+, -0\.\d+\] +(> )?0\.99\d", out)
    assert re.search(r"^ +a\.parquet +b\.csv +difference", out, re.MULTILINE)
    assert re.search(r"^In log loss a\.parquet is better, by 0\.\d{4} nats \[0\.\d{4}, 0\.\d{4}\]\.$", out, re.MULTILINE)
    record = json.loads(printed(capsys, *arguments, "--json"))
    assert record["comparison"]["names"] == ["a.parquet", "b.csv"]
    other = json.loads(printed(capsys, "b.csv", *arguments[3:], "--json"))
    assert record["against"] == {name: other[name] for name in record["against"]}
    held = record["comparison"]["log_loss_nats"]
    assert held["first"] == pytest.approx(ROWS.nats.mean(), rel=1e-12)
    assert held["difference"]["value"] == pytest.approx(held["first"] - held["second"], rel=1e-12)


def test_the_difference_of_a_model_and_itself_is_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["a.parquet", "--against", "a.parquet", "--probs", "p_", "--target", "y", "--json"]
    held = json.loads(printed(capsys, *arguments))["comparison"]["log_loss_nats"]
    assert held["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert held["better"] == 0.5


def test_an_infinite_loss_is_said_and_explained(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    probs = ROWS.probs.copy()
    probs[0] = np.eye(3)[(ROWS.target[0] + 1) % 3]
    pa_parquet.write_table(table(probs=probs), "a.parquet")
    out = printed(capsys, "a.parquet", "--probs", "p_", "--target", "y")
    assert re.search(r"log loss +inf +nats", out)
    assert "without infinite rows" in out
    assert "1 row gave the true class a probability of 0" in out


def test_a_language_model_is_judged_by_bits_per_byte(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pa_parquet.write_table(pa.table({"lp": -ROWS.nats, "n": ROWS.size}), "lm.parquet")
    out = printed(capsys, "lm.parquet", "--target-log-probs", "lp", "--bytes", "n")
    assert re.search(rf"bits per byte +{ROWS.nats.sum() / np.log(2) / ROWS.size.sum():.4f}", out)


def test_names_from_data_are_shown_and_not_obeyed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pa_parquet.write_table(table(HOSTILE), "a.parquet")
    out = printed(capsys, "a.parquet", "--probs", "p_", "--target", "y")
    assert "[red]x" in out
    assert r"\x1b[31mred" in out
    assert r"\u202eabc" in out
    assert not {"\x1b", "\u202e"} & set(out)


REFUSED = {
    "no file": ([], "predictions must be named; no file is given. Try: xent evaluate out/predictions.parquet"),
    "no such file": (["x.csv"], "predictions must be files that exist; there is nothing at x.csv. Check the path."),
    "another kind of file": (["x.txt"], "x.txt ends in '.txt'. Write it with commas, as .csv."),
    "two kinds": (["a.parquet", "--probs", "p_", "--logits", "p_"], "predictions are of one kind; found --probs and --logits."),
    "nothing declared": (["a.parquet"], "what predictions are must be declared"),
    "a wrong declaration": (["a.parquet", "--log-probs", "p_", "--target", "y"], "Are these logits, or probabilities? Say so."),
    "other rows": (
        ["a.parquet", "--against", "c.parquet", "--probs", "p_", "--target", "y"],
        "models are compared on the same rows; the first has 600 rows and the second 599.",
    ),
    "workers of none": (["a.parquet", "--engine", "local", "--workers", "0"], "workers must be at least 1; found 0."),
    "a word for a number": (["a.parquet", "--top-k", "two"], "See: xent evaluate --help"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_takes_one_line(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (folder / "x.txt").write_text("x")
    pa_parquet.write_table(table().slice(1), "c.parquet")
    before = sorted(os.listdir(folder))
    arguments, said = REFUSED[name]
    code = run(["evaluate", *arguments])
    found = capsys.readouterr()
    assert (code, found.out) == (2, "")
    assert said in found.err
    assert found.err.count("\n") == 1
    assert sorted(os.listdir(folder)) == before


def test_labels_that_are_places_are_said_to_be(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "Labels are read as places of the classes, from 0: the classes are not called by numbers."
    assert said not in printed(capsys, "a.parquet", "--probs", "p_", "--target", "y")
    numbers = table().set_column(table().column_names.index("y"), "y", pa.array(ROWS.target))
    pa_csv.write_csv(numbers, "numbers.csv")
    assert said in printed(capsys, "numbers.csv", "--probs", "p_", "--target", "y")


@pytest.mark.parametrize("name", ["empty.parquet", "empty.csv"])
def test_no_rows_are_refused(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    empty = table().slice(0, 0)
    (pa_csv.write_csv if name.endswith(".csv") else pa_parquet.write_table)(empty, name)
    assert run(["evaluate", name, "--probs", "p_", "--target", "y"]) == 2
    assert capsys.readouterr().err == (
        f"xent: there must be rows to judge; {name} holds none. Is a file empty, or nothing but a header?\n"
    )


def test_a_partial_result_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = table().set_column(0, "p_k0", pa.array(np.full(600, 7.0)))
    pa_parquet.write_table(bad, "bad.parquet")
    arguments = ["a.parquet", "bad.parquet", "--probs", "p_", "--target", "y"]
    assert run(["evaluate", *arguments]) == 2
    capsys.readouterr()
    out = printed(capsys, *arguments, "--allow-partial")
    assert "Partial: 1 unit of work is missing, bad.parquet, rows 0 to 599 among them.\nThe first failed so: each row of" in out
    held = json.loads(printed(capsys, *arguments, "--allow-partial", "--json"))
    assert held["missing"] == ["bad.parquet, rows 0 to 599"]
    assert held["failure"].startswith("each row of probs must be a distribution")
    assert run(["evaluate", *arguments[1:], "--allow-partial"]) == 2
    assert capsys.readouterr().err == f"xent: {held['failure']}\n"


def test_models_of_long_names_are_called_a_and_b_over_columns(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "b.csv").rename("a-name-of-many-letters.csv")
    out = printed(capsys, "a.parquet", "--against", "a-name-of-many-letters.csv", "--probs", "p_", "--target", "y")
    assert "A: a.parquet; B: a-name-of-many-letters.csv. Difference: A less B; P(better): that A is better.\n" in out
    assert "In log loss a.parquet is better" in out


@pytest.mark.parametrize("width", [60, 80])
def test_names_stay_and_no_number_is_cut_where_it_is_narrow(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    arguments = ["a.parquet", "--against", "b.csv", "--probs", "p_", "--target", "y", "--weights", "w", "--by", "g"]
    out = printed(capsys, *arguments)
    assert "…" not in out
    for row in xent.evaluate("a.parquet", "y", kind="probs", columns="p_", weight="w").by_class:
        assert re.search(rf"^{row.name} +{row.weight:,.6g} +{row.log_loss_nats.value:.4f} ", out, re.MULTILINE)
    tables = [line for line in out.splitlines() if line.startswith("─")]
    assert max(map(len, tables)) <= width


def test_a_language_model_is_judged_without_classes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pa_parquet.write_table(pa.table({"lp": -ROWS.nats, "n": ROWS.size, "g": ROWS.group}), "lm.parquet")
    out = printed(capsys, "lm.parquet", "--target-log-probs", "lp", "--bytes", "n", "--by", "g")
    here = np.array(ROWS.group) == "b"
    bits = ROWS.nats[here].sum() / np.log(2) / ROWS.size[here].sum()
    assert re.search(rf"^b +\d+ .* {bits:.4f}$", out, re.MULTILINE)
    assert not re.search("accuracy|class|predicted|labels", out)


def test_one_row_is_one_row(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pa_parquet.write_table(table().slice(0, 1), "one.parquet")
    assert printed(capsys, "one.parquet", "--probs", "p_", "--target", "y").startswith("one.parquet: 1 row, 3 classes, probs\n")
