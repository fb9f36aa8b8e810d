"""Blocks of rows: every row once, in order, as views wherever strides allow."""

import itertools

import numpy as np
import pytest

from tests.contract.conventions import assert_same_bits, labels, normal
from xent.kernels.contract import RowCoefficients
from xent.kernels.reference import ReferenceKernel
from xent.losses.categorical import CategoricalLoss
from xent.schedules import dense

SHAPES = ((1, 7, 5), (7, 1, 5), (3, 4, 5), (4, 3, 1), (1, 0, 5), (0, 3, 5), (2, 100, 3))
SIZES = (1, 40, 100, 700, 1 << 21)


def arrays(shape: tuple[int, int, int]) -> dict[str, np.ndarray]:
    """The same numbers in several layouts."""
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return {
        "contiguous": x,
        "class axis first": np.ascontiguousarray(x.transpose(2, 0, 1)).transpose(1, 2, 0),
        "class axis in the middle": np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1),
        "outer axes swapped": np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2),
        "every second row": np.repeat(x, 2, axis=1)[:, ::2],
        "reversed": x[::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1],
    }


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_blocks_hold_every_row_once_and_in_order(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for size, (name, x) in itertools.product(SIZES, arrays(shape).items()):
        monkeypatch.setattr(dense, "BLOCK_BYTES", size)
        found = list(dense.blocks(x))
        assert [b.start for b in found[1:]] == [b.stop for b in found[:-1]], name
        rows = [b.matrix(x) for b in found]
        assert [len(r) for r in rows] == [b.stop - b.start for b in found]
        whole = np.concatenate(rows) if rows else np.empty((0, shape[2]), np.float32)
        np.testing.assert_array_equal(whole, x.reshape(-1, shape[2]), err_msg=f"{name} {size}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_blocks_are_of_the_size_asked_for_or_one_row(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for size, x in itertools.product(SIZES, arrays(shape).values()):
        monkeypatch.setattr(dense, "BLOCK_BYTES", size)
        for block in dense.blocks(x):
            rows = block.stop - block.start
            assert 0 < rows
            assert rows == 1 or rows * shape[2] * 4 <= size


def test_rows_of_a_contiguous_array_are_never_copied() -> None:
    for shape in SHAPES[:4]:
        x = np.zeros(shape, np.float32)
        for block in dense.blocks(x):
            assert np.shares_memory(block.matrix(x), x)


def test_a_row_longer_than_its_step_is_still_a_view() -> None:
    wide = np.zeros((6, 20), np.float32)[:, 3:15][None]
    for block in dense.blocks(wide):
        assert np.shares_memory(block.matrix(wide), wide)


def test_in_a_matrix_classes_or_rows_lie_side_by_side() -> None:
    for x in arrays((3, 4, 5)).values():
        for block in dense.blocks(x):
            assert 4 in block.matrix(x).strides


def test_rows_of_a_large_image_are_never_copied() -> None:
    image = np.zeros((2, 3, dense.LARGE_IMAGE), np.float32).transpose(0, 2, 1)
    found = dense.blocks(image)
    assert [(block.start, block.stop) for block in found] == [(0, dense.LARGE_IMAGE), (dense.LARGE_IMAGE, 2 * dense.LARGE_IMAGE)]
    for block in found:
        assert np.shares_memory(block.matrix(image), image)


def test_a_share_of_one_number_for_all_is_that_number() -> None:
    block = next(iter(dense.blocks(np.zeros((1, 4, 3), np.float32))))
    assert block.part(2.5) == 2.5
    np.testing.assert_array_equal(block.part(np.arange(4.0)), np.arange(4.0))


@pytest.mark.parametrize("size", SIZES)
def test_values_gradients_and_probabilities_do_not_depend_on_blocks_or_layout(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(12, 5).reshape(3, 4, 5)
    kernel, loss, target = ReferenceKernel(), CategoricalLoss(), labels(12, 5)
    right = np.empty_like(x)
    expected = dense.values_and_gradient(kernel, dense.Rows(x, "float32", target), loss, 0.5, right)
    monkeypatch.setattr(dense, "BLOCK_BYTES", size)
    for view in (x, np.asfortranarray(x), np.ascontiguousarray(x.transpose(0, 2, 1)).transpose(0, 2, 1)):
        out = np.full_like(view, np.nan)
        rows = dense.Rows(view, "float32", target)
        assert_same_bits(dense.values_and_gradient(kernel, rows, loss, 0.5, out), expected)
        assert_same_bits(out, right)
        assert_same_bits(dense.values(kernel, rows, loss), expected)
        p, log_p = np.full_like(view, np.nan), np.full_like(view, np.nan)
        dense.probabilities(kernel, rows, p)
        dense.log_probabilities(kernel, rows, log_p)
        np.testing.assert_allclose(p.sum(axis=2), 1.0, rtol=1e-6)
        np.testing.assert_allclose(np.exp(log_p), p, rtol=1e-5)
        np.testing.assert_allclose(np.exp(dense.log_partition(kernel, rows)), np.exp(view).sum(axis=2).reshape(-1), rtol=1e-6)


def test_the_gradient_is_that_of_the_weighted_sum() -> None:
    x, target, upstream = normal(6, 5)[None], labels(6, 5), np.linspace(0.0, 2.0, 6)
    kernel, rows = ReferenceKernel(), dense.Rows(normal(6, 5)[None], "float32", labels(6, 5))
    whole, each = np.empty_like(x), np.empty_like(x)
    dense.values_and_gradient(kernel, rows, CategoricalLoss(), upstream, whole)
    dense.values_and_gradient(kernel, dense.Rows(x, "float32", target), CategoricalLoss(), 1.0, each)
    np.testing.assert_allclose(whole[0], each[0] * upstream[:, None], rtol=1e-6)


def test_an_error_in_a_block_is_the_callers_and_no_thread_is_left_behind() -> None:
    class Failing(ReferenceKernel):
        def gradient(self, problem: object, rows: object, coefficients: RowCoefficients, out: np.ndarray) -> None:
            raise MemoryError("no room")

    x = normal(3000, 500)[None]
    rows = dense.Rows(x, "float32", labels(3000, 500))
    with pytest.raises(MemoryError, match="no room"):
        dense.values_and_gradient(Failing(), rows, CategoricalLoss(), 1.0, np.empty_like(x))
    assert np.isfinite(dense.values(ReferenceKernel(), rows, CategoricalLoss())).all()


def test_measures_are_those_of_each_row() -> None:
    x = normal(12, 5, dtype="float64").reshape(3, 4, 5)
    found = dense.measure(ReferenceKernel(), x, "float64")
    np.testing.assert_allclose(found.total, x.sum(axis=2).reshape(-1), atol=1e-14)
    np.testing.assert_array_equal(found.lowest, x.min(axis=2).reshape(-1))
    np.testing.assert_array_equal(found.highest, x.max(axis=2).reshape(-1))
