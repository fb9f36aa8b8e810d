"""Which backend serves: a name works or raises with its reason; None takes the first that does not refuse."""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec

from xent._errors import ArgumentError, BackendError
from xent._typing import Storage
from xent.kernels.contract import Kernel


@cache
def _numba() -> Kernel | str:
    if find_spec("numba") is None:
        return "numba is not installed: pip install numba"
    try:
        from xent.kernels.cpu.kernel import NumbaKernel
    except ImportError as error:
        return f"numba could not be imported: {error}"
    return NumbaKernel()


@cache
def _reference() -> Kernel | str:
    from xent.kernels.reference import ReferenceKernel

    return ReferenceKernel()


_REGISTRY: dict[str, Callable[[], Kernel | str]] = {"numba": _numba, "reference": _reference}


def register(name: str, make: Callable[[], Kernel | str]) -> None:
    """Enrol a backend, last in order: make returns it, or the reason why it cannot be had."""
    _REGISTRY[name] = make


def unregister(name: str) -> None:
    """Take a backend off the list again."""
    del _REGISTRY[name]


def names() -> tuple[str, ...]:
    """Every backend, in the order in which None tries them."""
    return tuple(_REGISTRY)


def reason(name: str, storage: Storage, pointwise: str | None = None) -> str | None:
    """Why the backend refuses logits of that storage (or that pointwise loss); None if it serves."""
    kernel = _REGISTRY[name]()
    return kernel if isinstance(kernel, str) else kernel.refuses(storage, pointwise)


def choose(backend: str | None, storage: Storage, pointwise: str | None = None) -> Kernel:
    """The backend named, or the first that does not refuse.

    Raises:
        ArgumentError: if no backend has that name.
        BackendError: if it refuses; the message holds its reason.
    """
    known = isinstance(backend, str) and backend in _REGISTRY
    if backend is not None and not known:
        raise ArgumentError(f"backend must be None or one of {', '.join(_REGISTRY)}", f"found {backend!r}", "None chooses.")
    refusals: list[str] = []
    for name in _REGISTRY if backend is None else (backend,):
        kernel = _REGISTRY[name]()
        refusal = kernel if isinstance(kernel, str) else kernel.refuses(storage, pointwise)
        if refusal is None and not isinstance(kernel, str):
            return kernel
        refusals.append(f"{name}: {refusal}")
    raise BackendError(
        "a backend asked for by name serves or refuses", "; ".join(refusals), "backend=None chooses one that serves."
    )


def backends() -> dict[str, str | None]:
    """Every backend with None if it is ready here, or the reason why not.

    Returns:
        Backend name -> None or reason, in the order in which ``backend=None`` tries them.

    Example:
        >>> import xent
        >>> print(xent.backends()["reference"])
        None
    """
    return {name: reason(name, "float32") for name in _REGISTRY}
