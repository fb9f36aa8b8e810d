"""`VectorScaling` and `MatrixScaling`: a weight for each class, or for each pair of classes, and an intercept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from xent.evaluate.calibration._affine import AffineScaling, Penalty, tiled
from xent.evaluate.calibration._entries import Entries
from xent.evaluate.state.spec import Kind

Floats = npt.NDArray[np.float64]


class VectorScaling(AffineScaling):
    """A weight and an intercept for each class that make the mean log loss, in nats, plus a penalty, as small as it gets.

    For logits x_i of C classes, y_i and weights v_i, with T the temperature that alone serves best::

        p_i = softmax(w ∘ x_i / T + b)
        minimise  Σ_i v_i · (−log p_i[y_i]) / Σ_i v_i  +  l2 · (Σ_k (w_k − 1)² + Σ_k b_k²) / C

    It is convex, begins at temperature scaling, w = 1 and b = 0, and the penalty draws it back there. Without one, a class
    that no row holds would be pushed to probability 0. A class at -inf keeps probability 0.

    Args:
        kind: what X holds: "logits", "log-probs" or "probs", whose logarithms are logits too.
        classes: names of the classes, in the order of the columns of X; None for the numbers from 0.
        l2: the penalty.
        max_iter: most iterations; reaching it gives scikit-learn's ConvergenceWarning.
        tol: stop when no component of the gradient is larger.

    Attributes:
        classes_: [C] in the order of the columns.
        coef_: [C] w / T.
        intercept_: [C] b.
        temperature_: T.
        log_loss_before_, log_loss_after_: mean log loss in nats of X as it is and calibrated, on the rows fitted to.
        n_iter_, converged_: iterations of L-BFGS, and whether it stopped by itself.
        n_features_in_: C.

    Example:
        A model that never heard how frequent its classes are.

        >>> import numpy as np
        >>> scaling = VectorScaling(l2=1e-9).fit(np.zeros((10, 2)), [0] * 7 + [1] * 3)
        >>> scaling.predict_proba(np.zeros((1, 2))).round(4)
        array([[0.7, 0.3]])

    References:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017.
    """

    METHOD = "vector"

    def __init__(
        self,
        *,
        kind: Kind = "logits",
        classes: Sequence[Any] | None = None,
        l2: float = 1e-4,
        max_iter: int = 1000,
        tol: float = 1e-8,
    ) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.kind = kind
        self.classes = classes
        self.l2 = l2
        self.max_iter = max_iter
        self.tol = tol

    def start(self, n_classes: int) -> Floats:
        """Ones and zeros."""
        return np.concatenate([np.ones(n_classes), np.zeros(n_classes)])

    def split(self, theta: Floats, n_classes: int) -> tuple[Floats, Floats]:
        """w [C] and b [C]."""
        return theta[:n_classes], theta[n_classes:]

    def product(self, x: Floats, coef: Floats) -> Floats:
        """``w ∘ x``."""
        return x * coef

    def pull(self, x: Floats, gradient: Floats) -> Floats:
        """``Σ_i g_i ∘ x_i``."""
        return (x * gradient).sum(axis=0)

    def penalty(self, theta: Floats, n_classes: int) -> Penalty:
        """``l2 · (Σ (w − 1)² + Σ b²) / C``."""
        away = theta - self.start(n_classes)
        l2 = float(self.l2)
        return Penalty(float(l2 * (away @ away) / n_classes), 2.0 * l2 / n_classes * away)

    def fitted(self) -> dict[str, Any]:
        """w / T, b and what is known of the fit."""
        return _fitted(self)

    def restore(self, entries: Entries) -> None:
        """The same from a file."""
        self.coef_ = entries.vector("coef", self.n_features_in_)
        _restore(self, entries)


class MatrixScaling(AffineScaling):
    """A matrix and an intercept that make the mean log loss, in nats, plus a penalty, as small as it gets.

    For logits x_i of C classes, y_i and weights v_i, with T the temperature that alone serves best::

        p_i = softmax(W x_i / T + b)
        minimise  Σ_i v_i · (−log p_i[y_i]) / Σ_i v_i  +  off_diagonal · Σ_{j≠k} W_jk² / (C(C − 1))  +  intercept · Σ_k b_k² / C

    The penalties are ODIR of Kull et al.; of log-probabilities this is their Dirichlet calibration. C² weights need many rows:
    with fewer than some hundred a class it learns them by heart. A class at -inf keeps probability 0 and adds nothing to others.

    Args:
        kind: what X holds: "logits", "log-probs" or "probs", whose logarithms are logits too.
        classes: names of the classes, in the order of the columns of X; None for the numbers from 0.
        off_diagonal: the penalty on what classes say of each other.
        intercept: the penalty on b.
        max_iter: most iterations; reaching it gives scikit-learn's ConvergenceWarning.
        tol: stop when no component of the gradient is larger.

    Attributes:
        classes_: [C] in the order of the columns.
        coef_: [C, C] W / T, a row for each calibrated class.
        intercept_: [C] b.
        temperature_: T.
        log_loss_before_, log_loss_after_: mean log loss in nats of X as it is and calibrated, on the rows fitted to.
        n_iter_, converged_: iterations of L-BFGS, and whether it stopped by itself.
        n_features_in_: C.

    Example:
        A model that took the second class for the third and the third for the second, half of the time.

        >>> import numpy as np
        >>> logits = 4.0 * np.eye(3)[[0, 1, 1, 2, 2] * 20]
        >>> scaling = MatrixScaling().fit(logits, [0, 1, 2, 1, 2] * 20)
        >>> scaling.predict_proba([[0.0, 4.0, 0.0]]).round(2)
        array([[0. , 0.5, 0.5]])

    References:
        Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017.
        Kull, Perello-Nieto, Kängsepp, Silva Filho, Song and Flach, "Beyond temperature scaling", 2019.
    """

    METHOD = "matrix"

    def __init__(
        self,
        *,
        kind: Kind = "logits",
        classes: Sequence[Any] | None = None,
        off_diagonal: float = 1e-3,
        intercept: float = 1e-3,
        max_iter: int = 1000,
        tol: float = 1e-8,
    ) -> None:
        """Keep the parameters as they are; `fit` checks them."""
        self.kind = kind
        self.classes = classes
        self.off_diagonal = off_diagonal
        self.intercept = intercept
        self.max_iter = max_iter
        self.tol = tol

    def start(self, n_classes: int) -> Floats:
        """The identity and zeros."""
        return np.concatenate([np.eye(n_classes).reshape(-1), np.zeros(n_classes)])

    def split(self, theta: Floats, n_classes: int) -> tuple[Floats, Floats]:
        """W [C, C] and b [C]."""
        return theta[:-n_classes].reshape(n_classes, n_classes), theta[-n_classes:]

    def product(self, x: Floats, coef: Floats) -> Floats:
        """``W x`` of each row."""
        return tiled(x, coef.T)

    def pull(self, x: Floats, gradient: Floats) -> Floats:
        """``Σ_i g_i x_iᵀ``."""
        return gradient.T @ x

    def penalty(self, theta: Floats, n_classes: int) -> Penalty:
        """``off_diagonal · Σ_{j≠k} W_jk² / (C(C − 1)) + intercept · Σ b² / C``."""
        weights = np.full((n_classes, n_classes), float(self.off_diagonal) / (n_classes * (n_classes - 1)))
        np.fill_diagonal(weights, 0.0)
        each = np.concatenate([weights.reshape(-1), np.full(n_classes, float(self.intercept) / n_classes)])
        return Penalty(float(each @ np.square(theta)), 2.0 * each * theta)

    def fitted(self) -> dict[str, Any]:
        """W / T, b and what is known of the fit."""
        return _fitted(self)

    def restore(self, entries: Entries) -> None:
        """The same from a file."""
        self.coef_ = entries.matrix("coef", self.n_features_in_, self.n_features_in_)
        _restore(self, entries)


def _fitted(scaling: AffineScaling) -> dict[str, Any]:
    """What both store."""
    names = ("coef", "intercept", "temperature", "n_iter", "converged")
    return {name: getattr(scaling, f"{name}_") for name in names}


def _restore(scaling: AffineScaling, entries: Entries) -> None:
    """What both read but for W."""
    scaling.intercept_ = entries.vector("intercept", scaling.n_features_in_)
    scaling.temperature_ = entries.temperature()
    scaling.n_iter_, scaling.converged_ = entries.count("n_iter"), entries.flag("converged")
