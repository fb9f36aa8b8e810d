"""Logits whose classes lie apart and whose rows lie side by side, [N, C, H, W]: the bits of a copy with classes last."""

from typing import Any

import numpy as np
import pytest

import xent
from tests.contract.conventions import assert_same_bits
from xent.kernels import select

Array = np.ndarray[Any, Any]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "focal": {"focal": 2.0},
    "capped": {"softcap": 5.0},
    "z-loss": {"z_loss": 0.1},
}


def images(shape: tuple[int, ...], dtype: str) -> tuple[Array, Array]:
    """Logits and labels with an ignored row, a row of NaN, one of −inf, and one whose label is hopeless."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.0, 3.0, shape).astype(dtype), rng.integers(0, shape[1], (shape[0], *shape[2:]))
    y[0, 0, 0], x[0, 0, 0, 1], x[0, :, 0, 2] = -100, np.nan, -np.inf
    x[0, 0, 1, 0], y[0, 1, 0] = -300.0, 0
    return x, y


def classes_last(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


@pytest.mark.parametrize("backend", select.names())
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("classes", [1, 2, 21, 130])
def test_images_have_the_bits_of_rows(backend: str, dtype: str, classes: int) -> None:
    x, y = images((2, classes, 64, 65), dtype)
    for options in OPTIONS.values():
        loss, gradient = xent.cross_entropy_and_grad(x, y, axis=1, reduction="none", backend=backend, **options)
        right, slope = xent.cross_entropy_and_grad(classes_last(x), y, reduction="none", backend=backend, **options)
        assert_same_bits(loss, right)
        assert_same_bits(classes_last(gradient), slope)
        alone = xent.cross_entropy(x, y, axis=1, reduction="none", backend=backend, **options)
        assert_same_bits(alone, xent.cross_entropy(classes_last(x), y, reduction="none", backend=backend, **options))


@pytest.mark.parametrize("backend", select.names())
def test_the_gradient_of_an_image_may_take_its_place(backend: str) -> None:
    x, y = images((2, 21, 64, 65), "float32")
    right = xent.cross_entropy_and_grad(x, y, axis=1, backend=backend)[1]
    assert_same_bits(xent.cross_entropy_and_grad(x, y, axis=1, out=x, backend=backend)[1], right)
    assert_same_bits(x, right)


@pytest.mark.parametrize("backend", select.names())
def test_images_of_probabilities_and_softmax_have_the_bits_of_rows(backend: str) -> None:
    x, _ = images((2, 5, 64, 65), "float32")
    probs = np.random.default_rng(1).dirichlet(np.ones(5), (2, 64, 65)).transpose(0, 3, 1, 2)
    loss, gradient = xent.cross_entropy_and_grad(x, probs, axis=1, reduction="none", backend=backend)
    right, slope = xent.cross_entropy_and_grad(classes_last(x), classes_last(probs), reduction="none", backend=backend)
    assert_same_bits(loss, right)
    assert_same_bits(classes_last(gradient), slope)
    for function in (xent.softmax, xent.log_softmax):
        assert_same_bits(classes_last(function(x, axis=1, backend=backend)), function(classes_last(x), backend=backend))
