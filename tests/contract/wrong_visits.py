"""Kernels whose statistics and gradient are right apart and wrong at once."""

import numpy as np

from tests.contract.conventions import Array
from tests.contract.wrong_rows import Rows, with_lse, z_of
from xent.kernels.contract import KnownCoefficients, Problem, Want
from xent.kernels.reference import ReferenceKernel


class MassForgottenAtOnce(ReferenceKernel):
    """Every target row is taken to sum to 1."""

    def statistics_and_gradient(self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: Array) -> Rows:
        rows = self.statistics(problem, want)
        self.gradient(problem, rows, coefficients.given(1.0), out)
        return rows


class TermForgottenAtOnce(ReferenceKernel):
    """a is taken to be 0."""

    def statistics_and_gradient(self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: Array) -> Rows:
        return super().statistics_and_gradient(problem, want, coefficients._replace(a=0.0 * coefficients.a), out)


class ReadsWhatItWrote(ReferenceKernel):
    """The gradient comes first, and the statistics from whatever it left."""

    def statistics_and_gradient(self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: Array) -> Rows:
        super().statistics_and_gradient(problem, want, coefficients, out)
        return self.statistics(problem, want)


class BelievesTheBeginning(ReferenceKernel):
    """Exponentials are taken under the maximum of the first classes, in float32, whatever follows."""

    def statistics(self, problem: Problem, want: Want) -> Rows:
        rows, z = super().statistics(problem, want), z_of(problem)
        with np.errstate(all="ignore"):
            guess = z[:, :64].max(axis=1)
            sums = np.exp((z - guess[:, None]).astype(np.float32)).sum(axis=1, dtype=np.float64)
            return with_lse(problem, rows, np.where(np.isnan(rows.lse), np.nan, guess + np.log(sums)))


class HidesRowsAtOnce(ReferenceKernel):
    """A row without a distribution gets a gradient of 0."""

    def statistics_and_gradient(self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: Array) -> Rows:
        rows = super().statistics_and_gradient(problem, want, coefficients, out)
        out[np.isnan(rows.excess)] = 0
        return rows
