"""Own threads: one pool a process, made when first needed, the caller working beside it.

Numba's threading is not used: under one layer ``parallel=True`` kills forked children, under another it aborts when
two Python threads compute at once. Kernels release the GIL instead, and any thread may call them.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from numbers import Integral
from typing import Any, TypeVar

from xent._errors import ArgumentError

Item = TypeVar("Item")


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}
"""Workers by process and number: a forked child finds none of its own and makes them; no lock can be left locked by a fork."""
_inside = threading.local()
_chosen: int | None = None


def get_num_threads() -> int:
    """How many threads compute: as set, else ``XENT_NUM_THREADS``, else the processors this process may use.

    Returns:
        The number of threads, at least 1; 1 means the calling thread alone.

    Raises:
        ArgumentError: ``XENT_NUM_THREADS`` is no positive whole number; holds its value.

    Example:
        >>> import xent
        >>> xent.get_num_threads() >= 1
        True
    """
    asked = getattr(_inside, "threads", None) or _chosen
    if asked is not None:
        return asked
    named = os.environ.get("XENT_NUM_THREADS")
    return _usable_processors() if named is None else _counted(named, "XENT_NUM_THREADS", str)


def set_num_threads(count: int | None) -> None:
    """Compute on so many threads from now on; results do not depend on it, to the bit.

    Args:
        count: a positive whole number, 1 for the calling thread alone, or None to return to the default.

    Raises:
        ArgumentError: count is no positive whole number; holds its value.

    Example:
        >>> import xent
        >>> xent.set_num_threads(1)
        >>> xent.get_num_threads()
        1
        >>> xent.set_num_threads(None)
    """
    global _chosen
    _chosen = None if count is None else _counted(count, "num_threads")


class ThreadsOf:
    """So many threads for what the calling thread computes inside: a framework's own setting, where one is in charge."""

    __slots__ = ("before", "count")

    def __init__(self, count: int) -> None:
        self.count = count

    def __enter__(self) -> None:
        """Set it, for this thread alone."""
        self.before = getattr(_inside, "threads", None)
        _inside.threads = self.count

    def __exit__(self, *_: object) -> None:
        """Return to what held before."""
        _inside.threads = self.before


def for_each(work: Callable[[Item], None], items: Iterable[Item]) -> None:
    """Call work on every item, on this thread and on idle workers; the first exception is raised when all have stopped."""
    waiting = list(items)
    if len(waiting) == 1:
        work(waiting[0])
        return
    helpers = min(get_num_threads(), len(waiting)) - 1
    if helpers < 1 or getattr(_inside, "worker", False):
        for item in waiting:
            work(item)
        return
    queue = _Queue(waiting)
    futures = _submitted(helpers, lambda: _drain(work, queue))
    try:
        _drain(work, queue)
    finally:
        queue.close()
        begun = [future for future in futures if not future.cancel()]
        wait(begun)
    for future in begun:
        future.result()


class _Queue:
    """Items handed out one at a time to whichever thread asks."""

    def __init__(self, items: Iterable[object]) -> None:
        self.items, self.lock = iter(items), threading.Lock()

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        with self.lock:
            return next(self.items)

    def close(self) -> None:
        """Hand out nothing more."""
        with self.lock:
            self.items = iter(())


def _drain(work: Callable[[Item], None], queue: _Queue) -> None:
    before, _inside.worker = getattr(_inside, "worker", False), True
    try:
        for item in queue:
            work(item)  # pyright: ignore[reportArgumentType]
    except BaseException:
        queue.close()
        raise
    finally:
        _inside.worker = before


def _submitted(count: int, task: Callable[[], None]) -> list[Future[None]]:
    """Futures of the workers that could be had: none while the interpreter shuts down."""
    futures: list[Future[None]] = []
    try:
        pool = _workers(get_num_threads() - 1)
        for _ in range(count):
            futures.append(pool.submit(task))
    except RuntimeError:
        pass
    return futures


def _workers(count: int) -> ThreadPoolExecutor:
    key = (os.getpid(), count)
    # Executors start no thread before work comes: one made in a lost race costs nothing.
    return _pools.get(key) or _pools.setdefault(key, ThreadPoolExecutor(count, thread_name_prefix="xent"))


def _usable_processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _counted(value: Any, name: str, kind: type = Integral) -> int:
    count, fits = 0, isinstance(value, kind) and not isinstance(value, bool)
    with suppress(ValueError):
        count = int(value) if fits else 0
    if count < 1:
        raise ArgumentError(
            f"{name} must be a positive whole number", f"found {value!r}", "1 computes on the calling thread alone."
        )
    return count
