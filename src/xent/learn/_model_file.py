"""A fitted `SoftmaxRegression` as JSON: versioned, readable by eye, no pickle.

Numbers are written with the fewest digits that read back to the same float64.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent._saving import save

if TYPE_CHECKING:
    from xent.learn.softmax_regression import SoftmaxRegression

Array = npt.NDArray[Any]
FORMAT, VERSION = "xent.learn.SoftmaxRegression", 1
KINDS = {"b": "bool", "i": "int", "u": "int", "f": "float", "U": "str"}
DTYPES: dict[str, Any] = {"bool": np.bool_, "int": np.int64, "float": np.float64, "str": np.str_}


def write(model: SoftmaxRegression, path: str | os.PathLike[str]) -> None:
    """Write the model, whole or not at all."""
    save(path, render(model).encode())


def render(model: SoftmaxRegression) -> str:
    """The JSON text, one top-level entry a line and one class's weights a line."""
    if not hasattr(model, "coef_"):
        raise ArgumentError("only a fitted model can be saved", "this one has no coef_", "Call fit first.")
    names = getattr(model, "feature_names_in_", model.column_names_)
    standardisation = None if model.mean_ is None or model.scale_ is None else {"mean": model.mean_, "scale": model.scale_}
    entries = {
        "format": FORMAT,
        "version": VERSION,
        "parameters": _portable_parameters(model.get_params(deep=False)),
        "class_kind": _kind(model.classes_),
        "classes": model.classes_,
        "columns": names,
        "standardisation": standardisation,
        "n_iter": model.n_iter_,
        "converged": model.converged_,
        "intercept": model.intercept_,
    }
    lines = [f"{json.dumps(name)}: {_dumps(value)}" for name, value in entries.items()]
    rows = ",\n  ".join(_dumps(row) for row in model.coef_)
    return "{\n" + ",\n".join(lines) + f',\n"coef": [\n  {rows}\n]\n}}\n'


def read(cls: type[SoftmaxRegression], path: str | os.PathLike[str]) -> SoftmaxRegression:
    """The model a file holds; ArgumentError where it holds none, is of an unknown version, or contradicts itself."""
    document = _document(Path(path))
    try:
        model = cls(**_parameters(document["parameters"]))
        model.classes_ = np.array(document["classes"], dtype=DTYPES[document["class_kind"]])
        model.coef_ = _numbers(document, "coef", (len(model.classes_), -1))
        model.intercept_ = _numbers(document, "intercept", (len(model.classes_),))
        model.n_features_in_, model.n_iter_ = model.coef_.shape[1], int(document["n_iter"])
        model.converged_ = bool(document["converged"])
        moments, wide = document["standardisation"], (model.coef_.shape[1],)
        model.mean_ = None if moments is None else _numbers(moments, "mean", wide)
        model.scale_ = None if moments is None else _numbers(moments, "scale", wide)
        model.column_names_ = _names(document["columns"], wide[0])
    except (KeyError, TypeError, ValueError) as error:
        _refuse(path, f"it does not fit together ({type(error).__name__}: {error})", "Save the model again.")
    return model


def _document(path: Path) -> dict[str, Any]:
    """The file's JSON object, of our format and version."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        _refuse(path, f"reading it gives: {error.strerror}", "Pass the path of a model.json.")
    except ValueError as error:
        _refuse(path, f"it is no JSON ({error})", "Pass the path of a model.json.")
    if not isinstance(document, dict) or cast(dict[str, Any], document).get("format") != FORMAT:
        _refuse(path, f'its "format" is not "{FORMAT}"', "Pass the path of a model.json.")
    document = cast(dict[str, Any], document)
    if document.get("version") != VERSION:
        found = f"its version is {document.get('version')!r} and this xent reads version {VERSION}"
        _refuse(path, found, "Upgrade xent, or fit the model again.")
    return document


def _refuse(path: str | os.PathLike[str], found: str, remedy: str) -> NoReturn:
    """Raise ArgumentError about a file."""
    raise ArgumentError(f"{os.fspath(path)} must hold a saved SoftmaxRegression", found, remedy)


def _numbers(document: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """A finite float64 array of the given shape, where −1 stands for any length."""
    array = np.array(document[name], dtype=np.float64)
    if array.ndim != len(shape) or any(want not in (-1, got) for want, got in zip(shape, array.shape, strict=True)):
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} is not finite")
    return array


def _names(names: list[str] | None, columns: int) -> tuple[str, ...] | None:
    """Column names, as many as there are columns, or None."""
    if names is not None and len(names) != columns:
        raise ValueError(f"{len(names)} column names for {columns} columns")
    return None if names is None else tuple(names)


def _kind(classes: Array) -> str:
    """What the classes are: bool, int, float or str."""
    if classes.dtype == object and all(isinstance(value, str) for value in classes):
        return "str"
    if classes.dtype.kind not in KINDS:
        found = f"they have dtype {classes.dtype}"
        raise ArgumentError("classes must be booleans, numbers or strings to be saved", found, "Fit with y.astype(str).")
    return KINDS[classes.dtype.kind]


def _portable_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as JSON holds them; a mapping of class weights as pairs, since JSON's keys are strings."""
    weights = parameters["class_weight"]
    pairs = list(cast(Mapping[Any, float], weights).items()) if isinstance(weights, Mapping) else weights
    return {**parameters, "class_weight": pairs}


def _parameters(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters from their stored form."""
    weights = stored["class_weight"]
    return {**stored, "class_weight": dict(cast(list[Any], weights)) if isinstance(weights, list) else weights}


def _dumps(value: object) -> str:
    """Strict JSON (no NaN) of Python and NumPy values."""
    return json.dumps(value, default=_plain, allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """NumPy arrays and scalars as Python's own."""
    if isinstance(value, np.ndarray | np.generic):
        return cast(Array, value).tolist()
    raise TypeError(f"{type(value).__name__} has no JSON form")
