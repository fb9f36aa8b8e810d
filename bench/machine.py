"""What the times were measured on: the commit, the machine, and the limits it sets."""

import os
import platform
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import xent
from bench.measure import Effort, interleaved

ROOT = Path(__file__).parent.parent
WRITTEN = ("README.md", "docs/performance.md", "bench/results")
"""What --write changes, and what may therefore differ from the commit."""
PACKAGES = ("numpy", "numba", "torch", "scipy", "scikit-learn", "ml_dtypes")
LIMITS_EFFORT = Effort(most=9, budget_s=3.0)
INSTRUCTIONS = ("neon", "sve", "avx2", "avx512f", "avx512_bf16", "avx512_fp16")


@dataclass(frozen=True)
class Limits:
    """What this machine reaches: bytes a second through memory, and seconds a number."""

    copy_1: float
    """Bytes read and written by `np.copyto` on one thread."""
    copy_all: float
    """The same on all threads."""
    read_all: float
    """Bytes read by a maximum on all threads."""
    fresh_all: float
    """Bytes of new memory written for the first time on all threads: the system must find and clear each page."""
    exp_s: float
    """NumPy's float32 exp of one number in cache, on one thread."""


def git(*arguments: str) -> str | None:
    """What git prints, or None without git or outside a repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.rstrip()


def commit() -> str | None:
    """The short name of the commit."""
    return git("rev-parse", "--short", "HEAD")


def changed() -> list[str] | None:
    """Files that differ from the commit, except those that --write changes; None if git cannot tell."""
    excluded = [f":(exclude){path}" for path in WRITTEN]
    status = git("status", "--porcelain", "--untracked-files=all", "--", ".", *excluded)
    return None if status is None else [line[2:].strip() for line in status.splitlines()]


def describe() -> dict[str, object]:
    """Processor, threads, memory, how busy it is, and versions; nothing that names the machine."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*: (.+)$", info, re.MULTILINE)
    flags = set(info.split())
    return {
        "cpu": model[1] if model else platform.machine(),
        "instructions": [name for name in INSTRUCTIONS if name in flags],
        "threads": xent.get_num_threads(),
        "system": platform.system(),
        "memory_gib": _memory_gib(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _memory_gib() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def limits(size: int = 1 << 29, effort: Effort = LIMITS_EFFORT) -> Limits:
    """Measure the limits with arrays of that many bytes."""
    threads, source, target = xent.get_num_threads(), np.ones(size // 4, np.float32), np.ones(size // 4, np.float32)
    parts = list(zip(np.array_split(source, threads), np.array_split(target, threads), strict=True))
    few, room = source[:4096], target[:4096]
    with ThreadPoolExecutor(threads) as pool:
        calls = {
            "copy_1": lambda: np.copyto(target, source),
            "copy_all": lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)),
            "read_all": lambda: list(pool.map(lambda part: part[0].max(), parts)),
            "fresh_all": lambda: list(pool.map(lambda part: np.empty_like(part[0]).fill(1), parts)),
            "exp": lambda: np.exp(few, out=room),
        }
        s = {name: timing.median_s for name, timing in interleaved(calls, effort).items()}
    return Limits(
        copy_1=2 * size / s["copy_1"],
        copy_all=2 * size / s["copy_all"],
        read_all=size / s["read_all"],
        fresh_all=size / s["fresh_all"],
        exp_s=s["exp"] / few.size,
    )
