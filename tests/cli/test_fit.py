"""`xent fit` on good tables: what it prints and what it leaves."""

import csv
import math
import os
import re
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree

import numpy as np
import pyarrow.parquet as pa_parquet
import pytest
from sklearn.datasets import load_digits, load_wine

from xent.learn import SoftmaxRegression

OUTPUTS = ["history.csv", "loss.svg", "model.json", "predictions.parquet", "report.html"]


def names_in(directory):
    return sorted(path.name for path in directory.iterdir())


def write_wine(path):
    """Wine of three growers, by name, as a CSV file; returns features and growers."""
    bunch = load_wine()
    growers = np.array(["Barolo", "target", '1, "2"'])[bunch.target]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*bunch.feature_names, "grower"])
        writer.writerows([*row, grower] for row, grower in zip(bunch.data.tolist(), growers, strict=True))
    return bunch.data, growers


@pytest.fixture(scope="module")
def wine(tmp_path_factory, run_xent):
    """One training on an own table, which several tests look at: directory, features, growers."""
    directory = tmp_path_factory.mktemp("wine")
    features, growers = write_wine(directory / "wine.csv")
    done = run_xent(directory, *WINE, "--out", "deep/er", "--test-fraction", "0.5", "--seed", "3")
    assert done.returncode == 0
    return directory, features, growers


WINE = ("fit", "wine.csv", "--target", "grower")


def history_of(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_digits_without_a_table(tmp_path, xent_command):
    done = xent_command("fit")
    assert done.returncode == 0
    assert names_in(tmp_path) == ["out"]
    assert names_in(tmp_path / "out") == OUTPUTS
    lines = done.stdout.splitlines()
    assert lines[0] == "scikit-learn's handwritten digits: 'digit' from 64 features, 10 classes; 1347 training and 450 test rows"
    assert max(map(len, lines)) <= 110
    assert all(line == line.rstrip() for line in lines)
    assert re.search(r"all alike, ln 10 +2\.3026 +3\.3219 +2\.3026 +3\.3219 +10\.000 +10\.0 % +10\.0 %", done.stdout)
    assert re.search(r"class frequencies +2\.3025 +3\.3218 ", done.stdout)
    assert re.search(r"cross-entropy: \d+ iterations of L-BFGS, gradient norm \d\.\de-07, converged", done.stdout)
    assert "Wrote out/model.json, out/predictions.parquet, out/history.csv, out/loss.svg, out/report.html" in done.stdout
    progress = done.stderr.splitlines()
    assert re.fullmatch(r"cross-entropy  iteration     0 +2\.3026 nats  gradient norm \d\.\de-\d\d +0\.0 s", progress[0])
    assert [int(line.split()[2]) for line in progress[:6]] == [0, 1, 2, 5, 10, 20]
    last = history_of(tmp_path / "out" / "history.csv")[-1]
    assert progress[-1].split()[2] == last["iteration"]
    assert len(set(progress)) == len(progress)

    model = SoftmaxRegression.load(tmp_path / "out" / "model.json")
    assert model.score(*load_digits(return_X_y=True)) > 0.98
    printed = re.search(r"cross-entropy +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) +(\S+) % +(\S+) %", done.stdout)
    predictions = pa_parquet.read_table(tmp_path / "out" / "predictions.parquet").to_pydict()
    target = predictions["target"]
    nats = -np.mean([math.log(predictions[f"p_{digit}"][row]) for row, digit in enumerate(target)])
    assert float(printed[3]) == pytest.approx(nats, abs=6e-5)
    assert float(printed[4]) == pytest.approx(nats / math.log(2), abs=6e-5)
    assert float(printed[5]) == pytest.approx(math.exp(nats), rel=1e-3)
    assert float(printed[1]) == pytest.approx(float(last["cross_entropy_nats"]), abs=6e-5)


def test_the_model_of_an_own_table_knows_its_columns_and_classes(wine):
    directory, features, growers = wine
    assert names_in(directory / "deep" / "er") == OUTPUTS
    model = SoftmaxRegression.load(directory / "deep" / "er" / "model.json")
    assert model.classes_.tolist() == ['1, "2"', "Barolo", "target"]
    assert model.column_names_ == tuple(load_wine().feature_names)
    assert model.score(features, growers) > 0.95


def test_predictions_are_the_models_on_the_test_rows(wine):
    directory, features, growers = wine
    model = SoftmaxRegression.load(directory / "deep" / "er" / "model.json")
    table = pa_parquet.read_table(directory / "deep" / "er" / "predictions.parquet")
    assert table.column_names == ["row", "target", 'p_1, "2"', "p_Barolo", "p_target"]
    rows = table["row"].to_numpy()
    assert len(rows) == 90
    assert table["target"].to_pylist() == growers[rows].tolist()
    probs = np.column_stack([table[f"p_{name}"] for name in model.classes_])
    np.testing.assert_allclose(probs, model.predict_proba(features)[rows], rtol=1e-12)


def test_the_picture_is_svg_with_labelled_axes_and_the_baseline(wine):
    text = (wine[0] / "deep" / "er" / "loss.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    # Matplotlib draws letters as shapes and leaves each text in a comment.
    for words in (
        "iteration",
        "cross-entropy, no penalty (nats per row)",
        "cross-entropy, training rows",
        "ln 3 = 1.099 nats",
        "entropy of the classes = 1.087 nats",
    ):
        assert f"<!-- {words} -->" in text


def test_the_same_command_leaves_the_same_files_but_for_times(wine, run_inside):
    directory = wine[0]
    assert run_inside(directory, *WINE, "--out", "again", "--test-fraction", "0.5", "--seed", "3").returncode == 0
    one, two = directory / "deep" / "er", directory / "again"
    for name in ("model.json", "predictions.parquet", "loss.svg", "report.html"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    times = {"elapsed_s": ""}
    assert [row | times for row in history_of(one / "history.csv")] == [row | times for row in history_of(two / "history.csv")]


def test_both_losses_from_one_start(tmp_path, xent_inside):
    write_wine(tmp_path / "wine.csv")
    done = xent_inside(*WINE, "--loss", "both", "--max-iter", "300")
    assert done.returncode == 0
    steps = history_of(tmp_path / "out" / "history.csv")
    learns, stalls = ([row for row in steps if row["trained_with"] == loss] for loss in ("cross-entropy", "squared-error"))
    assert len(learns) == len(stalls) == 301
    assert learns[0]["cross_entropy_nats"] == stalls[0]["cross_entropy_nats"]
    assert float(learns[-1]["cross_entropy_nats"]) < 0.1
    assert float(stalls[-1]["cross_entropy_nats"]) > 0.99 * float(stalls[0]["cross_entropy_nats"])
    assert re.search(r"^cross-entropy +0\.0", done.stdout, re.MULTILINE)
    assert re.search(r"^squared-error +1\d\.", done.stdout, re.MULTILINE)
    assert "Both started sure of the rarest class, '1, \"2\"'. Every p" in done.stdout
    assert "<!-- squared-error, training rows -->" in (tmp_path / "out" / "loss.svg").read_text(encoding="utf-8")
    assert SoftmaxRegression.load(tmp_path / "out" / "model.json").loss == "cross-entropy"


def test_gradient_descent_states_its_step_and_older_outputs_are_replaced(tmp_path, xent_inside):
    write_wine(tmp_path / "wine.csv")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.json").write_text("old")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    arguments = ("--solver", "gd", "--learning-rate", "0.25", "--max-iter", "20", "--loss", "squared-error", "--l2", "0")
    done = xent_inside(*WINE, *arguments)
    assert done.returncode == 0
    assert "squared-error: 20 iterations of gradient descent of step 0.25, gradient norm" in done.stdout
    assert "not converged (raise --max-iter)" in done.stdout
    assert names_in(tmp_path / "out") == sorted([*OUTPUTS, "notes.txt"])
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert SoftmaxRegression.load(tmp_path / "out" / "model.json").learning_rate == 0.25


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("sent", "code", "said"), [(signal.SIGINT, 130, "xent: interrupted; nothing is half written\n"), (signal.SIGTERM, 143, "")]
)
def test_an_interrupted_training_leaves_nothing(tmp_path, environment, sent, code, said):
    command = [sys.executable, "-m", "xent.cli", "fit", "--solver", "gd", "--max-iter", "100000000"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
    first = process.stderr.readline()
    time.sleep(0.2)
    process.send_signal(sent)
    rest = process.communicate(timeout=60)[1]
    assert "iteration     0" in first
    assert process.returncode == code
    assert re.sub(r"cross-entropy  iteration.*\n", "", rest) == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_terminal_shows_live_progress(tmp_path, environment):
    write_wine(tmp_path / "wine.csv")
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "xent.cli", *WINE]
    variables = environment | {"TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=theirs, stdout=subprocess.DEVNULL)
    assert process.wait(timeout=60) == 0
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    os.close(theirs)
    assert "\x1b[" in shown
    assert re.search(r"cross-entropy.*iteration +\d+.* nats  gradient norm", shown)


def test_help_says_what_it_does_with_an_example_and_every_output(xent_command):
    done = xent_command("fit", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("xent fit flowers.csv --target species", *OUTPUTS, "--test-fraction", "--seed", "Exit code"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version_and_commands(xent_command):
    import xent

    assert xent_command("--version").stdout == f"xent {xent.__version__}\n"
    assert " fit " in xent_command().stdout


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        (("fit", "--help"), []),
        (("--version",), []),
        (("fit", "--max-iter", "1"), OUTPUTS),
    ],
)
def test_a_reader_that_leaves_early_is_no_error(tmp_path, environment, arguments, left):
    """As in ``xent fit --help | head -1``: the exit code is a shell's for a closed pipe."""
    command = [sys.executable, "-m", "xent.cli", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        process.stdout.close()
        said = process.stderr.read()
        assert re.sub(r"cross-entropy  iteration.*\n", "", said) == ""
        assert process.wait(timeout=60) == 141
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == left


def test_where_progress_has_no_reader_nothing_is_half_written(tmp_path, environment):
    """As in ``xent fit 2>&1 | head -2``."""
    command = [sys.executable, "-m", "xent.cli", "fit", "--solver", "gd", "--max-iter", "100000000"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 141
    assert list(tmp_path.iterdir()) == []


def test_parsing_loads_nothing_heavy(environment):
    heavy = {"numba", "scipy", "sklearn", "pyarrow", "matplotlib"}
    code = f"import sys, xent.cli._app; print(*{heavy}.intersection(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
