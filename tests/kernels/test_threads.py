"""Threads of our own: every item once, the first failure raised, nobody left working when the call returns."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

import xent
from xent.kernels.cpu import threads


@pytest.fixture(autouse=True)
def _default_count() -> Iterator[None]:
    yield
    xent.set_num_threads(None)


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("items", [0, 1, 2, 100])
def test_every_item_is_worked_on_once(count: int, items: int) -> None:
    xent.set_num_threads(count)
    seen: list[int] = []
    threads.for_each(seen.append, range(items))
    assert sorted(seen) == list(range(items))


def test_no_more_threads_work_than_were_asked_for() -> None:
    for count in (1, 2, 4):
        xent.set_num_threads(count)
        names: set[int] = set()

        def work(item: int, names: set[int] = names) -> None:
            names.add(threading.get_ident())
            time.sleep(0.001)

        threads.for_each(work, range(40))
        assert 1 <= len(names) <= count
        assert threading.get_ident() in names


def test_a_single_item_stays_on_the_calling_thread() -> None:
    xent.set_num_threads(4)
    seen: list[int] = []
    threads.for_each(lambda item: seen.append(threading.get_ident()), [0])
    assert seen == [threading.get_ident()]


def test_work_inside_of_work_does_not_wait_for_itself() -> None:
    xent.set_num_threads(2)
    seen: list[tuple[int, int]] = []
    threads.for_each(lambda i: threads.for_each(lambda j: seen.append((i, j)), range(5)), range(8))
    assert sorted(seen) == [(i, j) for i in range(8) for j in range(5)]


@pytest.mark.parametrize("bad", [0, 7, 39])
def test_a_failure_is_raised_when_all_have_stopped(bad: int) -> None:
    xent.set_num_threads(3)
    working: set[int] = set()

    def work(item: int) -> None:
        working.add(item)
        time.sleep(0.002)
        working.discard(item)
        if item == bad:
            raise KeyError(item)

    with pytest.raises(KeyError):
        threads.for_each(work, range(40))
    assert working == set()
    seen: list[int] = []
    threads.for_each(seen.append, range(10))
    assert len(seen) == 10


class ShutDownAfterOne(ThreadPoolExecutor):
    """A pool that another thread replaces between two submissions."""

    taken = 0

    def submit(self, *arguments: object) -> Future[None]:  # type: ignore[override]
        self.taken += 1
        if self.taken > 1:
            raise RuntimeError("cannot schedule new futures after shutdown")
        return super().submit(*arguments)  # type: ignore[arg-type]


def test_a_pool_replaced_meanwhile_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    xent.set_num_threads(3)
    finished: list[int] = []

    def work(item: int) -> None:
        time.sleep(0.05 if threading.current_thread() is not threading.main_thread() else 0.001)
        finished.append(item)

    with ShutDownAfterOne(2) as pool:
        monkeypatch.setattr(threads, "_workers", lambda count: pool)
        threads.for_each(work, range(12))
        assert sorted(finished) == list(range(12))


def test_the_count_may_change_while_others_compute() -> None:
    def compute() -> None:
        for _ in range(60):
            seen: list[int] = []
            threads.for_each(seen.append, range(9))
            counts.append(len(seen))

    counts: list[int] = []
    crowd = [threading.Thread(target=compute) for _ in range(4)]
    for thread in crowd:
        thread.start()
    for i in range(60):
        xent.set_num_threads(1 + i % 4)
        time.sleep(0.0005)
    for thread in crowd:
        thread.join(60)
    assert counts == [9] * 240


def test_the_environment_names_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENT_NUM_THREADS", "5")
    assert xent.get_num_threads() == 5
    xent.set_num_threads(2)
    assert xent.get_num_threads() == 2
    xent.set_num_threads(None)
    assert xent.get_num_threads() == 5
    monkeypatch.delenv("XENT_NUM_THREADS")
    assert xent.get_num_threads() >= 1


@pytest.mark.parametrize("bad", ["many", "0", "-2", "1.5", ""])
def test_a_count_in_the_environment_that_is_none_is_an_error(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XENT_NUM_THREADS", bad)
    with pytest.raises(xent.ArgumentError) as caught:
        xent.get_num_threads()
    text = f"XENT_NUM_THREADS must be a positive whole number; found {bad!r}. 1 computes on the calling thread alone."
    assert str(caught.value) == text


@pytest.mark.parametrize("bad", [0, -1, 1.5, "two", [1]])
def test_a_count_that_is_none_is_an_error(bad: object) -> None:
    with pytest.raises(xent.ArgumentError, match="num_threads must be a positive whole number"):
        xent.set_num_threads(bad)  # type: ignore[arg-type]


FORK_IN_A_CROWD = """
import os, threading, time, warnings
import xent
from xent.kernels.cpu import threads

warnings.simplefilter("ignore", DeprecationWarning)
xent.set_num_threads(3)

def compute():
    while True:
        threads.for_each(lambda item: None, range(4))

def in_child():
    seen = []
    threads.for_each(seen.append, range(8))
    os._exit(0 if sorted(seen) == list(range(8)) else 3)

def ends(child, deadline_s):
    while time.monotonic() < deadline_s:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status == 0
        time.sleep(0.0005)
    os.kill(child, 9)
    return False

for _ in range(3):
    threading.Thread(target=compute, daemon=True).start()
for _ in range(100):
    child = os.fork()
    if child == 0:
        in_child()
    if not ends(child, time.monotonic() + 20.0):
        os._exit(1)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_forked_while_others_compute_finds_no_lock_held() -> None:
    assert subprocess.run([sys.executable, "-c", FORK_IN_A_CROWD], timeout=120, check=False).returncode == 0
