"""Softmax and its relatives: along one axis, never over the whole array."""

from collections.abc import Callable
from typing import Any

import numpy as np

from xent._calls import buffers
from xent._calls import rows as _rows
from xent._check.arrays import as_floats
from xent._typing import Array, Floats
from xent.kernels.contract import Kernel, Pointwise
from xent.kernels.select import choose
from xent.losses.binary import LOG_SIGMOID, SIGMOID
from xent.schedules import dense, pointwise


def _along(fill: Callable[[Kernel, dense.Rows, Array], None], x: Any, axis: int, backend: str | None) -> Array:
    """A fresh array like x, filled row by row by a schedule."""
    given = _rows.read_input(x, axis, "x")
    result = buffers.empty(given.array.shape, given.array.dtype)
    rows = dense.Rows(_rows.matrix_bits(given), given.storage)
    fill(choose(backend, given.storage), rows, given.matrix(_rows.bits(result, given.storage)))
    return result


def softmax(x: Any, *, axis: int = -1, backend: str | None = None) -> Array:
    """Probabilities (no unit) that are proportional to ``e^x`` along one axis.

    ``p_j = e^x_j / Σ_k e^x_k``

    Args:
        x: [..., C, ...] scores in float16, bfloat16, float32 or float64; −inf gives 0.
        axis: the class axis; never the whole array.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        Probabilities in the shape and dtype of x; each row along ``axis`` sums to 1 but for rounding. A row with NaN, +inf
        or only −inf is NaN and alters no other; no row is ignored.

    Raises:
        DTypeError: x is not floats; names its dtype.
        ShapeError: x is a single number, or C is 0.
        ArgumentError: there is no such axis; states how many there are.
        BackendError: the named backend refuses; holds its reason.

    Example:
        Each row is a distribution of its own, and only differences within a row matter.

        >>> import numpy as np
        >>> import xent
        >>> p = xent.softmax(np.array([[2.0, 1.0, 0.0], [1002.0, 1001.0, 1000.0]]))
        >>> print(p.round(4), p.sum(axis=1).round(4))
        [[0.6652 0.2447 0.09  ]
         [0.6652 0.2447 0.09  ]] [1. 1.]

    References:
        Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.
    """
    return _along(dense.probabilities, x, axis, backend)


def log_softmax(x: Any, *, axis: int = -1, backend: str | None = None) -> Array:
    """Logarithms of softmax probabilities, in nats below 0.

    ``log p_j = x_j − log Σ_k e^x_k``, exact where the probability itself would underflow.

    Args:
        x: [..., C, ...] scores in float16, bfloat16, float32 or float64.
        axis: the class axis; never the whole array.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        Log-probabilities in the shape and dtype of x, at most 0; −inf where x is. A row with NaN, +inf or only −inf is NaN
        and alters no other; no row is ignored.

    Raises:
        DTypeError: x is not floats; names its dtype.
        ShapeError: x is a single number, or C is 0.
        ArgumentError: there is no such axis; states how many there are.
        BackendError: the named backend refuses; holds its reason.

    Example:
        The probability underflows to 0, whose logarithm is −inf; the log-probability is still right.

        >>> import numpy as np
        >>> import xent
        >>> x = np.array([1000.0, 0.0])
        >>> print(xent.softmax(x)[1], xent.log_softmax(x)[1])
        0.0 -1000.0

    References:
        Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
    return _along(dense.log_probabilities, x, axis, backend)


def logsumexp(x: Any, *, axis: int = -1, backend: str | None = None) -> Any:
    """Logarithm of the sum of exponentials along one axis, in nats.

    ``lse = log Σ_j e^x_j``, without overflow.

    Args:
        x: [..., C, ...] scores in float16, bfloat16, float32 or float64.
        axis: the axis to sum over.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        float32 (float64 for float64 x), shaped like x without ``axis``. A row with NaN, +inf or only −inf is NaN; no row is
        ignored.

    Raises:
        DTypeError: x is not floats; names its dtype.
        ShapeError: x is a single number, or C is 0.
        ArgumentError: there is no such axis; states how many there are.
        BackendError: the named backend refuses; holds its reason.

    Example:
        Two equal terms add ln 2, at any magnitude.

        >>> import numpy as np
        >>> import xent
        >>> print(*(f"{lse:.4f}" for lse in xent.logsumexp(np.array([[0.0, 0.0], [1000.0, 1000.0]]))))
        0.6931 1000.6931

    References:
        Blanchard, Higham & Higham, "Accurately computing the log-sum-exp and softmax functions", 2021.
    """
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
    """Probability (no unit) of "yes" where x is its log-odds.

    ``σ(x) = 1 / (1 + e^−x)``, elementwise.

    Args:
        x: [...] log-odds of any shape, in float16, bfloat16, float32 or float64.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        Probabilities in the shape and dtype of x; 0 and 1 at ∓inf, NaN at NaN.

    Raises:
        DTypeError: x is not floats; names its dtype.
        BackendError: the named backend refuses; holds its reason.

    Example:
        The logit undoes it, and "no" is "yes" of the opposite log-odds.

        >>> import numpy as np
        >>> import xent
        >>> p = xent.sigmoid(np.array([-2.0, 0.0, 2.0]))
        >>> print(p.round(4), np.log(p / (1 - p)).round(4) + 0.0)
        [0.1192 0.5    0.8808] [-2.  0.  2.]

    References:
        Verhulst 1845; Cox, "The Regression Analysis of Binary Sequences", 1958.
    """
    return _mapped(x, SIGMOID, backend)


def log_sigmoid(x: Any, *, backend: str | None = None) -> Any:
    """Logarithm of the probability of "yes", in nats below 0.

    ``log σ(x) = −log(1 + e^−x)``, elementwise, exact where the probability underflows or rounds to 1.

    Args:
        x: [...] log-odds of any shape, in float16, bfloat16, float32 or float64.
        backend: the name of a backend, or None for the first that serves.

    Returns:
        Log-probabilities in the shape and dtype of x, at most 0; −inf at −inf, NaN at NaN.

    Raises:
        DTypeError: x is not floats; names its dtype.
        BackendError: the named backend refuses; holds its reason.

    Example:
        It is minus the binary cross-entropy of a "yes"; far below 0 it is x itself.

        >>> import numpy as np
        >>> import xent
        >>> x = np.array([-1000.0, 0.0, 40.0])
        >>> print(*(f"{value:.4g}" for value in xent.log_sigmoid(x)))
        -1000 -0.6931 -4.248e-18

    References:
        docs/derivations/sigmoid-cross-entropy.md.
    """
    return _mapped(x, LOG_SIGMOID, backend)
