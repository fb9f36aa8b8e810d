"""The report as a file: what `--out` writes, and that a refusal leaves what was there before."""

import json
import os
import re
import sys
from pathlib import Path
from subprocess import run

import pytest

import xent
from tests.cli.test_extras import INSTALL, packages_without

ROWS = "p_a,p_b,y\n" + "0.8,0.2,a\n0.3,0.7,b\n0.6,0.4,b\n" * 10


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text(ROWS, encoding="utf-8")
    return path


COMMAND = ("evaluate", "p.csv", "--probs", "p_", "--target", "y")


def test_out_writes_one_file_and_says_where(tmp_path, xent_command, table):
    done = xent_command(*COMMAND, "--out", "deep/er/report.html")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Wrote deep/er/report.html"
    text = (tmp_path / "deep" / "er" / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "<bdi>p.csv</bdi>" in text
    assert re.search(r"<dt>judged</dt><dd><bdi>\d{4}-\d\d-\d\d \d\d:\d\d ", text)
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == ["report.html"]


def test_json_on_stdout_stays_json(tmp_path, xent_inside, table):
    done = xent_inside(*COMMAND, "--json", "--against", "p.csv", "--out", "report.html")
    assert json.loads(done.stdout)["rows"] == 30
    assert done.stderr == "Wrote report.html\n"
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<bdi>p.csv (1)</bdi> beside <bdi>p.csv (2)</bdi>" in text


@pytest.mark.parametrize(
    ("out", "said"),
    [
        (".", "--out must name an HTML file; '.' is a directory. Try: --out report.html"),
        ("p.csv", "--out must name an HTML file; found 'p.csv'. Try: --out report.html"),
        ("", "--out must name an HTML file; '' is a directory. Try: --out report.html"),
        ("p.csv/report.html", "the output directory must be writable; p.csv gives: Not a directory. Name another with --out."),
    ],
)
def test_what_cannot_be_written_is_refused_first(tmp_path, xent_inside, table, out, said):
    done = xent_inside(*COMMAND, "--out", out)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"xent: {said}\n")
    assert table.read_text(encoding="utf-8") == ROWS
    assert list(tmp_path.iterdir()) == [table]


def test_a_refused_table_leaves_the_report_of_before(tmp_path, xent_inside, table):
    (tmp_path / "report.html").write_text("before", encoding="utf-8")
    table.write_text(ROWS + "0.9,0.9,a\n", encoding="utf-8")
    assert xent_inside(*COMMAND, "--out", "report.html").returncode == 2
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "report.html"]


def test_a_failure_while_writing_leaves_the_report_of_before(tmp_path, monkeypatch):
    from xent.cli._report import write_report

    class Full:
        def to_html(self, *arguments, **options):
            return "\ud800"

    (tmp_path / "p.csv").write_text(ROWS, encoding="utf-8")
    (tmp_path / "report.html").write_text("before", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_report(tmp_path / "report.html", Full(), None, [[str(tmp_path / "p.csv")]])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "report.html"]


@pytest.fixture
def without(tmp_path):
    """Run a command where some packages are not installed."""

    def running(missing, *command):
        packages = tmp_path / "packages"
        packages.mkdir()
        source = Path(xent.__file__).parents[1]
        path = os.pathsep.join([str(source), str(packages_without(packages, *missing))])
        whole = [sys.executable, "-S", "-m", "xent.cli", *command]
        return run(whole, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)

    return running


@pytest.mark.skipif(os.name != "posix", reason="links to installed packages")
def test_a_missing_extra_names_the_line_that_installs_it(table, without):
    done = without(["altair", "jinja2"], *COMMAND, "--out", "report.html")
    assert done.stderr == f"xent: this command needs optional packages; missing: altair, jinja2. {INSTALL}\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(os.name != "posix", reason="links to installed packages")
def test_fit_without_the_extra_leaves_all_but_the_report(tmp_path, without):
    done = without(["altair"], "fit", "--max-iter", "3")
    assert done.returncode == 0
    assert f"No report.html: it needs optional packages. {INSTALL}" in done.stdout
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["history.csv", "loss.svg", "model.json", "predictions.parquet"]


def test_the_report_of_fit_is_of_its_predictions(tmp_path, xent_inside):
    assert xent_inside("fit", "--max-iter", "30").returncode == 0
    done = xent_inside("evaluate", "out/predictions.parquet", "--json")
    nats = json.loads(done.stdout)["log_loss_nats"]["value"]
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f'<dd class="value">{nats:.4f}</dd>' in text
    assert "test rows of scikit-learn&#39;s handwritten digits" in text


def test_a_file_named_twice_is_named_once(xent_inside, table):
    done = xent_inside("evaluate", "p.csv", "p.csv", *COMMAND[2:], "--against", "p.csv")
    assert done.returncode == 0
    assert "p.csv: 30 rows" in done.stdout
    assert "and 1 more" not in done.stdout
