"""Which backends there are, and why each serves or refuses a call."""

from typing import Any

from xent._check.arrays import as_floats
from xent._errors import ArgumentError
from xent.kernels import select

_POINTWISE = {
    "binary_cross_entropy": "binary_cross_entropy",
    "mse_loss": "squared_error",
    "gaussian_nll_loss": "gaussian_nll",
    "sigmoid": "sigmoid",
    "log_sigmoid": "log_sigmoid",
}
_ROWS = ("cross_entropy", "kl_divergence_loss", "nll_loss", "log_loss", "softmax", "log_softmax", "logsumexp")


def explain_backend(logits: Any, *, function: str = "cross_entropy", backend: str | None = None) -> None:
    """Print which backend would serve a call, and every backend's reason for serving or refusing it.

    An arrow ``->`` marks the one chosen: with ``backend=None`` the first that does not refuse.

    Args:
        logits: the array of the call in question; its dtype decides.
        function: the name of the public function, with or without ``_and_grad``.
        backend: the name the call would give, or None.

    Returns:
        None; the reasons are printed, one line a backend.

    Raises:
        ArgumentError: no backend, or no function, has that name; lists the names.
        BackendError: the named backend refuses; holds its reason.
        DTypeError: the array is not floats; names its dtype.

    Example:
        >>> import numpy as np
        >>> import xent
        >>> xent.explain_backend(np.zeros((2, 3), dtype=np.float32), backend="reference")
           numba: ...
        -> reference: serves cross_entropy of float32

    References:
        `xent.kernels.contract`, what a backend promises.
    """
    _, storage = as_floats(logits, "logits")
    plain = function.removesuffix("_and_grad")
    if plain not in _POINTWISE and plain not in _ROWS:
        known = ", ".join((*_ROWS, *_POINTWISE))
        raise ArgumentError("function must name a function of xent", f"found {function!r}", f"One of {known}.")
    pointwise = _POINTWISE.get(plain)
    chosen = select.choose(backend, storage, pointwise).name
    for name in select.names():
        refusal = select.reason(name, storage, pointwise)
        verdict = f"refuses {storage}: {refusal}" if refusal else f"serves {function} of {storage}"
        print(f"{'->' if name == chosen else '  '} {name}: {verdict}")
