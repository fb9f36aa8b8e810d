"""A fitted calibrator as JSON: versioned, readable by eye, strictly read, no pickle.

Numbers are written with the fewest digits that read back to the same float64.
"""

from __future__ import annotations

import errno
import json
import math
import os
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from xent._errors import ArgumentError
from xent._saving import save
from xent.evaluate.calibration._entries import Entries, shown

if TYPE_CHECKING:
    from xent.evaluate.calibration._calibrator import Calibrator

Made = TypeVar("Made", bound="Calibrator")

FORMAT, VERSION = "xent.evaluate.calibrator", 1
MOST_BYTES = 256 << 20
"""A larger file is not read: a matrix for 3,000 classes takes as much."""
MOST_CLASSES = 1 << 20
REMEDY = "Fit and save it again."
PASS = "Pass the path of a calibrator.json."
ASTRAY = {errno.EISDIR, errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP}
"""What is wrong with a path, not with a disk."""


def write(calibrator: Calibrator, path: str | os.PathLike[str]) -> None:
    """Write the calibrator, whole or not at all; ArgumentError where the path leads to no file that could be written."""
    rule, remedy = "a calibrator is saved to a file in a folder that there is", "Name a file that can be written there."
    name, data = _named(path, rule, remedy), render(calibrator).encode()
    try:
        save(name, data)
    except ValueError as error:
        raise ArgumentError(rule, f"the path {shown(name)} gives: {error}", remedy) from error
    except OSError as error:
        if error.errno in ASTRAY:
            raise ArgumentError(rule, f"writing {name} gives: {error.strerror}", remedy) from error
        # Not the temporary name, which is nobody's business.
        raise OSError(error.errno, error.strerror or str(error), name) from error


def _named(path: object, rule: str, remedy: str) -> str:
    """A path as text; refused where it is none."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise ArgumentError(rule, f"found {type(path).__name__}, which is no path", remedy)
    return os.fsdecode(cast("str", path))


def render(calibrator: Calibrator) -> str:
    """The JSON text, an entry a line."""
    if not hasattr(calibrator, "classes_"):
        raise ArgumentError("only a fitted calibrator can be saved", "this one has no classes_", "Call fit first.")
    calibrator.check_parameters()
    parameters = calibrator.get_params(deep=False)
    kind, classes = parameters.pop("kind"), parameters.pop("classes")
    entries = {
        "format": FORMAT,
        "version": VERSION,
        "method": calibrator.METHOD,
        "kind": kind,
        "n_classes": len(calibrator.classes_),
        "classes": None if classes is None else calibrator.classes_.tolist(),
        "log_loss_before": _loss(calibrator.log_loss_before_),
        "log_loss_after": _loss(calibrator.log_loss_after_),
        "parameters": {name: int(value) if name == "max_iter" else float(value) for name, value in parameters.items()},
        "fitted": calibrator.fitted(),
    }
    lines = [f"{json.dumps(name)}: {_dumps(value)}" for name, value in entries.items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _loss(value: float) -> float | str:
    return value if math.isfinite(value) else "infinity"


def _dumps(value: Any) -> str:
    """Strict JSON (no NaN) of Python and NumPy values."""
    return json.dumps(value, default=lambda item: item.tolist(), allow_nan=False, ensure_ascii=False)


def load_calibrator(path: str | os.PathLike[str]) -> Calibrator:
    """The calibrator that `save` or ``xent calibrate`` wrote, of whichever method: the same probabilities to the last bit.

    Args:
        path: a calibrator.json.

    Returns:
        A fitted `TemperatureScaling`, `VectorScaling`, `MatrixScaling` or `IsotonicCalibration`.

    Raises:
        ArgumentError: the file is no calibrator, is of an unknown version, or does not fit together; the message says which.

    Example:
        >>> import tempfile
        >>> from xent.evaluate import TemperatureScaling
        >>> fitted = TemperatureScaling().fit([[1.0, 0.0], [0.0, 3.0], [0.0, 2.0]], [0, 1, 0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fitted.save(f"{folder}/calibrator.json")
        ...     load_calibrator(f"{folder}/calibrator.json").temperature_ == fitted.temperature_
        True
    """
    from xent.evaluate.calibration._calibrator import Calibrator

    return read(path, Calibrator)


def read(path: str | os.PathLike[str], cls: type[Made]) -> Made:
    """The calibrator in a file; ArgumentError where it holds none."""
    name = _named(path, "a saved calibrator is loaded from a file", PASS)
    try:
        with open(name, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except ValueError as error:
        raise _refused(shown(name), f"reading it gives: {error}", PASS) from error
    except OSError as error:
        raise _refused(name, f"reading it gives: {error.strerror}", PASS) from error
    if len(data) > MOST_BYTES:
        raise _refused(name, f"it has more than {MOST_BYTES >> 20} MiB", PASS)
    return parsed(data, name, cls)


def parsed(text: str | bytes, name: str, cls: type[Made]) -> Made:
    """The calibrator in a text: of our format and version, of that class, and whole."""
    given: Any = text
    if not isinstance(given, str | bytes | bytearray):
        raise _refused(name, f"found {type(given).__name__}, which is no text", "Pass what to_json wrote.")
    try:
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        found = f"it is no JSON ({' '.join(str(error).split())})"
        raise _refused(name, found, PASS) from error
    if not isinstance(document, dict) or cast("dict[str, Any]", document).get("format") != FORMAT:
        raise _refused(name, f'its "format" is not "{FORMAT}"', PASS)
    version = cast("dict[str, Any]", document).get("version")
    if type(version) is not int or version != VERSION:
        found = f"its version is {shown(version)} and this xent reads version {VERSION}"
        raise _refused(name, found, "Upgrade xent, or fit it again.")
    try:
        return _made(Entries(document, "the file"), cls)
    except (ValueError, TypeError, OverflowError) as error:
        raise _refused(name, f"it does not fit together ({' '.join(str(error).split())})", REMEDY) from error


def _made(entries: Entries, cls: type[Made]) -> Made:
    """The calibrator of these entries."""
    for name in ("format", "version"):
        entries.take(name)
    known = methods()
    method = entries.text("method", *known)
    if not issubclass(known[method], cls):
        raise ValueError(f"it holds a {known[method].__name__}, not a {cls.__name__}")
    made = known[method](**_parameters(known[method], Entries(entries.take("parameters"), "parameters")))
    made.kind = cast(Any, entries.text("kind", "logits", "log-probs", "probs"))
    made.n_features_in_ = entries.count("n_classes")
    made.classes = _classes(entries, made.n_features_in_)
    made.check_parameters()
    made.classes_ = np.arange(made.n_features_in_) if made.classes is None else np.asarray(made.classes)
    made.spec()
    made.log_loss_before_, made.log_loss_after_ = entries.loss("log_loss_before"), entries.loss("log_loss_after")
    fitted = Entries(entries.take("fitted"), "fitted")
    made.restore(fitted)
    fitted.done()
    entries.done()
    return cast(Made, made)


def _parameters(cls: type[Calibrator], entries: Entries) -> dict[str, float]:
    """Numbers for the constructor; the others stand elsewhere."""
    names = sorted(set(cls().get_params(deep=False)) - {"kind", "classes"})
    found = {name: entries.count(name) if name == "max_iter" else entries.number(name) for name in names}
    entries.done()
    return found


def _classes(entries: Entries, count: int) -> list[Any] | None:
    """Names of one type, as many as there are classes; None for numbers from 0."""
    if not 2 <= count <= MOST_CLASSES:
        raise ValueError(f"n_classes is {count}")
    value = entries.take("classes")
    if value is None:
        return None
    names = cast("list[Any]", value) if isinstance(value, list) else []
    if len(names) != count or {type(name) for name in names} not in ({str}, {int}, {bool}):
        raise ValueError(f"classes are no {count} names of one type")
    return names


def methods() -> dict[str, type[Calibrator]]:
    """Name -> calibrator."""
    from xent.evaluate.calibration.affine import MatrixScaling, VectorScaling
    from xent.evaluate.calibration.isotonic import IsotonicCalibration
    from xent.evaluate.calibration.temperature import TemperatureScaling

    return {cls.METHOD: cls for cls in (TemperatureScaling, VectorScaling, MatrixScaling, IsotonicCalibration)}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object none of whose names stands twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")


def _refused(name: str, found: str, remedy: str) -> ArgumentError:
    return ArgumentError(f"{name} must hold a saved calibrator", found, remedy)
