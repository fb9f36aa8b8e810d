"""Units on processes of this machine; a worker that dies costs its unit another attempt, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

from xent._errors import ArgumentError, XentError
from xent.evaluate.engines.manifest import Manifest
from xent.kernels.cpu.threads import get_num_threads, set_num_threads

ATTEMPTS = 3
"""A unit whose worker died so often is given up."""

_manifest: Manifest | None = None


def _start(manifest: Manifest, threads: int) -> None:
    """Make a worker ready."""
    global _manifest
    _manifest = manifest
    set_num_threads(threads)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    """End when the driver is gone, however it went: nobody would take the state."""
    driver = multiprocessing.parent_process()
    if driver is not None:
        connection.wait([driver.sentinel])
        os._exit(1)


def _work(number: int) -> bytes:
    """The state of one unit."""
    assert _manifest is not None
    return _manifest.count(number, _manifest.zero()).to_bytes()


def states(manifest: Manifest, numbers: Sequence[int], workers: int | None, *, tolerant: bool) -> Iterator[tuple[int, bytes]]:
    """States as they come. Units that were at work when a worker died are tried again one at a time, to find which it was."""
    attempts = dict.fromkeys(numbers, 0)
    while attempts:
        fresh = [number for number, count in attempts.items() if count == 0]
        try:
            yield from _round(manifest, attempts, fresh or list(attempts)[:1], workers if fresh else 1, tolerant=tolerant)
        except BrokenProcessPool:
            given_up = [number for number, count in attempts.items() if count >= ATTEMPTS]
            for number in given_up:
                del attempts[number]
            if given_up and not tolerant:
                found = f"{manifest.units[given_up[0]]}: {ATTEMPTS} processes in turn died over it"
                remedy = "Was memory short? Fewer --workers take less."
                raise ArgumentError("a unit of work must be readable by a worker", found, remedy) from None


def _round(
    manifest: Manifest, attempts: dict[int, int], numbers: Sequence[int], workers: int | None, *, tolerant: bool
) -> Iterator[tuple[int, bytes]]:
    """Work on one pool until all is done or a worker dies; what is done leaves `attempts`."""
    count = min(workers or len(os.sched_getaffinity(0)), len(numbers))
    threads = max(1, get_num_threads() // count)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, initializer=_start, initargs=(manifest, threads)) as pool:
        waiting, running = iter(numbers), dict[Future[bytes], int]()
        try:
            while _filled(pool, waiting, running, attempts, count):
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    number = running[future]
                    yield from _finished(future, number, tolerant=tolerant)
                    del running[future], attempts[number]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _filled(
    pool: ProcessPoolExecutor, waiting: Iterator[int], running: dict[Future[bytes], int], attempts: dict[int, int], count: int
) -> bool:
    """Give the workers as many units as they hold, so that when one dies only these were at work; whether any runs."""
    while len(running) < count and (number := next(waiting, None)) is not None:
        attempts[number] += 1
        running[pool.submit(_work, number)] = number
    return bool(running)


def _finished(future: Future[bytes], number: int, *, tolerant: bool) -> Iterator[tuple[int, bytes]]:
    """A state, or nothing where its rows are refused and that is tolerated."""
    try:
        yield number, future.result()
    except XentError:
        if not tolerant:
            raise
