"""The gradient without its least entries: what goes, what stays, and what it is worth (DESIGN §2)."""

import itertools
from typing import Any

import numpy as np
import pytest

from tests import truth
from tests.contract.conventions import KERNEL, Array, assert_same_bits, contract, labels, normal
from tests.contract.test_kernels import TRANSFORMS, Case, random_target
from xent.kernels import select
from xent.kernels.contract import RowCoefficients, SparseRows, Transform, Want

WHOLE = ("float32", "float64")
WIDTHS = (1, 2, 10, 33, 129, 511, 5003)
TOLERANCES = (0.0, 1e-6, 1e-3, 1e-2, 0.3, 1.0)
PLAIN = RowCoefficients(1.0, 1.0)
RESOLUTION = 1e-5
"""The share of a tolerance that may be left though one more would have fit; more where z is rounded, by as much as it is."""
STRICT = 1e-12
"""The share by which it may be exceeded: what float64 rounds."""


def sparse(case: Case, tolerance: float, most: int | None = None, given: RowCoefficients = PLAIN) -> SparseRows | None:
    return case.kernel.sparse_gradient(
        case.problem, case.statistics(Want()), given, tolerance, case.x.size if most is None else most
    )


def filtered(case: Case, tolerance: float, given: RowCoefficients = PLAIN) -> SparseRows:
    found = sparse(case, tolerance, given=given)
    assert found is not None
    start, column, value, dropped = found
    assert (start.dtype, column.dtype, value.dtype, dropped.dtype) == (np.int64, np.int32, case.x.dtype, np.float64)
    assert (start.shape, dropped.shape) == ((len(case.x) + 1,), (len(case.x),))
    assert start[0] == 0
    assert column.shape == value.shape == (start[-1],)
    return found


def row(found: SparseRows, r: int) -> Array:
    """The classes that stay of a row, each once and in order."""
    column = found.column[found.start[r] : found.start[r + 1]]
    assert (np.diff(column) > 0).all()
    return column


def dense(found: SparseRows, classes: int) -> Array:
    """[N, C], zeros where nothing stays."""
    out = np.zeros((len(found.start) - 1, classes), found.value.dtype)
    out[np.repeat(np.arange(len(out)), np.diff(found.start)), found.column] = found.value
    return out


def assert_filtered(case: Case, found: SparseRows, tolerance: float, what: str) -> None:
    """The smallest went, their sum is as said and within tolerance, and one more would have left it."""
    finest = truth.smallest_normal(case.dtype)
    reach = np.broadcast_to(RESOLUTION + 4.0 * case.unit * np.reshape(case.reach, -1), len(case.x))
    for r, (p, near) in enumerate(zip(case.soft.p, reach, strict=True)):
        target = None if case.index is None else case.index[r]
        stays = np.isin(np.arange(len(p)), row(found, r))
        if target == -1:
            continue
        assert target is None or stays[target], what
        gone, limit = p[~stays].sum(), near * tolerance + len(p) * finest
        assert abs(found.dropped[r] - gone) <= limit, what
        assert gone <= tolerance * (1.0 + STRICT) + len(p) * finest, what
        others = p[stays & (np.arange(len(p)) != target)]
        if others.size:
            assert p[~stays].max(initial=0.0) <= (1.0 + near) * others.min() + finest, what
            assert gone + others.min() >= tolerance - limit, what


@contract(KERNEL, dtype=WHOLE, kind=("index", "none"))
def test_the_smallest_probabilities_go_and_no_more_than_the_tolerance(backend: str, dtype: str, kind: str) -> None:
    for classes, transform, spread, seed in itertools.product(WIDTHS, TRANSFORMS, (0.1, 3.0, 20.0), (0, 1)):
        x = normal(7, classes, spread, dtype, seed)
        case = Case(backend, x, random_target(kind, 7, classes), transform=transform)
        for tolerance in TOLERANCES:
            assert_filtered(case, filtered(case, tolerance), tolerance, f"{classes} {transform} {spread} {seed} {tolerance}")


@contract(KERNEL, dtype=WHOLE)
def test_the_smallest_go_whatever_scales_probabilities_have(backend: str, dtype: str) -> None:
    """Rows with groups of classes at very different heights, many alike, some next to each other in every bit but the last."""
    random = np.random.default_rng(3)
    for classes in (70, 1000):
        heights = random.choice([0.0, -3.0, -9.0, -14.0, -30.0, -80.0, -1000.0], (20, classes))
        x = (heights + random.choice([0.0, 1e-3, 1e-6], (20, classes))).astype(dtype)
        x[:, 3::9] = np.nextafter(x[:, 4::9][:, : x[:, 3::9].shape[1]], np.inf) if classes % 9 != 4 else x[:, 3::9]
        case = Case(backend, x, labels(20, classes))
        for tolerance in np.geomspace(1e-9, 0.9, 12):
            assert_filtered(case, filtered(case, float(tolerance)), float(tolerance), f"{classes} {tolerance}")


@contract(KERNEL, dtype=WHOLE)
def test_entries_that_stay_are_those_of_the_dense_gradient(backend: str, dtype: str) -> None:
    for classes, transform in itertools.product(WIDTHS, TRANSFORMS):
        case = Case(backend, normal(7, classes, 6.0, dtype), labels(7, classes), transform=transform)
        for given in (PLAIN, RowCoefficients(0.7, 0.4), RowCoefficients(np.linspace(0.1, 2.0, 7), np.linspace(2.0, 0.1, 7))):
            found = filtered(case, 1e-3, given)
            expected = case.gradient(case.statistics(Want()), given)
            stays = np.concatenate([expected[r, row(found, r)] for r in range(7)])
            assert_same_bits(found.value, stays, f"{classes} {transform}")


@contract(KERNEL, dtype=WHOLE)
def test_of_no_tolerance_only_what_is_impossible_goes(backend: str, dtype: str) -> None:
    for classes in (3, 33, 507):
        x = normal(5, classes, 3.0, dtype)
        x[:, 1::3] = -np.inf
        found = filtered(Case(backend, x, np.zeros(5, np.int64)), 0.0)
        for r in range(5):
            np.testing.assert_array_equal(row(found, r), np.flatnonzero(np.isfinite(x[r])))
        np.testing.assert_array_equal(found.dropped, np.zeros(5))


@contract(KERNEL, dtype=WHOLE)
def test_of_a_tolerance_of_one_little_but_the_target_stays(backend: str, dtype: str) -> None:
    for classes in (1, 2, 100, 507):
        found = filtered(Case(backend, normal(5, classes, 1.0, dtype), labels(5, classes)), 1.0)
        np.testing.assert_array_equal(found.column, labels(5, classes))
        np.testing.assert_array_equal(found.start, np.arange(6))


@contract(KERNEL, dtype=WHOLE)
def test_a_target_stays_however_improbable(backend: str, dtype: str) -> None:
    for classes, far in itertools.product((2, 33, 507), (5.0, 60.0, 1000.0, np.inf)):
        x, target = normal(5, classes, 0.1, dtype), labels(5, classes)
        np.put_along_axis(x, target[:, None], -far, 1)
        found = filtered(Case(backend, x, target), 0.3)
        at_target = dense(found, classes)[np.arange(5), target]
        np.testing.assert_allclose(at_target, -1.0, rtol=0.0, atol=1e-2)
        assert (found.dropped <= 0.3).all()


@contract(KERNEL, dtype=WHOLE)
def test_at_a_leading_target_the_entry_keeps_its_digits(backend: str, dtype: str) -> None:
    for lead in (20.0, 40.0, 80.0):
        x = np.zeros((1, 5), dtype)
        x[0, 2] = lead
        found = filtered(Case(backend, x, np.array([2])), 1e-3)
        np.testing.assert_array_equal(found.column, [2])
        np.testing.assert_allclose(found.value, -4.0 * np.exp(-lead), rtol=1e-6)
        np.testing.assert_allclose(found.dropped, 4.0 * np.exp(-lead), rtol=1e-5)


@contract(KERNEL, dtype=WHOLE)
def test_ignored_rows_have_no_entries(backend: str, dtype: str) -> None:
    for classes in (1, 10, 507):
        x, target = normal(6, classes, 1.0, dtype), labels(6, classes)
        target[[0, 3]], x[3] = -1, np.nan
        for tolerance in (0.0, 0.1):
            found = filtered(Case(backend, x, target), tolerance)
            entries = np.diff(found.start)
            np.testing.assert_array_equal(entries[[0, 3]], 0)
            assert (entries[[1, 2, 4, 5]] > 0).all()
            np.testing.assert_array_equal(found.dropped[[0, 3]], 0.0)
            assert np.isfinite(found.value).all()


@contract(KERNEL, dtype=WHOLE)
def test_a_row_without_a_softmax_stays_whole_as_nan(backend: str, dtype: str) -> None:
    for classes, poison in itertools.product((2, 33, 507), (np.nan, np.inf)):
        x = normal(4, classes, 1.0, dtype)
        x[1, classes // 2], x[2] = poison, -np.inf
        case = Case(backend, x, labels(4, classes))
        for tolerance in (0.0, 0.5):
            found = filtered(case, tolerance)
            np.testing.assert_array_equal(np.isnan(dense(found, classes)).all(axis=1), [False, True, True, False])
            np.testing.assert_array_equal(np.isnan(dense(found, classes)).any(axis=1), [False, True, True, False])
            assert (found.dropped <= tolerance).all()
            assert sparse(case, tolerance, 2 * classes) is None


@contract(KERNEL, dtype=WHOLE)
def test_among_equals_the_earlier_class_goes_first(backend: str, dtype: str) -> None:
    for classes, target, go in ((10, 9, 2), (100, 0, 25), (1000, 3, 252)):
        found = filtered(Case(backend, np.full((1, classes), 0.25, dtype), np.array([target])), 0.2525)
        others = np.delete(np.arange(classes), target)
        np.testing.assert_array_equal(row(found, 0), np.sort(np.append(others[go:], target)))
        np.testing.assert_allclose(found.dropped, go / classes, rtol=RESOLUTION)


@contract(KERNEL, dtype=WHOLE)
def test_more_entries_than_may_be_are_none(backend: str, dtype: str) -> None:
    case = Case(backend, normal(6, 507, 3.0, dtype), labels(6, 507))
    found = filtered(case, 1e-2)
    count = len(found.column)
    for most in (0, 1, 100, count - 1):
        assert sparse(case, 1e-2, most) is None
    for most in (count, count + 1):
        again = sparse(case, 1e-2, most)
        assert again is not None
        for array, before in zip(again, found, strict=True):
            assert_same_bits(array, before)


@contract(KERNEL, dtype=WHOLE)
def test_a_row_is_filtered_without_regard_to_its_neighbours(backend: str, dtype: str) -> None:
    for classes, transform in itertools.product((10, 507, 5003), TRANSFORMS):
        x, target = normal(9, classes, 3.0, dtype), labels(9, classes)
        target[4] = -1
        whole = filtered(Case(backend, x, target, transform=transform), 1e-2)
        for cut in (1, 4, 8):
            parts = [
                filtered(Case(backend, part, goal, transform=transform), 1e-2)
                for part, goal in ((x[:cut], target[:cut]), (x[cut:], target[cut:]))
            ]
            assert_same_bits(np.append(parts[0].start[:-1], parts[0].start[-1] + parts[1].start), whole.start)
            for name in ("column", "value", "dropped"):
                assert_same_bits(np.concatenate([getattr(part, name) for part in parts]), getattr(whole, name))


@contract(KERNEL, dtype=WHOLE)
def test_what_was_found_is_left_as_it_was_by_the_next_call(backend: str, dtype: str) -> None:
    first, second = (Case(backend, normal(5, 100, 3.0, dtype, seed), labels(5, 100)) for seed in (0, 1))
    found = filtered(first, 1e-2)
    copies: list[Any] = [array.copy() for array in found]
    filtered(second, 1e-2)
    for array, copy in zip(found, copies, strict=True):
        assert_same_bits(array, copy)


@contract(KERNEL, dtype=WHOLE)
def test_no_rows_have_no_entries(backend: str, dtype: str) -> None:
    found = filtered(Case(backend, np.ones((2, 5), dtype), np.array([-1, -1])), 1e-2)
    assert found.column.size == 0
    kernel, none = Case(backend, np.ones((1, 5), dtype)).kernel, Case(backend, np.ones((1, 5), dtype)).problem
    nothing = none._replace(logits=np.empty((0, 5), dtype), target=np.empty(0, np.int64))
    rows = Case(backend, np.ones((1, 5), dtype)).statistics(Want())
    rows = rows._replace(peak=rows.peak[:0], excess=rows.excess[:0], surprisal=rows.surprisal[:0])
    empty = kernel.sparse_gradient(nothing, rows, PLAIN, 1e-2, 0)
    assert empty is not None
    np.testing.assert_array_equal(empty.start, [0])
    assert empty.column.size == empty.value.size == empty.dropped.size == 0


def test_the_resolution_covers_what_a_bent_logit_is_rounded_by() -> None:
    """A check that judges by `Case.reach` has some where z is computed and none where it is given."""
    x = normal(2, 5)
    assert Case("reference", x).reach == 0.0
    assert np.all(Case("reference", x, transform=Transform(softcap=7.0)).reach > 0.0)


@pytest.mark.parametrize("backend", select.names())
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_logits_of_half_precision_are_not_filtered(backend: str, dtype: str) -> None:
    """They are a schedule's own product, of the computing dtype."""
    with pytest.raises(AssertionError, match=dtype):
        sparse(Case(backend, normal(2, 5, 1.0, dtype), labels(2, 5)), 1e-2)
