"""Which bits of a linear loss agree: layouts, threads, processes, chunks; and how far those that need not are apart."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xent
from tests import truth
from tests.contract.conventions import assert_same_bits, labels, normal, probabilities
from tests.functional.linear import CLASSES, FEW, ROWS, Layer, Way, few_ways, layer, right, taking

N, C, D = 29, 61, 24


@pytest.fixture(autouse=True)
def _default_count() -> Iterator[None]:
    yield
    xent.set_num_threads(None)


def gaussian(dtype: str = "float32") -> Layer:
    return Layer(normal(N, D, 1.0, dtype), normal(C, D, 0.4, dtype, seed=1), normal(1, C, 1.0, dtype, seed=2)[0])


def both(given: Layer, target: Any, **options: Any) -> tuple[Any, ...]:
    loss, found = xent.linear_cross_entropy_and_grad(*given[:2], target, bias=given.bias, reduction="none", **options)
    return loss, *found


def unaligned(array: np.ndarray) -> np.ndarray:
    room = np.zeros(array.nbytes + 1, np.uint8)
    found = room[1:].view(array.dtype).reshape(array.shape)
    found[...] = array
    return found


def layouts(array: np.ndarray, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
    """The same numbers as they may lie."""
    mapped = np.memmap(folder / f"{array.dtype.name}{array.shape}", array.dtype, "w+", shape=array.shape)
    mapped[...] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    yield "memory-mapped", mapped
    yield "read-only", frozen
    yield "columns first", np.asfortranarray(array)
    yield "every second row", np.repeat(array, 2, axis=0)[::2]
    yield "every second number", np.repeat(array, 2, axis=1)[:, ::2]
    yield "reversed", array[::-1, ::-1].copy()[::-1, ::-1]
    yield "unaligned", unaligned(array)


@few_ways
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_any_layout_gives_the_bits_of_a_contiguous_copy_in_a_linear_loss(way: Way, dtype: str, tmp_path: Path) -> None:
    given, target = gaussian(dtype), labels(N, C)
    with taking(way):
        expected = both(given, target)
        for name in ("hidden", "classifier"):
            for how, array in layouts(getattr(given, name), tmp_path):
                found = both(given._replace(**{name: array}), target)
                # Products of a transposed matrix may go another way through the library that multiplies.
                for part, mine, theirs in zip(("loss", "hidden", "classifier", "bias"), found, expected, strict=True):
                    assert mine.dtype == theirs.dtype
                    wide = theirs.astype(np.float64)
                    near = truth.ulp(wide, theirs.dtype.name) * (theirs.itemsize == 2) + 8 * truth.eps(dtype) * (1 + np.abs(wide))
                    truth.assert_near(mine, wide, near, f"{part} of {how} {name}")
                if how in ("memory-mapped", "read-only"):
                    for mine, theirs in zip(found, expected, strict=True):
                        assert_same_bits(mine, theirs, f"{how} {name}")


@few_ways
def test_leading_axes_of_any_layout_are_rows(way: Way) -> None:
    given, target = layer((4, 5), C), labels(20, C).reshape(4, 5)
    y = probabilities(20, C).reshape(4, 5, C)
    turned = given._replace(hidden=np.ascontiguousarray(given.hidden.transpose(1, 0, 2)).transpose(1, 0, 2))
    other = np.ascontiguousarray(y.transpose(2, 1, 0)).transpose(2, 1, 0)
    with taking(way):
        for goal, same in ((target, np.asfortranarray(target)), (y, other)):
            for mine, theirs in zip(both(turned, same), both(given, goal), strict=True):
                assert mine.shape == theirs.shape
                truth.assert_near(mine, theirs, 1e-6 * (1.0 + np.abs(theirs)))
            for mine, theirs in zip(both(turned, same, shift=2), both(given, goal, shift=2), strict=True):
                truth.assert_near(mine, theirs, 1e-6 * (1.0 + np.abs(theirs)))


@few_ways
def test_expanded_rows_and_classes_are_read(way: Way) -> None:
    one = layer(1, 1)
    given = Layer(np.broadcast_to(one.hidden, (N, 6)), np.broadcast_to(one.classifier, (C, 6)), np.broadcast_to(one.bias, (C,)))
    with taking(way):
        loss, hidden, classifier, bias = both(given, labels(N, C))
    truth.assert_near(loss, np.full(N, np.log(C)), 1e-6)
    truth.assert_near(bias, right(given, labels(N, C)).gradient.sum(axis=0), 1e-5)
    assert hidden.shape == (N, 6)
    assert classifier.shape == (C, 6)
    assert min(hidden.strides) > 0


@few_ways
def test_hidden_states_may_be_the_classifier(way: Way) -> None:
    w = normal(C, D, 0.4)
    with taking(way):
        for mine, theirs in zip(both(Layer(w, w), labels(C, C)), both(Layer(w.copy(), w), labels(C, C)), strict=True):
            assert theirs is None or np.array_equal(mine, theirs)
        memory = normal(1, (C + 4) * D, 0.4)[0]
        one, other = memory[: C * D].reshape(C, D), memory[4 * D :].reshape(C, D)
        for mine, theirs in zip(
            both(Layer(one, other), labels(C, C)), both(Layer(one.copy(), other.copy()), labels(C, C)), strict=True
        ):
            assert theirs is None or np.array_equal(mine, theirs)


@few_ways
def test_a_call_has_the_same_bits_run_after_run_and_on_any_number_of_threads(way: Way) -> None:
    given, target = gaussian(), labels(N, C)
    with taking(way):
        expected = both(given, target)
        for threads in (1, 2, 3, None):
            xent.set_num_threads(threads)
            for mine, theirs in zip(both(given, target), expected, strict=True):
                assert_same_bits(mine, theirs, f"{threads}")


def test_exact_logits_give_the_same_losses_for_any_chunks_of_rows() -> None:
    given, target = layer(N, C), labels(N, C)
    with taking(ROWS):
        expected = both(given, target)[0]
    for rows in (1, 2, 5, 16, 28):
        with taking(Way("rows", rows)):
            assert_same_bits(both(given, target)[0], expected)


def test_exact_logits_give_losses_of_any_blocks_of_classes_to_an_ulp() -> None:
    given, target = layer(N, C), labels(N, C)
    with taking(ROWS):
        expected = both(given, target)[0]
    for way in (Way("classes", 7, 1), Way("classes", 29, 16), Way("classes", 1, 13), Way("classes", 29, 60)):
        with taking(way):
            truth.assert_near(both(given, target)[0], expected, truth.ulp(expected, "float32"))


@pytest.mark.parametrize("width", [1, 64, 300])
def test_losses_of_different_chunks_are_apart_by_the_rounding_of_their_logits(width: int) -> None:
    """A library that multiplies orders a sum by the shape of the product: measured 11 ulp of losses of 3 to 16 at D = 300."""
    given = Layer(normal(61, width), normal(257, width, 2.0 / np.sqrt(width), seed=1))
    target = labels(61, 257)
    size = (np.abs(given.hidden.astype(np.float64)) @ np.abs(given.classifier.astype(np.float64)).T).max()
    truly = right(given, target)
    apart = 0.0
    with taking(ROWS):
        whole = both(given, target)[0]
    for way in (*FEW, Way("rows", 1), Way("rows", 60), Way("classes", 1 << 40, 64), Way("classes", 7, 7)):
        with taking(way):
            found = both(given, target)[0]
        truth.assert_near(found, truly.value, truly.value_limit + np.sqrt(width) * truth.eps("float32") * size, f"{way}")
        apart = max(apart, float(np.max(np.abs(found - whole) / whole)))
    assert apart <= 2e-6


def test_four_threads_at_once_are_right_in_a_linear_loss() -> None:
    given, target = gaussian(), labels(N, C)
    for way in (ROWS, Way("rows", 5), CLASSES):
        with taking(way):
            expected, found = both(given, target), [None] * 4
            wrong: list[BaseException] = []

            def work(place: int, found: list[Any] = found, wrong: list[BaseException] = wrong) -> None:
                try:
                    for _ in range(5):
                        found[place] = both(given, target)
                except BaseException as error:
                    wrong.append(error)

            workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
            [worker.start() for worker in workers]
            [worker.join() for worker in workers]
        assert not wrong
        for one in found:
            assert one is not None
            for mine, theirs in zip(one, expected, strict=True):
                assert_same_bits(mine, theirs)


FORK = """
import os
import numpy as np
import xent
h, w = np.random.default_rng(0).normal(size=(200, 64)), np.random.default_rng(1).normal(0.0, 0.3, (3000, 64))
right = xent.linear_cross_entropy_and_grad(h, w, np.arange(200))[0]
child = os.fork()
if not child:
    os._exit(0 if xent.linear_cross_entropy_and_grad(h, w, np.arange(200))[0] == right else 1)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_computes_a_linear_loss() -> None:
    """After the parent's threads have worked."""
    found = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 0, found.stderr


def test_more_than_two_to_the_31_numbers_are_counted() -> None:
    """Row 18: of logits that are never made, of expanded hidden states, and of expanded probabilities."""
    rows, classes = 1 << 20, 1 << 11
    hidden, classifier = np.broadcast_to(np.float32(1.0), (rows, 1)), np.zeros((classes, 1), np.float32)
    some = np.array([0, 1, rows - 3, rows - 2, rows - 1])
    target = np.full(rows, -100)
    target[some] = [0, 0, classes - 1, classes - 1, classes - 1]
    bias = np.where(np.arange(classes) == 7, np.float32(1.0), np.float32(0.0))
    lse = np.log(classes - 1 + np.e)
    loss, found = xent.linear_cross_entropy_and_grad(hidden, classifier, target, bias=bias, reduction="none")
    assert np.flatnonzero(loss).tolist() == some.tolist()
    truth.assert_near(loss[some], np.full(5, lse), 1e-6)
    expected = 5.0 * np.exp([-lse, 1.0 - lse, -lse]) - [2.0, 0.0, 3.0]
    truth.assert_near(found.bias[[0, 7, -1]], expected, 1e-5)

    wide = np.broadcast_to(np.float32(1.0), (rows, classes))
    by_width = xent.linear_cross_entropy(wide, np.zeros((8, classes), np.float32), target % 8 * (target > 0) - 100 * (target < 0))
    truth.assert_near(by_width, np.log(8.0), 1e-6)
    y, v = np.broadcast_to(np.float32(1.0 / classes), (rows, classes)), np.where(target >= 0, 1.0, 0.0)
    by_probs = xent.linear_cross_entropy(hidden, classifier, y, sample_weight=v, validate="off")
    truth.assert_near(by_probs, np.log(classes), 1e-6)
