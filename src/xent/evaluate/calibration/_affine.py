"""What vector and matrix scaling minimise, with its gradient, and how: SciPy's L-BFGS-B over pieces of the rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from xent.evaluate.calibration._calibrator import Calibrator
from xent.evaluate.calibration._estimator import warn_unconverged
from xent.evaluate.calibration._parameters import check_count, check_penalty
from xent.evaluate.calibration._rows import pieces, scored
from xent.evaluate.calibration._search import least
from xent.evaluate.calibration.temperature import makers
from xent.evaluate.state.batch import Batch
from xent.evaluate.state.spec import Spec
from xent.functional.from_logits import cross_entropy_and_grad

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

UNCONVERGED = "L-BFGS stopped"
"""What begins the warning of a fit that did not converge."""
TILE = 64
"""Rows of every matrix product: products of one shape add in one order, so that a row's bits do not depend on its neighbours."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """A term of the objective that knows no rows: its value and gradient at θ."""

    value: float
    gradient: Floats


class AffineScaling(Calibrator):
    """``softmax(W x + b)`` where W is a diagonal or a matrix; a subclass says which."""

    coef_: Floats
    intercept_: Floats
    temperature_: float
    n_iter_: int
    converged_: bool
    max_iter: int
    tol: float

    def learn(self, spec: Spec, batch: Batch) -> None:
        """Fit to checked rows, beginning at the one temperature that serves them best."""
        found = least(lambda: [makers(spec, batch)])
        inverse = found.best.inverse
        theta = self._minimised(Objective(spec, batch, inverse, self), self.start(spec.n_classes))
        coef, intercept = self.split(theta, spec.n_classes)
        self.temperature_, self.coef_, self.intercept_ = 1.0 / inverse, inverse * coef, intercept.copy()
        self.judge(spec, batch)

    def _minimised(self, objective: Objective, start: Floats) -> Floats:
        """θ where no component of the gradient exceeds `tol`, or the loss changes no more."""
        # 4 eps: below this relative change of the loss float64 holds nothing but rounding.
        options = {"maxiter": int(self.max_iter), "gtol": float(self.tol), "ftol": 4 * float(np.finfo(np.float64).eps)}
        options |= {"maxls": 50, "maxfun": 10**9}
        result: Any = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
        self.n_iter_, self.converged_ = int(result.nit), int(result.status) == 0
        if not self.converged_:
            warn_unconverged(f"{UNCONVERGED} after {self.n_iter_} iterations: {result.message}. Raise max_iter or tol.")
        return np.asarray(result.x, np.float64)

    def scores(self, logits: Floats) -> Floats:
        """``W x + b``; a class at -inf stays there and adds nothing to the others."""
        return masked_product(logits, lambda x: self.product(x, self.coef_), self.intercept_)

    @abstractmethod
    def start(self, n_classes: int) -> Floats:
        """θ that changes nothing: W the identity, b zeros."""

    @abstractmethod
    def split(self, theta: Floats, n_classes: int) -> tuple[Floats, Floats]:
        """W and b as views of θ."""

    @abstractmethod
    def product(self, x: Floats, coef: Floats) -> Floats:
        """``W x`` of each row [n, C]."""

    @abstractmethod
    def pull(self, x: Floats, gradient: Floats) -> Floats:
        """The derivative with respect to W, from that with respect to ``W x`` [n, C]."""

    @abstractmethod
    def penalty(self, theta: Floats, n_classes: int) -> Penalty:
        """What is added to the mean loss."""

    def check_parameters(self) -> None:
        """Refuse parameters that break their rules."""
        super().check_parameters()
        for name, value in self.get_params(deep=False).items():
            if name == "max_iter":
                check_count(name, value)
            elif name not in {"kind", "classes"}:
                check_penalty(name, value)


class Objective:
    """The weighted mean loss of ``softmax(W x/T + b)``, plus a penalty, and its gradient, as a function of θ."""

    def __init__(self, spec: Spec, batch: Batch, inverse: float, scaling: AffineScaling) -> None:
        """Rows are not copied; each visit checks and widens a few."""
        self._spec, self._parts, self._inverse, self._scaling = spec, pieces(batch), inverse, scaling

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        """Value and gradient."""
        scaling, n = self._scaling, self._spec.n_classes
        coef, intercept = scaling.split(theta, n)
        gradient = np.zeros_like(theta)
        coef_gradient, intercept_gradient = scaling.split(gradient, n)
        nats = weight = 0.0
        for part in self._parts:
            rows = scored(self._spec, part)
            if not len(rows.target):
                continue
            logits = self._inverse * rows.logits
            scores = masked_product(logits, lambda x: scaling.product(x, coef), intercept)
            losses, slopes = cross_entropy_and_grad(scores, rows.target, reduction="none", out=scores)
            slopes *= rows.weight[:, None]
            coef_gradient += scaling.pull(np.where(logits == -np.inf, 0.0, logits), slopes)
            intercept_gradient += slopes.sum(axis=0)
            nats, weight = nats + float(rows.weight @ losses), weight + float(rows.weight.sum())
        penalty = scaling.penalty(theta, n)
        return nats / weight + penalty.value, gradient / weight + penalty.gradient


def masked_product(logits: Floats, product: Callable[[Floats], Floats], intercept: Floats) -> Floats:
    """``W x + b`` where a class at -inf counts as 0 for the others and stays at -inf itself."""
    masked = logits == -np.inf
    scores = product(np.where(masked, 0.0, logits)) + intercept
    scores[masked] = -np.inf
    return scores


def tiled(x: Floats, matrix: Floats) -> Floats:
    """``x @ matrix`` in products of 64 rows each, the last filled up with zeros."""
    result = np.empty((len(x), matrix.shape[1]))
    for start in range(0, len(x), TILE):
        part = x[start : start + TILE]
        full = np.pad(part, ((0, TILE - len(part)), (0, 0))) if len(part) < TILE else part
        result[start : start + TILE] = (full @ matrix)[: len(part)]
    return result
