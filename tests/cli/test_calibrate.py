"""`xent calibrate` as a user runs it: fit, apply, judge; refusals in one line; nothing half written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather
import pyarrow.parquet as pa_parquet
import pytest

from xent.cli._calibration import print_fitted
from xent.cli._main import run
from xent.evaluate import Columns, TemperatureScaling, evaluate, load_calibrator
from xent.evaluate.calibration.files import fit_files

NAMES = ["cat", "dog", "fish"]
RNG = np.random.default_rng(5)
N = 3000
LOGITS = RNG.normal(0.0, 3.0, (N, 3))
TARGET = (LOGITS / 1.8 + RNG.gumbel(size=LOGITS.shape)).argmax(axis=1)
TABLE = pa.table(
    {"row": np.arange(N), "z_cat": LOGITS[:, 0], "z_dog": LOGITS[:, 1], "z_fish": LOGITS[:, 2]}
    | {"y": np.array(NAMES)[TARGET], "note": [f"n{n}" for n in range(N)], "heavy": RNG.exponential(size=N)}
)
DECLARED = ("--logits", "z_", "--target", "y")


@pytest.fixture(scope="module")
def run_xent(run_inside):
    """Most of what is asked here needs no process of its own."""
    return run_inside


@pytest.fixture(scope="module")
def folder(tmp_path_factory, run_xent):
    """Predictions, and a calibrator of every method fitted to them."""
    folder = tmp_path_factory.mktemp("calibrate")
    pa_parquet.write_table(TABLE, folder / "p.parquet", row_group_size=700)
    for method in ("temperature", "vector", "matrix", "isotonic"):
        done = run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--method", method, "-o", f"{method}.json")
        assert (done.returncode, done.stderr) == (0, "")
    return folder


def listing(directory):
    return sorted((str(path.relative_to(directory)), path.stat().st_size) for path in directory.rglob("*"))


def test_what_is_printed(folder, run_xent):
    done = run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--weights", "heavy", "-o", "w e.json")
    fitted = TemperatureScaling(classes=NAMES).fit(LOGITS, np.array(NAMES)[TARGET], TABLE["heavy"].to_numpy())
    assert done.stdout.splitlines() == [
        "p.parquet: 3,000 rows, 3 classes, logits",
        f"log loss on the rows fitted to: {fitted.log_loss_before_:.4f} nats before, "
        f"{fitted.log_loss_after_:.4f} after temperature calibration",
        f"temperature {fitted.temperature_:.6g} softens: the predictions were too sure",
        "These numbers flatter the calibrator, as it was fitted to these rows. Judge it on others, held out:",
        "  xent calibrate OTHERS --logits z_ --target y --weights heavy --apply 'w e.json' -o calibrated.parquet",
        "  xent evaluate calibrated.parquet",
        "Wrote w e.json",
    ]
    assert (done.stderr, done.returncode) == ("", 0)
    assert load_calibrator(folder / "w e.json").to_json() == fitted.to_json()


@pytest.mark.parametrize("method", ["temperature", "vector", "matrix", "isotonic"])
def test_what_is_written_is_what_the_calibrator_predicts(folder, run_xent, method):
    # Isotonic curves may give a row nothing; here they do not.
    done = run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--apply", f"{method}.json", "-o", f"{method}.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert (
        done.stdout == f"3,000 rows calibrated by {method}; judge them: xent evaluate {method}.parquet\nWrote {method}.parquet\n"
    )
    written = pa_parquet.read_table(folder / f"{method}.parquet")
    assert written.column_names == ["row", "p_cat", "p_dog", "p_fish", "y", "note", "heavy"]
    probs = np.stack([written[f"p_{name}"].to_numpy() for name in NAMES], axis=1)
    np.testing.assert_array_equal(probs, load_calibrator(folder / f"{method}.json").predict_proba(LOGITS))
    assert written.select(["row", "y", "note", "heavy"]).equals(TABLE.select(["row", "y", "note", "heavy"]))


def test_the_file_says_itself_what_its_columns_hold(folder, run_xent):
    run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--id", "row", "--apply", "temperature.json", "-o", "told.parquet")
    done = run_xent(folder, "evaluate", "told.parquet", "--json")
    result = json.loads(done.stdout)
    fitted = load_calibrator(folder / "temperature.json")
    assert result["log_loss_nats"]["value"] == pytest.approx(fitted.log_loss_after_, rel=1e-12)
    plain = evaluate(LOGITS, TARGET, kind="logits").log_loss_nats.value
    assert fitted.log_loss_before_ == pytest.approx(plain, rel=1e-13)
    assert fitted.log_loss_after_ < plain - 0.05


def test_rows_without_labels_are_calibrated_too(folder, run_xent):
    pa_parquet.write_table(TABLE.drop_columns(["y"]), folder / "new.parquet")
    done = run_xent(folder, "calibrate", "new.parquet", "--logits", "z_", "--apply", "vector.json", "-o", "new-out.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    written = pa_parquet.read_table(folder / "new-out.parquet")
    np.testing.assert_array_equal(
        written["p_dog"].to_numpy(), load_calibrator(folder / "vector.json").predict_proba(LOGITS)[:, 1]
    )
    judged = run_xent(folder, "evaluate", "new-out.parquet")
    assert "the column of true classes must be declared with --target" in judged.stderr


def test_a_label_that_is_missing_is_not_fitted_to(folder, run_xent):
    labels = [None if n % 3 == 0 else NAMES[k] for n, k in enumerate(TARGET)]
    pa_parquet.write_table(TABLE.set_column(4, "y", pa.array(labels)), folder / "some.parquet")
    done = run_xent(folder, "calibrate", "some.parquet", *DECLARED, "-o", "some.json")
    assert done.stdout.splitlines()[0] == "some.parquet: 2,000 rows, 3 classes, logits, 1,000 without a label or weight left out"
    kept = np.arange(N) % 3 != 0
    assert load_calibrator(folder / "some.json").temperature_ == TemperatureScaling().fit(LOGITS[kept], TARGET[kept]).temperature_


def test_files_of_other_kinds_give_the_same_bits(folder, run_xent):
    pa_csv.write_csv(TABLE, folder / "p.csv")
    pa_feather.write_feather(TABLE, folder / "p.arrow", compression="uncompressed")
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()))
    texts = {(folder / "temperature.json").read_text()}
    for suffix in ("csv", "arrow", "jsonl"):
        done = run_xent(folder, "calibrate", f"p.{suffix}", *DECLARED, "-o", f"{suffix}.json")
        assert (done.returncode, done.stderr) == (0, "")
        texts.add((folder / f"{suffix}.json").read_text())
    assert len(texts) == 1
    done = run_xent(folder, "calibrate", "p.csv", *DECLARED, "--apply", "csv.json", "-o", "csv.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(run_xent(folder, "evaluate", "csv.parquet", "--json").stdout)["log_loss_nats"]["value"] == pytest.approx(
        load_calibrator(folder / "csv.json").log_loss_after_, rel=1e-12
    )


def test_lists_and_scores_of_the_second_of_two_classes(folder, run_xent):
    lists = pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.reshape(-1).astype(np.float32)), 3)
    pa_parquet.write_table(pa.table({"z": lists, "y": TARGET}), folder / "lists.parquet")
    done = run_xent(folder, "calibrate", "lists.parquet", "--logits", "z", "--target", "y", "-o", "lists.json")
    assert (done.returncode, done.stderr) == (0, "")
    score = LOGITS[:, 1] - LOGITS[:, 0]
    held = pa.table({"score": score, "y": TARGET == 1}).filter(pa.array(TARGET < 2))
    pa_parquet.write_table(held, folder / "two.parquet")
    two = ("two.parquet", "--logits", "score", "--classes", "no,yes", "--target", "y")
    assert run_xent(folder, "calibrate", *two, "-o", "two.json").returncode == 0
    assert run_xent(folder, "calibrate", *two, "--apply", "two.json", "-o", "two-out.parquet").returncode == 0
    written = pa_parquet.read_table(folder / "two-out.parquet")
    assert written.column_names == ["p_no", "p_yes", "y"]
    inverse = 1.0 / load_calibrator(folder / "two.json").temperature_
    expected = 1.0 / (1.0 + np.exp(-inverse * score[TARGET < 2]))
    np.testing.assert_allclose(written["p_yes"].to_numpy(), expected, rtol=1e-12)


def test_several_files_are_written_as_one(folder, run_xent):
    pa_parquet.write_table(TABLE.slice(0, 1000), folder / "part-1.parquet")
    pa_parquet.write_table(TABLE.slice(1000), folder / "part-2.parquet")
    done = run_xent(folder, "calibrate", "part-*.parquet", *DECLARED, "--apply", "vector.json", "-o", "parts.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--apply", "vector.json", "-o", "whole.parquet")
    assert pa_parquet.read_table(folder / "parts.parquet").equals(pa_parquet.read_table(folder / "whole.parquet"))


def test_a_row_of_infinite_loss_is_refused_or_skipped(folder, run_xent):
    logits = LOGITS[:, 0].copy()
    logits[np.flatnonzero(TARGET == 0)[0]] = -np.inf
    pa_parquet.write_table(TABLE.set_column(1, "z_cat", pa.array(logits)), folder / "endless.parquet")
    done = run_xent(folder, "calibrate", "endless.parquet", *DECLARED, "-o", "endless.json")
    assert "no scaling makes a loss finite where the true class has probability 0" in done.stderr
    done = run_xent(folder, "calibrate", "endless.parquet", *DECLARED, "--skip-infinite", "-o", "endless.json")
    assert done.stdout.splitlines()[0] == "endless.parquet: 2,999 rows, 3 classes, logits, 1 of infinite loss left out"


def test_isotonic_tells_of_zeros_unless_there_is_a_floor(folder, run_xent):
    command = ("calibrate", "p.parquet", *DECLARED, "--method", "isotonic", "-o", "i.json")
    warned = "Isotonic curves may give probability 0, and so an infinite loss on other rows: --floor 1e-6 prevents that."
    assert warned in run_xent(folder, *command).stdout.splitlines()
    done = run_xent(folder, *command, "--floor", "1e-6")
    assert warned not in done.stdout
    assert load_calibrator(folder / "i.json").floor == 1e-6


def test_rows_are_drawn(folder, run_xent):
    command = ("calibrate", "p.parquet", *DECLARED, "--method", "vector", "--max-rows", "1e3", "-o", "drawn.json")
    assert run_xent(folder, *command).stdout.splitlines()[0] == "p.parquet: 3,000 rows, 1,000 of them drawn, 3 classes, logits"


P = ("p.parquet", *DECLARED)
REFUSALS = {
    "no file": (("-o", "c.json"), "predictions must be named; no file is given. Try: xent calibrate --help"),
    "nothing to write": (P, "--out is missing. See: xent calibrate --help"),
    "a name that is not there": ((*P, "-o"), "--out needs a value. See: xent calibrate --help"),
    "an unknown option": (
        (*P, "-o", "c.json", "--temperature", "2"),
        "Unknown option: --temperature. See: xent calibrate --help",
    ),
    "nothing declared": (
        ("p.parquet", "-o", "c.json"),
        "what predictions are must be declared: --probs, --logits or --log-probs with their columns, or --target-log-probs; "
        "p.parquet has 7 columns ('row', 'z_cat', 'z_dog', 'z_fish', 'y', 'note', 'heavy') and says nothing of them. "
        "Say, for instance, --probs z_ --target COLUMN, or kind='probs', columns='z_', target='COLUMN'.",
    ),
    "two kinds": (
        ("p.parquet", "--logits", "z_", "--probs", "z_", "-o", "c.json"),
        "predictions are of one kind; found --probs and --logits. Keep the one that is true.",
    ),
    "no target": (
        ("p.parquet", "--logits", "z_", "-o", "c.json"),
        "the column of true classes must be declared with --target (target=); "
        "p.parquet has 7 columns ('row', 'z_cat', 'z_dog', 'z_fish', 'y', 'note', 'heavy'). Name one of them.",
    ),
    "a calibrator that is no JSON": ((*P, "-o", "c.parquet"), "--out must end in .json; found 'c.parquet'. Name another."),
    "a table that is no Parquet": (
        (*P, "--apply", "vector.json", "-o", "c.csv"),
        "--out must end in .parquet; found 'c.csv'. Name another.",
    ),
    "writing over what is read": (
        (*P, "--apply", "vector.json", "-o", "../{here}/p.parquet"),
        "--out must not be a file that is read; it is p.parquet. Name another.",
    ),
    "a method to apply": (
        (*P, "--apply", "vector.json", "--method", "vector", "-o", "c.parquet"),
        "--method is for fitting, which --apply does not; both are given. Leave it out.",
    ),
    "a prefix to fit": ((*P, "--prefix", "q_", "-o", "c.json"), "--prefix is for --apply; found no --apply. Leave it out."),
    "a floor for another method": (
        (*P, "--floor", "0.1", "-o", "c.json"),
        "--floor is for --method isotonic; found --method temperature. Leave it out.",
    ),
    "rows for temperature": (
        (*P, "--max-rows", "10", "-o", "c.json"),
        "--max-rows is for methods that hold rows in memory; found --method temperature. Leave it out.",
    ),
    "no rows": (
        (*P, "--max-rows", "0", "--method", "vector", "-o", "c.json"),
        "--max-rows must be at least 1; found 0. Leave it out for all rows.",
    ),
    "no such calibrator": (
        (*P, "--apply", "none.json", "-o", "c.parquet"),
        "none.json must hold a saved calibrator; reading it gives: No such file or directory. "
        "Pass the path of a calibrator.json.",
    ),
    "a broken calibrator": (
        (*P, "--apply", "broken.json", "-o", "c.parquet"),
        "broken.json must hold a saved calibrator; it is no JSON (Expecting value: line 1 column 12 (char 11)). "
        "Pass the path of a calibrator.json.",
    ),
    "another kind": (
        ("p.parquet", "--log-probs", "z_", "--apply", "vector.json", "-o", "c.parquet"),
        "a calibrator serves what it was fitted to; it was fitted to logits, and p.parquet has log-probs. "
        "Fit one to such predictions.",
    ),
    "other classes": (
        ("p.parquet", "--logits", "z_dog,z_cat", "--apply", "vector.json", "-o", "c.parquet"),
        "a calibrator serves the classes it was fitted to; it was fitted to 3 classes ('cat', 'dog', 'fish'), "
        "and p.parquet has 2 classes ('z_dog', 'z_cat'). "
        "Its classes must stand in the same order; --classes names the columns of a file that does not.",
    ),
    "a column that begins so": (
        (*P, "--apply", "vector.json", "--prefix", "no", "-o", "c.parquet"),
        "calibrated columns are called noCLASS, and no other column may begin so; there is 'note' besides. "
        "Choose another beginning, with --prefix calibrated_ say.",
    ),
    "the target's alone": (
        ("told-lm.parquet", "-o", "c.json"),
        "calibration needs a prediction for every class; these are log-probabilities of the true class alone. "
        "Keep the logits of all classes.",
    ),
    "NaN": (
        ("nan.parquet", *DECLARED, "--apply", "vector.json", "-o", "c.parquet"),
        "predictions must be numbers; row 2222 of nan.parquet holds NaN, or nothing, for class 'cat' (1 such rows). "
        "Mend or remove these rows.",
    ),
    "files that differ": (
        ("p.parquet", "less.parquet", *DECLARED, "--apply", "vector.json", "-o", "c.parquet"),
        "files that are written as one must have the same columns; less.parquet differs. p.parquet is first.",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_leaves_nothing_behind(folder, monkeypatch, capsys, case):
    (folder / "broken.json").write_text('{"format": ')
    worse = LOGITS[:, 0].copy()
    worse[2222] = np.nan
    pa_parquet.write_table(TABLE.set_column(1, "z_cat", pa.array(worse)), folder / "nan.parquet", row_group_size=500)
    pa_parquet.write_table(TABLE.drop_columns(["note"]), folder / "less.parquet")
    told = {b"xent": json.dumps({"kind": "target-log-probs", "predictions": "heavy"}).encode()}
    pa_parquet.write_table(TABLE.replace_schema_metadata(told), folder / "told-lm.parquet")
    before = listing(folder)
    arguments, message = REFUSALS[case]
    monkeypatch.chdir(folder)
    code = run(["calibrate", *(word.format(here=folder.name) for word in arguments)])
    assert (code, *capsys.readouterr()) == (2, "", f"xent: {message}\n")
    assert listing(folder) == before


def test_a_file_that_was_there_stays_whole_when_calibrating_fails(folder, run_xent):
    worse = LOGITS[:, 0].copy()
    worse[2999] = np.nan
    pa_parquet.write_table(TABLE.set_column(1, "z_cat", pa.array(worse)), folder / "late.parquet", row_group_size=500)
    run_xent(folder, "calibrate", "p.parquet", *DECLARED, "--apply", "vector.json", "-o", "kept.parquet")
    before = (folder / "kept.parquet").read_bytes()
    done = run_xent(folder, "calibrate", "late.parquet", *DECLARED, "--apply", "vector.json", "-o", "kept.parquet")
    assert done.returncode == 2
    assert (folder / "kept.parquet").read_bytes() == before
    assert not list(folder.glob(".xent-*"))


def test_an_interruption_leaves_nothing_half_written(folder, environment):
    """A pipe that never ends stands for a file that is read for long."""
    big = pa.concat_tables([TABLE] * 200)
    pa_parquet.write_table(big, folder / "big.parquet", row_group_size=3000)
    command = [sys.executable, "-m", "xent.cli", "calibrate", "big.parquet", *DECLARED]
    command += ["--apply", "matrix.json", "-o", "big-out.parquet"]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not any(path.stat().st_size > 1000 for path in folder.glob(".xent-*/*")):
        pass
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert (out, said, process.returncode) == ("", "xent: interrupted; nothing is half written\n", 130)
    assert not (folder / "big-out.parquet").exists()
    assert not list(folder.glob(".xent-*"))


def test_the_manual_names_the_command(folder, run_xent):
    done = run_xent(folder, "calibrate", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: xent calibrate PREDICTIONS... --out PATH")
    for option in ("--method", "--max-rows", "--floor", "--skip-infinite", "--apply", "--prefix"):
        assert option in done.stdout
    assert "--method temperature" not in run_xent(folder, "calibrate", "--methud").stdout


def test_a_fit_that_does_not_converge_says_so_in_one_line(folder, capsys):
    columns, watching = Columns("y", "logits", "z_"), lambda: contextlib.nullcontext(lambda done, total: None)
    fitted = fit_files([str(folder / "p.parquet")], columns, "matrix", watching, parameters={"max_iter": 1})
    print_fitted(fitted, ["p.parquet"], columns, folder / "c.json")
    said = "\nThe fit did not converge in 1 iterations. Take --method temperature, or give it more rows.\n"
    assert said in capsys.readouterr().out
