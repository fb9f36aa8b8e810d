"""Kernels that are right of each row and wrong about memory, order, threads or what they were asked for."""

import time

import numpy as np

from tests.contract.conventions import Array
from tests.contract.wrong_rows import Rows, with_lse, z_of
from xent.kernels.contract import Pointwise, PointwiseTask, Problem, RowCoefficients, Want
from xent.kernels.reference import ReferenceKernel
from xent.schedules import dense


class StaleBuffer(ReferenceKernel):
    """Ignored rows are skipped, and what stood in the buffer stays."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        fresh = np.empty_like(out)
        super().gradient(problem, rows, coefficients, fresh)
        counted = slice(None) if problem.target is None else problem.target >= 0
        out[counted] = fresh[counted]


class LastClassNotWritten(ReferenceKernel):
    """A tile's remainder is forgotten where the number of classes is odd."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        fresh, classes = np.empty_like(out), out.shape[1]
        super().gradient(problem, rows, coefficients, fresh)
        out[:, : classes - classes % 2] = fresh[:, : classes - classes % 2]

    def log_probs(self, problem: Problem, out: Array) -> None:
        fresh, classes = np.empty_like(out), out.shape[1]
        super().log_probs(problem, fresh)
        out[:, : classes - classes % 2] = fresh[:, : classes - classes % 2]


class Remainder(ReferenceKernel):
    """Rows beyond the last whole tile of 4 take another road, which rounds."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        rest = np.arange(len(rows.peak)) >= len(rows.peak) // 4 * 4
        return rows._replace(excess=rounded_if(rows.excess, rest), surprisal=rounded_if(rows.surprisal, rest))

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        total = super().pointwise(loss, task)
        if task.values is not None:
            rest = len(task.values) // 4 * 4
            task.values[rest:] = np.nextafter(task.values[rest:], np.inf, dtype=task.values.dtype)
        return total


def rounded_if(values: Array, where: Array) -> Array:
    return np.where(where, np.nextafter(values.astype(np.float32), np.float32(np.inf)), values)


class RunningSum(ReferenceKernel):
    """Sums of rows as differences of one running sum over the block."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows, z = super().statistics(problem, want), z_of(problem)
        with np.errstate(all="ignore"):
            peak = z.max(axis=1)
            sums = np.diff(np.cumsum(np.exp(z - peak[:, None]).sum(axis=1)), prepend=0.0)
            lse = np.where(np.isnan(rows.lse), np.nan, peak + np.log(sums))
            return with_lse(problem, rows, lse)


class OverwritesLogits(ReferenceKernel):
    """The maximum is subtracted in place."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        if problem.logits.flags.writeable and problem.storage == "float32":
            with np.errstate(all="ignore"):
                problem.logits[...] -= problem.logits.max(axis=1, keepdims=True)
        return rows


class ClearsFirst(ReferenceKernel):
    """The buffer is cleared before the logits are read, which may be the same memory."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        out[...] = 0
        super().gradient(problem, rows, coefficients, out)

    def log_probs(self, problem: Problem, out: Array) -> None:
        out[...] = 0
        super().log_probs(problem, out)

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        for gradient in task.gradients:
            gradient[...] = 0
        return super().pointwise(loss, task)


class IgnoresStrides(ReferenceKernel):
    """Each row is taken to begin where the one before it ends."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(problem._replace(logits=packed(problem.logits)), want)


def packed(matrix: Array) -> Array:
    step = matrix.shape[1] * matrix.itemsize
    return np.lib.stride_tricks.as_strided(matrix, strides=(step, matrix.itemsize)) if matrix.strides[0] > step else matrix


class SharedScratch(ReferenceKernel):
    """One buffer for all threads."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        self.current = problem
        time.sleep(1e-4)
        return super().statistics(self.current if self.current.logits.shape == problem.logits.shape else problem, want)


class BlockKnown(ReferenceKernel):
    """A shortcut for blocks that hold few rows."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        short = len(rows.lse) < 6 and dense.BLOCK_BYTES < 1 << 30
        return rows._replace(surprisal=rounded_if(rows.surprisal, np.full(len(rows.lse), short)))


class RunAfterRun(ReferenceKernel):
    """Sums that depend on what was computed before."""

    def __init__(self) -> None:
        self.calls = 0

    def statistics(self, problem: Problem, want: Want) -> Rows:
        self.calls += 1
        rows = super().statistics(problem, want)
        return rows._replace(surprisal=rows.surprisal * (1.0 + self.calls * 2.0**-23))

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        self.calls += 1
        return super().pointwise(loss, task) * (1.0 + self.calls * 2.0**-23)


class WantsChangeNumbers(ReferenceKernel):
    """With more to compute, the sum is taken in another order."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows._replace(excess=rows.excess.astype(np.float32).astype(np.float64)) if want.entropy else rows
