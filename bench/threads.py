"""Plain threads for filling and comparing arrays, which would else take longer than measuring."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import xent

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def spread(work: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """Work on each item, on as many threads as xent uses, none of which outlives the call."""
    with ThreadPoolExecutor(xent.get_num_threads()) as pool:
        return list(pool.map(work, items))
