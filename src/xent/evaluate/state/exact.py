"""Sums that no order of adding, merging or retrying can change: integers of as many bits as the numbers need."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from xent.kernels import tally

Limbs = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

LIMB_BITS = 32
UNIT_BITS = 1074
"""The least positive float64 is 2^-1074."""
UNIT = 1 << UNIT_BITS
"""So many of them are 1."""
LEAST_PLAIN = 1e-290
MOST_PENDING = 1 << 29
"""So many numbers fit before carries must move on."""


class ExactSums:
    """[n] sums of float64 numbers, finite and not negative; equal to `math.fsum` of all that was added.

    Limbs [n, W] of 32 bits, in int64, cover the places that any of the sums has used so far: limb k counts
    ``2^(32·(low + k) − 1074)``.

    Example:
        >>> sums = ExactSums(1)
        >>> sums.add(np.array([1e16, 1.0, 1e-30]))
        >>> from xent.evaluate.state.exact import UNIT
        >>> (sums.wholes()[0] - 10**16 * UNIT) / UNIT
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

    def add_whole(self, values: Indices, place: int) -> None:
        """Add whole numbers, not negative, times 2^place: bits above the least float64."""
        if values.any():
            self.cover(place // LIMB_BITS, place // LIMB_BITS + 3)
            tally.add_whole(np.ascontiguousarray(values), place, *self.parts)
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

    def wholes(self) -> list[int]:
        """The sums, exactly: whole numbers of the least float64, 2^-1074."""
        packed, shift = self.limbs.astype("<u4"), LIMB_BITS * self.low
        return [int.from_bytes(row.tobytes(), "little") << shift for row in packed]

    def floats(self) -> Floats:
        """The sums, each rounded once."""
        values = tally.rounded(*self.parts)
        for n in np.flatnonzero((values > 0.0) & (values < LEAST_PLAIN)).tolist():
            # Next to the least float64 fewer digits are left than were rounded to.
            values[n] = rounded(ExactSums(1, self.limbs[n : n + 1], self.low).total())
        return values

    def total(self) -> int:
        """The sum of all sums, exactly, as `wholes` has it."""
        total = 0
        for column in reversed(self.limbs.sum(axis=0).tolist()):
            total = (total << LIMB_BITS) + column
        return total << (LIMB_BITS * self.low)


def rounded(whole: int) -> float:
    """An exact sum as the nearest float64, infinite where there is none."""
    return ratio(whole, UNIT)


def ratio(above: int, below: int) -> float:
    """A mean: the quotient of two exact sums, rounded once; NaN for a mean over nothing, infinite where no float64 is near."""
    try:
        return above / below if below else float("nan")
    except OverflowError:
        return float("inf")
