"""The example trainings: with xent's loss the curve is PyTorch's, and where it is not they say so."""

import importlib
import os
import re
import subprocess
import sys
from contextlib import nullcontext
from math import exp, log
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 1e-4


def start(arguments, directory, *first_on_path):
    """Python in that directory with xent of this clone; a warning is an error."""
    path = os.pathsep.join(map(str, [*first_on_path, ROOT / "src"]))
    environment = os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "error,ignore::DeprecationWarning"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False
    )


@pytest.fixture
def two_losses(monkeypatch):
    """The module that both scripts share."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    return importlib.import_module("two_losses")


def example(name, directory, *arguments):
    return start([ROOT / "examples" / name, *arguments], directory)


def numbers(said, label):
    """Both columns of a line of the table."""
    left, right = re.search(rf"^ *{re.escape(label)} +(\S+) +(\S+)$", said, re.MULTILINE).groups()
    return float(left), float(right)


def largest_difference(said):
    return float(re.search(r"largest relative difference of the two curves: (\S+) at step \d+ \(limit 1e-04\)", said)[1])


def is_picture(path):
    """An SVG of some extent that holds both curves."""
    picture = ElementTree.parse(path).getroot()
    size = [float(number) for number in picture.get("viewBox").split()]
    lines = [group for group in picture.iter() if group.get("id", "").startswith("line2d")]
    return picture.tag == "{http://www.w3.org/2000/svg}svg" and min(size[2:]) > 100 and len(lines) > 2


def test_torch_digits(tmp_path):
    done = example("torch_digits.py", tmp_path, "--out", tmp_path / "here")
    assert done.returncode == 0, done.stderr
    assert numbers(done.stdout, "loss of the last batch (nats)") == pytest.approx((0.09,) * 2, abs=0.09)
    by_torch, by_xent = numbers(done.stdout, "loss of 450 test rows (nats)")
    assert by_xent == pytest.approx(by_torch, rel=LIMIT, abs=1e-5)
    assert min(numbers(done.stdout, "test accuracy (%)")) > 88
    assert largest_difference(done.stdout) < LIMIT
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert is_picture(tmp_path / "here" / "curves.svg")
    assert all(f"{name} " in done.stderr for name in ("torch.nn", "xent.torch"))
    assert "200/200" in done.stderr


def test_torch_characters(tmp_path):
    done = example("torch_characters.py", tmp_path)
    assert done.returncode == 0, done.stderr
    by_torch, by_xent = numbers(done.stdout, "test text: nats per character")
    assert by_xent == pytest.approx(by_torch, rel=LIMIT, abs=1e-5)
    assert 1.0 < by_xent < 2.0
    assert numbers(done.stdout, "bits per character")[1] == pytest.approx(by_xent / log(2), rel=1e-4)
    assert numbers(done.stdout, "perplexity")[1] == pytest.approx(exp(by_xent), rel=1e-3)
    assert min(numbers(done.stdout, "characters guessed (%)")) > 45
    assert largest_difference(done.stdout) < LIMIT
    assert len(re.search(r"What the model of xent\.torch writes:\n\n(.+?)\n\n200 steps", done.stdout, re.DOTALL)[1]) > 100
    assert is_picture(tmp_path / "out" / "torch_characters" / "curves.svg")


def test_the_same_seed_gives_the_same_losses_and_another_seed_others(tmp_path):
    program = """
import sys, torch_digits
for seed in "334":
    sys.argv[1:] = ["--steps", "2", "--seed", seed]
    torch_digits.main()
"""
    said = start(["-c", program], tmp_path, ROOT / "examples").stdout
    first, again, other = (numbers(part, "loss of the last batch (nats)") for part in said.split("wrote")[:3])
    assert first == again != other


def test_a_loss_that_is_wrong_by_a_fiftieth_of_a_percent_ends_the_example_with_status_1_after_the_picture(tmp_path):
    program = """
import torch, xent.torch, torch_digits

class Wrong(torch.nn.CrossEntropyLoss):
    def forward(self, *arguments):
        return super().forward(*arguments) * 1.0002

xent.torch.CrossEntropyLoss = Wrong
torch_digits.main()
"""
    done = start(["-c", program, "--steps", "2", "--out", "apart"], tmp_path, ROOT / "examples")
    assert done.returncode == 1
    expected = r"The curves differ by 2\.0e-04 at step \d, more than 1e-04: torch\.nn 2\.\d+ nats, xent\.torch 2\.\d+ nats\."
    assert re.fullmatch(expected, done.stderr.splitlines()[-1])
    assert is_picture(tmp_path / "apart" / "curves.svg")


@pytest.mark.parametrize(
    ("by_torch", "by_xent", "refusal"),
    [
        ([2.0, 1.0], [2.0, 1.00009], None),
        (
            [2.0, 1.0],
            [2.0, 1.00011],
            r"differ by 1\.1e-04 at step 1, more than 1e-04: torch\.nn 1 nats, xent\.torch 1\.00011 nats",
        ),
        ([2.0, 1.0], [2.1, 1.0], "differ by 5.0e-02 at step 0"),
        ([2.0, 1.0], [2.0, np.nan], "differ by nan at step 1"),
        ([np.nan, np.nan], [np.nan, np.nan], "differ by nan at step 0"),
    ],
)
def test_what_is_too_far_apart(tmp_path, two_losses, by_torch, by_xent, refusal):
    curves = {"torch.nn": by_torch, "xent.torch": by_xent}
    runs = [two_losses.Run(name, None, None, np.array(curve), 1.0) for name, curve in curves.items()]
    with pytest.raises(SystemExit, match=refusal) if refusal else nullcontext():
        two_losses.report(runs, {}, "title", tmp_path / "new" / "folder")
    assert is_picture(tmp_path / "new" / "folder" / "curves.svg")


@pytest.mark.parametrize("steps", ["0", "-1", "many"])
def test_steps_must_be_a_count(monkeypatch, capsys, two_losses, steps):
    monkeypatch.setattr(sys, "argv", ["torch_digits.py", f"--steps={steps}"])
    with pytest.raises(SystemExit, match="2"):
        two_losses.parse_options("", "out")
    assert capsys.readouterr().err.endswith(f"argument --steps: must be 1 or more, found {steps}\n")


@pytest.mark.parametrize(
    ("name", "package"), [("torch_digits.py", "torch"), ("torch_digits.py", "sklearn"), ("torch_characters.py", "torch")]
)
def test_an_example_without_a_package_says_how_to_install_it(tmp_path, name, package):
    """A module that cannot be imported stands in for the package."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    done = start([ROOT / "examples" / name], tmp_path, tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(rf"{package} is missing\. Run in the clone of xent: pip install '\.\[.*\]'\n", done.stderr)
