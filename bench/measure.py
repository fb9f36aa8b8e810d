"""Interleaved times, and the peak growth of memory in a process of its own."""

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

SAMPLE_S = 0.01
"""Shorter calls are repeated until a sample lasts so long."""


@dataclass(frozen=True)
class Timing:
    """Seconds a call took: median, fastest and slowest of so many samples."""

    median_s: float
    least_s: float
    most_s: float
    samples: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        """Summary of samples."""
        return cls(statistics.median(seconds), min(seconds), max(seconds), len(seconds))

    @property
    def spread(self) -> float:
        """Half the way from the fastest sample to the slowest, as a share of the median."""
        return (self.most_s - self.least_s) / (2 * self.median_s)


@dataclass(frozen=True)
class Effort:
    """How long to measure: repetitions at least and at most, and seconds after which no further one starts."""

    least: int = 3
    most: int = 15
    budget_s: float = 2.0


def elapsed_s(call: Callable[[], object], loops: int = 1) -> float:
    """Seconds of one call, averaged over loops; what it returns is freed within them."""
    start = time.perf_counter()
    for _ in range(loops):
        call()
    return (time.perf_counter() - start) / loops


def interleaved(calls: Mapping[str, Callable[[], object]], effort: Effort) -> dict[str, Timing]:
    """Time every call in turn within each repetition, in another order each time, so that drift and caches favour none.

    Each has been called once before, so that nothing is loaded or compiled here.
    """
    start = time.perf_counter()
    first_s = {name: elapsed_s(call) for name, call in calls.items()}
    loops = {name: _loops(call, first_s[name]) for name, call in calls.items()}
    # The first round is a sample where one call lasts long enough; minutes are saved on the largest.
    seconds = {name: [first_s[name]] if min(first_s.values()) >= SAMPLE_S else [] for name in calls}
    orders = itertools.cycle(itertools.permutations(calls))
    for repetition in range(len(next(iter(seconds.values()))), effort.most):
        if repetition >= effort.least and time.perf_counter() - start > effort.budget_s:
            break
        for name in next(orders):
            seconds[name].append(elapsed_s(calls[name], loops[name]))
    return {name: Timing.of(samples) for name, samples in seconds.items()}


def _loops(call: Callable[[], object], first_s: float) -> int:
    once_s = first_s if first_s >= SAMPLE_S else elapsed_s(call, 3)
    return max(1, math.ceil(SAMPLE_S / once_s))
