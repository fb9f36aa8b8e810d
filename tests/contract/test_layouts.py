"""Where numbers stand in memory changes no bit of a result, and nothing but the result is written: row 19."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import xent
from tests.contract.conventions import Array, assert_same_bits, dtype_of, stored, where_served
from xent.kernels import select
from xent.schedules import dense

AROUND = 7.0
SHAPES = ((4, 5, 6), (2, 3, 4, 5))
Layout = Callable[[Array, int], Array]
"""The values of an array in other memory; those that broadcast repeat the first slice, or the mean, along an axis."""

every_backend = pytest.mark.parametrize("backend", select.names())


def placed(x: Array, longer: tuple[int, ...], place: tuple[slice, ...], order: Any = "C") -> Array:
    """The values as part of longer memory that holds `AROUND` elsewhere."""
    view = np.full(longer, AROUND, order=order).astype(x.dtype, order="K")[place]
    view[...] = x
    return view


def contiguous(x: Array, axis: int) -> Array:
    return x.copy()


def fortran(x: Array, axis: int) -> Array:
    return x.copy(order="F")


def sliced(x: Array, axis: int) -> Array:
    return placed(x, (len(x), x.shape[1] + 1, *x.shape[2:]), (slice(None), slice(-1)), "F")


def part_of_longer_rows(x: Array, axis: int) -> Array:
    return placed(x, (*x.shape[:-1], x.shape[-1] + 3), (..., slice(1, -2)))


def reversed_slices(x: Array, axis: int) -> Array:
    return placed(x, (len(x), x.shape[1] + 2, *x.shape[2:]), (slice(None, None, -1), slice(x.shape[1])))


def every_second(x: Array, axis: int) -> Array:
    return placed(x, tuple(2 * n for n in x.shape), (slice(None, None, 2),) * x.ndim)


def broadcast_rows(x: Array, axis: int) -> Array:
    return np.broadcast_to(x.take([0], (axis + 1) % x.ndim), x.shape)


def broadcast_classes(x: Array, axis: int) -> Array:
    return np.broadcast_to(x.astype(np.float64).mean(axis, keepdims=True).astype(x.dtype), x.shape)


WRITABLE: tuple[Layout, ...] = (contiguous, fortran, sliced, part_of_longer_rows, reversed_slices, every_second)
LAYOUTS: tuple[Layout, ...] = (*WRITABLE, broadcast_rows, broadcast_classes)


def memory_of(view: Array) -> Array:
    return view if view.base is None else view.base


def assert_nothing_around_is_written(view: Array, what: str) -> None:
    view[...] = AROUND
    assert (memory_of(view) == AROUND).all(), what


def softmax_of(x: Array, axis: int) -> Array:
    raw = np.exp(x - x.max(axis, keepdims=True))
    return raw / raw.sum(axis, keepdims=True)


def cases(shape: tuple[int, ...], dtype: str, values: Callable[[Array, int], Array]) -> Iterator[tuple[str, int, Layout, Array]]:
    """The first argument on each axis in each layout."""
    x = np.random.default_rng(0).normal(0.0, 3.0, shape)
    for axis in range(len(shape)):
        for layout in LAYOUTS:
            yield f"{layout.__name__}, axis {axis}", axis, layout, layout(stored(values(x, axis), dtype), axis)


def targets(shape: tuple[int, ...], axis: int, layout: Layout) -> Iterator[tuple[str, Array]]:
    """Indices and probabilities, in layouts that are not the first argument's."""
    random, rows = np.random.default_rng(1), shape[:axis] + shape[axis + 1 :]
    indices = random.integers(0, shape[axis], rows)
    probs = softmax_of(random.normal(0.0, 2.0, shape), axis)
    first = LAYOUTS.index(layout)
    for step in (1, 3, 6):
        other = LAYOUTS[(first + step) % len(LAYOUTS)]
        if other is not broadcast_classes:
            yield f"indices {other.__name__}", other(indices, 0)
        yield f"probabilities {other.__name__}", other(probs, axis)


def assert_same(found: Any, expected: Any, what: str) -> None:
    for one, other in zip(found, expected, strict=True) if isinstance(found, tuple) else ((found, expected),):
        assert_same_bits(one, other, what)


def each_size_of_blocks(test: Callable[..., None]) -> Callable[..., None]:
    """On every backend, shape and dtype, in one block and in blocks of a few rows."""
    for name, choices in (
        ("block_bytes", (dense.BLOCK_BYTES, 300)),
        ("dtype", ("bfloat16", "float64")),
        ("shape", SHAPES),
    ):
        test = pytest.mark.parametrize(name, choices, ids=str)(test)
    return every_backend(where_served(test))


@each_size_of_blocks
def test_normalised_rows_do_not_depend_on_layout(
    backend: str, dtype: str, shape: tuple[int, ...], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", block_bytes)
    for what, axis, _, x in cases(shape, dtype, lambda x, axis: x):
        for function in (xent.softmax, xent.log_softmax, xent.logsumexp):
            expected = function(x.copy(), axis=axis, backend=backend)
            assert_same(function(x, axis=axis, backend=backend), expected, f"{function.__name__}, {what}")


@each_size_of_blocks
def test_losses_of_logits_do_not_depend_on_layout(
    backend: str, dtype: str, shape: tuple[int, ...], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", block_bytes)
    for at, axis, layout, x in cases(shape, dtype, lambda x, axis: x):
        options: dict[str, Any] = {"axis": axis, "reduction": "none", "backend": backend}
        for kind, target in targets(shape, axis, layout):
            what = f"{at}, {kind}"
            loss, gradient = xent.cross_entropy_and_grad(x.copy(), target.copy(), **options)
            assert_same(xent.cross_entropy_and_grad(x, target, **options), (loss, gradient), what)
            assert_same(xent.cross_entropy(x, target, **options), loss, what)
            for place in (contiguous, fortran, sliced, layout):
                if place not in WRITABLE:
                    continue
                out = place(np.full_like(x, AROUND), axis)
                found = xent.cross_entropy_and_grad(x, target, out=out, **options)
                assert found[1] is out
                assert_same(found, (loss, gradient), f"{what}, out {place.__name__}")
                assert_nothing_around_is_written(out, f"{what}, out {place.__name__}")
            if layout in WRITABLE:
                own = layout(x, axis)
                assert_same(xent.cross_entropy_and_grad(own, target, out=own, **options), (loss, gradient), f"{what}, in place")
                assert_nothing_around_is_written(own, f"{what}, in place")
            if target.ndim == x.ndim:
                divergence = xent.kl_divergence_loss(x.copy(), target.copy(), **options)
                assert_same(xent.kl_divergence_loss(x, target, **options), divergence, f"divergence, {what}")


@each_size_of_blocks
def test_losses_of_probabilities_do_not_depend_on_layout(
    backend: str, dtype: str, shape: tuple[int, ...], block_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", block_bytes)
    for function, values in (
        (xent.log_loss_and_grad, softmax_of),
        (xent.nll_loss_and_grad, lambda x, axis: np.log(softmax_of(x, axis))),
    ):
        for at, axis, layout, x in cases(shape, dtype, values):
            for kind, target in targets(shape, axis, layout):
                for reduction in ("none", "mean"):
                    what = f"{function.__name__}, {at}, {kind}"
                    options: dict[str, Any] = {"axis": axis, "reduction": reduction, "backend": backend}
                    expected = function(x.copy(), target.copy(), **options)
                    assert_same(function(x, target, **options), expected, what)


@every_backend
@where_served
def test_rows_repeated_without_memory_give_the_bits_of_repeated_rows(backend: str) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(0.0, 3.0, 37), softmax_of(random.normal(0.0, 2.0, 37), 0)
    z, target = np.broadcast_to(x, (9, 37)), np.broadcast_to(y, (9, 37))
    p = np.broadcast_to(softmax_of(x, 0), (9, 37))
    for function, given in (
        (xent.cross_entropy_and_grad, z),
        (xent.kl_divergence_loss_and_grad, z),
        (xent.nll_loss_and_grad, np.broadcast_to(np.log(p[0]), (9, 37))),
        (xent.log_loss_and_grad, p),
    ):
        expected = function(given.copy(), target.copy(), reduction="none", backend=backend)
        assert_same(function(given, target, reduction="none", backend=backend), expected, function.__name__)


def in_a_row(*arrays: Array) -> list[Array]:
    """The arrays in one piece of memory, each beginning where the one before ends."""
    whole = np.concatenate([array.ravel() for array in arrays])
    ends = np.cumsum([array.size for array in arrays])[:-1]
    return [part.reshape(array.shape) for part, array in zip(np.split(whole, ends), arrays, strict=True)]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@every_backend
@where_served
def test_a_gradient_right_behind_its_inputs_changes_no_bit(backend: str, dtype: str) -> None:
    options: dict[str, Any] = {"reduction": "sum", "backend": backend}
    for classes in (*range(2, 70), 130):
        x, y = (stored(np.random.default_rng(seed).uniform(0.0, 1.0, (1, classes)), dtype) for seed in (0, 1))
        y = softmax_of(y, 1).astype(x.dtype)
        for function in (xent.mse_loss_and_grad, xent.binary_cross_entropy_and_grad, xent.cross_entropy_and_grad):
            expected = function(x.copy(), y.copy(), out=np.empty((9, *x.shape), x.dtype)[8], **options)
            near, goal, out = in_a_row(x, y, np.empty_like(x))
            assert_same(function(near, goal, out=out, **options), expected, f"{function.__name__}, {classes}")
            goal, own = y.copy(), x.copy()
            assert_same(function(own, goal, out=own, **options), expected, f"{function.__name__}, {classes}, in place")


@every_backend
@where_served
def test_whole_numbers_of_two_bytes_are_no_bfloat16(backend: str) -> None:
    x = np.random.default_rng(0).normal(size=(7, 33)).astype(dtype_of("bfloat16"))
    target = np.random.default_rng(1).integers(0, 2, (7, 33))
    for function in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        expected = function(x, target.astype(np.uint8), reduction="none", backend=backend)
        found = function(x, target.astype(np.uint16), reduction="none", backend=backend)
        assert_same(found, expected, function.__name__)


@every_backend
@where_served
def test_a_row_without_a_softmax_has_no_loss_where_the_target_weighs_nothing(backend: str) -> None:
    target, weight = np.array([[0.0, 1.0, 0.0]]), np.array([1.0, 0.0, 1.0])
    loss, gradient = xent.cross_entropy_and_grad(
        np.array([[np.nan, 0.0, 1.0]]), target, weight=weight, reduction="none", backend=backend
    )
    assert np.isnan(loss).all()
    assert np.isnan(gradient).all()
