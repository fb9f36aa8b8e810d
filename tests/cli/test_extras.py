"""Without an optional package: one line that installs everything, so that a user stops once."""

import os
import sys
from pathlib import Path
from subprocess import run
from sysconfig import get_paths

import pytest

from xent import MissingExtraError

INSTALL = "Run in the clone of xent: pip install '.[learn,cli,data,report]'"


def packages_without(directory, *missing):
    """A directory that holds every installed package but these."""
    for entry in Path(get_paths()["purelib"]).iterdir():
        if not entry.name.startswith((*missing, "xent", "_xent")):
            (directory / entry.name).symlink_to(entry)
    return directory


@pytest.mark.skipif(os.name != "posix", reason="links to installed packages")
@pytest.mark.parametrize(
    ("missing", "names"),
    [
        (["pyarrow"], "pyarrow"),
        (["sklearn", "scikit_learn", "matplotlib"], "matplotlib, sklearn"),
        (["cyclopts", "rich", "pyarrow"], "cyclopts, rich, pyarrow"),
    ],
)
def test_a_missing_extra_names_the_line_that_installs_everything(tmp_path, missing, names):
    source = Path(__file__).parents[2] / "src"
    packages = tmp_path / "packages"
    packages.mkdir()
    path = os.pathsep.join([str(source), str(packages_without(packages, *missing))])
    command = [sys.executable, "-S", "-m", "xent.cli", "fit"]
    done = run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False)
    assert done.stderr == f"xent: this command needs optional packages; missing: {names}. {INSTALL}\n"
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("module", ["sklearn", "scipy"])
def test_the_estimator_without_its_packages_says_the_same_line(monkeypatch, module):
    import xent.learn

    for name in [name for name in sys.modules if name.startswith("xent.learn.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(xent.learn, "softmax_regression", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError) as caught:
        xent.learn.SoftmaxRegression  # noqa: B018
    assert str(caught.value).endswith(f" is not installed. {INSTALL}")
