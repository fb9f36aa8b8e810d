"""A plan stays within its limit on paper, and a call stays within its plan in memory."""

import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xent
from tests.contract.conventions import labels, normal, probabilities, stored
from tests.functional.linear import plans_taken
from xent._calls import buffers
from xent.schedules.linear.algebra import NumpyAlgebra
from xent.schedules.linear.plan import DEFAULT_BYTES, Plan, Shape, plan, smallest

MIB = 1 << 20
SLACK = 256 << 10
"""Python's own objects, and what NumPy makes of scalars and small arrays."""

items = st.sampled_from([(4, 4, 4), (4, 2, 2), (4, 2, 4), (4, 4, 2), (8, 8, 8), (8, 2, 8), (8, 4, 4)])


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    item, hidden, classifier = draw(items)
    return Shape(
        rows=draw(st.integers(1, 1 << 18)),
        classes=draw(st.integers(1, 1 << 22)),
        width=draw(st.integers(1, 1 << 14)),
        item=item,
        hidden_item=hidden,
        classifier_item=classifier,
        gradients=draw(st.booleans()),
        gathered=draw(st.booleans()),
        target_item=draw(st.sampled_from([0, 4, 8])),
        room=NumpyAlgebra().room,
    )


def assert_covers(found: Plan) -> None:
    """Every row and every class once, and no part larger than said."""
    for parts, number, most in (
        (found.row_slices(), found.shape.rows, found.rows),
        (found.class_slices(), found.shape.classes, found.classes),
    ):
        assert parts[0].start == 0
        assert parts[-1].stop == number
        assert all(a.stop == b.start for a, b in pairwise(parts))
        assert all(0 < part.stop - part.start <= most for part in parts)


@given(shape=shapes(), factor=st.floats(1.0, 50.0))
def test_a_plan_stays_within_its_limit(shape: Shape, factor: float) -> None:
    limit = int(smallest(shape) * factor)
    found = plan(shape, limit)
    assert found is not None
    assert 0 < found.bytes <= limit
    assert 1 <= found.rows <= shape.rows
    assert 1 <= found.classes <= shape.classes
    assert found.order == "classes" or found.classes == shape.classes
    if found.classes * found.rows < 1 << 40 and shape.rows // found.rows + shape.classes // found.classes < 1 << 16:
        assert_covers(found)


@given(shape=shapes())
def test_the_smallest_limit_works_and_no_smaller_one(shape: Shape) -> None:
    least = smallest(shape)
    assert plan(shape, least) is not None
    assert plan(shape, least - 1) is None
    assert plan(shape, 1) is None


@given(shape=shapes(), limit=st.integers(1 << 20, 1 << 34))
def test_a_limit_works_exactly_from_the_smallest_on(shape: Shape, limit: int) -> None:
    assert (plan(shape, limit) is not None) == (limit >= smallest(shape))


@given(shape=shapes())
def test_a_larger_limit_never_multiplies_more(shape: Shape) -> None:
    least = smallest(shape)
    found = [plan(shape, least << k) for k in range(8)]
    costs = [p.products * (1.0 + 22.0 / p.rows) for p in found if p is not None]
    assert len(costs) == 8
    assert all(later <= earlier * 1.25 for earlier, later in pairwise(costs))


@given(shape=shapes())
def test_a_plan_counts_its_products(shape: Shape) -> None:
    found = plan(shape, smallest(shape) * 4)
    assert found is not None
    assert found.products == ({"rows": 3, "classes": 4}[found.order] if shape.gradients else 1)


def test_without_a_limit_a_plan_exists_and_stays_below_64_mib_where_it_can() -> None:
    for rows, classes, width in ((1, 1, 1), (64, 2_000_000, 64), (8192, 256_000, 4096), (4096, 50_257, 1024), (200_000, 10, 8)):
        for gradients in (False, True):
            assert xent.plan_linear(rows, classes, width, gradients=gradients).bytes <= DEFAULT_BYTES < 64 * MIB


@pytest.mark.parametrize("rows", [400_000, 1 << 20, 1 << 24])
def test_without_a_limit_any_number_of_rows_has_a_plan(rows: int) -> None:
    """64 MiB is a wish, not a limit: what is told of each row takes more."""
    for gradients in (False, True):
        assert xent.plan_linear(rows, 1000, 64, gradients=gradients).rows >= 1


def test_no_rows_need_nothing() -> None:
    found = xent.plan_linear(0, 1000, 64, memory_limit=1)
    assert (found.bytes, found.products, found.dense_bytes) == (0, 0, 0)


def test_a_plan_is_told_in_words_and_numbers() -> None:
    found = xent.plan_linear(4096, 50_257, 1024, dtype="bfloat16", memory_limit=32 * MIB)
    assert found.bytes <= 32 * MIB
    assert found.dense_bytes == 4096 * 50_257 * 4 * 2
    assert str(found) == (
        f"{found.rows} rows x {found.classes} classes at a time, {found.products} matrix products, "
        f"{found.bytes / MIB:.1f} MiB (dense: {found.dense_bytes / MIB:.1f} MiB)"
    )
    alone = xent.plan_linear(4096, 50_257, 1024, gradients=False)
    assert alone.products == 1
    assert alone.dense_bytes == 4096 * 50_257 * 4


def test_what_is_told_is_what_is_done() -> None:
    given_hidden, given_classifier = normal(200, 16), normal(3000, 16, 0.1)
    for limit in (5 * MIB, 6 * MIB, None):
        with plans_taken() as taken:
            xent.linear_cross_entropy_and_grad(given_hidden, given_classifier, labels(200, 3000), memory_limit=limit)
        told = xent.plan_linear(200, 3000, 16, memory_limit=limit)
        done = taken[-1]
        assert (told.order, told.rows, told.classes, told.products, told.bytes) == (
            done.order,
            done.rows,
            done.classes,
            done.products,
            done.bytes,
        )


def peak_and_plan(hidden: Any, classifier: Any, target: Any, *, gradients: bool, **options: Any) -> tuple[int, Plan]:
    """Bytes of NumPy's own at the worst moment, without gradients, and what was planned."""
    call = xent.linear_cross_entropy_and_grad if gradients else xent.linear_cross_entropy
    few = slice(0, 2)
    call(hidden[few], classifier, target[few])
    with plans_taken() as taken:
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            result = call(hidden, classifier, target, **options)
            peak = tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
    # Larger ones are mapped, which is not counted.
    mine = [part.nbytes for part in result[1] if part is not None and part.nbytes < buffers.LEAST_BYTES] if gradients else []
    return peak - sum(mine), taken[-1]


CASES = {
    "all at once": (600, 3000, 96, 24 * MIB, "rows"),
    "chunks of rows": (600, 8000, 64, 12 * MIB, "rows"),
    "blocks of classes": (200, 20_000, 64, 6 * MIB, "classes"),
    "few bytes": (32, 20_000, 64, 5 * MIB, "classes"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("gathered", [False, True])
def test_a_call_takes_no_more_than_its_plan(case: str, dtype: str, gradients: bool, gathered: bool) -> None:
    rows, classes, width, limit, order = CASES[case]
    if dtype == "bfloat16":
        limit += 4 * MIB
    v = np.arange(rows) % 3 if gathered else None
    hidden, classifier = normal(rows, width, 1.0, dtype), normal(classes, width, 0.1, dtype)
    peak, taken = peak_and_plan(
        hidden, classifier, labels(rows, classes), gradients=gradients, memory_limit=limit, sample_weight=v
    )
    assert taken.order == order or dtype == "bfloat16" or not gradients or gathered
    assert taken.bytes <= limit
    assert peak <= taken.bytes + SLACK, (
        f"{taken.order} {taken.rows}x{taken.classes}: {peak / MIB:.2f} of {taken.bytes / MIB:.2f} MiB"
    )


@pytest.mark.parametrize("gathered", [False, True])
@pytest.mark.parametrize("gradients", [False, True])
def test_probabilities_are_counted_in(gradients: bool, gathered: bool) -> None:
    v = np.arange(100) % 2 if gathered else None
    hidden, classifier, y = normal(100, 64), normal(20_000, 64, 0.1), probabilities(100, 20_000)
    peak, taken = peak_and_plan(hidden, classifier, y, gradients=gradients, memory_limit=9 * MIB, sample_weight=v)
    assert peak <= taken.bytes + SLACK, (
        f"{taken.order} {taken.rows}x{taken.classes}: {peak / MIB:.2f} of {taken.bytes / MIB:.2f} MiB"
    )


def test_mixed_dtypes_are_counted_in() -> None:
    for dtype, other in (("bfloat16", "float32"), ("float32", "float16"), ("float32", "float64")):
        hidden, classifier = normal(300, 64, 1.0, dtype), stored(normal(8000, 64, 0.1), other)
        peak, taken = peak_and_plan(hidden, classifier, labels(300, 8000), gradients=True, memory_limit=24 * MIB)
        assert peak <= taken.bytes + SLACK, f"{dtype} {other}: {peak / MIB:.2f} of {taken.bytes / MIB:.2f} MiB"


def test_two_million_classes_stay_below_64_mib() -> None:
    hidden, classifier = normal(64, 64), np.zeros((2_000_000, 64), np.float32)
    classifier[::7] = hidden[0]
    peak, taken = peak_and_plan(hidden, classifier, labels(64, 2_000_000), gradients=False)
    assert taken.bytes <= DEFAULT_BYTES
    assert peak <= 64 * MIB
    assert xent.plan_linear(64, 2_000_000, 64).bytes <= 64 * MIB
