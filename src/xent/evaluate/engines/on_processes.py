"""Units on processes of this machine; a worker that dies costs its unit another attempt, and nothing else."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
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


def states(manifest: Manifest, numbers: Sequence[int], workers: int | None) -> Iterator[tuple[int, bytes | XentError]]:
    """States as they come, or why there is none. Units at work when a worker died are tried again alone, to find which it was."""
    attempts = dict.fromkeys(numbers, 0)
    while attempts:
        fresh = [number for number, count in attempts.items() if count == 0]
        try:
            yield from _round(manifest, attempts, fresh or list(attempts)[:1], workers if fresh else 1)
        except BrokenProcessPool:
            for number in [number for number, count in attempts.items() if count >= ATTEMPTS]:
                del attempts[number]
                yield number, _given_up(manifest, number)


def _given_up(manifest: Manifest, number: int) -> XentError:
    """What is said of a unit over which every worker died."""
    found = f"{manifest.units[number]}: {ATTEMPTS} processes in turn died over it"
    remedy = 'Was memory short? Fewer --workers take less. Does a script call this? Call it under if __name__ == "__main__":'
    return ArgumentError("a unit of work must be readable by a worker", found, remedy)


def _round(
    manifest: Manifest, attempts: dict[int, int], numbers: Sequence[int], workers: int | None
) -> Iterator[tuple[int, bytes | XentError]]:
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
                    outcome = _outcome(future)
                    del running[future], attempts[number]
                    yield number, outcome
        except BaseException:
            # Nobody takes what they are at, and that may last.
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _filled(
    pool: ProcessPoolExecutor, waiting: Iterator[int], running: dict[Future[bytes], int], attempts: dict[int, int], count: int
) -> bool:
    """Give the workers as many units as they hold, so that when one dies only these were at work; whether any runs."""
    while len(running) < count and (number := next(waiting, None)) is not None:
        attempts[number] += 1
        with _unheard():
            running[pool.submit(_work, number)] = number
    return bool(running)


@contextmanager
def _unheard() -> Generator[None]:
    """Processes started meanwhile hear no Ctrl-C, which a terminal sends to all: the driver ends them, and hears it after."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outcome(future: Future[bytes]) -> bytes | XentError:
    """A state, or why its rows are refused."""
    try:
        return future.result()
    except XentError as error:
        return error
