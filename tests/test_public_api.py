"""The public surface is a list: names, arguments, defaults and the order of every docstring."""

import inspect
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import xent
from xent import information

MEAN = {"reduction": "mean", "normalizer": None, "empty": "nan", "backend": None}
ROWS = MEAN | {"axis": -1, "validate": "raise"}
LABELLED = ROWS | {"weight": None, "ignore_index": -100}
BENT = {"scale": 1.0, "softcap": None}
SOFTMAX = BENT | {"label_smoothing": 0.0, "z_loss": 0.0, "focal": 0.0}
LINEAR = {name: default for name, default in (LABELLED | SOFTMAX).items() if name != "axis"} | {
    "bias": None,
    "sample_weight": None,
    "shift": 0,
    "memory_limit": None,
    "return_stats": False,
}

LOSSES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "cross_entropy": (["logits", "target"], LABELLED | SOFTMAX),
    "kl_divergence_loss": (["logits", "target_probs"], ROWS | BENT | {"weight": None}),
    "nll_loss": (["log_probs", "target"], LABELLED),
    "log_loss": (["probs", "target"], LABELLED),
    "binary_cross_entropy": (["logits", "target"], MEAN | {"weight": None, "pos_weight": None}),
    "linear_cross_entropy": (["hidden", "classifier", "target"], LINEAR),
    "mse_loss": (["input", "target"], MEAN | {"weight": None}),
    "gaussian_nll_loss": (["mean", "target", "var"], MEAN | {"full": False}),
}
"""Name -> positional arguments, keyword-only arguments with their defaults."""

OVERWRITING = ("cross_entropy", "kl_divergence_loss", "binary_cross_entropy", "mse_loss")
"""Their gradient has the shape and meaning of one argument, which ``out=`` may name."""

SIGNATURES = (
    LOSSES
    | {f"{name}_and_grad": arguments for name, arguments in LOSSES.items()}
    | {f"{name}_and_grad": (LOSSES[name][0], LOSSES[name][1] | {"out": None}) for name in OVERWRITING}
    | {"linear_cross_entropy_and_grad": (LOSSES["linear_cross_entropy"][0], LINEAR | {"tolerance": 0.0, "frozen": None})}
    | {name: (["x"], {"axis": -1, "backend": None}) for name in ("softmax", "log_softmax", "logsumexp")}
    | {name: (["x"], {"backend": None}) for name in ("sigmoid", "log_sigmoid")}
)

ERRORS = {
    "XentError": Exception,
    "ArgumentError": ValueError,
    "ShapeError": ValueError,
    "AxisError": IndexError,
    "LabelError": IndexError,
    "DistributionError": ValueError,
    "EmptyMeanError": ValueError,
    "DTypeError": TypeError,
    "BackendError": RuntimeError,
    "MissingExtraError": ImportError,
    "DistributionWarning": UserWarning,
}
"""Name -> the built-in class that a caller may catch instead."""

SERVICES = {"backends", "explain_backend", "get_num_threads", "plan_linear", "set_num_threads"}
RESULTS = {"LinearGradients", "LinearPlan", "LinearStats"}
PUBLIC = {*SIGNATURES, *ERRORS, *SERVICES, *RESULTS, "information", "evaluate", "__version__"}

QUANTITIES = {
    "binary_entropy",
    "conditional_entropy",
    "cross_entropy",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
    "self_information",
}

HEADINGS = ["Args:", "Returns:", "Raises:", "Example:", "References:"]
FORMULAE = {f"xent.{name}": getattr(xent, name, None) for name in SIGNATURES} | {
    f"xent.information.{name}": getattr(information, name, None) for name in QUANTITIES
}
FUNCTIONS = FORMULAE | {f"xent.{name}": getattr(xent, name, None) for name in SERVICES}


def headings_of(docstring: str) -> list[str]:
    return [line for line in docstring.splitlines() if line in HEADINGS]


def docstring_faults(function: Callable[..., Any], *, has_formula: bool) -> list[str]:
    """What is missing from the docstring, or stands out of order."""
    text = inspect.getdoc(function) or ""
    found = headings_of(text)
    parameters = [p.name for p in inspect.signature(function).parameters.values()]
    before_arguments = text.partition("\nArgs:")[0].splitlines()
    required = {
        "a sentence on the first line": bool(text) and text.splitlines()[0].endswith("."),
        "headings once each and in order": found == [heading for heading in HEADINGS if heading in found],
        "Args:": "Args:" in found or not parameters,
        "Returns:": "Returns:" in found or not has_formula,
        "Raises:": "Raises:" in found or not has_formula,
        "Example:": "Example:" in found and ">>>" in text.partition("\nExample:")[2],
        "References:": "References:" in found or not has_formula,
        "a formula before Args:": not has_formula or any(re.search(r"=|``", line) for line in before_arguments),
        "every argument": all(re.search(rf"\b{name}\b", text.partition("\nArgs:")[2]) for name in parameters),
    }
    return [what for what, holds in required.items() if not holds]


def test_all_is_the_list() -> None:
    assert sorted(xent.__all__) == sorted(PUBLIC)


def test_everything_listed_can_be_had() -> None:
    assert [name for name in xent.__all__ if not hasattr(xent, name)] == []


def test_every_version_is_that_of_the_distribution() -> None:
    citation = (Path(__file__).parent.parent / "CITATION.cff").read_text()
    assert xent.__version__ == version("xent")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [version("xent")]


def test_information_is_a_list_too() -> None:
    assert sorted(information.__all__) == sorted(QUANTITIES)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="crossentropy"):
        xent.crossentropy  # noqa: B018


@pytest.mark.parametrize("name", sorted(SIGNATURES))
def test_arguments_and_defaults(name: str) -> None:
    parameters = inspect.signature(getattr(xent, name)).parameters.values()
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.default is p.empty]
    keywords = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert (positional, keywords) == SIGNATURES[name]
    assert len(positional) + len(keywords) == len(parameters)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_errors_are_also_built_in_ones(name: str) -> None:
    assert issubclass(getattr(xent, name), ERRORS[name])


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_docstrings_have_one_order(name: str) -> None:
    assert docstring_faults(FUNCTIONS[name], has_formula=name in FORMULAE) == []


def test_a_docstring_out_of_order_is_seen() -> None:
    def shuffled(x: float) -> float:
        """A sentence, in nats.

        ``y = x``

        Returns:
            y

        Args:
            x: a number

        Raises:
            ValueError: never

        Example:
            nothing runs

        References:
            none
        """
        return x

    def bare() -> None: ...

    assert docstring_faults(shuffled, has_formula=True) == ["headings once each and in order", "Example:"]
    assert len(docstring_faults(bare, has_formula=True)) >= 5


@pytest.mark.parametrize("name", sorted(FORMULAE))
def test_signatures_have_types(name: str) -> None:
    signature = inspect.signature(FORMULAE[name])
    annotations = [p.annotation for p in signature.parameters.values()] + [signature.return_annotation]
    assert inspect.Signature.empty not in annotations
