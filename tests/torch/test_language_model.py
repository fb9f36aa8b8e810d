"""The language model on real text: its losses agree, its report says what it measured."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tokenizers")

ROOT = Path(__file__).parents[2]
LOSSES = ["dense", "chunked", "xent", "xent-tolerance"]


@pytest.fixture
def example(monkeypatch):
    """The script as a module; its threads are forgotten afterwards."""
    monkeypatch.syspath_prepend(ROOT / "examples")
    threads = torch.get_num_threads()
    yield importlib.import_module("torch_language_model")
    torch.set_num_threads(threads)


def row(said, label):
    """The numbers of a line of the table, one a loss; NaN where a process that is not alone could tell none."""
    return [
        float("nan" if cell == "–" else cell)
        for cell in re.search(rf"^ *{re.escape(label)} +(.+)$", said, re.MULTILINE)[1].split()
    ]


def test_the_four_losses_train_alike_and_the_report_says_so(example, monkeypatch, capsys, tmp_path):
    runs = {}

    def here(name, plan):
        return runs.setdefault(name, example.train(name, plan))

    # Processes of their own are for honest memory, which is no subject here.
    monkeypatch.setattr(example, "in_own_process", here)
    picture = tmp_path / "new" / "picture.png"
    monkeypatch.setattr(sys, "argv", ["torch_language_model.py", "--quick", "--compare", f"--plot={picture}"])
    example.main()
    said = capsys.readouterr().out
    assert "vocabulary: 2,048 byte pairs" in said
    assert "tokens: 10,240 to learn from" in said
    assert list(runs) == LOSSES
    reference = runs["dense"].loss_nats
    assert len(reference) == 20
    assert reference[-1] < reference[0] - 1.0
    for name, limit in {"chunked": 1e-4, "xent": 1e-4, "xent-tolerance": 1e-2}.items():
        assert runs[name].loss_nats == pytest.approx(reference, rel=limit)
    assert row(said, "step 20") == pytest.approx([run.loss_nats[-1] for run in runs.values()], abs=1e-5)
    assert row(said, "loss: farthest from dense")[0] == 0.0
    assert max(row(said, "loss: farthest from dense")[:3]) < 1e-4
    assert len(row(said, "median step (s)")) == len(row(said, "peak growth of a step (MiB)")) == 4
    assert len(re.findall(r"^ +(?:0|10|20) +\d\.\d{3} +1e-0[234](?: +[\d,]+){3} +\S+$", said, re.MULTILINE)) == 9
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_line_trains_with_one_loss(tmp_path):
    path = {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "error,ignore::DeprecationWarning"}
    command = [sys.executable, str(ROOT / "examples" / "torch_language_model.py"), "--quick", "--steps", "2"]
    done = subprocess.run(
        [*command, "--loss", "xent-tolerance"],
        cwd=tmp_path,
        env=os.environ | path,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"loss of the batch \(nats\) +xent-tolerance\n +step 1 +7\.\d+\n +step 2 +7\.\d+\n", done.stdout)
    assert "how many of 2,048 classes hold all but τ" in done.stdout
    assert re.search(r"xent-tolerance +2/2 +7\.\d+ nats", done.stderr)
    assert not list(tmp_path.iterdir())


def test_how_many_classes_hold_all_but_a_share_of_the_probability(example):
    probs = torch.tensor([[0.5, 0.0, 0.25, 0.125, 0.125], [1.0, 0.0, 0.0, 0.0, 0.0], [0.2, 0.2, 0.2, 0.2, 0.2]])
    found = example.classes_that_hold_all_but((0.0, 0.1, 0.125, 0.3), probs)
    assert found.tolist() == [[4, 1, 5], [4, 1, 5], [3, 1, 5], [2, 1, 4]]


def test_a_warm_up_moves_no_weight(example):
    model = example.LanguageModel(example.QUICK)
    before = [parameter.clone() for parameter in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    example.warm_up(model, optimizer, example.dense, torch.arange(64).view(1, 64))
    assert all(map(torch.equal, before, model.parameters()))
    assert all(parameter.grad is None for parameter in model.parameters())
    assert len(optimizer.state) == len(before)


def test_no_position_sees_what_follows(example):
    torch.manual_seed(0)
    model, tokens = example.LanguageModel(example.QUICK), torch.arange(32).view(1, 32)
    other = tokens.clone()
    other[0, 20:] += 100
    assert torch.equal(model(tokens)[0, :20], model(other)[0, :20])
    assert not torch.equal(model(tokens)[0, 20:], model(other)[0, 20:])


def test_the_text_is_the_same_in_any_folder(example, monkeypatch, tmp_path):
    text = importlib.import_module("library_text")
    for folder, names in {"one": ("a.py", "b.py"), "other": ("z.py", "deep/a.py")}.items():
        for name, content in zip(names, ("first = 1\n", "second = 2\n"), strict=True):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text(content)
    (tmp_path / "one" / "site-packages").mkdir()
    (tmp_path / "one" / "site-packages" / "c.py").write_text("third = 3\n")
    (tmp_path / "one" / "latin.py").write_bytes(b"# \xe9\n")
    found = []
    for folder in ("one", "other"):
        monkeypatch.setattr(text.sysconfig, "get_path", lambda _, folder=folder: str(tmp_path / folder))
        found.append(text.read(1000))
    assert found[0] == found[1]
    assert sorted(found[0]) == ["first = 1\n", "second = 2\n"]


@pytest.mark.parametrize("steps", ["0", "-1", "many"])
def test_steps_must_be_a_count(example, monkeypatch, capsys, steps):
    monkeypatch.setattr(sys, "argv", ["torch_language_model.py", f"--steps={steps}"])
    with pytest.raises(SystemExit, match="2"):
        example.parse_options()
    assert capsys.readouterr().err.endswith(f"argument --steps: must be 1 or more, found {steps}\n")


@pytest.mark.parametrize("package", ["torch", "tokenizers"])
def test_an_example_without_a_package_says_how_to_install_it(tmp_path, package):
    """A module that cannot be imported stands in for the package."""
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"raise ModuleNotFoundError(name={package!r})")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")])}
    command = [sys.executable, str(ROOT / "examples" / "torch_language_model.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"{package} is missing\. Run in the clone of xent: pip install '\.\[.*\]' tokenizers\n", done.stderr)
