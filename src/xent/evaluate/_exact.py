"""Sums that no order of adding, merging or retrying can change: integers of as many bits as the numbers need."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from xent.kernels import tally

Limbs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LIMB_BITS = 32
UNIT_BITS = 1074
"""The least positive float64 is 2^-1074."""
MOST_PENDING = 1 << 29
"""So many numbers fit before carries must move on."""


class ExactSums:
    """[n] sums of float64 numbers, finite and not negative; equal to `math.fsum` of all that was added.

    Limbs [n, W] of 32 bits, in int64, cover the places that any of the sums has used so far: limb k counts
    ``2^(32·(low + k) − 1074)``.

    Example:
        >>> sums = ExactSums(1)
        >>> sums.add(np.array([1e16, 1.0, 1e-30]))
        >>> float(sums.fractions()[0] - 10**16)
        1.0
    """

    __slots__ = ("limbs", "low")

    def __init__(self, n: int, limbs: Limbs | None = None, low: int = 0) -> None:
        """n sums of nothing, or those that limbs [n, W] hold."""
        self.limbs: Limbs = np.zeros((n, 0), np.int64) if limbs is None else limbs
        self.low = low

    def __len__(self) -> int:
        """How many sums."""
        return self.limbs.shape[0]

    def add(self, values: Floats, index: Indices | None = None) -> None:
        """Add each value to the sum its index names, or all of them to the first."""
        for start in range(0, values.size, MOST_PENDING):
            part = slice(start, start + MOST_PENDING)
            self._add(values[part], None if index is None else index[part])

    def _add(self, values: Floats, index: Indices | None) -> None:
        self.reach(values)
        if self.limbs.shape[1]:
            tally.add(values, index, *self.parts)
            self.settle()

    @property
    def parts(self) -> tuple[Limbs, int]:
        """Limbs, and the place of the first."""
        return self.limbs, self.low

    def reach(self, values: Floats) -> None:
        """Make room for numbers like these."""
        least, most = tally.span(values.reshape(-1))
        if most >= 0:
            self.cover(least // LIMB_BITS, most // LIMB_BITS + 3)

    def cover(self, low: int, high: int) -> None:
        """Make room for the places low to high, in limbs, and one for carries."""
        if not self.limbs.shape[1]:
            self.low, self.limbs = low, np.zeros((len(self), high + 1 - low), np.int64)
            return
        before, after = max(self.low - low, 0), max(high + 1 - self.low - self.limbs.shape[1], 0)
        if before or after:
            self.limbs = np.pad(self.limbs, ((0, 0), (before, after)))
            self.low -= before

    def settle(self) -> None:
        """Move carries on, so that every limb is below 2^32, and leave out places at the ends that no sum uses."""
        tally.carry(self.limbs)
        used = np.flatnonzero(self.limbs.any(axis=0))
        if used.size == 0:
            self.low, self.limbs = 0, np.zeros((len(self), 0), np.int64)
        elif used[-1] + 1 - used[0] < self.limbs.shape[1]:
            self.low += int(used[0])
            self.limbs = np.ascontiguousarray(self.limbs[:, used[0] : used[-1] + 1])

    def merge(self, other: ExactSums, index: Indices | None = None) -> None:
        """Add the sums of another, each to that of the same number, or to the one its index names."""
        width = other.limbs.shape[1]
        if not width:
            return
        self.cover(other.low, other.low + width)
        at = other.low - self.low
        if index is None:
            self.limbs[:, at : at + width] += other.limbs
        else:
            np.add.at(self.limbs[:, at : at + width], index, other.limbs)
        self.settle()

    def folded(self, shape: tuple[int, ...], axis: int) -> ExactSums:
        """Sums over one axis of them, seen in that shape."""
        limbs = self.limbs.reshape(*shape, -1).sum(axis=axis)
        folded = ExactSums(0, np.ascontiguousarray(limbs.reshape(-1, self.limbs.shape[1])), self.low)
        folded.cover(self.low, self.low + self.limbs.shape[1])
        folded.settle()
        return folded

    def fractions(self) -> list[Fraction]:
        """The sums, exactly."""
        unit = Fraction(2) ** (LIMB_BITS * self.low - UNIT_BITS)
        return [unit * whole for whole in self._integers()]

    def floats(self) -> Floats:
        """The sums, each rounded once."""
        shift = LIMB_BITS * self.low - UNIT_BITS
        return np.array([_scaled(whole, shift) for whole in self._integers()], np.float64)

    def total(self) -> Fraction:
        """The sum of all sums, exactly."""
        return sum(self.fractions(), Fraction(0))

    def _integers(self) -> list[int]:
        """The sums in units of their lowest place."""
        packed = self.limbs.astype("<u4")
        return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _scaled(whole: int, shift: int) -> float:
    """``whole · 2^shift``, rounded once."""
    if whole.bit_length() < 1000 and -960 < whole.bit_length() + shift < 1000:
        return math.ldexp(whole, shift)
    return _rounded(whole * Fraction(2) ** shift)


def _rounded(value: Fraction) -> float:
    """The nearest float64, infinite where there is none."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return float("inf")


def ratio(above: Fraction, below: Fraction) -> float:
    """A mean: the quotient of two exact sums, rounded once; NaN for a mean over nothing."""
    return _rounded(above / below) if below else float("nan")
