"""What `SoftmaxRegression` minimises, and its gradient, as a function of one flat parameter vector.

N rows, D features, C classes. Parameters θ hold the weights of one class after those of another: its row of W (C, D) and,
with an intercept, its b.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from xent.functional.elementwise import mse_loss_and_grad
from xent.functional.from_logits import cross_entropy, cross_entropy_and_grad
from xent.functional.normalise import softmax
from xent.learn._features import Features, add_gradient, logits_into
from xent.learn._threads import Team, alone

FloatArray = npt.NDArray[np.float64]
Labels = npt.NDArray[np.intp]
LossName = Literal["cross-entropy", "squared-error"]

TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True, slots=True)
class RowTerms:
    """Of B rows: the loss (B,), the cross-entropy in nats (B,), and d loss / d logits (B, C)."""

    loss: FloatArray
    cross_entropy_nats: FloatArray
    gradient: FloatArray


@dataclass(frozen=True, slots=True)
class Evaluation:
    """At one θ: the objective, the weighted mean cross-entropy in nats, and d objective / d θ."""

    objective: float
    cross_entropy_nats: float
    gradient: FloatArray

    @property
    def gradient_norm(self) -> float:
        """Largest absolute component of the gradient, per unit of parameter; NaN if any is NaN."""
        return float(np.maximum(np.max(self.gradient), -np.min(self.gradient)))


def cross_entropy_rows(logits: FloatArray, labels: Labels) -> RowTerms:
    """``−log p_label`` in nats and ``p − onehot``; the gradient is written over the logits."""
    nats, gradient = cross_entropy_and_grad(logits, labels, reduction="none", out=logits)
    return RowTerms(nats, nats, gradient)


def squared_error_rows(logits: FloatArray, labels: Labels) -> RowTerms:
    """``Σ_k (p_k − y_k)²`` and, with ``r = 2 (p − y)``, its gradient ``p · (r − Σ_k r_k p_k)``."""
    probs = softmax(logits)
    onehot = np.zeros_like(probs)
    onehot[np.arange(len(labels)), labels] = 1.0
    squares, residual = mse_loss_and_grad(probs, onehot, reduction="none")
    gradient = probs * (residual - np.sum(residual * probs, axis=-1, keepdims=True))
    return RowTerms(np.sum(squares, axis=-1), cross_entropy(logits, labels, reduction="none"), gradient)


ROW_LOSSES: dict[LossName, Callable[[FloatArray, Labels], RowTerms]] = {
    "cross-entropy": cross_entropy_rows,
    "squared-error": squared_error_rows,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """Features (N, D), class codes (N,) in [0, C), and row weights (N,) that sum to 1."""

    features: Features
    labels: Labels
    row_weights: FloatArray
    n_classes: int


class Objective:
    """``Σ_i v_i ℓ(W x_i + b, y_i) + l2 · Σ W²`` with row weights v that sum to 1, and its gradient."""

    def __init__(self, sample: Sample, *, loss: LossName, l2: float, fit_intercept: bool) -> None:
        """Keep the sample; allocate the logits of one block."""
        self.sample, self.l2, self.fit_intercept = sample, l2, fit_intercept
        self.team: Team = alone
        """Who multiplies; nobody helps until somebody is put here."""
        self._row_loss = ROW_LOSSES[loss]
        self._blocks = sample.features.blocks(sample.n_classes)
        self._logits = np.empty((max(rows.stop - rows.start for rows in self._blocks), sample.n_classes))

    @property
    def coef_shape(self) -> tuple[int, int]:
        """(C, D)."""
        return self.sample.n_classes, self.sample.features.shape[1]

    @property
    def multiplications(self) -> int:
        """Multiplications of one matrix product, N · D · C."""
        return self.sample.features.shape[0] * self.sample.features.shape[1] * self.sample.n_classes

    def split(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Views of θ: W (C, D) and b (C,); without an intercept b is zeros."""
        weights, width = self._weights(theta), self.coef_shape[1]
        return weights[:, :width], weights[:, width] if self.fit_intercept else np.zeros(len(weights))

    def join(self, coef: FloatArray, intercept: FloatArray) -> FloatArray:
        """θ from W (C, D) and b (C,), as a copy."""
        return (np.column_stack([coef, intercept]) if self.fit_intercept else coef.copy()).ravel()

    def _weights(self, theta: FloatArray) -> FloatArray:
        """θ as (C, E), one row a class."""
        return theta.reshape(self.coef_shape[0], -1)

    def __call__(self, theta: FloatArray) -> Evaluation:
        """Value and gradient at θ, summed over blocks of rows in a fixed order; not finite where a logit is not."""
        with np.errstate(over="ignore", invalid="ignore"):
            return self._evaluate(theta)

    def _evaluate(self, theta: FloatArray) -> Evaluation:
        """Value and gradient; overflow shows in the result."""
        coef, gradient = self.split(theta)[0], np.zeros_like(theta)
        np.multiply(coef, 2.0 * self.l2, out=self.split(gradient)[0])
        loss = nats = 0.0
        for rows in self._blocks:
            row_weights, labels = self.sample.row_weights[rows], self.sample.labels[rows]
            block = self.sample.features.block(rows, constant=self.fit_intercept)
            logits = logits_into(self._logits[: len(labels)], block, self._weights(theta), self.team)
            terms = self._row_loss(logits, labels)
            loss, nats = loss + row_weights @ terms.loss, nats + row_weights @ terms.cross_entropy_nats
            add_gradient(self._weights(gradient), terms.gradient, block, row_weights, self.team)
        return Evaluation(float(loss + self.l2 * np.einsum("cd,cd->", coef, coef)), float(nats), gradient)

    def steady_step(self) -> float:
        """``1 / (λ/2 + 2·l2)``, a gradient step at which mean cross-entropy cannot rise.

        λ is the largest eigenvalue of ``Σ_i v_i x_i x_iᵀ`` (x with a 1 appended for the intercept), by power
        iteration; 1/2 bounds the eigenvalues of a row's Hessian ``diag(p) − p pᵀ``.
        """
        direction: FloatArray = np.random.default_rng(0).standard_normal(self.coef_shape[1] + 1)
        largest = 0.0
        for _ in range(50):
            direction = self._second_moments(direction / max(float(np.linalg.norm(direction)), TINY))
            largest = float(np.linalg.norm(direction))
        return 1.0 / max(0.5 * largest + 2.0 * self.l2, TINY)

    def _second_moments(self, direction: FloatArray) -> FloatArray:
        """``Σ_i v_i x_i x_iᵀ`` times a direction (D + 1,), the last entry of x being 1, or 0 without an intercept."""
        constant, result = float(self.fit_intercept), np.zeros_like(direction)
        for rows in self._blocks:
            block, row_weights = self.sample.features.block(rows, constant=False), self.sample.row_weights[rows]
            projected: FloatArray = row_weights * (block @ direction[:-1] + constant * direction[-1])
            result[:-1] += block.T @ projected
            result[-1] += constant * np.sum(projected)
        return result
