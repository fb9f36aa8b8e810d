"""Who may import whom, how long things may be, and what a wheel holds."""

import ast
import re
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "xent"
FILES = sorted(PACKAGE.rglob("*.py"))

# A front door hands the caller's backend= to select and what it gets, which the contract describes, to a schedule.
DOOR = {"_calls", "_check", "_check.tolerance", "_errors", "_typing", "losses", "schedules", "kernels.contract", "kernels.select"}
HOUSE: dict[str, set[str]] = {
    "_typing": set(),
    "_errors": set(),
    "_saving": set(),
    "_check": {"_errors", "_typing"},
    "_check.tolerance": set(),
    "information": {"_errors", "_check.tolerance"},
    # What a kernel tells a loss and a loss tells a kernel is written in the contract, which holds no kernel.
    "losses": {"_typing", "information", "kernels.contract"},
    "kernels": set(),
    "kernels.contract": {"_errors", "_typing"},
    "kernels.reference": {"_typing", "kernels.contract"},
    "kernels.cpu": {"_typing", "kernels.contract", "kernels.cpu.threads"},
    "kernels.cpu.threads": {"_errors"},
    "kernels.triton": {"_typing", "kernels.contract"},
    # Exact sums and judged rows: what the evaluation asks of compiled code.
    "kernels.tally": {"kernels.cpu"},
    "kernels.select": {"_errors", "_typing", "kernels.contract", "kernels.reference", "kernels.cpu", "kernels.triton"},
    "schedules": {"_typing", "losses", "kernels.contract", "kernels.reference", "kernels.cpu.threads"},
    # What the front doors share: checked calls in NumPy arrays.
    "_calls": DOOR - {"_calls"},
    "functional": DOOR,
    # PyTorch's own setting of threads holds where PyTorch is in charge.
    "torch": DOOR | {"kernels.cpu.threads"},
    "jax": DOOR,
    "learn": {"_errors", "_saving", "_typing", "functional", "information"},
    # `xent.evaluate(...)` is a door of its own, to files and arrays.
    "evaluate": {"_check", "_errors", "_saving", "_typing", "functional", "information", "kernels.tally", "kernels.cpu.threads"},
    "explain": {"_errors", "_typing", "functional", "information", "losses", "learn"},
    "cli": {"_errors", "learn", "evaluate", "explain", "xent"},
    "xent": {"_errors", "functional", "information", "learn", "evaluate", "kernels.select", "kernels.cpu.threads"},
}
"""Unit -> units it may import. A unit is a module or a package under xent; "xent" is `xent/__init__.py`."""

HOMES: dict[str, set[str]] = {
    "numpy": set(HOUSE) - {"_errors"},
    "array_api_compat": {"information"},
    "numba": {"kernels.cpu"},
    "llvmlite": {"kernels.cpu"},
    "triton": {"kernels.triton"},
    "torch": {"torch"},
    "jax": {"jax"},
    "scipy": {"learn", "evaluate"},
    "sklearn": {"learn", "evaluate"},
    "pyarrow": {"learn", "evaluate", "cli"},
    "cyclopts": {"cli"},
    "rich": {"cli"},
    "altair": {"evaluate"},
    "vl_convert": {"evaluate"},
    "jinja2": {"evaluate"},
    "markupsafe": {"evaluate"},  # Jinja brings it
    "ray": {"evaluate"},
    "threadpoolctl": {"learn"},  # scikit-learn brings it
}
"""Package -> units that may import it. A package not named here, and not of the standard library, has no home."""

LAZY_HOMES: dict[str, set[str]] = {
    "numba": {"kernels.select"},
    "llvmlite": {"kernels.select"},
    "matplotlib": {"cli", "evaluate"},
}
"""The same, for imports that stand inside a function or under TYPE_CHECKING."""

TEMPLATES = {f"xent/evaluate/report/templates/{name}" for name in ("page.css", "page.html.j2", "page.js")}
"""What a wheel holds beside Python: the page, style and script of a report."""

FRONT_DOORS = {"_calls", "functional", "torch", "jax", "evaluate"}
LONGEST_FILE, LONGEST_BODY, MEDIAN_BODY = 350, 30, 10
MOST_PARAMETERS, MOST_KERNEL_PARAMETERS = 8, 20


@dataclass(frozen=True)
class Import:
    """One imported name, dotted and absolute, and whether it is reached only by calling or by type checking."""

    name: str
    lazy: bool
    line: int


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(("xent", *(part for part in parts if part != "__init__")))


def longest_prefix(name: str, units: set[str]) -> str | None:
    """``kernels.cpu`` for ``xent.kernels.cpu.rows``; ``xent`` for what lies in no unit; None for unknown files."""
    inside = name.removeprefix("xent").lstrip(".")
    while inside and inside not in units:
        inside = inside.rpartition(".")[0]
    return inside or None


def unit_of(module: str) -> str | None:
    return "xent" if module == "xent" else longest_prefix(module, set(HOUSE))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def is_dynamic_import(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"__import__", "import_module", "importlib.import_module"}


def named_by(argument: ast.AST) -> str:
    """The module, or of ``f"xent.{name}"`` the package it must lie in; source text, which has no home, for what is unknown."""
    if isinstance(argument, ast.JoinedStr) and ast.unparse(argument).startswith("f'xent."):
        return ast.unparse(argument)[2:].partition("{")[0].rstrip(".")
    return argument.value if isinstance(argument, ast.Constant) else ast.unparse(argument)


def names_in(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        origin = ".".join([*above, *filter(None, [node.module])])
        yield from (f"{origin}.{alias.name}" for alias in node.names)
    elif is_dynamic_import(node):
        yield named_by(node.args[0]) if node.args else ast.unparse(node)


def imports_of(tree: ast.AST, package: str, lazy: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        yield from (Import(name, lazy, node.lineno) for name in names_in(node, package))
        inner = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or is_type_checking(node)
        yield from imports_of(node, package, inner)


def fault(unit: str, found: Import) -> str | None:
    """Why that unit may not have that import; None if it may."""
    top = found.name.partition(".")[0]
    if top == "xent":
        other = longest_prefix(found.name, set(HOUSE)) or "xent"
        return None if other == unit or other in HOUSE[unit] else f"{unit} may not import {other}"
    if top in sys.stdlib_module_names or unit in HOMES.get(top, set()):
        return None
    if unit in LAZY_HOMES.get(top, set()):
        return None if found.lazy else f"{unit} may import {top} inside functions only"
    return f"{unit} may not import {top}"


def faults(source: str, module: str, is_package: bool = False) -> list[str]:
    """Every import in source that the tables do not allow to that module."""
    unit = unit_of(module)
    if unit is None:
        return [f"{module} has no row in the table"]
    package = module if is_package else module.rpartition(".")[0]
    found = [(line.line, fault(unit, line)) for line in imports_of(ast.parse(source), package)]
    return [f"{module}:{line}: {reason}" for line, reason in found if reason]


def functions_in(source: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def positional_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in names if name not in {"self", "cls"}])


def test_every_import_is_in_the_table() -> None:
    found = [line for path in FILES for line in faults(path.read_text(), module_of(path), path.name == "__init__.py")]
    assert not found, "\n".join(found)


def test_only_front_doors_check_arguments() -> None:
    assert {unit for unit, row in HOUSE.items() if "_check" in row} == FRONT_DOORS


@pytest.mark.parametrize(
    ("module", "source", "reason"),
    [
        ("xent.losses.categorical", "from xent._check import labels", "losses may not import _check"),
        ("xent.schedules.dense", "import xent._check", "schedules may not import _check"),
        ("xent.kernels.cpu.rows", "from ...losses import categorical", "kernels.cpu may not import losses"),
        ("xent.kernels.reference", "from . import cpu", "kernels.reference may not import kernels.cpu"),
        ("xent.kernels.contract", "def f():\n    from xent import losses", "kernels.contract may not import losses"),
        ("xent.losses.binary", "import numba", "losses may not import numba"),
        ("xent.kernels.select", "import numba", "kernels.select may import numba inside functions only"),
        ("xent.kernels.select", "try:\n    import numba\nexcept ImportError:\n    pass", "inside functions only"),
        ("xent.functional.from_logits", "def f():\n    import torch", "functional may not import torch"),
        ("xent.functional.from_logits", "import scipy.special", "functional may not import scipy"),
        ("xent.learn.softmax", "from xent.schedules import dense", "learn may not import schedules"),
        ("xent.cli.fit", "from xent.functional import softmax", "cli may not import functional"),
        ("xent.cli.fit", "import matplotlib.pyplot as plt", "cli may import matplotlib inside functions only"),
        ("xent.torch.functional", "import array_api_compat", "torch may not import array_api_compat"),
        ("xent._typing", "from xent._errors import XentError", "_typing may not import _errors"),
        ("xent.information", "__import__('torch')", "information may not import torch"),
        ("xent", "from importlib import import_module\nimport_module('sklearn')", "xent may not import sklearn"),
        ("xent", "from importlib import import_module\nimport_module(name)", "xent may not import name"),
        ("xent.losses.binary", "import importlib\nimportlib.import_module(f'xent.{name}')", "losses may not import xent"),
        ("xent.learn.softmax", "import pandas", "learn may not import pandas"),
        ("xent.schedules.dense", "from xent.kernels.cpu import rows", "schedules may not import kernels.cpu"),
        (
            "xent.functional.from_logits",
            "from xent.kernels.reference import widen",
            "functional may not import kernels.reference",
        ),
        ("xent.helpers", "", "xent.helpers has no row"),
    ],
)
def test_a_wrong_import_is_found(module: str, source: str, reason: str) -> None:
    assert reason in "\n".join(faults(source, module))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("xent.losses.categorical", "import numpy as np\nfrom xent.kernels.contract import RowStatistics"),
        ("xent.kernels.cpu.rows", "from .simd import exp\nimport numba"),
        ("xent.kernels.select", "def serves():\n    import numba"),
        ("xent.cli.fit", "def draw():\n    import matplotlib"),
        ("xent.torch.functional", "import torch\nfrom xent import _check"),
    ],
)
def test_a_right_import_is_not(module: str, source: str) -> None:
    assert faults(source, module) == []


def test_no_file_is_long() -> None:
    lengths = {module_of(path): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    lengths = [body_lines(function) for path in FILES for function in functions_in(path.read_text())]
    assert statistics.median(lengths) <= MEDIAN_BODY
    assert statistics.quantiles(lengths, n=10)[-1] <= LONGEST_BODY


def test_functions_take_few_parameters() -> None:
    def limit(path: Path) -> int:
        return MOST_KERNEL_PARAMETERS if unit_of(module_of(path)) == "kernels.cpu" else MOST_PARAMETERS

    functions = [(path, function) for path in FILES for function in functions_in(path.read_text())]
    many = {f"{module_of(p)}.{f.name}": positional_parameters(f) for p, f in functions if positional_parameters(f) > limit(p)}
    assert many == {}


def test_measures_see_what_they_measure() -> None:
    function = functions_in('def f(self, a, b, /, c, *, d):\n    """Doc."""\n    x = (\n        1\n    )\n    return x')[0]
    assert body_lines(function) == 4
    assert positional_parameters(function) == 3


@pytest.mark.parametrize("page", [p for p in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))], ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)[^)]*\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_a_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    names = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    inside = {name for name in names if not re.match(r"xent-[\d.]+\.dist-info/", name)}
    assert "xent/py.typed" in inside
    assert {name for name in inside if name.endswith(".py")} == {str(path.relative_to(PACKAGE.parent)) for path in FILES}
    assert {name for name in inside if not name.endswith(".py")} == {"xent/py.typed", *TEMPLATES}
