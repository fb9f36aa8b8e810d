"""The command as a user runs it: a process of its own in a directory of its own."""

import contextlib
import io
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from xent.cli._main import run

ROOT = Path(__file__).parents[2]
# Any warning is an error but those that Python hides from users: what one library deprecates another may still call.
WARNINGS = "error,ignore::DeprecationWarning,ignore::PendingDeprecationWarning"


@pytest.fixture(scope="session")
def environment():
    """Nothing that would colour or widen what is printed; xent from this source tree."""
    kept = {name: value for name, value in os.environ.items() if name not in {"FORCE_COLOR", "NO_COLOR", "COLUMNS", "TERM"}}
    return kept | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": WARNINGS}


@pytest.fixture(scope="session")
def run_xent(environment):
    """Run ``xent`` in a directory with these arguments."""

    def run(directory, *arguments):
        command = [sys.executable, "-m", "xent.cli", *map(str, arguments)]
        return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run


@pytest.fixture(scope="session")
def run_inside():
    """The same in this process, for what needs none of its own."""

    def called(directory, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.chdir(directory), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*map(str, arguments)])
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    return called


@pytest.fixture
def xent_command(tmp_path, run_xent):
    """Run ``xent`` in the test's directory."""
    return partial(run_xent, tmp_path)


@pytest.fixture
def xent_inside(tmp_path, run_inside):
    """Run ``xent`` in the test's directory and this process."""
    return partial(run_inside, tmp_path)
