"""P9: the first call of a process, with nothing compiled yet and with kernels already on disk."""

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass

SCRIPT = """
import time
import numpy as np
logits = np.random.default_rng(0).standard_normal(({rows}, {classes}), np.float32)
target = np.arange({rows}) % {classes}
t0 = time.perf_counter()
import xent
t1 = time.perf_counter()
try:
    import numba
except ImportError:
    pass
t2 = time.perf_counter()
xent.cross_entropy_and_grad(logits, target)
t3 = time.perf_counter()
print(t1 - t0, t2 - t1, t3 - t2)
"""


@dataclass(frozen=True)
class FirstCall:
    """Seconds of ``import xent`` after NumPy, of ``import numba`` after that, and of the first call after both."""

    import_xent_s: float
    import_numba_s: float
    call_s: float


def first_calls(rows: int, classes: int, repetitions: int = 3) -> tuple[FirstCall, FirstCall]:
    """The first call ever, and the median of first calls with the kernels of that one on disk; each in a fresh process."""
    with tempfile.TemporaryDirectory() as cache:
        cold = _once(rows, classes, cache)
        warm = [_once(rows, classes, cache) for _ in range(repetitions)]
    return cold, _median(warm)


def _once(rows: int, classes: int, cache: str) -> FirstCall:
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
    command = [sys.executable, "-c", SCRIPT.format(rows=rows, classes=classes)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return FirstCall(*map(float, done.stdout.split()))


def _median(calls: list[FirstCall]) -> FirstCall:
    columns = zip(*((call.import_xent_s, call.import_numba_s, call.call_s) for call in calls), strict=True)
    return FirstCall(*map(statistics.median, columns))
