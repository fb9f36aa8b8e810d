"""The same bits for any threads, blocks and batches, from any thread and in a forked child: rows 19 and 20."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import xent
from tests.contract.conventions import (
    DTYPES,
    Array,
    assert_same_bits,
    contract,
    cross_entropy,
    labels,
    normal,
    probabilities,
)
from xent.schedules import dense

OPTIONS = ({}, {"label_smoothing": 0.1, "z_loss": 1e-3, "softcap": 20.0})
SHAPES = ((257, 1), (257, 2), (1031, 10), (257, 33), (130, 100), (57, 507), (9, 5003))
"""Rows that end within a tile, classes that end within a vector."""


@contextmanager
def num_threads(count: int) -> Iterator[None]:
    before = xent.get_num_threads()
    xent.set_num_threads(count)
    try:
        yield
    finally:
        xent.set_num_threads(before)


@contextmanager
def block_bytes(count: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dense, "BLOCK_BYTES", count)
        yield


def everything(backend: str, x: Array, goal: Array) -> list[Any]:
    """Losses, gradients and normalisations, each row for itself and reduced."""
    found: list[Any] = []
    for options in OPTIONS:
        for reduction in ("none", "sum", "mean"):
            found += cross_entropy(backend, x, goal, reduction=reduction, **options)
    found += [xent.softmax(x, backend=backend), xent.log_softmax(x, backend=backend), xent.logsumexp(x, backend=backend)]
    wide = np.broadcast_to(goal[:, None] % 2 if goal.ndim == 1 else goal, x.shape).astype(np.float64)
    for function in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        found += function(x, wide, backend=backend)
    return found


@contract(19, dtype=DTYPES)
def test_bits_do_not_depend_on_threads_blocks_or_runs(backend: str, dtype: str) -> None:
    for n, classes in SHAPES:
        x = normal(n, classes, 3.0, dtype)
        for goal in (labels(n, classes), probabilities(n, classes)):
            with num_threads(1), block_bytes(1 << 40):
                expected = everything(backend, x, goal)
            for threads, size in ((1, 1), (2, 1 << 40), (2, 3000), (5, 20_000)):
                if size == 1 and n > 300:
                    continue
                with num_threads(threads), block_bytes(size):
                    for found, right in zip(everything(backend, x, goal), expected, strict=True):
                        assert_same_bits(found, right, f"{n} x {classes}, {threads} threads, {size} bytes")


@contract(19, dtype=DTYPES)
def test_bits_do_not_depend_on_how_a_batch_is_split(backend: str, dtype: str) -> None:
    for n, classes in SHAPES:
        x = normal(n, classes, 3.0, dtype)
        for goal in (labels(n, classes), probabilities(n, classes)):
            for options in OPTIONS:
                loss, gradient = cross_entropy(backend, x, goal, **options)
                for cuts in ([1], [n // 3, n // 2], [n - 1], list(range(3, n, 17))):
                    parts = [
                        cross_entropy(backend, part, target, **options)
                        for part, target in zip(np.split(x, cuts), np.split(goal, cuts), strict=True)
                    ]
                    assert_same_bits(np.concatenate([p[0] for p in parts]), loss, f"{n} x {classes}")
                    assert_same_bits(np.concatenate([p[1] for p in parts]), gradient, f"{n} x {classes}")


@contract(19, dtype=DTYPES)
def test_bits_of_one_number_do_not_depend_on_its_place(backend: str, dtype: str) -> None:
    x, y = normal(1, 4099, 3.0, dtype)[0], probabilities(1, 4099)[0]
    for function in (xent.binary_cross_entropy_and_grad, xent.mse_loss_and_grad):
        loss, gradient = function(x, y, reduction="none", backend=backend)
        for cut in (1, 2, 7, 1000, 4095):
            parts = [function(a, b, reduction="none", backend=backend) for a, b in ((x[:cut], y[:cut]), (x[cut:], y[cut:]))]
            assert_same_bits(np.concatenate([p[0] for p in parts]), loss, f"cut at {cut}")
            assert_same_bits(np.concatenate([p[1] for p in parts]), gradient, f"cut at {cut}")
    for function in (xent.sigmoid, xent.log_sigmoid):
        whole = function(x, backend=backend)
        assert_same_bits(np.concatenate([function(x[:1000], backend=backend), function(x[1000:], backend=backend)]), whole)


@contract(19)
def test_elementwise_sums_have_one_order(backend: str) -> None:
    x, y = normal(3, 70_001), np.random.default_rng(5).random((3, 70_001))
    with num_threads(1):
        expected = xent.binary_cross_entropy(x, y, backend=backend)
    for threads in (2, 3, 5):
        with num_threads(threads):
            assert_same_bits(xent.binary_cross_entropy(x, y, backend=backend), expected)


@contract(19)
def test_a_row_does_not_know_its_neighbours(backend: str) -> None:
    for classes in (2, 10, 33, 100, 507):
        x, target = normal(67, classes, 3.0), labels(67, classes)
        order = np.random.default_rng(0).permutation(67)
        loss, gradient = cross_entropy(backend, x, target)
        moved, slope = cross_entropy(backend, x[order], target[order])
        assert_same_bits(moved, loss[order])
        assert_same_bits(slope, gradient[order])


def at_once(work: Callable[[int], None], count: int = 4) -> None:
    """Run work in so many threads that start together; the first failure is raised here."""
    barrier, failures = threading.Barrier(count), []

    def run(index: int) -> None:
        try:
            barrier.wait(30)
            work(index)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread does not come back"
    if failures:
        raise failures[0]


@contract(20)
def test_four_threads_at_once_are_right(backend: str) -> None:
    problems = [(normal(n, c, 3.0, seed=n), labels(n, c)) for n, c in ((600, 10), (70, 507), (600, 2), (60, 1001))]
    with num_threads(3), block_bytes(1 << 14):
        expected = [everything(backend, *problem) for problem in problems]

        def work(index: int) -> None:
            for _ in range(3):
                for found, right in zip(everything(backend, *problems[index]), expected[index], strict=True):
                    assert_same_bits(found, right)

        at_once(work)


CHILD = """
import os, sys, warnings
import numpy as np
import xent
from xent.schedules import dense

backend = sys.argv[1]
dense.BLOCK_BYTES = 1 << 14
xent.set_num_threads(3)
x = np.random.default_rng(0).normal(size=(600, 100)).astype(np.float32)
target = np.arange(600) % 100
def compute():
    loss, gradient = xent.cross_entropy_and_grad(x, target, backend=backend)
    binary = xent.binary_cross_entropy(np.resize(x, (4, 70000)), np.zeros((4, 70000)), backend=backend)
    return loss.tobytes() + gradient.tobytes() + binary.tobytes()
expected = compute()
warnings.simplefilter("ignore", DeprecationWarning)
for _ in range(3):
    child = os.fork()
    if child == 0:
        os._exit(0 if compute() == expected else 3)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status == 0, f"the child ended with {status}"
assert compute() == expected
"""


@contract(20)
def test_a_forked_child_computes(backend: str) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    outcome = subprocess.run([sys.executable, "-c", CHILD, backend], capture_output=True, text=True, timeout=120, check=False)
    assert outcome.returncode == 0, outcome.stderr
