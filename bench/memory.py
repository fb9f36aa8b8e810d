"""Peak growth of resident memory during one call, measured in a process that has done nothing else."""

import gc
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from bench import peers
from bench.calls import ours
from bench.inputs import make
from bench.problems import Workload

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
Calls = tuple[Callable[[], object], Callable[[], object]]
NEEDED_MATRICES = 9
"""Matrices of the logits' float32 size that inputs, results and the temporaries of the hungriest peer take at most."""


def measurable() -> bool:
    """Whether the system tells, and forgets, a process's peak."""
    return CLEAR.exists() and "VmHWM" in STATUS.read_text()


def available_bytes() -> int | None:
    """Memory that can be had without swapping."""
    try:
        return _field(Path("/proc/meminfo").read_text(), "MemAvailable")
    except OSError:
        return None


def too_large(workload: Workload) -> str | None:
    """Why the workload does not fit this machine; None if it does."""
    need, available = NEEDED_MATRICES * 4 * workload.numbers, available_bytes()
    if available is None or need < available:
        return None
    return f"needs about {need / 2**30:.0f} GiB, {available / 2**30:.0f} are free"


def peak_growth_bytes(workload: Workload, who: str, backend: str | None = None) -> int | None:
    """Bytes by which the call of "xent" or "peer" raised the process's peak, beyond inputs and the buffer it was given."""
    return in_own_process(_prepared, workload, who, backend)


def in_own_process(prepare: Callable[..., Calls], *arguments: object) -> int | None:
    """Bytes by which a call raised the peak of a fresh process; prepare gives a small call, made before, and the call."""
    if not measurable():
        return None
    context = multiprocessing.get_context("forkserver")
    # The server imports the peers once and computes nothing, so each child starts without threads and without delay.
    context.set_forkserver_preload(["bench._preload"])
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_growth, prepare, arguments).result()


def _prepared(workload: Workload, who: str, backend: str | None) -> Calls:
    make_call = partial(ours, backend=backend) if who == "xent" else peers.theirs
    small = workload.in_short()
    return make_call(small, make(small)), make_call(workload, make(workload))


def _growth(prepare: Callable[..., Calls], arguments: tuple[object, ...]) -> int:
    warm, call = prepare(*arguments)
    warm()
    gc.collect()
    CLEAR.write_text("5")
    before = _field(STATUS.read_text(), "VmRSS")
    call()
    return max(0, _field(STATUS.read_text(), "VmHWM") - before)


def _field(text: str, name: str) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    if match is None:
        raise OSError(f"the system does not tell {name}")
    return 1024 * int(match[1])
