"""The arrays of a workload, the same in every process."""

import math
from dataclasses import dataclass

import numpy as np

from bench.problems import Workload
from bench.threads import spread

POOL = 4_194_301
"""Random numbers drawn; larger arrays repeat them. A prime, so that no two rows are the same for any number of classes."""


@dataclass(frozen=True)
class Inputs:
    """Logits (or probabilities) [N, C], the target, class weights [C], and a buffer like the logits, already paged in."""

    logits: np.ndarray
    target: np.ndarray | None
    weight: np.ndarray | None
    buffer: np.ndarray


def dtype_of(name: str) -> np.dtype:
    """The dtype of that name.

    Raises:
        ImportError: for bfloat16 without ml_dtypes.
    """
    if name == "bfloat16":
        from ml_dtypes import bfloat16

        return np.dtype(bfloat16)
    return np.dtype(name)


def make(workload: Workload) -> Inputs:
    """Standard normal logits (probabilities for `log_loss`), and what the workload needs beside them."""
    generator = np.random.default_rng(20250101)
    shape, dtype = workload.array_shape, dtype_of(workload.dtype)
    probs = workload.function == "log_loss"
    logits = _distributions(generator, shape) if probs else _normals(generator, shape, dtype)
    weight = generator.uniform(0.5, 2.0, workload.classes).astype(np.float32) if workload.weighted else None
    return Inputs(logits, _target(workload, generator), weight, _repeated(np.zeros(POOL, dtype), shape))


def _target(workload: Workload, generator: np.random.Generator) -> np.ndarray | None:
    shape = workload.array_shape
    if workload.target == "index":
        return generator.integers(0, workload.classes, (workload.rows, *workload.image))
    if workload.target == "probabilities":
        return _distributions(generator, shape)
    if workload.target == "numbers":
        return _normals(generator, shape, np.dtype(np.float32))
    if workload.target == "binary":
        return _repeated((_pool(generator, shape) > 0).astype(np.float32), shape)
    return None


def _pool(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.standard_normal(min(POOL, math.prod(shape)), np.float32)


def _normals(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return _repeated(_pool(generator, shape).astype(dtype), shape)


def _distributions(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    numbers = _repeated(np.exp(_pool(generator, shape)), shape)

    def normalise(rows: np.ndarray) -> None:
        rows /= rows.sum(axis=1, keepdims=True)

    spread(normalise, np.array_split(numbers, max(1, numbers.size // POOL)))
    return numbers


def _repeated(pool: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    flat = np.empty(math.prod(shape), pool.dtype)

    def fill(start: int) -> None:
        flat[start : start + pool.size] = pool[: flat.size - start]

    spread(fill, range(0, flat.size, pool.size))
    return flat.reshape(shape)
