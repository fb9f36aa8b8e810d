"""Two ways down: SciPy's L-BFGS and plain gradient descent, each leaving a record of every iteration."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent._errors import ArgumentError
from xent.learn._objective import Evaluation, Objective
from xent.learn._sklearn import lbfgs

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Step:
    """Where a fit stands after an iteration; iteration 0 is the start.

    ``loss`` is what is minimised, penalty included (nats for cross-entropy, no unit for squared error);
    ``cross_entropy_nats`` is the weighted mean over the training rows, without penalty;
    ``gradient_norm`` is the largest absolute component of the gradient, the number that ``tol`` bounds;
    ``elapsed_s`` counts seconds from iteration 0.
    """

    iteration: int
    loss: float
    cross_entropy_nats: float
    gradient_norm: float
    elapsed_s: float


Callback = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop: after ``max_iter`` iterations, or when the gradient norm is at most ``tol``."""

    max_iter: int
    tol: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Final θ, every step, and why the solver stopped short of ``tol`` (None if it did not)."""

    theta: FloatArray
    steps: list[Step]
    complaint: str | None


class DivergedError(ArgumentError):
    """Loss or gradient is no longer finite."""


class Record:
    """Steps taken so far, each passed to the callback as it is added."""

    def __init__(self, callback: Callback | None) -> None:
        """Nothing yet; the clock starts with the first step, once everything is loaded and compiled."""
        self.steps: list[Step] = []
        self._callback, self._start_s = callback, 0.0

    def add(self, evaluation: Evaluation) -> None:
        """Append the next step; a loss or gradient that is not finite is an ArgumentError."""
        now_s = time.perf_counter()
        self._start_s = self._start_s if self.steps else now_s
        nats, norm = evaluation.cross_entropy_nats, evaluation.gradient_norm
        step = Step(len(self.steps), evaluation.objective, nats, norm, now_s - self._start_s)
        if not np.isfinite(step.loss + step.gradient_norm):
            raise DivergedError(
                "loss and gradient must stay finite while fitting",
                f"iteration {step.iteration} has loss {step.loss} and gradient norm {step.gradient_norm}",
                "Standardise the features, or lower learning_rate or l2.",
            )
        self.steps.append(step)
        if self._callback is not None:
            self._callback(step)


def minimise_by_lbfgs(objective: Objective, start: FloatArray, limits: Limits, callback: Callback | None) -> Outcome:
    """L-BFGS until the gradient norm is at most ``tol`` or the loss no longer changes in float64."""
    record, latest, at_start = Record(callback), objective(start), True
    record.add(latest)
    if latest.gradient_norm <= limits.tol or limits.max_iter == 0:
        return Outcome(start, record.steps, None if latest.gradient_norm <= limits.tol else _out_of_iterations(limits))

    def value_and_gradient(theta: FloatArray) -> tuple[float, FloatArray]:
        nonlocal latest, at_start
        if not (at_start and np.array_equal(theta, start)):
            latest = objective(theta)
        at_start = False
        return latest.objective, latest.gradient

    def accepted(theta: FloatArray, value: float) -> None:
        # It is the point evaluated last, unless a search ended at another; its value tells, and no copy has to be kept.
        if value != latest.objective:
            value_and_gradient(theta)
        record.add(latest)

    # 64 eps: below this relative change of the loss float64 holds nothing but rounding.
    options = {"maxiter": limits.max_iter, "gtol": limits.tol, "ftol": 64 * float(np.finfo(np.float64).eps)}
    theta, status, message = lbfgs(value_and_gradient, start, accepted, options | {"maxls": 50, "maxfun": 10**9})
    complaint = {0: None, 1: _out_of_iterations(limits)}.get(status, f"L-BFGS stopped early: {message}")
    return Outcome(theta, record.steps, complaint)


def minimise_by_gradient_descent(
    objective: Objective, start: FloatArray, limits: Limits, callback: Callback | None, learning_rate: float
) -> Outcome:
    """``θ ← θ − learning_rate · gradient`` until the gradient norm is at most ``tol``."""
    record, theta, latest = Record(callback), start.copy(), objective(start)
    record.add(latest)
    while latest.gradient_norm > limits.tol and len(record.steps) <= limits.max_iter:
        theta -= learning_rate * latest.gradient
        latest = objective(theta)
        record.add(latest)
    return Outcome(theta, record.steps, None if latest.gradient_norm <= limits.tol else _out_of_iterations(limits))


def _out_of_iterations(limits: Limits) -> str:
    """What a solver says when ``max_iter`` ends it."""
    return f"the gradient norm is still above tol = {limits.tol:g} after max_iter = {limits.max_iter} iterations"
