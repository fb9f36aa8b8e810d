"""Sparse rows times matrices: what the dense product gives, in one order of additions (DESIGN §2)."""

from typing import Any

import numpy as np

from tests import truth
from tests.contract.conventions import DTYPES, KERNEL, Array, assert_same_bits, contract, dtype_of
from tests.contract.test_kernels import storage_bits
from xent.kernels import select
from xent.kernels.contract import Kernel, SparseRows

WHOLE = ("float32", "float64")
WIDTHS = (1, 3, 16, 65, 300)
CLASSES = 401


def some_rows(dtype: str, n: int = 9, classes: int = CLASSES, seed: int = 0) -> SparseRows:
    """Rows of very different lengths, one of them empty and one whole."""
    random = np.random.default_rng(seed)
    stays = random.random((n, classes)) < random.choice([0.01, 0.1, 0.6], (n, 1))
    stays[n // 2], stays[n // 3] = False, True
    start = np.append(0, np.cumsum(stays.sum(axis=1))).astype(np.int64)
    value = random.normal(0.0, 1.0, start[-1]).astype(dtype)
    return SparseRows(start, np.nonzero(stays)[1].astype(np.int32), value, np.zeros(n))


def dense(sparse: SparseRows, classes: int = CLASSES) -> Array:
    """[N, C] float64."""
    out = np.zeros((len(sparse.dropped), classes))
    out[np.repeat(np.arange(len(out)), np.diff(sparse.start)), sparse.column] = sparse.value
    return out


def matrix_of(rows: int, width: int, dtype: str, seed: int = 1) -> Array:
    return np.random.default_rng(seed).normal(0.0, 1.0, (rows, width)).astype(dtype_of(dtype))


def part_of_wider(matrix: Array) -> Array:
    """The same numbers as a slice of columns, NaN on either side."""
    wide = np.full((matrix.shape[0], matrix.shape[1] + 5), np.nan).astype(matrix.dtype)
    wide[:, 2:-3] = matrix
    return wide[:, 2:-3]


def assert_sum(found: Array, left: Array, right: Array, before: Array) -> None:
    """``before + left · right`` within as many roundings as there are terms."""
    terms = (left != 0.0).sum(axis=1, keepdims=True) + 2.0
    size = np.abs(left) @ np.abs(right) + np.abs(before)
    limit = terms * truth.eps(found.dtype.name) * size
    truth.assert_near(found, before + left @ right, limit)


@contract(KERNEL, dtype=DTYPES, real=WHOLE)
def test_sparse_rows_times_a_matrix_are_added(backend: str, dtype: str, real: str) -> None:
    kernel, sparse = select.choose(backend, dtype), some_rows(real)
    for width in WIDTHS:
        matrix, before = matrix_of(CLASSES, width, dtype), matrix_of(9, width, real, 2)
        out = before.copy()
        kernel.add_sparse_product(sparse, storage_bits(matrix), dtype, out)
        assert_sum(out, dense(sparse), matrix.astype(np.float64), before.astype(np.float64))


@contract(KERNEL, dtype=WHOLE)
def test_the_transpose_of_sparse_rows_times_a_matrix_is_added(backend: str, dtype: str) -> None:
    kernel, sparse = select.choose(backend, dtype), some_rows(dtype)
    for width in WIDTHS:
        matrix, before = matrix_of(9, width, dtype), matrix_of(CLASSES, width, dtype, 2)
        out = before.copy()
        kernel.add_sparse_transposed(sparse, matrix, out)
        assert_sum(out, dense(sparse).T, matrix.astype(np.float64), before.astype(np.float64))


@contract(KERNEL, dtype=WHOLE)
def test_the_columns_of_sparse_rows_are_summed(backend: str, dtype: str) -> None:
    sparse, before = some_rows(dtype), matrix_of(CLASSES, 1, dtype)[:, 0]
    for real in WHOLE:
        out = before.astype(real)
        select.choose(backend, dtype).add_sparse_columns(sparse, out)
        right = dense(sparse).sum(axis=0) + before
        truth.assert_near(
            out, right, 10.0 * max(truth.eps(dtype), truth.eps(real)) * (np.abs(dense(sparse)).sum(axis=0) + np.abs(before))
        )


def products(kernel: Kernel, sparse: SparseRows, hidden: Array, classifier: Array, outs: tuple[Array, Array]) -> None:
    kernel.add_sparse_product(sparse, storage_bits(classifier), classifier.dtype.name, outs[0])
    kernel.add_sparse_transposed(sparse, hidden, outs[1])


@contract(KERNEL, dtype=WHOLE)
def test_slices_of_columns_make_the_whole_to_the_bit(backend: str, dtype: str) -> None:
    kernel, sparse = select.choose(backend, dtype), some_rows(dtype)
    for width, cut in ((2, 1), (65, 32), (300, 131)):
        hidden, classifier = matrix_of(9, width, dtype), matrix_of(CLASSES, width, dtype)
        whole, parts = [(np.ones_like(hidden), np.ones_like(classifier)) for _ in range(2)]
        products(kernel, sparse, hidden, classifier, whole)
        for mine in (slice(0, cut), slice(cut, width)):
            products(kernel, sparse, hidden[:, mine], classifier[:, mine], (parts[0][:, mine], parts[1][:, mine]))
        for found, right in zip(parts, whole, strict=True):
            assert_same_bits(found, right, f"{width} at {cut}")


@contract(KERNEL, dtype=DTYPES)
def test_rows_that_lie_apart_are_read_and_written_in_place(backend: str, dtype: str) -> None:
    real = truth.computed_in(dtype)
    kernel, sparse = select.choose(backend, dtype), some_rows(real)
    for width in (1, 16, 65):
        hidden, classifier = matrix_of(9, width, real), matrix_of(CLASSES, width, dtype)
        right: Any = (np.zeros((9, width), real), np.zeros((CLASSES, width), real))
        products(kernel, sparse, hidden, classifier, right)
        outs: Any = tuple(part_of_wider(np.zeros_like(out)) for out in right)
        products(kernel, sparse, part_of_wider(hidden), part_of_wider(classifier), outs)
        for found, expected in zip(outs, right, strict=True):
            assert_same_bits(found, expected)
            assert np.isnan(found.base[:, [0, 1, -3, -2, -1]]).all()


@contract(KERNEL, dtype=WHOLE)
def test_rows_split_in_two_give_the_bits_of_the_whole(backend: str, dtype: str) -> None:
    kernel, sparse = select.choose(backend, dtype), some_rows(dtype)
    hidden, classifier = matrix_of(9, 65, dtype), matrix_of(CLASSES, 65, dtype)
    whole, parts = [(np.ones_like(hidden), np.ones_like(classifier)) for _ in range(2)]
    products(kernel, sparse, hidden, classifier, whole)
    for mine in (slice(0, 4), slice(4, 9)):
        first, last = sparse.start[mine.start], sparse.start[mine.stop]
        start = sparse.start[mine.start : mine.stop + 1] - first
        some = SparseRows(start, sparse.column[first:last], sparse.value[first:last], sparse.dropped[mine])
        products(kernel, some, hidden[mine], classifier, (parts[0][mine], parts[1]))
    for found, right in zip(parts, whole, strict=True):
        assert_same_bits(found, right)


@contract(KERNEL, dtype=WHOLE)
def test_what_is_not_a_number_reaches_what_it_is_multiplied_into_and_nothing_else(backend: str, dtype: str) -> None:
    kernel, sparse = select.choose(backend, dtype), some_rows(dtype)
    hidden, classifier = matrix_of(9, 16, dtype), matrix_of(CLASSES, 16, dtype)
    hidden[2], classifier[5] = np.nan, np.nan
    outs = (np.zeros_like(hidden), np.zeros_like(classifier))
    products(kernel, sparse, hidden, classifier, outs)
    stays = dense(sparse) != 0.0
    for out, reached in zip(outs, (stays[:, 5], stays[2]), strict=True):
        np.testing.assert_array_equal(np.isnan(out).all(axis=1), reached)
        np.testing.assert_array_equal(np.isnan(out).any(axis=1), reached)


@contract(KERNEL, dtype=DTYPES)
def test_no_entries_add_nothing(backend: str, dtype: str) -> None:
    real = truth.computed_in(dtype)
    for n in (0, 3):
        nothing = SparseRows(np.zeros(n + 1, np.int64), np.empty(0, np.int32), np.empty(0, real), np.zeros(n))
        hidden, classifier = matrix_of(n, 5, real), matrix_of(7, 5, dtype)
        outs = (np.ones((n, 5), real), np.ones((7, 5), real))
        products(select.choose(backend, dtype), nothing, hidden, classifier, outs)
        columns = np.ones(7, real)
        select.choose(backend, dtype).add_sparse_columns(nothing, columns)
        for out in (*outs, columns):
            np.testing.assert_array_equal(out, 1.0)
