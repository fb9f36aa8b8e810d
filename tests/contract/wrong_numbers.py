"""Kernels that round, guard, measure or treat single numbers wrongly."""

from dataclasses import replace
from typing import Any

import numpy as np

from tests.contract.conventions import Array
from tests.contract.wrong_rows import Rows, with_lse, z_of
from xent.kernels.contract import Pointwise, PointwiseTask, Problem, RowCoefficients, Want
from xent.kernels.reference import ReferenceKernel, narrow, widen
from xent.losses.binary import PointwiseLoss, sigmoid


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


class NaiveBinary(ReferenceKernel):
    """``−log σ(x)``: a logarithm of a rounded probability."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        def value(x: Array, y: Array, weight: Any = 1.0, positive: Any = 1.0) -> Array:
            p = sigmoid(x)
            return -weight * (positive * y * np.log(p) + (1.0 - y) * np.log(1.0 - p))

        naive = PointwiseLoss(loss.name, value, loss.derivatives) if loss.name == "binary_cross_entropy" else loss
        return super().pointwise(naive, task)


class WrongSign(ReferenceKernel):
    """1/(1 + e^x) for the sigmoid."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        flipped = PointwiseLoss(loss.name, lambda x, *rest: loss.value(-x, *rest), loss.derivatives)
        return super().pointwise(flipped, task)


class FactorForgotten(ReferenceKernel):
    """Elementwise gradients are those of the sum, whatever was asked."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        return super().pointwise(loss, task._replace(factor=1.0))


class WeightsOfElementsForgotten(ReferenceKernel):
    """Elementwise weights are not read."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        return super().pointwise(loss, task._replace(inputs=task.inputs[: 3 if loss.name == "gaussian_nll" else 2]))


class SecondGradientForgotten(ReferenceKernel):
    """A loss of two arguments gets the slope of the first."""

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        total = super().pointwise(loss, task)
        for gradient in task.gradients[1:]:
            gradient[...] = task.gradients[0]
        return total


class Choosy(ReferenceKernel):
    """Knows no elementwise loss."""

    def refuses(self, storage: Any, pointwise: str | None = None) -> str | None:
        return pointwise and f"no compiled form of {pointwise}"


class MeasuresTheSecondHalf(ReferenceKernel):
    """The sum, least and greatest of a row's end."""

    def measure(self, values: Array, storage: Any) -> Any:
        return super().measure(values[:, values.shape[1] // 2 :], storage)


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
