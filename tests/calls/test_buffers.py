"""Room for large results is kept for the next, belongs to whoever looks at it, and is nobody's when none does."""

import os
import sys

import numpy as np
import pytest

import xent
from xent._calls import buffers

LARGE = buffers.LEAST_BYTES // 4
FLOAT32 = np.dtype(np.float32)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have no MADV_FREE")


@pytest.fixture(autouse=True)
def _nothing_kept():
    buffers.forget()
    yield
    buffers.forget()


def kept() -> int:
    return len(buffers._kept.get(os.getpid(), []))


def address(array: np.ndarray) -> int:
    return array.ctypes.data


def test_what_is_freed_is_used_again() -> None:
    first = buffers.empty((LARGE,), FLOAT32)
    first[:] = 1.0
    at = address(first)
    del first
    assert kept() == 1
    assert address(buffers.empty((2, LARGE // 2), FLOAT32)) == at
    assert kept() == 1


def test_what_is_looked_at_is_not_given_away() -> None:
    whole = buffers.empty((4, LARGE // 4), FLOAT32)
    part = whole[1:3, ::7]
    part[:] = 5.0
    del whole
    assert kept() == 0
    other = buffers.empty((LARGE,), FLOAT32)
    other[:] = 1.0
    assert (part == 5.0).all()


def test_a_buffer_too_large_or_too_small_is_left_alone() -> None:
    at = address(buffers.empty((2 * LARGE,), FLOAT32))
    small, large = buffers.empty((LARGE,), FLOAT32), buffers.empty((3 * LARGE,), FLOAT32)
    assert at not in (address(small), address(large))


def test_few_buffers_are_kept() -> None:
    many = [buffers.empty((LARGE,), FLOAT32) for _ in range(5)]
    assert len({address(array) for array in many}) == 5
    many.clear()
    assert kept() == buffers.MOST_KEPT


def test_small_arrays_come_from_numpy() -> None:
    array = buffers.empty((LARGE - 1,), FLOAT32)
    assert array.flags.owndata
    del array
    assert kept() == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_layouts_are_kept(order: tuple[int, ...]) -> None:
    like = np.empty((16, 256, LARGE // 4096), np.float32).transpose(order)
    assert buffers.empty_like(like).strides == like.strides
    assert buffers.empty_like(like).shape == like.shape


def test_a_kept_result_does_not_change_under_the_next_call() -> None:
    logits = np.random.default_rng(0).normal(size=(64, LARGE // 32)).astype(np.float32)
    target = np.arange(64)
    first = xent.cross_entropy_and_grad(logits, target)[1]
    copy = first.copy()
    xent.softmax(logits)
    second = xent.cross_entropy_and_grad(logits[::-1], target)[1]
    assert address(first) != address(second)
    np.testing.assert_array_equal(first, copy)
