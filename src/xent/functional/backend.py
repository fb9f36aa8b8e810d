"""Which backends there are, and why each serves or refuses a call."""

from typing import Any

from xent._check.arrays import as_floats
from xent.kernels import select

_POINTWISE = {
    "binary_cross_entropy": "binary_cross_entropy",
    "mse_loss": "squared_error",
    "gaussian_nll_loss": "gaussian_nll",
    "sigmoid": "sigmoid",
    "log_sigmoid": "log_sigmoid",
}


def explain_backend(logits: Any, *, function: str = "cross_entropy", backend: str | None = None) -> None:
    """DOC."""
    _, storage = as_floats(logits, "logits")
    pointwise = _POINTWISE.get(function.removesuffix("_and_grad"))
    chosen = select.choose(backend, storage, pointwise).name
    for name in select.names():
        refusal = select.reason(name, storage, pointwise)
        verdict = f"refuses {storage}: {refusal}" if refusal else f"serves {function} of {storage}"
        print(f"{'->' if name == chosen else '  '} {name}: {verdict}")
