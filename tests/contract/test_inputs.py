"""Any layout gives the bits of a contiguous copy, inputs stay as they were, more than 2^31 elements are counted: rows 17, 18."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import (
    DTYPES,
    Array,
    assert_same_bits,
    contract,
    cross_entropy,
    labels,
    normal,
    poisoned,
    probabilities,
    stored,
)
from xent.kernels import select
from xent.kernels.reference import ReferenceKernel

WIDTHS = (1, 2, 10, 33, 128, 507)


def reversed_rows(x: Array) -> Array:
    return x[::-1].copy()[::-1]


def reversed_classes(x: Array) -> Array:
    return x[:, ::-1].copy()[:, ::-1]


def every_second_row(x: Array) -> Array:
    return np.repeat(x, 2, axis=0)[::2]


def every_third_class(x: Array) -> Array:
    return np.repeat(x, 3, axis=1)[:, ::3]


def part_of_wider_rows(x: Array) -> Array:
    wide = np.full((len(x) + 2, x.shape[1] + 5), np.nan).astype(x.dtype)
    wide[1:-1, 3:-2] = x
    return wide[1:-1, 3:-2]


def transposed(x: Array) -> Array:
    return x.T.copy().T


def misaligned(x: Array) -> Array:
    memory = np.zeros(x.nbytes + 1, np.uint8)
    view = memory[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x: Array) -> Array:
    view = x.copy()
    view.flags.writeable = False
    return view


LAYOUTS: tuple[Callable[[Array], Array], ...] = (
    reversed_rows,
    reversed_classes,
    every_second_row,
    every_third_class,
    part_of_wider_rows,
    transposed,
    misaligned,
    read_only,
)


def functions(backend: str) -> dict[str, Callable[[Array, Array], Any]]:
    """Everything that takes a matrix of logits and a matrix of probabilities."""
    return {
        "index": lambda x, y: xent.cross_entropy_and_grad(x, labels(*x.shape), reduction="none", backend=backend),
        "soft": lambda x, y: xent.cross_entropy_and_grad(x, y, reduction="none", label_smoothing=0.1, backend=backend),
        "kl": lambda x, y: xent.kl_divergence_loss_and_grad(x, y, reduction="none", softcap=5.0, backend=backend),
        "log_loss": lambda x, y: xent.log_loss_and_grad(y, labels(*x.shape), reduction="none", backend=backend),
        "expected log_loss": lambda x, y: xent.log_loss_and_grad(y, y, reduction="sum", backend=backend),
        "softmax": lambda x, y: (xent.softmax(x, backend=backend),),
        "log_softmax": lambda x, y: (xent.log_softmax(x, backend=backend),),
        "logsumexp": lambda x, y: (xent.logsumexp(x, backend=backend),),
        "binary": lambda x, y: xent.binary_cross_entropy_and_grad(x, y, reduction="none", backend=backend),
        "mse": lambda x, y: xent.mse_loss_and_grad(x, y, weight=y.astype(float) + 1.0, reduction="none", backend=backend),
        "gaussian": lambda x, y: (xent.gaussian_nll_loss(x, x, y.astype(float) + 1.0, backend=backend),),
        "sigmoid": lambda x, y: (xent.sigmoid(x, backend=backend),),
    }


@contract(17, dtype=DTYPES)
def test_any_layout_gives_the_bits_of_a_contiguous_copy(backend: str, dtype: str) -> None:
    for classes in WIDTHS:
        x, y = normal(7, classes, 3.0, dtype), probabilities(7, classes).astype("float32")
        for name, function in functions(backend).items():
            expected = function(x, y)
            for layout in LAYOUTS:
                for found, right in zip(function(layout(x), layout(y)), expected, strict=True):
                    assert_same_bits(found, right, f"{name}, {layout.__name__}, {classes} classes")


@contract(17)
def test_inputs_are_left_as_they_were(backend: str) -> None:
    for classes in WIDTHS:
        for layout in LAYOUTS:
            x, y = normal(7, classes, 3.0), probabilities(7, classes).astype(np.float32)
            for name, function in functions(backend).items():
                given, goal = layout(x), layout(y)
                function(given, goal)
                assert_same_bits(given, x, name)
                assert_same_bits(goal, y, name)


@contract(17)
def test_targets_and_weights_of_any_layout_are_read(backend: str) -> None:
    x, target, weight = normal(7, 10), labels(7, 10), np.linspace(0.5, 2.0, 10)
    strided = np.repeat(target, 3)[::3]
    frozen = target.copy()
    frozen.flags.writeable = False
    thin = np.repeat(weight, 2)[::2]
    expected = cross_entropy(backend, x, target, weight=weight, label_smoothing=0.1)
    for goal in (strided, frozen, target[::-1].copy()[::-1], target.astype(">i4"), np.asfortranarray(target)):
        for found, right in zip(cross_entropy(backend, x, goal, weight=thin, label_smoothing=0.1), expected, strict=True):
            assert_same_bits(found, right)
    assert_same_bits(target, labels(7, 10))
    assert_same_bits(weight, np.linspace(0.5, 2.0, 10))


@contract(17)
def test_expanded_logits_are_read(backend: str) -> None:
    row, column = normal(1, 33), normal(7, 1)
    target = labels(7, 33)
    for expanded in (np.broadcast_to(row, (7, 33)), np.broadcast_to(column, (7, 33)), np.broadcast_to(row[0, 0], (7, 33))):
        loss, gradient = xent.cross_entropy_and_grad(expanded, target, reduction="none", backend=backend)
        right, slope = cross_entropy(backend, expanded.copy(), target)
        assert_same_bits(loss, right)
        assert_same_bits(gradient, slope)


@contract(17)
def test_memory_mapped_logits_are_read(backend: str) -> None:
    x, target = normal(57, 33), labels(57, 33)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "logits.npy"
        np.save(path, x)
        before = path.read_bytes()
        mapped = np.load(path, mmap_mode="r")
        loss, gradient = xent.cross_entropy_and_grad(mapped, target, reduction="none", backend=backend)
        del mapped
        assert path.read_bytes() == before
    right, slope = cross_entropy(backend, x, target)
    assert_same_bits(loss, right)
    assert_same_bits(gradient, slope)
    assert type(gradient) is np.ndarray


@contract(17, dtype=DTYPES)
def test_the_class_axis_costs_no_bits(backend: str, dtype: str) -> None:
    x = stored(np.random.default_rng(0).normal(size=(3, 33, 5, 2)), dtype)
    target = np.random.default_rng(1).integers(0, 33, (3, 5, 2))
    flat = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    right, slope = cross_entropy(backend, flat, target)
    for given in (x, np.moveaxis(flat, -1, 1), np.asfortranarray(x)):
        loss, gradient = xent.cross_entropy_and_grad(given, target, axis=1, reduction="none", backend=backend)
        assert_same_bits(loss, right)
        assert_same_bits(np.moveaxis(gradient, 1, -1), slope)


@contract(17, dtype=DTYPES)
def test_overwriting_the_logits_gives_the_same_bits(backend: str, dtype: str) -> None:
    for classes in WIDTHS:
        target, y = labels(57, classes), probabilities(57, classes)
        target[3] = -100
        for layout in (np.copy, transposed, part_of_wider_rows, every_third_class, reversed_rows):
            x = normal(57, classes, 3.0, dtype)
            for goal in (target, y):
                for options in ({}, {"label_smoothing": 0.1, "z_loss": 1e-2, "softcap": 5.0}):
                    right, slope = cross_entropy(backend, x, goal, **options)
                    own = layout(x)
                    loss, gradient = xent.cross_entropy_and_grad(own, goal, out=own, reduction="none", backend=backend, **options)
                    assert gradient is own
                    assert_same_bits(loss, right, f"{layout.__name__} {classes} {options}")
                    assert_same_bits(own, slope, f"{layout.__name__} {classes} {options}")


@contract(17)
def test_overwriting_works_elementwise(backend: str) -> None:
    for function in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        for layout in (np.copy, transposed, every_third_class):
            x, y = normal(7, 33), probabilities(7, 33).astype(np.float32)
            loss, gradient = function(x, y, backend=backend)
            own = layout(x)
            again, found = function(own, y, out=own, backend=backend)
            assert found is own
            assert_same_bits(again, loss)
            assert_same_bits(own, gradient)


@contract(17)
def test_a_buffer_of_any_layout_is_written_whole_and_nothing_else(backend: str) -> None:
    for classes in WIDTHS:
        x, target = normal(7, classes), labels(7, classes)
        target[2] = -100
        _, slope = cross_entropy(backend, x, target)
        around = poisoned(np.zeros((9, classes + 5), np.float32))
        inside = around[1:-1, 3:-2]
        xent.cross_entropy_and_grad(x, target, out=inside, reduction="none", backend=backend)
        assert_same_bits(inside, slope)
        inside[...] = np.nan
        assert np.isnan(around).all()
        for layout in (transposed, every_third_class, reversed_rows, misaligned):
            out = layout(poisoned(x))
            xent.cross_entropy_and_grad(x, target, out=out, reduction="none", backend=backend)
            assert_same_bits(out, slope, layout.__name__)


@contract(17)
def test_a_buffer_that_overlaps_in_part_is_refused(backend: str) -> None:
    memory = np.zeros((8, 10), np.float32)
    for x, out in ((memory[1:], memory[:-1]), (memory[:-1], memory[:-1, ::-1])):
        with pytest.raises(xent.ArgumentError, match="must not overlap logits in part"):
            xent.cross_entropy_and_grad(x, labels(7, 10), out=out, backend=backend)
    y = np.full((7, 2), 0.5, np.float32)
    with pytest.raises(xent.ArgumentError, match="must not overlap target"):
        xent.cross_entropy_and_grad(np.zeros((7, 2), np.float32), y, out=y, backend=backend)


@contract(18)
def test_more_than_two_to_the_31_elements_are_counted(backend: str) -> None:
    if isinstance(select.choose(backend, "float32"), ReferenceKernel):
        pytest.skip("takes minutes in NumPy float64; 32-bit indices could only stand in compiled code")
    row = normal(1, 32768)
    x, target = np.broadcast_to(row, (70_000, 32768)), np.arange(70_000) * 7 % 32768
    assert x.size > 2**31
    loss = xent.cross_entropy(x, target, reduction="none", backend=backend)
    surprisals = truth.softmax(row.astype(np.float64)).surprisals[0]
    truth.assert_near(loss, surprisals[target], 4 * truth.ulp(surprisals[target], "float32"))
    y = probabilities(1, 32768).astype(np.float32)
    loss = xent.cross_entropy(x, np.broadcast_to(y, x.shape), backend=backend)
    truth.assert_near(loss, y[0] @ surprisals, 8 * truth.ulp(10.0, "float32"))
