"""The laws of information, against 50-digit truth, in every array library at hand."""

import math
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import array_api_strict
import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xent.information import (
    binary_entropy,
    conditional_entropy,
    cross_entropy,
    entropy,
    js_divergence,
    kl_divergence,
    mutual_information,
    perplexity,
    self_information,
)

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}
LEAST = {"float32": 2.0**-149, "float64": 2.0**-1074}
LIBRARIES: dict[str, Any] = {"numpy": np, "torch": torch, "strict": array_api_strict}
OF_ROWS = [entropy, perplexity]
OF_PAIRS = [cross_entropy, kl_divergence, js_divergence]
OF_TABLES = [conditional_entropy, mutual_information]
OF_EVENTS = [self_information, binary_entropy]

everywhere = pytest.mark.parametrize(("library", "dtype"), list(product(LIBRARIES, EPS)))
in_each_library = pytest.mark.parametrize("library", LIBRARIES)
few = settings(max_examples=40)


@pytest.fixture(autouse=True, scope="module")
def fifty_digits() -> Iterator[None]:
    with mpmath.workdps(50):
        yield


def to(library: str, values: Any, dtype: str = "float64") -> Any:
    xp = LIBRARIES[library]
    return xp.asarray(np.asarray(values, np.float64).tolist(), dtype=getattr(xp, dtype))


def back(array: Any) -> np.ndarray:
    """As NumPy float64, whichever library it is of."""
    return np.asarray(array.detach() if isinstance(array, torch.Tensor) else array).astype(np.float64)


def close(actual: Any, expected: Any, *, rtol: float, atol: float = 0.0) -> bool:
    """Equal infinities, or finite numbers within the tolerances; NaN is close to nothing."""
    a, b = back(actual), np.asarray(expected, np.float64)
    with np.errstate(invalid="ignore"):
        near = np.isfinite(a) & np.isfinite(b) & (np.abs(a - b) <= atol + rtol * np.abs(b))
    return a.shape == b.shape and bool(np.all((a == b) | near))


WEIGHTS = st.one_of(st.floats(1e-3, 1.0), st.floats(0.999, 1.0), st.sampled_from([0.0, 0.0, 1e-300, 1e-30, 1e-12]))


def normalised(weights: np.ndarray, dtype: str) -> np.ndarray:
    """Rows over their sums, rounded to dtype, held in float64; a row without weight gives all to its first class."""
    total = weights.sum(axis=-1, keepdims=True)
    first = np.eye(1, weights.shape[-1])
    rows = np.where(total > 1e-3, weights / np.maximum(total, 1e-3), first)
    return rows.astype(dtype).astype(np.float64)


@st.composite
def weights(draw: st.DrawFn, arrays: int) -> list[np.ndarray]:
    n, k = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    row = st.lists(WEIGHTS, min_size=k, max_size=k)
    return [np.array(draw(st.lists(row, min_size=n, max_size=n))) for _ in range(arrays)]


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    x, y = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    return np.array(draw(st.lists(WEIGHTS, min_size=x * y, max_size=x * y))).reshape(1, x, y)


def as_tables(table: np.ndarray, dtype: str) -> np.ndarray:
    return normalised(table.reshape(1, -1), dtype).reshape(table.shape)


def true_divergence(p: Any, q: Any) -> Any:
    """Σ p ln(p/q) − p + q."""
    if any(a > 0 == b for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    return mpmath.fsum([(a * mpmath.log(a / b) if a else 0) - a + b for a, b in zip(p, q, strict=True)])


def true_cross_entropy(p: Any, q: Any) -> Any:
    if any(a > 0 == b for a, b in zip(p, q, strict=True)):
        return mpmath.inf
    return mpmath.fsum([-a * mpmath.log(b) for a, b in zip(p, q, strict=True) if a])


def exact(rows: np.ndarray) -> list[Any]:
    return [[mpmath.mpf(float(x)) for x in row] for row in rows]


def by_row(truth: Callable[..., Any], *arrays: np.ndarray) -> list[float]:
    return [float(truth(*rows)) for rows in zip(*map(exact, arrays), strict=True)]


def test_close_rejects_what_is_not() -> None:
    assert close(np.array([1.0, np.inf]), [1.0, np.inf], rtol=0.0)
    for wrong in ([np.nan, np.inf], [1.0, 1e308], [1.0, -np.inf], [1.0 + 1e-9, np.inf], [1.0], [np.inf, np.inf]):
        assert not close(np.array(wrong), [1.0, np.inf], rtol=1e-10)


@everywhere
@few
@given(drawn=weights(1))
def test_entropy_is_true(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    (p,) = (normalised(w, dtype) for w in drawn)
    truth = np.array(by_row(lambda row: true_cross_entropy(row, row), p))
    assert close(entropy(to(library, p, dtype)), truth, rtol=8 * EPS[dtype])
    assert close(perplexity(to(library, p, dtype)), np.exp(truth), rtol=16 * EPS[dtype])


@everywhere
@few
@given(drawn=weights(2))
def test_cross_entropy_and_divergences_are_true(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    p, q = (normalised(w, dtype) for w in drawn)
    mine = to(library, p, dtype), to(library, q, dtype)
    middle = [
        (true_divergence(a, m) + true_divergence(b, m)) / 2
        for a, b in zip(exact(p), exact(q), strict=True)
        for m in [[(x + y) / 2 for x, y in zip(a, b, strict=True)]]
    ]
    assert close(cross_entropy(*mine), by_row(true_cross_entropy, p, q), rtol=8 * EPS[dtype])
    assert close(kl_divergence(*mine), by_row(true_divergence, p, q), rtol=32 * EPS[dtype], atol=8 * LEAST[dtype])
    # A row that rounding puts above 1 may pass ln 2 by as much; there the answer is ln 2.
    bounded = [min(float(m), math.log(2.0)) for m in middle]
    assert close(js_divergence(*mine), bounded, rtol=32 * EPS[dtype], atol=EPS[dtype] ** 2)


@everywhere
@few
@given(table=tables())
def test_table_quantities_are_true(library: str, dtype: str, table: np.ndarray) -> None:
    joint = as_tables(table, dtype)
    (rows,) = [[[mpmath.mpf(float(v)) for v in row] for row in joint[0]]]
    of_x, of_y = [mpmath.fsum(row) for row in rows], [mpmath.fsum(column) for column in zip(*rows, strict=True)]
    left = mpmath.fsum([-v * mpmath.log(v / x) for row, x in zip(rows, of_x, strict=True) for v in row if v])
    told = mpmath.fsum([x * true_divergence([v / x for v in row], of_y) for row, x in zip(rows, of_x, strict=True) if x])
    eps, mine = EPS[dtype], to(library, joint, dtype)
    assert close(conditional_entropy(mine), [float(left)], rtol=8 * eps, atol=4 * eps)
    assert close(mutual_information(mine), [float(told)], rtol=32 * eps, atol=8 * eps * math.sqrt(abs(told)) + 8 * eps**2)


@everywhere
@few
@given(p=st.lists(st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 1.0, 1e-300, 1e-30])), max_size=5))
def test_events_are_true(library: str, dtype: str, p: list[float]) -> None:
    p = np.array(p).astype(dtype).astype(np.float64).tolist()
    information = [-float(mpmath.log(x)) if x else math.inf for x in p]
    uncertainty = [float(-x * mpmath.log(x) - (1 - x) * mpmath.log1p(-x)) if 0 < x < 1 else 0.0 for x in map(mpmath.mpf, p)]
    assert close(self_information(to(library, p, dtype)), information, rtol=4 * EPS[dtype])
    assert close(binary_entropy(to(library, p, dtype)), uncertainty, rtol=8 * EPS[dtype], atol=4 * LEAST[dtype])


@in_each_library
@few
@given(drawn=weights(2))
def test_cross_entropy_is_entropy_and_divergence(library: str, drawn: list[np.ndarray]) -> None:
    p, q = (to(library, normalised(w, "float64")) for w in drawn)
    assert close(cross_entropy(p, q), back(entropy(p) + kl_divergence(p, q)), rtol=1e-13, atol=1e-14)


@everywhere
@few
@given(drawn=weights(2))
def test_divergences_are_positive_and_zero_only_for_equals(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    rows = [normalised(w, dtype) for w in drawn]
    p, q = (to(library, row, dtype) for row in rows)
    differ = np.abs(rows[0] - rows[1]).max(axis=-1) > 1e-9
    for divergence in (kl_divergence, js_divergence):
        assert np.all(back(divergence(p, q)) >= 0.0)
        assert np.all(back(divergence(p, q))[differ] > 0.0)
        assert np.all(back(divergence(p, p)) == 0.0)


@everywhere
@few
@given(drawn=weights(2))
def test_js_is_symmetric_and_at_most_ln_2(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    p, q = (to(library, normalised(w, dtype), dtype) for w in drawn)
    assert np.all(back(js_divergence(p, q)) == back(js_divergence(q, p)))
    assert np.all(back(js_divergence(p, q)) <= float(np.asarray(math.log(2.0), dtype)))


@everywhere
@few
@given(drawn=weights(1))
def test_entropy_lies_between_none_and_all_classes_alike(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    rows, eps = normalised(drawn[0], dtype), EPS[dtype]
    h, count, k = back(entropy(to(library, rows, dtype))), back(perplexity(to(library, rows, dtype))), rows.shape[-1]
    assert np.all((h >= 0.0) & (h <= math.log(k) * (1 + 8 * eps) + 8 * eps))
    assert np.all((count >= 1.0) & (count <= k * (1 + 16 * eps)))


@in_each_library
@few
@given(table=tables())
def test_what_x_and_y_share(library: str, table: np.ndarray) -> None:
    joint = as_tables(table, "float64")
    mine = to(library, joint)
    h_x, h_y, h_xy = (back(entropy(to(library, p))) for p in (joint.sum(-1), joint.sum(-2), joint.reshape(1, -1)))
    told, left_y, left_x = mutual_information(mine), conditional_entropy(mine), conditional_entropy(mine, axis=(-1, -2))
    assert close(told, h_x + h_y - h_xy, rtol=1e-13, atol=1e-14)
    assert close(told, h_y - back(left_y), rtol=1e-13, atol=1e-14)
    assert close(left_y, h_xy - h_x, rtol=1e-13, atol=1e-14)
    assert close(left_x, h_xy - h_y, rtol=1e-13, atol=1e-14)
    assert close(mutual_information(mine, axis=(2, 1)), back(told), rtol=1e-13, atol=1e-14)
    assert np.all((back(told) >= 0.0) & (back(left_y) >= 0.0) & (back(left_x) >= 0.0))


@everywhere
@few
@given(drawn=weights(2))
def test_independent_variables_share_nothing(library: str, dtype: str, drawn: list[np.ndarray]) -> None:
    a, b = (normalised(w, "float64")[0] for w in drawn)
    joint = to(library, np.outer(a, b), dtype)
    assert 0.0 <= float(mutual_information(joint)) <= 64 * EPS[dtype] ** 2
    assert close(conditional_entropy(joint), back(entropy(to(library, b, dtype))), rtol=0.0, atol=16 * EPS[dtype])


@in_each_library
@few
@given(drawn=weights(2), data=st.data())
def test_the_order_of_classes_does_not_matter(library: str, drawn: list[np.ndarray], data: st.DataObject) -> None:
    p, q = (normalised(w, "float64") for w in drawn)
    order = np.array(data.draw(st.permutations(range(p.shape[-1]))))
    for f in OF_PAIRS:
        assert close(f(to(library, p[:, order]), to(library, q[:, order])), back(f(to(library, p), to(library, q))), rtol=1e-14)
    for f in OF_ROWS:
        assert close(f(to(library, p[:, order])), back(f(to(library, p))), rtol=1e-14)


@in_each_library
@few
@given(drawn=weights(2))
def test_bits_and_hartleys_are_nats_over_ln_2_and_ln_10(library: str, drawn: list[np.ndarray]) -> None:
    p, q = (to(library, normalised(w, "float64")) for w in drawn)
    joint = p / p.shape[0]
    calls = [*((f, (p, q)) for f in OF_PAIRS), *((f, (p,)) for f in (entropy, *OF_EVENTS)), *((f, (joint,)) for f in OF_TABLES)]
    for f, arguments in calls:
        nats = back(f(*arguments, unit="nat"))
        assert np.all(back(f(*arguments)) == nats)
        assert close(f(*arguments, unit="bit"), nats / math.log(2.0), rtol=4e-16)
        assert close(f(*arguments, unit="hartley"), nats / math.log(10.0), rtol=4e-16)


@in_each_library
@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_axis_is_the_axis_of_classes(library: str, axis: int) -> None:
    rng = np.random.default_rng(5)
    p, q = (np.moveaxis(rng.dirichlet(np.ones(4), (2, 3)), -1, axis) for _ in range(2))
    last = [to(library, np.moveaxis(x, axis, -1)) for x in (p, q)]
    for f in OF_PAIRS:
        assert close(f(to(library, p), to(library, q), axis=axis), back(f(*last)), rtol=1e-14)
    for f in OF_ROWS:
        assert close(f(to(library, p), axis=axis), back(f(last[0])), rtol=1e-14)


@in_each_library
@pytest.mark.parametrize("f", OF_TABLES)
def test_tables_may_stand_on_any_two_axes(library: str, f: Callable[..., Any]) -> None:
    joint = np.random.default_rng(6).dirichlet(np.ones(6), 5).reshape(5, 2, 3)
    expected = [float(f(to(library, table))) for table in joint]
    assert close(f(to(library, joint)), expected, rtol=1e-14)
    assert close(f(to(library, np.moveaxis(joint, 0, 1)), axis=(0, -1)), expected, rtol=1e-14)
    assert close(f(to(library, joint.transpose(0, 2, 1)), axis=(2, 1)), expected, rtol=1e-14)


@everywhere
@pytest.mark.parametrize("k", [1, 2, 10, 1000, 50257])
def test_classes_alike(library: str, dtype: str, k: int) -> None:
    p = to(library, np.full(k, 1.0 / k), dtype)
    assert close(perplexity(p), k, rtol=k**0.5 * 16 * EPS[dtype])
    assert close(entropy(p), math.log(k), rtol=k**0.5 * 8 * EPS[dtype])


@everywhere
def test_named_values(library: str, dtype: str) -> None:
    p, q, coin = (to(library, x, dtype) for x in ([1.0, 0.0, 0.0], [0.7, 0.2, 0.1], [0.5, 0.5]))
    assert close(kl_divergence(p, q), -math.log(0.7), rtol=4 * EPS[dtype])
    assert f"{float(kl_divergence(p, q)):.4f} {float(cross_entropy(p, q)):.4f}" == "0.3567 0.3567"
    assert float(kl_divergence(q, p)) == float(cross_entropy(q, p)) == math.inf
    assert float(entropy(coin, unit="bit")) == float(binary_entropy(coin, unit="bit")[0]) == 1.0
    assert math.copysign(1.0, float(entropy(p))) == math.copysign(1.0, float(self_information(p)[0])) == 1.0
    assert float(js_divergence(to(library, [1.0, 0.0], dtype), to(library, [0.0, 1.0], dtype), unit="bit")) == 1.0


@pytest.mark.parametrize("step", [1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.0199, 0.0201])
def test_nearly_equal_rows_keep_their_digits(step: float) -> None:
    # From 0.09 + 0.02 on, an entry's v = (p − q)/(p + q) passes the 0.1 where the series ends.
    p, q = np.array([[0.09 + step, 0.91 - step]]), np.array([[0.09, 0.91]])
    assert close(kl_divergence(p, q), by_row(true_divergence, p, q), rtol=4e-15)
    assert close(kl_divergence(q, p), by_row(true_divergence, q, p), rtol=4e-15)


def test_rows_above_one_by_rounding_stay_within_ln_2() -> None:
    p, q = np.array([1.0 + 1e-7, 0.0]), np.array([0.0, 1.0 + 1e-7])
    assert js_divergence(p, q) == math.log(2.0)


@in_each_library
def test_the_smallest_numbers_neither_vanish_nor_explode(library: str) -> None:
    least = 5e-324
    p, q = to(library, [1.0, 0.0]), to(library, [least, 1.0])
    assert close(kl_divergence(p, q), -math.log(least), rtol=1e-14)
    assert close(js_divergence(p, q), math.log(2.0), rtol=1e-14)
    assert 0.0 <= float(js_divergence(to(library, [0.0, 1.0]), q)) <= least
    assert close(kl_divergence(to(library, [1e-300, 1.0]), to(library, [2e-300, 1.0])), 1e-300 * (1 - math.log(2.0)), rtol=2e-15)
    # p(x) p(y) is 1e-400 here, which float64 cannot hold.
    diagonal = to(library, [[1e-200, 0.0], [0.0, 1.0]])
    assert close(mutual_information(diagonal), 1e-200 * (1 - math.log(1e-200)), rtol=1e-14)
