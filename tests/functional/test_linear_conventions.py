"""The conventions of `docs/conventions.md` for linear cross-entropy, by either order."""

import itertools
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import assert_same_bits, labels, normal, probabilities, stored
from tests.functional.linear import (
    FEW,
    KINDS,
    Layer,
    Way,
    assert_right,
    backends,
    few_ways,
    layer,
    right,
    taking,
    target_of,
)

N, C = 13, 37
kinds = pytest.mark.parametrize("kind", KINDS)
UNDEFINED = (np.nan, np.inf, -np.inf)


def both(given: Layer, target: Any, **options: Any) -> tuple[Any, Any]:
    return xent.linear_cross_entropy_and_grad(*given[:2], target, bias=given.bias, **options)


@few_ways
@pytest.mark.parametrize("held", [np.nan, np.inf])
def test_rows_that_do_not_count_are_nothing_whatever_they_hold(way: Way, held: float) -> None:
    """Row 3: left out by a label, by a weight of 0 of the row or of the class, or by having no target."""
    out = np.isin(np.arange(12), (3, 4, 11))
    target = np.where(out, 5, np.arange(12) % 3)
    weight = np.where(np.arange(C) == 5, 0.0, 1.0)
    ways_out: tuple[tuple[Any, dict[str, Any]], ...] = (
        (np.where(out, -100, target), {}),
        (np.where(out, 255, target).astype(np.uint8), {"ignore_index": 255}),
        (target, {"sample_weight": 1.0 - out}),
        (probabilities(12, C), {"sample_weight": 1.0 - out}),
        (target_of("pair", (12,), C), {"sample_weight": 1.0 - out}),
        (target, {"weight": weight}),
    )
    given = layer(12, C)
    spoilt = given._replace(hidden=np.where(out[:, None], np.float32(held), given.hidden))
    for (goal, options), reduction in itertools.product(ways_out, ("none", "sum", "mean")):
        with taking(way):
            assert_right(given, goal, f"{options} {reduction}", reduction=reduction, **options)
            (loss, found), (same, expected) = (
                both(spoilt, goal, reduction=reduction, **options),
                both(given, goal, reduction=reduction, **options),
            )
        assert_same_bits(loss, same)
        for mine, theirs in zip(found, expected, strict=True):
            assert_same_bits(mine, theirs)
        assert not found.hidden[out].any()


@few_ways
def test_the_last_positions_of_a_shift_are_nothing_whatever_they_hold(way: Way) -> None:
    given = layer((2, 6), C)
    given.hidden[:, -2:] = np.nan
    with taking(way):
        loss, found = both(given, labels(12, C).reshape(2, 6), shift=2, reduction="none")
    assert not loss[:, -2:].any()
    assert not found.hidden[:, -2:].any()
    assert np.isfinite(loss).all()
    assert np.isfinite(found.classifier).all()


@few_ways
def test_targets_of_rows_that_do_not_count_may_be_anything(way: Way) -> None:
    given, v = layer(4, C), np.array([1.0, 0.0, 1.0, 1.0])
    y, (few, mass) = probabilities(4, C), target_of("pair", (4,), C)
    spoilt, wrong = y.copy(), mass.copy()
    spoilt[1], wrong[1] = np.nan, np.nan
    with taking(way):
        for goal, mended in ((spoilt, y), ((few, wrong), (few, mass))):
            assert_same_bits(both(given, goal, sample_weight=v)[0], both(given, mended, sample_weight=v)[0])


@few_ways
@kinds
def test_a_linear_mean_over_nothing(way: Way, kind: str) -> None:
    """Row 5."""
    given = layer(N, C)
    goal: Any = np.full(N, -100) if kind == "index" else target_of(kind, (N,), C)
    options: dict[str, Any] = {} if kind == "index" else {"sample_weight": np.zeros(N)}
    given.hidden[2] = np.nan
    with taking(way):
        for empty, expected in (("nan", np.nan), ("zero", 0.0)):
            loss, found = both(given, goal, empty=empty, **options)
            np.testing.assert_array_equal(loss, np.float32(expected))
            assert not any(part.any() for part in found)
        with pytest.raises(xent.EmptyMeanError):
            both(given, goal, empty="raise", **options)
        assert both(given, goal, normalizer=2.0, **options)[0] == 0.0
        assert both(given, goal, reduction="sum", **options)[0] == 0.0


MASKS = ((0, 16), (16, 48), (0, 63), (1, 64), (32, 33), (0, 0))


@backends
@few_ways
def test_masked_classes_have_no_part_even_where_they_fill_a_block(backend: str, way: Way) -> None:
    """Rows 6, 7 and 8: a bias of −inf; whole blocks of classes hold nothing else."""
    plain = layer(7, 64)
    for number, (start, stop) in enumerate(MASKS):
        mask = np.isin(np.arange(64), range(start, stop))
        free = np.flatnonzero(~mask)
        y = np.where(mask, 0.0, 1.0 / len(free)) * np.ones((7, 1))
        pair = (np.stack([np.resize(free, 7), np.full(7, start)], 1), np.tile([1.0, 0.0], (7, 1)))
        every: tuple[dict[str, Any], ...] = (
            {},
            {"softcap": 4.0},
            {"z_loss": 0.1},
            {"focal": 2.0},
            {"label_smoothing": 0.1, "weight": 1.0 - mask},
            {"scale": -0.5},
        )
        options = every[number]
        bias = np.where(mask, -np.inf * np.sign(options.get("scale", 1.0)), plain.bias).astype(np.float32)
        given = plain._replace(bias=bias)
        for goal in (np.resize(free, 7), np.where(np.arange(7) == 3, start, np.resize(free, 7)), y, pair):
            with taking(way):
                assert_right(given, goal, f"{start}:{stop} {options}", backend=backend, nan=True, validate="off", **options)


@few_ways
def test_a_target_at_minus_infinity_is_an_infinite_linear_loss(way: Way) -> None:
    bias = np.zeros(C, np.float32)
    bias[20:] = -np.inf
    given, target = layer(4, C)._replace(bias=bias), np.array([0, 36, 1, 19])
    with taking(way):
        loss, found = both(given, target, reduction="none")
    assert np.isinf(loss).tolist() == [False, True, False, False]
    assert all(np.isfinite(part).all() for part in found)


@backends
@few_ways
@pytest.mark.parametrize("held", UNDEFINED)
def test_a_row_without_a_softmax_is_nan_alone_in_a_linear_loss(backend: str, way: Way, held: float) -> None:
    """Row 9: the classifier's gradient sums over rows, and is NaN with the row."""
    given = layer(N, C)
    spoilt = given._replace(hidden=given.hidden.copy())
    spoilt.hidden[4, 2] = held
    every: tuple[dict[str, Any], ...] = ({}, {"z_loss": 0.1, "label_smoothing": 0.1}, {"focal": 2.0})
    for kind, options in itertools.product(KINDS, every):
        with taking(way):
            loss, found = both(spoilt, target_of(kind, (N,), C), reduction="none", backend=backend, **options)
            same, expected = both(given, target_of(kind, (N,), C), reduction="none", backend=backend, **options)
        others = np.arange(N) != 4
        assert np.isnan(loss[4])
        assert np.isnan(found.hidden[4]).all()
        assert np.isnan(found.classifier).all()
        assert_same_bits(loss[others], same[others])
        assert_same_bits(found.hidden[others], expected.hidden[others])


@few_ways
def test_a_row_of_nothing_but_minus_infinity_is_nan(way: Way) -> None:
    given = layer(3, C)._replace(bias=np.full(C, -np.inf, np.float32))
    with taking(way):
        assert np.isnan(both(given, [0, 1, 36], reduction="none")[0]).all()


@few_ways
def test_great_logits_do_not_overflow_on_the_way(way: Way) -> None:
    """Row 10."""
    x = np.resize([0.0, 3e19, -3e19, 1e10, -1e10, 3.0], (3, C)) * np.array([[1.0], [-1.0], [1e-3]])
    given = Layer(np.eye(3, dtype=np.float32) * np.float32(1e19), np.ascontiguousarray(x.T).astype(np.float32))
    assert np.abs(given.logits).max() > 2.9e38
    for goal in ([0, 1, 36], [1, 2, 1], np.full((3, C), 1 / C)):
        with taking(way):
            assert_right(given, goal, nan=False)


@few_ways
def test_products_beyond_float32_are_infinite_and_say_nothing(way: Way) -> None:
    """A product is +inf and its row NaN, or −inf and its class masked; as of such logits."""
    hidden, classifier = np.float32([[3e38], [1.0], [-3e38]]), np.float32([[2.0], [1.0], [0.5]] * 8)
    with taking(way):
        loss = both(Layer(hidden, classifier), [2, 1, 2], reduction="none")[0]
    assert np.isnan(loss).tolist() == [True, False, False]


@few_ways
def test_one_class_is_certain_and_no_class_is_an_error(way: Way) -> None:
    """Row 14."""
    given = layer(N, 1)
    with taking(way):
        for goal in (np.zeros(N, int), np.ones((N, 1)), (np.zeros((N, 2), int), np.full((N, 2), 0.5))):
            loss, found = both(given, goal, reduction="none")
            assert not loss.any()
            truth.assert_near(found.hidden, np.zeros_like(given.hidden), 1e-6)
    with pytest.raises(xent.ShapeError, match="at least one class"):
        both(Layer(given.hidden, given.classifier[:0]), np.zeros(N, int))


@few_ways
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("other", ["same", "float32"])
def test_half_precision_is_multiplied_as_it_is_and_rounded_once(way: Way, dtype: str, other: str) -> None:
    """Row 15: losses to 1e-5 of the truth of the same inputs; gradients half an ulp of theirs, and float32 sums."""
    hidden = normal(29, 64, 1.0, dtype)
    classifier = normal(301, 64, 0.3, dtype if other == "same" else other, seed=5)
    given, target = Layer(hidden, classifier, normal(1, 301, 1.0, dtype)[0]), labels(29, 301)
    truly = right(given, target)
    with taking(way):
        for kind in ("gathered", "whole"):
            v = np.where(np.arange(29) % 4 == 1, 0.0, 1.0) if kind == "gathered" else np.ones(29)
            loss, found = both(given, target, reduction="none", sample_weight=v)
            assert loss.dtype == np.float32
            truth.assert_near(loss, truly.value * v, 1e-5 * truly.value)
            g, w = truly.gradient * v[:, None], classifier.astype(np.float64)
            h = hidden.astype(np.float64)
            wanted = ((found.hidden, g @ w, np.abs(g) @ np.abs(w)), (found.classifier, g.T @ h, np.abs(g.T) @ np.abs(h)))
            for mine, theirs, size in (*wanted, (found.bias, g.sum(axis=0), np.abs(g).sum(axis=0))):
                assert mine is not None
                truth.assert_near(mine, theirs, truth.rounding(theirs, mine.dtype.name) + 4e-6 * size, kind)


@backends
@few_ways
def test_tiny_linear_losses_are_right_and_not_zero(backend: str, way: Way) -> None:
    """Row 16: the target leads by up to 80, wherever its class lies."""
    leads = np.arange(1.0, 81.0, 3.0)
    for place in (0, 15, 16, 36):
        x = np.round(normal(len(leads), C, 1.0, "float64") * 64) / 64
        x[:, place] = np.ceil(x.max(axis=1)) + leads
        given = Layer(np.eye(len(leads), dtype=np.float32), np.ascontiguousarray(x.T).astype(np.float32))
        truly = right(given, np.full(len(leads), place))
        assert 0.0 < truly.value.min() < 1e-33
        goal: Any
        for goal in (np.full(len(leads), place), (np.full((len(leads), 1), place), np.ones((len(leads), 1)))):
            with taking(way):
                loss, found = both(given, goal, reduction="none", backend=backend)
            truth.assert_near(loss, truly.value, 4 * truth.ulp(truly.value, "float32"), f"{place}")
            if not isinstance(goal, tuple):
                at_target = found.classifier[place]
                truth.assert_near(at_target, truly.gradient[:, place], 1e-6 * np.abs(truly.gradient[:, place]), f"{place}")


@few_ways
@kinds
def test_linear_inputs_are_left_as_they_were(way: Way, kind: str) -> None:
    """Row 17."""
    goal = target_of(kind, (N,), C)
    for dtype in ("float32", "bfloat16", "float64"):
        given, v, w = layer(N, C, dtype=dtype), np.linspace(0.0, 1.0, N), np.linspace(0.5, 1.0, C)
        every = (*given, v, w, *(goal if isinstance(goal, tuple) else (goal,)))
        copies = [np.array(a) for a in every]
        for array in every:
            array.flags.writeable = False
        with taking(way):
            loss, found = both(given, goal, sample_weight=v, weight=w, validate="off", reduction="none")
            xent.linear_cross_entropy(*given[:2], goal, bias=given.bias, sample_weight=v, weight=w, validate="off")
        for array, copy in zip(every, copies, strict=True):
            assert_same_bits(array, copy)
        for part in (*found, loss):
            assert part.flags.writeable
            assert not any(np.shares_memory(part, array) for array in every)


@few_ways
def test_the_names_in_one_place_say_the_same(way: Way) -> None:
    """Row 2: every integer dtype is an index."""
    given, goal = layer(N, C), labels(N, C)
    with taking(way):
        expected = both(given, goal, reduction="none")[0]
        for dtype in ("int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64"):
            assert_same_bits(both(given, goal.astype(dtype), reduction="none")[0], expected)
        assert_same_bits(both(given, goal.tolist(), reduction="none")[0], expected)
        everything = xent.linear_cross_entropy(
            given.hidden.tolist(), given.classifier.tolist(), goal.tolist(), bias=given.bias.tolist()
        )
    assert everything.dtype == np.float64
    truth.assert_near(everything, right(given, goal).value.mean(), 1e-6)


def test_nothing_is_renormalised() -> None:
    """Row 21."""
    given, (few, mass) = layer(N, C), target_of("pair", (N,), C)
    for way, factor in itertools.product(FEW, (0.5, 3.0)):
        with taking(way):
            with pytest.raises(xent.DistributionError):
                both(given, (few, factor * mass))
            with pytest.warns(xent.DistributionWarning):
                both(given, (few, factor * mass), validate="warn")
            assert_right(given, (few, factor * mass), validate="off", z_loss=0.1)


def test_stored_values_of_half_precision_pairs_pass_within_their_rounding() -> None:
    given, (few, mass) = layer(N, C), target_of("pair", (N,), C)
    for dtype in ("float16", "bfloat16"):
        both(given, (few, stored(mass, dtype)))
