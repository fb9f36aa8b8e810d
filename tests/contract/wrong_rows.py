"""Kernels with one fault each in what they say of a row, as compiled code has had them; all else is the reference."""

import numpy as np

from tests.contract.conventions import Array
from xent.kernels.contract import Problem, RowCoefficients, RowStatistics, Transform, Want
from xent.kernels.reference import ReferenceKernel, narrow, transformed, widen

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


class ExcessInPeak(ReferenceKernel):
    """lse in one number: at 3e38 it cannot hold both of its parts."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows = super().statistics(problem, want)
        return rows._replace(peak=rows.peak + rows.excess, excess=0.0 * rows.excess)


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


class SinglePrecision(ReferenceKernel):
    """Float64 logits are computed in float32."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        single = widen(problem.logits, problem.storage).astype(np.float32)
        with np.errstate(all="ignore"):
            return super().statistics(problem._replace(logits=single, storage="float32"), want)


class LogOfSoftmax(ReferenceKernel):
    """Log-probabilities through probabilities, which underflow."""

    def log_probs(self, problem: Problem, out: Array) -> None:
        with np.errstate(all="ignore"):
            z = z_of(problem)
            p = np.exp((z - z.max(axis=1, keepdims=True)).astype(np.float32))
            narrow(np.log(p / p.sum(axis=1, keepdims=True)).astype(np.float64), problem.storage, out)
