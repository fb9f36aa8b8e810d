"""The example scripts do what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_example(tmp_path):
    """Run a script of ``examples/`` in the test's directory; a warning is an error."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error,ignore::DeprecationWarning"}

    def run(name, *arguments):
        command = [sys.executable, str(ROOT / "examples" / name), *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=True
        ).stdout

    return run


def test_digits_by_hand(tmp_path, run_example):
    said = run_example("digits_by_hand.py")
    assert "training rows: 2.3026 nats before the first step" in said
    nats, bits, accuracy = map(float, re.search(r"test rows: +(\S+) nats = (\S+) bits, accuracy (\S+) %", said).groups())
    assert nats < 0.3
    assert bits == pytest.approx(nats / 0.6931, rel=1e-3)
    assert accuracy > 93
    assert (tmp_path / "out" / "digits.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_own_table(tmp_path, run_example):
    said = run_example("own_table.py")
    assert "flowers.csv: 'species' from 4 features, 3 classes; 114 training and 36 test rows" in said
    assert "columns: sepal_length, sepal_width, petal_length, petal_width" in said
    assert re.search(r"first row: \{'setosa': (0\.9\d+|1\.0), 'versicolor'", said)
    assert float(re.search(r"predictions\.parquet: (\S+)", said)[1]) < 1e-14
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["fitted", "flowers.csv"]


def test_a_table_that_is_refused_ends_the_example_with_one_line(tmp_path, run_example):
    (tmp_path / "table.csv").write_text("a,kind\n1,x\n")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        run_example("own_table.py", "table.csv", "colour")
    assert caught.value.returncode == 2
    assert re.fullmatch(r"xent: --target must name a column .*\n", caught.value.stderr)


@pytest.mark.parametrize("name", ["own_table.py", "digits_by_hand.py"])
def test_an_example_without_a_package_says_how_to_install_it(tmp_path, name):
    """A module that cannot be imported stands in for scikit-learn."""
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text("raise ModuleNotFoundError(name='sklearn')")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")])}
    command = [sys.executable, str(ROOT / "examples" / name)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert re.fullmatch(r"sklearn is missing\. Run in the clone of xent: pip install '\.\[.*\]'\n", done.stderr)
