"""Importing xent is quick and brings nothing heavy along."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import xent

HEAVY = {"numba", "llvmlite", "torch", "jax", "scipy", "sklearn", "matplotlib", "pyarrow", "pandas", "rich", "cyclopts"}
LIMIT_S = 0.150
"""Over ``import numpy``."""

LOADED = "import sys, xent; print(*sys.modules)"
ELAPSED = "import numpy, time; start = time.perf_counter(); import xent; print(time.perf_counter() - start)"


def output(code: str, path: Path | None = None) -> str:
    """What a fresh interpreter prints; modules under path come before installed ones."""
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout


def heavy_packages(path: Path | None = None) -> set[str]:
    return HEAVY & {name.partition(".")[0] for name in output(LOADED, path).split()}


def import_s(runs: int, path: Path | None = None) -> float:
    """The least of several: other work on the machine only ever adds."""
    return min(float(output(ELAPSED, path)) for _ in range(runs))


@pytest.fixture
def worse(tmp_path: Path) -> Path:
    """A folder that holds a copy of xent, to be made worse."""
    shutil.copytree(Path(xent.__file__).parent, tmp_path / "xent", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def append(folder: Path, line: str) -> None:
    with (folder / "xent" / "__init__.py").open("a") as file:
        file.write(f"\n{line}\n")


def test_importing_xent_loads_nothing_heavy() -> None:
    assert heavy_packages() == set()


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_a_heavy_import_would_be_seen(worse: Path, name: str) -> None:
    (worse / f"{name}.py").touch()
    append(worse, f"import {name}")
    assert heavy_packages(worse) == {name}


def test_importing_xent_takes_little_longer_than_numpy() -> None:
    assert import_s(runs=7) <= LIMIT_S


def test_a_slow_import_would_be_seen(worse: Path) -> None:
    append(worse, f"import time\ntime.sleep({LIMIT_S})")
    assert import_s(runs=2, path=worse) > LIMIT_S
