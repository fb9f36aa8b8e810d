"""What refusals of evaluation ask, and what sentences say of strange predictions: each guess names what the rows show."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xent
from xent.cli._judgement import print_evaluation
from xent.evaluate.display.words import meaning, row_name


@pytest.mark.parametrize(
    ("row", "step"),
    [([0.33, 0.33, 0.33], "0.02"), ([0.333, 0.333, 0.333], "0.002"), ([0.09] * 2 + [0.1] * 8, "0.03"), ([0.04] * 24, "0.05")],
)
def test_rounded_rows_are_asked_about_as_rounded_and_the_tolerance_named_lets_them_through(row: list[float], step: str) -> None:
    probs, target = np.array([row]), np.zeros(1, np.int64)
    with pytest.raises(xent.DistributionError) as refused:
        xent.evaluate(probs, target, kind="probs")
    assert str(refused.value).endswith(
        "(1 such rows). Were they rounded? "
        f"Write more digits, or allow it: --sum-tolerance {step} (sum_tolerance=); nothing is rescaled."
    )
    assert xent.evaluate(probs, target, kind="probs", sum_tolerance=float(step)).counted == 1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ([50.0, 50.0], "Are these percentages? Divide by 100."),
        ([33.3, 33.3, 33.3], "Are these percentages? Divide by 100."),
        ([1.05, 0.0], "Are these logits, or log-probabilities? Say so."),
        ([0.5, 0.47], "Are these logits, or log-probabilities? Say so."),
        ([0.1, 0.1, 0.0] + [0.0] * 997, "Are these logits, or log-probabilities? Say so."),
        ([0.9, 0.1, 1.0], "Is a column among them that is no class? They are '0', '1', '2'."),
        ([1e308, 1e308], "Are these logits, or log-probabilities? Say so."),
    ],
)
def test_other_sums_are_asked_about_as_what_they_look_like(row: list[float], said: str) -> None:
    with pytest.raises(xent.DistributionError, match=re.escape(said) + "$"):
        xent.evaluate(np.array([row]), np.zeros(1, np.int64), kind="probs")


def labelled(labels: list[str | None], *names: str) -> pa.Table:
    """Rows of three classes, each of its label called first of all."""
    rows = {name: pa.array([0.5 - 0.25 * (n > 0)] * len(labels)) for n, name in enumerate(names)}
    return pa.table({**rows, "y": pa.array(labels, pa.string())})


@pytest.mark.parametrize("names", [("p_0", "p_1", "p_2"), ("p_a", "p_b", "p_c")])
def test_whole_numbers_written_as_fractions_are_labels(names: tuple[str, ...]) -> None:
    found = xent.evaluate(labelled(["0.0", None, "2.0", "1"], *names), "y", kind="probs", columns="p_")
    assert found.confusion is not None
    assert ([pair.target for pair in found.confusion], found.ignored) == ([0, 1, 2], 1)


@pytest.mark.parametrize("names", [("p_0.5", "p_1.5", "p_2.5"), ("p_1", "p_01", "p_2"), ("p_0", "p_5", "p_2")])
def test_they_are_none_where_they_could_be_names(names: tuple[str, ...]) -> None:
    with pytest.raises(xent.LabelError, match=r"row 0 of the table holds '1\.0' in 'y'"):
        xent.evaluate(labelled(["1.0"], *names), "y", kind="probs", columns="p_")


@pytest.mark.parametrize("names", [("p_0", "p_1", "p_2"), ("p_a", "p_b", "p_c")])
def test_labels_from_1_are_asked_about(names: tuple[str, ...]) -> None:
    with pytest.raises(xent.LabelError) as refused:
        xent.evaluate(labelled(["1", "3"], *names), "y", kind="probs", columns="p_")
    shown = ", ".join(repr(name[2:]) for name in names)
    assert str(refused.value) == (
        f"true classes must be among the 3 of the columns ({shown}); row 1 of the table holds '3' in 'y' (1 such rows). "
        "Do labels count from 1?"
    )


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le"])
def test_utf_16_is_called_so(tmp_path: Path, code: str) -> None:
    (tmp_path / "a.csv").write_text("p_a,p_b,y\n0.5,0.5,a\n", encoding=code)
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(tmp_path / "a.csv", "y", kind="probs", columns="p_")
    assert str(refused.value) == (
        f"a file must be readable as .csv; {tmp_path / 'a.csv'} gives: it is written as UTF-16, and UTF-8 is needed: "
        "save it anew as UTF-8. Repair or remove it."
    )


def drawn(n: int, scale: float, *, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are `scale` times what they should be, and labels."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 2.0, (n, classes))
    return scale * logits, (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)


def said(scale: float, n: int = 500, *, classes: int = 3, endless: int = 0, seed: int = 0) -> list[str]:
    """What is said of such rows, of which some gave the true class nothing."""
    logits, target = drawn(n, scale, classes=classes, seed=seed)
    logits[np.arange(endless), target[:endless]] = -np.inf
    return list(meaning(xent.evaluate(logits, target, kind="logits")))


def test_calibration_beside_an_infinite_loss_is_of_the_other_rows_and_promises_nothing() -> None:
    lines = said(3.0, endless=2)
    assert re.search(
        r"\nCalibration, of the rows of finite loss alone: one temperature would remove .* nats stay", "\n".join(lines)
    )
    assert "It is too sure of itself: a temperature above 1 softens its probabilities." in lines
    assert lines[-1] == (
        "No temperature makes the log loss finite; isotonic curves with a floor can: "
        "`xent calibrate --method isotonic --floor 1e-6`."
    )
    assert sum("xent calibrate" in line for line in lines) == 1


def test_isotonic_curves_with_a_floor_make_it_finite() -> None:
    logits, target = drawn(500, 1.0)
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probs[0] = np.arange(3) == (target[0] + 1) % 3
    assert np.isinf(xent.evaluate(probs, target, kind="probs").log_loss_nats.value)
    mended = xent.evaluate.IsotonicCalibration(kind="probs", floor=1e-6).fit(probs, target).predict_proba(probs)
    assert np.isfinite(xent.evaluate(mended, target, kind="probs", sum_tolerance=1e-3).log_loss_nats.value)


def test_what_a_temperature_that_gains_nothing_would_do_is_raise_or_lower() -> None:
    start = r"Calibration: a temperature gains nothing that these rows can show: it would {} the log loss by \d\.\d+ nats \[-?\d"
    kinds = {verb: re.compile(start.format(verb)) for verb in ("raise", "lower")}
    seen = {verb for seed in range(12) for line in said(1.0, 60, seed=seed) for verb, kind in kinds.items() if kind.match(line)}
    assert seen == {"raise", "lower"}


def test_classes_the_other_way_around_are_asked_about_and_no_bound_is_shown_as_a_temperature() -> None:
    lines = said(-1.0, classes=2)
    assert "Fewer rows are right than by guessing: are the two classes the other way around?" in lines
    assert "Calibration: no temperature is high enough, the predictions are worse than naming all classes alike." in lines
    assert not any("T = " in line or "xent calibrate" in line for line in lines)
    assert not any("the other way around" in line for line in said(1.0, classes=2))
    assert not any("the other way around" in line for line in said(-1.0, classes=3))


def test_logits_of_other_measure_need_a_temperature_beyond_the_bound() -> None:
    lines = said(1e5)
    assert "Calibration: no temperature up to 1000 is high enough: divide the logits by a power of ten first." in lines


def test_what_stands_in_backticks_is_code_in_a_notebook() -> None:
    logits, target = drawn(500, 3.0)
    shown = xent.evaluate(logits, target, kind="logits")._repr_html_()
    assert "<code>xent calibrate</code> fits it." in shown
    assert "`" not in shown


WRITTEN = {
    "latin-1": ("p_a,p_b,y\n0.5,0.5,h\xe9\n".encode("latin-1"), "Save it as UTF-8."),
    "decimal commas": (b"p_a;p_b;y\n0,5;0,5;a\n", "Separate the columns by commas, and write numbers with points."),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_of_other_habits_are_told_how_to_be_written(tmp_path: Path, name: str) -> None:
    data, remedy = WRITTEN[name]
    (tmp_path / "a.csv").write_bytes(data)
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(str(tmp_path / "a.csv"), "y", kind="probs", columns="p_")
    assert str(refused.value).startswith(f"a file must be readable as .csv; {tmp_path / 'a.csv'} gives: ")
    assert str(refused.value).endswith(f". {remedy}")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("p_a,p_b,y\n")
    columns = xent.evaluate.Columns("y", "probs", "p_")
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate.evaluate_files([str(tmp_path / "a.csv")], columns)
    assert str(refused.value) == (
        f"there must be rows to judge; {tmp_path / 'a.csv'} holds none. Is a file empty, or nothing but a header?"
    )


def test_arrays_of_an_archive_that_no_column_names_may_be_anything(tmp_path: Path) -> None:
    logits, target = drawn(50, 1.0)
    others = {
        "names": np.array(["a", "b", "c"]),
        "objects": np.array([{}, 1], object),
        "T": np.float64(2.0),
        "cube": np.ones((2,) * 3),
    }
    np.savez(tmp_path / "a.npz", z=logits, y=target, **others)
    found = xent.evaluate(tmp_path / "a.npz", "y", kind="logits", columns="z")
    assert found.log_loss_nats == xent.evaluate(logits, target, kind="logits").log_loss_nats


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("objects", "holds Python objects, which only unpickling could read"),
        ("T", "is shaped (), and rows of numbers are needed"),
        ("dates", "holds datetime64[s]"),
    ],
)
def test_those_that_are_named_are_refused(tmp_path: Path, target: str, said: str) -> None:
    others = {"objects": np.array([{}, 1], object), "T": np.float64(2.0), "dates": np.zeros(2, "M8[s]")}
    np.savez(tmp_path / "a.npz", z=np.zeros((2, 2)), **others)
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(tmp_path / "a.npz", target, kind="logits", columns="z")
    assert str(refused.value) == (
        "an array must be plain numbers or texts in rows, as long as it declares; "
        f"{tmp_path / 'a.npz'} '{target}': it {said}. Save it anew."
    )


def test_named_arrays_of_different_lengths_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", z=np.zeros((2, 2)), y=np.zeros(3, np.int64))
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(tmp_path / "a.npz", "y", kind="logits", columns="z")
    assert str(refused.value) == (
        "arrays of an archive that are named as columns must have one length; "
        f"{tmp_path / 'a.npz'}: they have different lengths: {{'z': 2, 'y': 3}}. "
        "Name others, or save it without what is no column: --apply keeps all."
    )


def test_a_comparison_shows_itself_in_a_notebook_and_in_one_line() -> None:
    logits, target = drawn(200, 1.0)
    found = xent.evaluate.compare(3 * logits, logits, target, kind="logits", names=("<b>a", "b"))
    gap = found.log_loss_nats.difference.value
    assert repr(found) == f"<Comparison of '<b>a' and 'b': log loss {gap:+.6g} nats>"
    shown = found._repr_html_()
    assert "<th>&lt;b&gt;a</th><th>b</th><th>difference</th>" in shown
    assert "<b>" not in shown
    for sentence in str(found).splitlines():
        assert f"<li>{sentence.replace('<', '&lt;').replace('>', '&gt;')}</li>" in shown
    assert shown.count("<tr>") == 5


def test_surprising_rows_are_called_by_id_and_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logits, target = drawn(30, 1.0)
    table = pa.table({"z_a": logits[:, 0], "z_b": logits[:, 1], "z_c": logits[:, 2], "y": target, "id": ["doc<7>"] * 30})
    found = xent.evaluate(table, "y", kind="logits", columns="z_", id="id")
    row = found.surprising[0].row
    assert f"<bdi>doc&lt;7&gt; (row\N{NO-BREAK SPACE}{row})</bdi>" in found.to_html()
    assert ">id (row)</th>" in found.to_html()
    print_evaluation(found, None, ["a.parquet"], placed=False)
    assert f"doc<7> (row {row}) " in capsys.readouterr().out


def test_a_row_of_a_part_has_no_number() -> None:
    assert row_name("doc", 3, -1, "") == "doc"
    assert row_name("", 3, 1, " of file 2") == "row\N{NO-BREAK SPACE}3 of file 2"


def test_cells_of_the_confusion_matrix_show_rows() -> None:
    logits, target = drawn(500, 1.0)
    found = xent.evaluate(logits, target, kind="logits")
    assert found.confusion is not None
    written = {text.get_position(): text.get_text() for text in found.plot_confusion().axes[0].texts}
    assert written == {(pair.predicted, pair.target): str(pair.rows) for pair in found.confusion}


def test_commands_are_code_in_the_report() -> None:
    logits, target = drawn(500, 3.0)
    shown = xent.evaluate(logits, target, kind="logits").to_html()
    assert "<code>xent calibrate</code> fits it.</li>" in shown
