"""Softmax and its relatives: along one axis, never over the whole array."""

from typing import Any

import numpy as np

from xent._check.arrays import as_floats
from xent._typing import Array, Floats
from xent.functional import _rows
from xent.kernels.contract import Pointwise
from xent.kernels.select import choose
from xent.losses.binary import LOG_SIGMOID, SIGMOID
from xent.schedules import dense, pointwise


def softmax(x: Any, *, axis: int = -1, backend: str | None = None) -> Array:
    """DOC."""
    given = _rows.read_input(x, axis, "x")
    result = np.empty(given.array.shape, given.array.dtype)
    rows = dense.Rows(_rows.matrix_bits(given), given.storage)
    dense.probabilities(choose(backend, given.storage), rows, given.matrix(_rows.bits(result, given.storage)))
    return result


def log_softmax(x: Any, *, axis: int = -1, backend: str | None = None) -> Array:
    """DOC."""
    given = _rows.read_input(x, axis, "x")
    result = np.empty(given.array.shape, given.array.dtype)
    rows = dense.Rows(_rows.matrix_bits(given), given.storage)
    dense.log_probabilities(choose(backend, given.storage), rows, given.matrix(_rows.bits(result, given.storage)))
    return result


def logsumexp(x: Any, *, axis: int = -1, backend: str | None = None) -> Any:
    """DOC."""
    given = _rows.read_input(x, axis, "x")
    rows = dense.Rows(_rows.matrix_bits(given), given.storage)
    lse = dense.log_partition(choose(backend, given.storage), rows)
    with np.errstate(over="ignore"):
        return lse.reshape(given.row_shape).astype(given.loss_dtype)[()]


def _mapped(x: Any, function: Pointwise, backend: str | None) -> Floats:
    array, storage = as_floats(x, "x")
    kernel = choose(backend, storage, function.name)
    result = np.empty(array.shape, np.float64 if storage == "float64" else np.float32)
    pointwise.evaluate(kernel, function, (_rows.bits(array, storage),), storage, values=result)
    return (result if result.dtype == array.dtype else result.astype(array.dtype))[()]


def sigmoid(x: Any, *, backend: str | None = None) -> Any:
    """DOC."""
    return _mapped(x, SIGMOID, backend)


def log_sigmoid(x: Any, *, backend: str | None = None) -> Any:
    """DOC."""
    return _mapped(x, LOG_SIGMOID, backend)
