"""The softmax family: each loss is a row's value and, beside it, the coefficients of its gradient.

In a row's gradient ``a·p − b·T − c·u`` the numbers a, b and c come from here; p, T and u are the kernel's.
Derivations: docs/derivations/softmax-cross-entropy.md, label-smoothing.md, z-loss.md.
"""

from dataclasses import dataclass

import numpy as np

from xent._typing import PerRow, RowsN
from xent.kernels.contract import KnownCoefficients, RowCoefficients, RowStatistics, Want


def nll(rows: RowStatistics) -> RowsN:
    """Surprisal of each row's target, in nats: ``lse − z_target``."""
    return rows.surprisal


def nll_coefficients(rows: RowStatistics) -> RowCoefficients:
    """``mass·p − T``."""
    return RowCoefficients(a=rows.mass, b=1.0)


def focal(rows: RowStatistics, gamma: float) -> RowsN:
    """``q^γ · s`` in nats with ``q = 1 − e^−s``: rows already right count for little (Lin et al. 2017)."""
    return _power(_miss(rows.surprisal), gamma) * rows.surprisal


def focal_coefficients(rows: RowStatistics, gamma: float) -> RowCoefficients:
    """``f'(s)·(mass·p − T)`` with ``f'(s) = q^γ + γ·q^(γ−1)·(1−q)·s``."""
    s, q = rows.surprisal, _miss(rows.surprisal)
    # s·q^(γ−1) is written s/q·q^γ: at s = 0 the ratio is 1 and nothing is 0/0.
    ratio = np.divide(s, q, out=np.ones_like(s), where=q > 0.0)
    decay = np.where(np.isinf(s), 1.0, ratio) * (1.0 - q)
    slope = _power(q, gamma) * (1.0 + gamma * decay)
    return RowCoefficients(a=slope * rows.mass, b=slope)


def z_loss(rows: RowStatistics) -> RowsN:
    """``lse²``, which keeps the partition function near 1 (PaLM, Chowdhery et al. 2022)."""
    return rows.lse * rows.lse


def z_loss_coefficients(rows: RowStatistics) -> RowCoefficients:
    """``2·lse·p``."""
    return RowCoefficients(a=2.0 * rows.lse, b=0.0)


_NOTHING_MORE = Want()


@dataclass(frozen=True, slots=True)
class CategoricalLoss:
    """One row's loss in nats: ``w·((1−ε)·q^γ·s + ζ·lse²) + ε·smooth − target entropy where asked``.

    w is the class weight of an index target (1 for probabilities, whose weights are inside s),
    q = 1 − e^−s, and ``smooth = Σ_j u_j (lse − z_j)``.
    """

    label_smoothing: float = 0.0
    smooth_mass: float = 1.0
    """``Σ_j u_j``."""
    z_loss: float = 0.0
    focal: float = 0.0
    minus_target_entropy: bool = False
    """KL(y ‖ p) instead of the cross-entropy of y and p."""

    @property
    def want(self) -> Want:
        """The statistics it needs."""
        if not (self.label_smoothing or self.minus_target_entropy):
            return _NOTHING_MORE
        return Want(smooth=self.label_smoothing > 0.0, target_entropy=self.minus_target_entropy)

    def values(self, rows: RowStatistics, weight: PerRow) -> RowsN:
        """Each row's value in nats; 0 where ignored."""
        if self is _PLAIN or self == _PLAIN:
            return _weighted(weight, nll(rows))
        with np.errstate(over="ignore", invalid="ignore"):
            return self._composed(rows, weight)

    def _composed(self, rows: RowStatistics, weight: PerRow) -> RowsN:
        value = focal(rows, self.focal) if self.focal else nll(rows)
        if self.minus_target_entropy and rows.target_entropy is not None:
            value = value - rows.target_entropy
        if self.label_smoothing:
            value = value * (1.0 - self.label_smoothing) if self.label_smoothing < 1.0 else np.zeros_like(value)
        if self.z_loss:
            value = value + self.z_loss * z_loss(rows)
        value = _weighted(weight, value)
        return value if rows.smooth is None else value + self.label_smoothing * rows.smooth

    def coefficients(self, rows: RowStatistics, weight: PerRow) -> RowCoefficients:
        """The coefficients of each row's gradient."""
        with np.errstate(over="ignore", invalid="ignore"):
            base = focal_coefficients(rows, self.focal) if self.focal else nll_coefficients(rows)
            a, b = base.a * (1.0 - self.label_smoothing), base.b * (1.0 - self.label_smoothing)
            a = a + self.z_loss * z_loss_coefficients(rows).a if self.z_loss else a
            return RowCoefficients(a=a * weight + self.label_smoothing * self.smooth_mass, b=b * weight, c=self.label_smoothing)

    def known_coefficients(self, weight: PerRow) -> KnownCoefficients | None:
        """The same before the statistics are there; None where they are needed."""
        if self.z_loss or self.focal:
            return None
        smoothed = self.label_smoothing
        return KnownCoefficients(a=smoothed * self.smooth_mass, b=(1.0 - smoothed) * weight, c=smoothed)


_PLAIN = CategoricalLoss()


def _miss(surprisal: RowsN) -> RowsN:
    """``1 − p_target``, right where p_target is almost 1; a surprisal rounded below 0 counts as 0."""
    return np.maximum(-np.expm1(-surprisal), 0.0)


def _power(base: RowsN, gamma: float) -> RowsN:
    return np.square(base) if gamma == 2.0 else base**gamma


def _weighted(weight: PerRow, value: RowsN) -> RowsN:
    """``w · value`` in which weight 0 gives 0 even where the value is infinite."""
    if isinstance(weight, float):
        return value if weight == 1.0 else weight * value
    with np.errstate(invalid="ignore"):
        return np.where(weight == 0.0, 0.0, weight * value)
