"""How the conventions are asked of the PyTorch door: tensors of any dtype, each way a call can go, truth beside the answer."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

import xent.torch as xt
from tests import truth
from tests.contract import conventions
from xent.kernels import select

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}
FORMULA = "torch"
KERNELS = select.names()
WAYS = (*KERNELS, FORMULA)
INF, NAN = float("inf"), float("nan")


def tensor(values: Any, dtype: str | None = None) -> Tensor:
    """The values in that dtype, or in the array's own."""
    found = np.asarray(values)
    name = dtype or found.dtype.name
    return torch.tensor(found.astype(np.float64)).to(DTYPES[name]) if name in DTYPES else torch.tensor(found)


def array(values: Tensor) -> np.ndarray:
    """The values in float64."""
    return values.detach().double().numpy()


def normal(n: int, c: int, scale: float = 1.0, dtype: str = "float32", seed: int = 0) -> Tensor:
    """[N, C] logits from N(0, scale)."""
    return tensor(conventions.normal(n, c, scale, dtype, seed), dtype)


def labels(n: int, c: int, seed: int = 1) -> Tensor:
    """[N] class indices, the first and the last among them."""
    return torch.tensor(conventions.labels(n, c, seed))


def probabilities(n: int, c: int) -> Tensor:
    """[N, C] distributions in float64, with zeros."""
    return torch.tensor(conventions.probabilities(n, c))


def with_gradient(loss: Any, x: Tensor, *arguments: Any, **options: Any) -> tuple[Tensor, Tensor]:
    """A loss, and the gradient of its sum by the first argument."""
    leaf = x.detach().requires_grad_()
    value = loss(leaf, *arguments, **options)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def cross_entropy(way: str, x: Tensor, target: Tensor, **options: Any) -> tuple[Tensor, Tensor]:
    """Each row's loss, unless reduced, and the gradient."""
    return with_gradient(xt.cross_entropy, x, target, **{"reduction": "none", "backend": way} | options)


def limits(way: str, right: truth.RowTruth, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """What rounding may cost: the formula computes in the dtype of the loss, where differences of logits are rounded as well."""
    if way != FORMULA:
        return right.value_limit, right.gradient_limit
    finite = np.where(np.isfinite(array(x)), array(x), 0.0)
    reach = (finite.max(axis=1) - finite.min(axis=1)) * truth.eps(str(x.dtype).removeprefix("torch."))
    with np.errstate(invalid="ignore"):
        missed = np.where(np.isfinite(right.value), -np.expm1(-np.abs(right.value)), 1.0)
    return 2 * right.value_limit + 2 * reach * missed, 2 * right.gradient_limit + 2 * reach[:, None] * np.abs(right.gradient)


def assert_rows(way: str, x: Tensor, target: Tensor, what: str = "", *, nan: bool = False, **options: Any) -> None:
    """Losses and gradients of [N, C] logits are as true as their dtype allows; dtypes are those promised."""
    dtype = str(x.dtype).removeprefix("torch.")
    loss, gradient = cross_entropy(way, x, target, **options)
    assert loss.dtype == DTYPES[truth.computed_in(dtype)], what
    assert gradient.dtype == x.dtype, what
    known = {name: array(v) if isinstance(v, Tensor) else v for name, v in options.items()}
    goal = array(target) if target.is_floating_point() else target.numpy()
    right = truth.rows(array(x), goal, dtype=dtype, **known)
    value_limit, gradient_limit = limits(way, right, x)
    truth.assert_near(array(loss), right.value, value_limit, f"loss {what}", nan=nan)
    truth.assert_near(array(gradient), right.gradient, gradient_limit, f"gradient {what}", nan=nan)


def assert_same(found: Tensor, expected: Tensor, what: str = "") -> None:
    """Bit for bit, dtype and shape."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), what
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[found.itemsize]
    assert torch.equal(found.contiguous().view(integer), expected.contiguous().view(integer)), what


def assert_like(way: str, found: Tensor, expected: Tensor, what: str = "") -> None:
    """Bit for bit by kernels; PyTorch's own operators may round otherwise where a batch has another shape."""
    if way != FORMULA:
        assert_same(found, expected, what)
        return
    torch.testing.assert_close(found, expected, msg=what or None)
