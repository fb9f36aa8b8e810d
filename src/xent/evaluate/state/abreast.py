"""Batches counted beside each other: each by one thread from beginning to end, merged in their order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

from xent.evaluate.state.batch import Batch
from xent.evaluate.totals import Totals
from xent.kernels.cpu.threads import ThreadsOf, get_num_threads

Make: TypeAlias = Callable[[], Batch]


def count(totals: Totals, batches: Iterable[Batch | Make], hear: Callable[[int], None] = lambda rows: None) -> Totals:
    """Count every batch, or what makes one, into a state; `hear` is told the rows of each.

    As many are under way as there are threads, so that reading, and what NumPy does on one thread, goes on beside the rest.
    """
    threads = get_num_threads()
    under_way: deque[Future[Totals]] = deque()

    def settle() -> None:
        part = under_way.popleft().result()
        totals.merge(part)
        hear(part.counts["rows"])

    with ThreadPoolExecutor(threads, thread_name_prefix="xent-evaluate") as pool:
        try:
            for batch in batches:
                under_way.append(pool.submit(_of, totals, batch))
                if len(under_way) > threads:
                    settle()
            while under_way:
                settle()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
    return totals


def _of(totals: Totals, batch: Batch | Make) -> Totals:
    """The state of a batch, by this thread alone."""
    with ThreadsOf(1):
        return totals.of(batch if isinstance(batch, Batch) else batch())
