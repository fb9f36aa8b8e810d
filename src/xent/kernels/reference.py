"""The contract in NumPy float64, line by line and slow on purpose: what every other backend is held against."""

import numpy as np

from xent._typing import Array, Floats, IndicesN, MatrixCD, MatrixNC, MatrixND, PerRow, RowMeasure, RowsN, Storage
from xent.kernels.contract import (
    KnownCoefficients,
    Pointwise,
    PointwiseTask,
    Problem,
    RowCoefficients,
    RowStatistics,
    SparseRows,
    Transform,
    Want,
)

_BFLOAT16_QUIET_NAN = np.uint16(0x7FC0)


def widen(array: Array, storage: Storage) -> Floats:
    """Float64 values of an array in storage dtype; exact, and in C order, for sums follow the order of memory."""
    if storage == "bfloat16":
        return (array.astype(np.uint32, order="C") << 16).view(np.float32).astype(np.float64)
    return array.astype(np.float64, order="C")


def narrow(values: Floats, storage: Storage, out: Array) -> None:
    """Round values to nearest even into out, in storage dtype."""
    if storage != "bfloat16":
        with np.errstate(over="ignore", under="ignore"):
            out[...] = values
        return
    with np.errstate(over="ignore", under="ignore"):
        single = values.astype(np.float32)
    bits = single.view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    out[...] = np.where(np.isnan(single), _BFLOAT16_QUIET_NAN, rounded)


def transformed(x: Floats, transform: Transform) -> tuple[Floats, Floats | float]:
    """z and dz/dx."""
    if transform.softcap is None:
        return x * transform.scale, transform.scale
    bent = np.tanh(x * transform.scale / transform.softcap)
    # A mask is no number to bend: -inf stays -inf.
    z = np.where(np.isinf(x), x * transform.scale, transform.softcap * bent)
    return z, transform.scale * (1.0 - bent * bent)


def _times(weights: Floats, values: Floats) -> Floats:
    """The product in which 0 · inf is 0: a class with weight 0 says nothing."""
    return np.where(weights == 0.0, 0.0, weights * values)


def _peak_and_excess(z: Floats) -> tuple[RowsN, RowsN]:
    """The greatest z and ``lse − greatest``, which is right however tiny: the greatest is left out of the sum."""
    first: Array = np.argmax(z, axis=1)[:, None]
    peak: Array = np.take_along_axis(z, first, 1)
    others = np.exp(z - peak)
    np.put_along_axis(others, first, 0.0, 1)
    excess: RowsN = np.log1p(others.sum(axis=1))
    return peak[:, 0], np.where(np.isfinite(peak[:, 0]), excess, np.nan)


def _column(values: PerRow) -> Array:
    return np.asarray(values, np.float64).reshape(-1, 1)


class ReferenceKernel:
    """NumPy float64; serves everything."""

    name = "reference"

    def refuses(self, storage: Storage, pointwise: str | None = None) -> str | None:
        """Nothing is refused."""
        return None

    def statistics(self, problem: Problem, want: Want) -> RowStatistics:
        """The statistics of every row, from ``lse − z`` as a sum of terms that are never negative."""
        with np.errstate(all="ignore"):
            z, _ = transformed(widen(problem.logits, problem.storage), problem.transform)
            peak, excess = _peak_and_excess(z)
            surprisals = (peak[:, None] - z) + excess[:, None]
            rows = _target_statistics(problem, z, surprisals, want)
            if problem.target_probs is not None:
                rows["surprisal"][np.isnan(excess)] = np.nan
            p = np.exp(-surprisals)
            return _without_ignored(
                problem,
                RowStatistics(
                    peak=peak,
                    excess=excess,
                    smooth=_smooth(problem, surprisals) if want.smooth else None,
                    entropy=_times(p, surprisals).sum(axis=1) if want.entropy else None,
                    **rows,
                ),
            )

    def gradient(self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, out: MatrixNC) -> None:
        """``(a·p − b·T − c·u − d·p·(log p + entropy)) · dz/dx``; the target's entry of an index row is exact near 0."""
        with np.errstate(all="ignore"):
            z, slope = transformed(widen(problem.logits, problem.storage), problem.transform)
            log_p = (z - rows.peak[:, None]) - rows.excess[:, None]
            p = np.exp(log_p)
            a, b, c, d = (_column(x) for x in (coefficients.a, coefficients.b, coefficients.c, coefficients.d))
            gradient = a * p
            if problem.target is not None:
                _put_target(problem.target, rows.surprisal, a[:, 0], b[:, 0], gradient)
            if problem.target_probs is not None:
                gradient -= b * _target(problem)
            if problem.class_vector is not None:
                gradient -= c * problem.class_vector
            if rows.entropy is not None:
                gradient -= d * _times(p, log_p + rows.entropy[:, None])
            gradient = gradient * slope
            if problem.target is not None:
                gradient[problem.target < 0] = 0.0
            gradient[np.isnan(rows.excess)] = np.nan
            narrow(gradient, problem.storage, out)

    def statistics_and_gradient(
        self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: MatrixNC
    ) -> RowStatistics:
        """One after the other."""
        rows = self.statistics(problem, want)
        self.gradient(problem, rows, coefficients.given(rows.mass), out)
        return rows

    def sparse_gradient(
        self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, tolerance: float, most: int
    ) -> SparseRows | None:
        """The dense gradient, and a sort of each row for what of it stays."""
        assert problem.storage in {"float32", "float64"}, problem.storage
        dense, stays, dropped = np.empty_like(problem.logits), np.ones(problem.logits.shape, bool), np.zeros(len(rows.peak))
        self.gradient(problem, rows, coefficients, dense)
        with np.errstate(all="ignore"):
            z, _ = transformed(widen(problem.logits, problem.storage), problem.transform)
            p = np.exp((z - rows.peak[:, None]) - rows.excess[:, None])
        for r, t in enumerate([None] * len(p) if problem.target is None else problem.target.tolist()):
            stays[r], dropped[r] = _stays(p[r], t, tolerance)
        start = np.concatenate([[0], np.cumsum(stays.sum(axis=1))])
        if start[-1] > most:
            return None
        return SparseRows(start, np.nonzero(stays)[1].astype(np.int32), dense[stays], dropped)

    def add_sparse_product(self, sparse: SparseRows, matrix: MatrixCD, storage: Storage, out: MatrixND) -> None:
        """Entry by entry."""
        wide = widen(matrix, storage)
        for r, mine in enumerate(_slices(sparse)):
            for value, column in zip(sparse.value[mine], sparse.column[mine], strict=True):
                out[r] += value * wide[column]

    def add_sparse_transposed(self, sparse: SparseRows, matrix: MatrixND, out: MatrixCD) -> None:
        """Row by row."""
        for r, mine in enumerate(_slices(sparse)):
            out[sparse.column[mine]] += sparse.value[mine, None] * matrix[r]

    def add_sparse_columns(self, sparse: SparseRows, out: Floats) -> None:
        """Entry by entry."""
        np.add.at(out, sparse.column, sparse.value)

    def log_probs(self, problem: Problem, out: MatrixNC) -> None:
        """``z − lse``."""
        with np.errstate(all="ignore"):
            z, _ = transformed(widen(problem.logits, problem.storage), problem.transform)
            peak, excess = _peak_and_excess(z)
            narrow((z - peak[:, None]) - excess[:, None], problem.storage, out)

    def measure(self, values: MatrixNC, storage: Storage) -> RowMeasure:
        """Sum, least and greatest of each row."""
        with np.errstate(all="ignore"):
            x = widen(values, storage)
            return RowMeasure(x.sum(axis=1), x.min(axis=1), x.max(axis=1))

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        """The loss's own formula in float64."""
        stored = task.inputs[0].dtype
        with np.errstate(all="ignore"):
            wide = [widen(x, task.storage) if x.dtype == stored else x.astype(np.float64) for x in task.inputs]
            result = loss.value(*wide)
            if task.values is not None:
                task.values[...] = result
            if task.gradients:
                for out, gradient in zip(task.gradients, loss.derivatives(*wide), strict=True):
                    narrow(gradient * task.factor, task.storage, out)
            return float(result.sum())


def _stays(p: Floats, target: int | None, tolerance: float) -> tuple[Array, float]:
    """Which classes of a row stay, and the probability of the others."""
    if target is not None and target < 0:
        return np.zeros(len(p), bool), 0.0
    smallest_first = np.argsort(p, kind="stable")
    if target is not None:
        smallest_first = smallest_first[smallest_first != target]
    sums = np.cumsum(p[smallest_first])
    goes = smallest_first[sums <= tolerance]
    stays = np.ones(len(p), bool)
    stays[goes] = False
    return stays, float(sums[len(goes) - 1]) if len(goes) else 0.0


def _slices(sparse: SparseRows) -> list[slice]:
    """Where the entries of each row are."""
    return [slice(first, last) for first, last in zip(sparse.start[:-1], sparse.start[1:], strict=True)]


def _smooth(problem: Problem, surprisals: Floats) -> RowsN:
    """``Σ_j u_j (lse − z_j)``."""
    assert problem.class_vector is not None
    return _times(problem.class_vector, surprisals).sum(axis=1)


def _target(problem: Problem) -> Floats:
    """T where targets are probabilities."""
    assert problem.target_probs is not None
    probs = problem.target_probs.astype(np.float64, order="C")
    return probs if problem.class_weight is None else probs * problem.class_weight


def _target_statistics(problem: Problem, z: Floats, surprisals: Floats, want: Want) -> dict[str, Array]:
    """Surprisal, mass, rank and target entropy."""
    if problem.target_probs is not None:
        weighted = _target(problem)
        rows = {"surprisal": _times(weighted, surprisals).sum(axis=1), "mass": weighted.sum(axis=1)}
        if want.target_entropy:
            y = problem.target_probs.astype(np.float64, order="C")
            rows["target_entropy"] = -_times(weighted, np.log(np.where(y == 0.0, 1.0, y))).sum(axis=1)
        return rows
    if problem.target is None:
        return {"surprisal": np.zeros(len(z))}
    column = np.maximum(problem.target, 0)[:, None]
    rows = {"surprisal": np.take_along_axis(surprisals, column, 1)[:, 0]}
    if want.rank:
        rows["rank"] = (z > np.take_along_axis(z, column, 1)).sum(axis=1).astype(np.float64)
    return rows


def _without_ignored(problem: Problem, rows: RowStatistics) -> RowStatistics:
    """Exactly 0 wherever the target is -1."""
    if problem.target is not None:
        ignored = problem.target < 0
        for values in (rows.peak, rows.excess, rows.surprisal, rows.smooth, rows.entropy, rows.rank):
            if values is not None:
                values[ignored] = 0.0
    return rows


def _put_target(target: IndicesN, surprisal: RowsN, a: Array, b: Array, gradient: Floats) -> None:
    """``a·p_t − b`` as ``(a − b) + a·expm1(−surprisal)``: right where p_t is almost 1."""
    np.put_along_axis(gradient, np.maximum(target, 0)[:, None], ((a - b) + a * np.expm1(-surprisal))[:, None], 1)
