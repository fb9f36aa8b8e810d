"""Classifiers that learn by cross-entropy: `SoftmaxRegression`, a scikit-learn estimator.

Needs scikit-learn and SciPy (``pip install '.[learn]'`` in the clone of xent), loaded when a name of this package is first used.
"""

from typing import TYPE_CHECKING, Any

from xent._errors import MissingExtraError

if TYPE_CHECKING:
    from xent.learn._solvers import Step
    from xent.learn.softmax_regression import SoftmaxRegression

__all__ = ["SoftmaxRegression", "Step"]

INSTALL = "Run in the clone of xent: pip install '.[learn,cli,data,report]'"


def __getattr__(name: str) -> Any:
    """Load a public name; MissingExtraError where scikit-learn or SciPy is not installed."""
    if name not in __all__:
        raise AttributeError(f"module 'xent.learn' has no attribute {name!r}")
    try:
        from xent.learn import softmax_regression
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"sklearn", "scipy"}:
            raise
        found = f"{error.name} is not installed"
        raise MissingExtraError("xent.learn needs scikit-learn and SciPy", found, INSTALL) from error
    return getattr(softmax_regression, name)
