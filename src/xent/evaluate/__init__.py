"""Predictions judged: log loss, calibration, intervals and a report, from arrays or from files larger than memory.

The package is itself the function: ``xent.evaluate(predictions, target, kind="probs")``;
``help(xent.evaluate.evaluate)`` explains its arguments. `Totals` is the state behind it, which
merges across batches, processes and machines. Needs SciPy, scikit-learn and pyarrow, and for reports altair, vl-convert and Jinja
(``pip install '.[learn,cli,data,report]'`` in the clone of xent), loaded when a name of this package is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from xent._errors import MissingExtraError

if TYPE_CHECKING:
    from xent.evaluate._call import compare, count_table, evaluate
    from xent.evaluate.calibration._store import load_calibrator
    from xent.evaluate.calibration.affine import MatrixScaling, VectorScaling
    from xent.evaluate.calibration.isotonic import IsotonicCalibration
    from xent.evaluate.calibration.temperature import TemperatureScaling
    from xent.evaluate.engines.run import Engine, evaluate_files
    from xent.evaluate.inputs.columns import Columns, metadata
    from xent.evaluate.means.comparison import Comparison, Difference
    from xent.evaluate.means.intervals import Estimate
    from xent.evaluate.result import Evaluation, evaluation
    from xent.evaluate.state.batch import Batch
    from xent.evaluate.state.spec import Choices, Kind, Spec
    from xent.evaluate.totals import Totals

__all__ = [
    "Batch",
    "Choices",
    "Columns",
    "Comparison",
    "Difference",
    "Engine",
    "Estimate",
    "Evaluation",
    "IsotonicCalibration",
    "Kind",
    "MatrixScaling",
    "Spec",
    "TemperatureScaling",
    "Totals",
    "VectorScaling",
    "compare",
    "count_table",
    "evaluate",
    "evaluate_files",
    "evaluation",
    "load_calibrator",
    "metadata",
]

INSTALL = "Run in the clone of xent: pip install '.[learn,cli,data,report]'"
_HOMES = {
    "Batch": "state.batch",
    "Choices": "state.spec",
    "Columns": "inputs.columns",
    "Comparison": "means.comparison",
    "Difference": "means.comparison",
    "Estimate": "means.intervals",
    "Evaluation": "result",
    "IsotonicCalibration": "calibration.isotonic",
    "Kind": "state.spec",
    "MatrixScaling": "calibration.affine",
    "Spec": "state.spec",
    "TemperatureScaling": "calibration.temperature",
    "Totals": "totals",
    "compare": "_call",
    "count_table": "_call",
    "VectorScaling": "calibration.affine",
    "evaluate": "_call",
    "Engine": "engines.run",
    "evaluate_files": "engines.run",
    "evaluation": "result",
    "load_calibrator": "calibration._store",
    "metadata": "inputs.columns",
}
"""Public name -> the module of this package that holds it."""


def __dir__() -> list[str]:
    """The public names."""
    return [*__all__, "__doc__"]


def __getattr__(name: str) -> Any:
    """Load a public name; MissingExtraError where a package that it needs is not installed."""
    if name not in _HOMES:
        raise AttributeError(f"module 'xent.evaluate' has no attribute {name!r}")
    try:
        return getattr(import_module(f"xent.evaluate.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"scipy", "sklearn", "pyarrow"}:
            raise
        found = f"{error.name} is not installed"
        raise MissingExtraError("xent.evaluate needs SciPy, scikit-learn and pyarrow", found, INSTALL) from error


class _Callable(ModuleType):
    """A module that is called as the function it is named after."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """`xent.evaluate.evaluate`."""
        return __getattr__("evaluate")(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
