"""Kernels with one fault each, as compiled code has had them; all else is the reference."""

import time
from dataclasses import replace
from typing import Any

import numpy as np

from tests.contract.conventions import Array
from xent.kernels.contract import Pointwise, PointwiseTask, Problem, RowCoefficients, RowStatistics, Transform, Want
from xent.kernels.reference import ReferenceKernel, narrow, transformed, widen
from xent.losses.binary import PointwiseLoss, sigmoid
from xent.schedules import dense

Rows = RowStatistics


def z_of(problem: Problem) -> Array:
    return transformed(widen(problem.logits, problem.storage), problem.transform)[0]


def at_target(problem: Problem, values: Array) -> Array:
    return np.take_along_axis(values, np.maximum(problem.target, 0)[:, None], 1)[:, 0]


def with_lse(problem: Problem, rows: Rows, lse: Array) -> Rows:
    """The statistics that follow from another logarithm of the sum; the target's by difference."""
    with np.errstate(invalid="ignore"):
        excess = lse - rows.peak
        if problem.target is None:
            return rows._replace(excess=excess, surprisal=rows.surprisal + (lse - rows.lse))
        ignored = problem.target < 0
        surprisal = np.where(ignored, 0.0, lse - at_target(problem, z_of(problem)))
        return rows._replace(excess=np.where(ignored, 0.0, excess), surprisal=surprisal)


class PaddingCounts(ReferenceKernel):
    """Rows are padded with zeros to whole tiles of 8, and the padding is not masked."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows, missing = super().statistics(problem, want), -problem.logits.shape[1] % 8
        with np.errstate(all="ignore"):
            return with_lse(problem, rows, np.logaddexp(rows.lse, np.log(float(missing)))) if missing else rows


class NoMaximum(ReferenceKernel):
    """Exponentials of the logits as they are."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        with np.errstate(all="ignore"):
            sums = np.exp(z_of(problem).astype(np.float32)).sum(axis=1)
            return with_lse(problem, super().statistics(problem, want), np.log(sums).astype(np.float64))


class NanLeaks(ReferenceKernel):
    """One row without a softmax spoils its block."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return with_lse(problem, rows, np.full_like(rows.lse, np.nan)) if np.isnan(rows.lse).any() else rows


class NanSwallowed(ReferenceKernel):
    """A maximum that passes over NaN, and a row of −inf called uniform."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        x = widen(problem.logits, problem.storage)
        bad = ~np.isfinite(x).any(axis=1, keepdims=True) | np.isnan(x) | (x == np.inf)
        return super().statistics(problem._replace(logits=np.where(bad, 0.0, x), storage="float64"), want)


class NextTarget(ReferenceKernel):
    """The class after the target's."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(moved_target(problem), want)


class NextTargetInGradient(ReferenceKernel):
    """The same, in the gradient alone."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(moved_target(problem), rows, coefficients, out)


def moved_target(problem: Problem) -> Problem:
    if problem.target is None:
        return problem
    return problem._replace(target=np.where(problem.target < 0, -1, (problem.target + 1) % problem.logits.shape[1]))


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


class Difference(ReferenceKernel):
    """Surprisal as ``lse − z_target``: 0 where the target leads by 37."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return with_lse(problem, rows, rows.lse) if problem.target is not None else rows


class PlainTargetGradient(ReferenceKernel):
    """``a·p − b`` at the target in float32: 0 where the target leads by 17."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        if problem.target is None:
            super().gradient(problem, rows, coefficients, out)
            return
        p = np.exp(-rows.surprisal).astype(np.float32)
        super().gradient(problem, rows._replace(surprisal=-np.log(p.astype(np.float64))), coefficients, out)


class IgnoredRowsCount(ReferenceKernel):
    """The mark -1 is read as class 0."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(unmarked(problem), want)

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(unmarked(problem), rows, coefficients, out)


def unmarked(problem: Problem) -> Problem:
    return problem if problem.target is None else problem._replace(target=np.maximum(problem.target, 0))


class ZeroTimesGradient(ReferenceKernel):
    """Ignored rows are multiplied by 0, which leaves NaN."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(problem, rows, coefficients, out)
        if problem.target is not None:
            x = widen(problem.logits, problem.storage)
            out[(problem.target < 0) & np.isnan(x).any(axis=1)] = np.zeros(1, out.dtype) if out.dtype == np.uint16 else np.nan


class MaskedTileIsNan(ReferenceKernel):
    """A tile of 32 classes that are all −inf has no maximum to subtract."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows, z = super().statistics(problem, want), z_of(problem)
        tiles = z[:, : z.shape[1] // 32 * 32].reshape(len(z), -1, 32)
        return with_lse(problem, rows, np.where((tiles == -np.inf).all(axis=2).any(axis=1), np.nan, rows.lse))


class ZeroTimesInfinity(ReferenceKernel):
    """``Σ T·(lse − z)`` without a thought for T = 0 at z = −inf."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        with np.errstate(all="ignore"):
            surprisals = rows.lse[:, None] - z_of(problem)
            if problem.target_probs is not None:
                weight = 1.0 if problem.class_weight is None else problem.class_weight
                rows = rows._replace(surprisal=(problem.target_probs * weight * surprisals).sum(axis=1))
            if problem.class_vector is not None and want.smooth:
                rows = rows._replace(smooth=(problem.class_vector * surprisals).sum(axis=1))
            return rows

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        with np.errstate(all="ignore"):
            return super().pointwise(without_guards(loss), task)


def without_guards(loss: Pointwise) -> Pointwise:
    """Binary cross-entropy as the sum of two products."""
    if loss.name != "binary_cross_entropy":
        return loss

    def value(x: Array, y: Array, weight: Any = 1.0, positive: Any = 1.0) -> Array:
        return weight * (positive * y * np.logaddexp(0.0, -x) + (1.0 - y) * np.logaddexp(0.0, x))

    return PointwiseLoss(loss.name, value, loss.derivatives)


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


class Float32Sum(ReferenceKernel):
    """Exponentials are added up one by one in float32."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows, z = super().statistics(problem, want), z_of(problem)
        with np.errstate(all="ignore"):
            peak = z.max(axis=1)
            sums = np.cumsum(np.exp(z - peak[:, None]).astype(np.float32), axis=1, dtype=np.float32)[:, -1]
            return with_lse(problem, rows, np.where(np.isnan(rows.lse), np.nan, peak + np.log(sums.astype(np.float64))))

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        values = np.empty(len(task.inputs[0]), np.float32) if task.values is None else task.values
        super().pointwise(loss, task._replace(values=values))
        return float(np.cumsum(values.astype(np.float32), dtype=np.float32)[-1])


class HalfStatistics(ReferenceKernel):
    """Half precision in, half precision throughout."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        if problem.storage not in ("float16", "bfloat16"):
            return rows
        with np.errstate(over="ignore"):
            return rows._replace(
                excess=rows.excess.astype(np.float16).astype(np.float64),
                surprisal=rows.surprisal.astype(np.float16).astype(np.float64),
            )

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        total = super().pointwise(loss, task)
        with np.errstate(over="ignore"):
            return total if task.storage not in ("float16", "bfloat16") else float(np.float16(total))


class Truncates(ReferenceKernel):
    """Gradients are cut to the dtype, not rounded."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        wide, exact = np.empty(out.shape), widen(problem.logits, problem.storage)
        super().gradient(problem._replace(storage="float64", logits=exact), rows, coefficients, wide)
        with np.errstate(all="ignore"):
            nearest = np.empty_like(out)
            narrow(wide, problem.storage, nearest)
            over = np.abs(widen(nearest, problem.storage)) > np.abs(wide)
            inward = nearest.view(f"uint{8 * nearest.itemsize}")
            inward[over & np.isfinite(wide)] -= 1
        out[...] = nearest


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


class UniformSmoothing(ReferenceKernel):
    """Any class vector is taken for the uniform one."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(uniform(problem), want)

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(uniform(problem), rows, coefficients, out)


def uniform(problem: Problem) -> Problem:
    if problem.class_vector is None:
        return problem
    return problem._replace(class_vector=np.full_like(problem.class_vector, 1.0 / len(problem.class_vector)))


class OtherSmoothing(ReferenceKernel):
    """Smoothing over the other classes only, as some papers have it."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows if rows.smooth is None else rows._replace(smooth=rows.smooth * 1.125)


class NoEntropyTerm(ReferenceKernel):
    """The coefficient d is not known."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(problem, rows, coefficients._replace(d=0.0), out)


class RankAtLeast(ReferenceKernel):
    """The target is among those that score above it."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows if rows.rank is None else rows._replace(rank=rows.rank + 1.0)


class WantsChangeNumbers(ReferenceKernel):
    """With more to compute, the sum is taken in another order."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows._replace(excess=rows.excess.astype(np.float32).astype(np.float64)) if want.entropy else rows


class MassIsOne(ReferenceKernel):
    """T is taken to sum to one, class weights or not."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(problem, want)._replace(mass=1.0)


class WeightsForgotten(ReferenceKernel):
    """Class weights are not multiplied into T."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(problem._replace(class_weight=None), want)

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        super().gradient(problem._replace(class_weight=None), rows, coefficients, out)


class TargetEntropyForgotten(ReferenceKernel):
    """The divergence is the cross-entropy."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows if rows.target_entropy is None else rows._replace(target_entropy=np.zeros_like(rows.lse))


class SlopeForgotten(ReferenceKernel):
    """The gradient with respect to z in place of x."""

    def gradient(self, problem: Problem, rows: Rows, coefficients: RowCoefficients, out: Array) -> None:
        wide = np.empty(out.shape)
        bent = problem._replace(logits=z_of(problem), storage="float64", transform=Transform())
        super().gradient(bent, rows, coefficients, wide)
        narrow(wide, problem.storage, out)


class CapForgotten(ReferenceKernel):
    """Logits are scaled and not bent."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(problem._replace(transform=problem.transform._replace(softcap=None)), want)


class ScaleForgotten(ReferenceKernel):
    """Logits are not scaled."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        return super().statistics(problem._replace(transform=problem.transform._replace(scale=1.0)), want)


class LogOfSoftmax(ReferenceKernel):
    """Log-probabilities through probabilities, which underflow."""

    def log_probs(self, problem: Problem, out: Array) -> None:
        with np.errstate(all="ignore"):
            z = z_of(problem)
            p = np.exp((z - z.max(axis=1, keepdims=True)).astype(np.float32))
            narrow(np.log(p / p.sum(axis=1, keepdims=True)).astype(np.float64), problem.storage, out)


class MeasuresTheSecondHalf(ReferenceKernel):
    """The sum, least and greatest of a row's end."""

    def measure(self, values: Array, storage: Any) -> Any:
        return super().measure(values[:, values.shape[1] // 2 :], storage)


class NaiveBinary(ReferenceKernel):
    """``−log σ(x)``: a logarithm of a rounded probability."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        def value(x: Array, y: Array, weight: Any = 1.0, positive: Any = 1.0) -> Array:
            p = sigmoid(x)
            return -weight * (positive * y * np.log(p) + (1.0 - y) * np.log(1.0 - p))

        naive = PointwiseLoss(loss.name, value, loss.derivatives) if loss.name == "binary_cross_entropy" else loss
        return super().pointwise(naive, task)


class FactorForgotten(ReferenceKernel):
    """Elementwise gradients are those of the sum, whatever was asked."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        return super().pointwise(loss, task._replace(factor=1.0))


class BlockKnown(ReferenceKernel):
    """A shortcut for blocks that hold few rows."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        short = len(rows.lse) < 6 and dense.BLOCK_BYTES < 1 << 30
        return rows._replace(surprisal=rounded_if(rows.surprisal, np.full(len(rows.lse), short)))


class SinglePrecision(ReferenceKernel):
    """Float64 logits are computed in float32."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        single = widen(problem.logits, problem.storage).astype(np.float32)
        with np.errstate(all="ignore"):
            return super().statistics(problem._replace(logits=single, storage="float32"), want)


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


class MeasureLeaks(ReferenceKernel):
    """One row of NaN makes every sum of its block NaN."""

    def measure(self, values: Array, storage: Any) -> Any:
        found = super().measure(values, storage)
        return replace(found, total=found.total + 0.0 * found.total.sum())


class NoLowest(ReferenceKernel):
    """The least of a row is not looked for."""

    def measure(self, values: Array, storage: Any) -> Any:
        found = super().measure(values, storage)
        return replace(found, lowest=np.zeros_like(found.lowest))


class NoHighest(ReferenceKernel):
    """Nor the greatest."""

    def measure(self, values: Array, storage: Any) -> Any:
        found = super().measure(values, storage)
        return replace(found, highest=np.full_like(found.highest, -1.0))


class Choosy(ReferenceKernel):
    """Knows no elementwise loss."""

    def refuses(self, storage: Any, pointwise: str | None = None) -> str | None:
        return pointwise and f"no compiled form of {pointwise}"


class WrongSign(ReferenceKernel):
    """1/(1 + e^x) for the sigmoid."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        flipped = PointwiseLoss(loss.name, lambda x, *rest: loss.value(-x, *rest), loss.derivatives)
        return super().pointwise(flipped, task)


class SecondGradientForgotten(ReferenceKernel):
    """A loss of two arguments gets the slope of the first."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        total = super().pointwise(loss, task)
        for gradient in task.gradients[1:]:
            gradient[...] = task.gradients[0]
        return total


class WeightsOfElementsForgotten(ReferenceKernel):
    """Elementwise weights are not read."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        return super().pointwise(loss, task._replace(inputs=task.inputs[: 3 if loss.name == "gaussian_nll" else 2]))


class ExcessInPeak(ReferenceKernel):
    """lse in one number: at 3e38 it cannot hold both of its parts."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows._replace(peak=rows.peak + rows.excess, excess=0.0 * rows.excess)
