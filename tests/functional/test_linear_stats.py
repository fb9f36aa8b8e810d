"""What a linear loss says of each row beside its loss, the same by either order."""

from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import assert_same_bits, labels, probabilities
from tests.functional.linear import (
    KINDS,
    Layer,
    Way,
    all_ways,
    backends,
    few_ways,
    layer,
    pairs,
    right,
    spread,
    taking,
    target_of,
)

N, C = 13, 37


def stats_of(given: Layer, target: Any, **options: Any) -> Any:
    """From the loss alone and with gradients, which must agree."""
    loss, found = xent.linear_cross_entropy(*given[:2], target, bias=given.bias, return_stats=True, **options)
    again, _, same = xent.linear_cross_entropy_and_grad(*given[:2], target, bias=given.bias, return_stats=True, **options)
    assert_same_bits(loss, again)
    for name, mine, theirs in zip(found._fields, found, same, strict=True):
        assert_same_bits(mine, theirs, name)
    return found


@backends
@all_ways
@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_those_of_the_logits(backend: str, way: Way, kind: str) -> None:
    target = target_of(kind, (N,), C)
    for dtype, transform in (("float32", {}), ("bfloat16", {"softcap": 4.0, "scale": -0.75}), ("float64", {"scale": 0.5})):
        given = layer(N, C, dtype=dtype)
        z, _ = truth.bend(given.logits, transform.get("softcap"), transform.get("scale", 1.0))
        soft, counts = truth.softmax(z), np.ones(N, bool)
        goal = target
        if kind == "index":
            counts = target != -100
            goal = np.eye(C)[np.where(counts, target, 0)]
        elif kind == "pair":
            goal = spread(target, C)
        with taking(way):
            found = stats_of(given, target, backend=backend, **transform)
        unit = 8 * truth.eps(given.dtype)
        truth.assert_near(found.lse, np.where(counts, soft.lse[:, 0], 0.0), unit * (1.0 + np.abs(soft.lse[:, 0])))
        log_prob = -truth.weigh(goal, soft.surprisals).sum(axis=1)
        truth.assert_near(found.log_prob, np.where(counts, log_prob, 0.0), unit * (1.0 + np.abs(log_prob)))
        entropy = (soft.p * soft.surprisals).sum(axis=1)
        truth.assert_near(found.entropy, np.where(counts, entropy, 0.0), unit * (1.0 + entropy))
        assert {part.dtype.name for part in found[:3]} == {given.dtype}
        assert found.rank.dtype == np.int64
        if kind == "index":
            above = (z > np.take_along_axis(z, np.where(counts, target, 0)[:, None], 1)).sum(axis=1)
            np.testing.assert_array_equal(found.rank, np.where(counts, above, -1))
        else:
            np.testing.assert_array_equal(found.rank, np.full(N, -1))
        assert not found.dropped.any()


@backends
@all_ways
def test_equal_logits_do_not_rank_above_each_other(backend: str, way: Way) -> None:
    given = layer(N, C, bias=False)
    given.classifier[1::2] = given.classifier[:-1:2]
    for softcap in (None, 1e-3):
        z, _ = truth.bend(given.logits, softcap, 1.0)
        target = labels(N, C)
        with taking(way):
            found = stats_of(given, target, backend=backend, softcap=softcap)
        exact = np.float32(z) if softcap else z
        above = (exact > np.take_along_axis(exact, target[:, None], 1)).sum(axis=1)
        np.testing.assert_array_equal(found.rank, above)


@all_ways
def test_all_logits_alike_rank_first(way: Way) -> None:
    given = Layer(np.ones((N, 4), np.float32), np.ones((C, 4), np.float32))
    with taking(way):
        found = stats_of(given, labels(N, C))
    assert not found.rank.any()
    truth.assert_near(found.entropy, np.full(N, np.log(C)), 1e-6)
    truth.assert_near(found.log_prob, np.full(N, -np.log(C)), 1e-6)


@backends
@few_ways
def test_a_masked_target_ranks_behind_every_class_that_counts(backend: str, way: Way) -> None:
    bias = np.zeros(C, np.float32)
    bias[:20] = -np.inf
    given, target = layer(N, C)._replace(bias=bias), np.arange(N) * 3
    with taking(way):
        found = stats_of(given, target, backend=backend)
    masked = target < 20
    np.testing.assert_array_equal(found.rank[masked], 17)
    assert (found.rank[~masked] < 17).all()
    assert np.isneginf(found.log_prob[masked]).all()
    assert np.isfinite(found.entropy).all()


@backends
@few_ways
def test_statistics_of_a_row_of_nan_are_nan_alone(backend: str, way: Way) -> None:
    given, target = layer(N, C), labels(N, C)
    given.hidden[4, 1] = np.nan
    with taking(way):
        for goal in (target, probabilities(N, C), pairs((N,), C)):
            found = stats_of(given, goal, backend=backend)
            for part in found[:3]:
                assert np.flatnonzero(np.isnan(part)).tolist() == [4]
            assert found.rank[4] == (C if goal is target else -1)


@few_ways
def test_statistics_lie_as_the_rows_do(way: Way) -> None:
    given, target = layer((2, 3, 4), C), labels(24, C).reshape(2, 3, 4)
    with taking(way):
        found = stats_of(given, target, shift=1, sample_weight=np.arange(24).reshape(2, 3, 4) % 2)
        alone = stats_of(layer((), C), 3)
    counts = np.arange(24).reshape(2, 3, 4) % 2 == 0
    counts[..., -1] = False
    for part in found[:4]:
        assert part.shape == (2, 3, 4)
    assert not found.lse[~counts].any()
    assert (found.rank[~counts] == -1).all()
    assert (found.rank[counts] >= 0).all()
    assert all(part.shape == () for part in alone)


@few_ways
def test_statistics_of_rows_of_which_none_counts_are_nothing(way: Way) -> None:
    for given, target in ((layer((2, 0), C), np.zeros((2, 0), int)), (layer(3, C), np.full(3, -100))):
        with taking(way):
            found = stats_of(given, target, empty="zero")
        assert all(part.shape == target.shape for part in found)
        assert not any(part.any() for part in found[:3])
        assert (found.rank == -1).all()


@few_ways
def test_statistics_change_neither_loss_nor_gradients(way: Way) -> None:
    given = layer(N, C)
    for kind in KINDS:
        target = target_of(kind, (N,), C)
        for options in ({}, {"label_smoothing": 0.1, "z_loss": 0.1, "focal": 2.0, "softcap": 5.0}):
            with taking(way):
                loss, found = xent.linear_cross_entropy_and_grad(*given[:2], target, bias=given.bias, **options)
                same, expected, _ = xent.linear_cross_entropy_and_grad(
                    *given[:2], target, bias=given.bias, return_stats=True, **options
                )
            truth.assert_near(loss, same, 2 * truth.ulp(same, "float32"))
            for mine, theirs in zip(found, expected, strict=True):
                truth.assert_near(mine, theirs, 1e-6 * np.abs(theirs) + 1e-7)


@few_ways
def test_the_loss_follows_from_the_statistics(way: Way) -> None:
    given, target = layer(N, C, dtype="float64"), labels(N, C)
    with taking(way):
        loss, found = xent.linear_cross_entropy(
            *given[:2], target, bias=given.bias, return_stats=True, reduction="none", z_loss=0.1
        )
    truth.assert_near(loss, -found.log_prob + 0.1 * found.lse**2, 1e-12)
    truth.assert_near(loss, right(given, target, z_loss=0.1).value, 1e-12)
