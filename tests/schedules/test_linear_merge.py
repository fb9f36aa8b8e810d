"""Statistics of classes seen in parts: the parts merged are the whole, in any order and grouping, and wrong merges are not."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import truth
from xent.kernels.contract import Problem, RowStatistics, Transform, Want
from xent.kernels.reference import ReferenceKernel
from xent.schedules.linear import merge
from xent.schedules.linear.merge import Part, finished, joined, merged, with_void
from xent.schedules.linear.targets import at_places, surprisal

N, C = 6, 24
Merge = Callable[[Part, Part], Part]
KERNEL, WANT = ReferenceKernel(), Want(smooth=True, entropy=True)
U = np.linspace(0.0, 1.0, C) / C
NAMES = ("peak", "excess", "surprisal", "mass", "smooth", "entropy")
SPLITS = ((0, 24), (0, 1, 24), (0, 8, 16, 24), (0, 23, 24), (0, 5, 6, 7, 20, 24), tuple(range(25)))


def logits(spread: float = 3.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, spread, (N, C))


def distributions() -> np.ndarray:
    y = np.random.default_rng(1).exponential(1.0, (N, C))
    y[:, ::3] = 0.0
    return y / y.sum(axis=1, keepdims=True)


def said_of(x: np.ndarray, target: np.ndarray, part: slice) -> Part:
    """What some classes say, of an index or of probabilities."""
    tile, u = x[:, part], U[part]
    probs = np.ascontiguousarray(target[:, part]) if target.ndim == 2 else None
    found = KERNEL.statistics(Problem(tile, "float64", target_probs=probs, class_vector=u), WANT)
    if probs is None:
        here = (target >= part.start) & (target < part.stop)
        places, mass = np.where(here, target - part.start, 0)[:, None], here[:, None].astype(float)
        scores, _ = at_places(tile, places, Transform())
        found = found._replace(surprisal=surprisal(found, scores, mass), mass=mass[:, 0])
    return with_void(Part(found, float(u.sum())), tile, 1.0)


def parts_of(x: np.ndarray, target: np.ndarray, ends: tuple[int, ...]) -> list[Part]:
    return [said_of(x, target, slice(a, b)) for a, b in pairwise(ends)]


def folded(parts: list[Part], merge_two: Merge = merged) -> RowStatistics:
    result = parts[0]
    for part in parts[1:]:
        result = merge_two(result, part)
    return finished(result)


def whole_truth(x: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
    soft = truth.softmax(x)
    t = target if target.ndim == 2 else np.eye(C)[target]
    return {
        "lse": soft.lse[:, 0],
        "surprisal": truth.weigh(t, soft.surprisals).sum(axis=1),
        "mass": t.sum(axis=1),
        "smooth": truth.weigh(U * np.ones((N, 1)), soft.surprisals).sum(axis=1),
        "entropy": truth.weigh(soft.p, soft.surprisals).sum(axis=1),
    }


def assert_true(found: RowStatistics, x: np.ndarray, target: np.ndarray, parts: int, *, nan: bool = False) -> None:
    """A few roundings a part; of the entropy, of the distances that it sums."""
    with np.errstate(all="ignore"):
        right = whole_truth(x, target)
    for name, value in right.items():
        size = np.nan_to_num(np.abs(value), posinf=0.0) + (name in ("entropy", "lse"))
        actual = np.broadcast_to(np.asarray(getattr(found, name)), (N,))
        truth.assert_near(actual, value, (8 + 4 * parts) * truth.eps("float64") * size, name, nan=nan)


TARGETS = (np.array([0, 1, 7, 8, 22, 23]), distributions())
targets = pytest.mark.parametrize("target", TARGETS, ids=["index", "probabilities"])


@targets
@pytest.mark.parametrize("ends", SPLITS, ids=lambda ends: str(len(ends) - 1))
def test_parts_of_the_classes_merged_are_the_whole(target: np.ndarray, ends: tuple[int, ...]) -> None:
    for spread in (0.0, 0.1, 3.0, 100.0):
        x = logits(spread)
        assert_true(folded(parts_of(x, target, ends)), x, target, len(ends))


@targets
@given(ends=st.sets(st.integers(1, C - 1), max_size=8), seed=st.integers(0, 1000), spread=st.sampled_from([0.3, 3.0, 50.0]))
def test_any_split_is_as_good(target: np.ndarray, ends: set[int], seed: int, spread: float) -> None:
    x = logits(spread, seed)
    assert_true(folded(parts_of(x, target, (0, *sorted(ends), C))), x, target, len(ends) + 1)


@targets
def test_merging_is_associative_and_does_not_know_which_came_first(target: np.ndarray) -> None:
    x = logits(5.0)
    a, b, c = parts_of(x, target, (0, 5, 13, 24))
    for way in (merged(merged(a, b), c), merged(a, merged(b, c)), merged(merged(c, a), b), merged(b, merged(c, a))):
        assert_true(finished(way), x, target, 3)
        assert way.vector_mass == pytest.approx(U.sum(), abs=1e-15)


@targets
def test_masked_parts_say_nothing_wherever_they_stand(target: np.ndarray) -> None:
    for start, stop in ((0, 8), (8, 16), (16, 24), (0, 16), (8, 24)):
        x = logits()
        x[:, start:stop] = -np.inf
        for ends in ((0, 8, 16, 24), (0, 16, 24), (0, 8, 24), (0, 4, 8, 12, 16, 20, 24), tuple(range(25))):
            assert_true(folded(parts_of(x, target, ends)), x, target, len(ends))


@targets
def test_rows_of_nothing_but_minus_infinity_are_nan_alone(target: np.ndarray) -> None:
    x = logits()
    x[2] = -np.inf
    for ends in SPLITS:
        found = folded(parts_of(x, target, ends))
        assert_true(found, x, target, len(ends), nan=True) if target.ndim == 1 else None
        for name in ("excess", "surprisal", "smooth", "entropy"):
            assert np.flatnonzero(np.isnan(getattr(found, name))).tolist() == [2], name


@targets
@pytest.mark.parametrize("held", [np.nan, np.inf])
def test_a_row_of_nan_in_one_part_is_nan_and_no_other_row_notices(target: np.ndarray, held: float) -> None:
    x = logits()
    clean = folded(parts_of(x, target, (0, 8, 16, 24)))
    for place in (0, 9, 23):
        spoilt = x.copy()
        spoilt[3, place] = held
        found = folded(parts_of(spoilt, target, (0, 8, 16, 24)))
        others = np.arange(N) != 3
        for name in ("excess", "surprisal", "smooth", "entropy"):
            mine, theirs = getattr(found, name), getattr(clean, name)
            assert np.isnan(mine[3]), name
            np.testing.assert_array_equal(mine[others], theirs[others])


@targets
def test_logits_of_any_magnitude_merge_without_overflow(target: np.ndarray) -> None:
    x = np.resize([3e38, -3e38, 0.0, 1e20, 5.0], (N, C)) * np.linspace(-1.0, 1.0, N)[:, None]
    for ends in SPLITS:
        found = folded(parts_of(x, target, ends))
        right = whole_truth(x, target)
        for name in ("surprisal", "smooth", "entropy"):
            truth.assert_near(getattr(found, name), right[name], 1e-13 * (1.0 + right[name]), name)


def test_a_target_that_leads_keeps_its_tiny_surprisal() -> None:
    for lead in (1.0, 20.0, 40.0, 80.0, 300.0):
        x, target = logits(1.0), np.array([0, 1, 7, 8, 22, 23])
        x[np.arange(N), target] = x.max(axis=1) + lead
        for ends in SPLITS:
            found, right = folded(parts_of(x, target, ends)), whole_truth(x, target)
            assert (right["surprisal"] > 0.0).all()
            relative = truth.eps("float64") * (16.0 + lead + np.ptp(x, axis=1))
            truth.assert_near(found.surprisal, right["surprisal"], relative * right["surprisal"], f"{lead} {ends}")


def test_statistics_nobody_asked_for_are_not_made_up() -> None:
    x, target = logits(), TARGETS[0]
    a, b = parts_of(x, target, (0, 8, 24))
    less = [Part(part.rows._replace(smooth=None, entropy=None), part.vector_mass) for part in (a, b)]
    found = merged(*less).rows
    assert found.smooth is None
    assert found.entropy is None
    assert found.rank is None
    np.testing.assert_array_equal(found.surprisal, merged(a, b).rows.surprisal)


def test_ranks_of_parts_add_up() -> None:
    a, b = parts_of(logits(), TARGETS[0], (0, 8, 24))
    ranked = [Part(part.rows._replace(rank=np.full(N, float(k)))) for k, part in enumerate((a, b), 1)]
    np.testing.assert_array_equal(merged(*ranked).rows.rank, np.full(N, 3.0))


def test_rows_after_rows_are_joined_in_order() -> None:
    x, target = logits(), TARGETS[0]
    whole = finished(said_of(x, target, slice(0, C)))
    pieces = [finished(said_of(x[rows], target[rows], slice(0, C))) for rows in (slice(0, 2), slice(2, 3), slice(3, N))]
    found = joined(pieces)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    assert joined([]).excess.shape == (0,)


def no_growth(one: Part, other: Part) -> Part:
    """Each part keeps its distances from its own lse."""
    found = merged(one, other)
    return Part(found.rows._replace(surprisal=one.rows.surprisal + other.rows.surprisal), found.vector_mass)


def growth_of_one(one: Part, other: Part) -> Part:
    """The part that comes later does not learn of the earlier."""
    found, mass = merged(one, other), np.asarray(other.rows.mass)
    over = np.logaddexp(0.0, one.rows.lse - other.rows.lse)
    return Part(found.rows._replace(surprisal=found.rows.surprisal - mass * over), found.vector_mass)


def smooth_forgets_mass(one: Part, other: Part) -> Part:
    """The class vector's share is taken for nothing."""
    found = merged(one._replace(vector_mass=0.0), other._replace(vector_mass=0.0))
    return Part(found.rows, one.vector_mass + other.vector_mass)


def vector_mass_of_the_last(one: Part, other: Part) -> Part:
    return merged(one, other)._replace(vector_mass=other.vector_mass)


def mass_of_one(one: Part, other: Part) -> Part:
    found = merged(one, other)
    return found._replace(rows=found.rows._replace(mass=one.rows.mass))


def entropies_added(one: Part, other: Part) -> Part:
    found = merged(one, other)
    assert one.rows.entropy is not None
    assert other.rows.entropy is not None
    return found._replace(rows=found.rows._replace(entropy=one.rows.entropy + other.rows.entropy))


def larger_lse(one: Part, other: Part) -> Part:
    """The maximum for the logarithm of a sum."""
    found, ahead = merged(one, other), one.rows.lse >= other.rows.lse
    return found._replace(rows=found.rows._replace(excess=np.where(ahead, one.rows.excess, other.rows.excess)))


def zero_times_infinity(one: Part, other: Part) -> Part:
    """A part without a class that counts spoils the products in which it weighs nothing."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(merge, "_times", lambda weights, values: weights * values)
        return merged(one, other)


def void_is_nan(one: Part, other: Part) -> Part:
    """Two empty parts have a difference of −inf and −inf."""
    with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(merge, "_ahead", lambda a, b: (a.peak - b.peak) + (a.excess - b.excess))
        return merged(one, other)


WRONG: tuple[Merge, ...] = (
    no_growth,
    growth_of_one,
    smooth_forgets_mass,
    vector_mass_of_the_last,
    mass_of_one,
    entropies_added,
    larger_lse,
    zero_times_infinity,
    void_is_nan,
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_a_wrong_merge_is_rejected(wrong: Merge) -> None:
    def check(merge_two: Merge) -> None:
        for target in TARGETS:
            x: Any = logits()
            x[:, :8] = -np.inf
            for given_x in (logits(), x):
                assert_true(folded(parts_of(given_x, target, (0, 4, 8, 16, 24)), merge_two), given_x, target, 4)

    check(merged)
    with pytest.raises(AssertionError):
        check(wrong)
