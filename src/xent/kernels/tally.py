"""What the evaluation of predictions asks of compiled code: exact sums, and one visit to each row.

Compiled code is loaded when a function is first called.
"""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Chosen = npt.NDArray[np.bool_]
Limbs: TypeAlias = tuple[Integers, int]
"""[n, W] limbs of sums, and the place of the first."""

ROWS = 64
"""Rows that are visited together: fewer take as long."""
LOGITS, LOG_PROBS, PROBS = range(3)
"""What predictions may be."""
BRIER, ENTROPY, CONFIDENCE, OWN, NATS = range(5)
"""Rows of the numbers that `judge` fills: ``Σ (p − y)²``, ``−Σ p log p``, p of leader and of target, ``−log p_target``."""
PREDICTED, RANK = range(2)
"""Rows of the places that `judge` fills: the class that leads, and how many stand before the target."""
FIRST, SECOND, COUNT = range(3)
"""Columns of what `judge` holds of each class and bin: sums of whole a and b with ``p = a·2^−44 + b·2^−88``, and rows."""
FIRST_PLACE, SECOND_PLACE = 1074 - 44, 1074 - 88
"""Places of the last bits of these sums, above 2^-1074."""
MOST_HELD = 1 << 18
"""So many rows are held before the sums must be moved to limbs."""


def span(values: Floats) -> tuple[int, int]:
    """Places of the last bits of the least and the greatest positive number, in bits above 2^-1074; (0, -1) for none."""
    from xent.kernels.cpu import exact

    least, most = exact.span(values)
    return int(least), int(most)


def add(values: Floats, index: Integers | None, limbs: Integers, low: int) -> None:
    """Add numbers, finite and not negative, to the sums that the index names, or to the first."""
    from xent.kernels.cpu import exact

    exact.add(values, np.zeros(0, np.int64) if index is None else index, limbs, low)


def carry(limbs: Integers) -> None:
    """Move carries on: every limb but the last ends in [0, 2^32)."""
    from xent.kernels.cpu import exact

    exact.carry(limbs)


def mixed(values: Keys, salt: int = 0) -> Keys:
    """Bits that look random, one to one, of numbers and a salt: Steele, Lea and Flood's SplitMix64, 2014."""
    from xent.kernels.cpu import places

    out = np.empty(len(values), np.uint64)
    places.mix(values, np.uint64(salt), out)
    return out


def text_keys(data: npt.NDArray[np.uint8], ends: npt.NDArray[np.int32]) -> Keys:
    """[N] keys of texts in UTF-8, one after the other, the i-th from ends[i] to ends[i + 1].

    A whole number within int64 has the key of that number, ``mixed(n)``; any other text a hash of its bytes.
    """
    from xent.kernels.cpu import places

    out = np.empty(len(ends) - 1, np.uint64)
    for array in (data, ends):
        # Of one type for the compiler, whoever owns them.
        array.flags.writeable = False
    places.text_keys(data, ends, out)
    return out


def fingerprint(keys: Keys, target: Integers, marks: Keys) -> int:
    """The sum, modulo 2^64, of the mixed pairs of key and mark of target."""
    from xent.kernels.cpu import places

    return int(places.fingerprint(keys, target, marks))


def cells(confidence: Floats, inner: int, fine: int) -> Integers:
    """The cell of each probability: `inner` of equal width, of which the first and the last are parted in `fine`."""
    from xent.kernels.cpu import places

    out = np.empty(len(confidence), np.int64)
    places.cells(confidence, inner, fine, out)
    return out


def rounded(limbs: Integers, low: int) -> Floats:
    """The float64 nearest to each sum whose carries have moved on; next to the least float64 perhaps the one beside it."""
    from xent.kernels.cpu import exact

    values = np.empty(len(limbs))
    exact.rounded(limbs, low, values)
    return values


def count(index: Integers, chosen: Chosen | None, n: int) -> Integers:
    """How many rows, or chosen ones, each of n places has."""
    from xent.kernels.cpu import judged

    counts = np.zeros(n, np.int64)
    judged.count(index, np.zeros(0, np.bool_) if chosen is None else chosen, counts)
    return counts


def add_whole(values: Integers, place: int, limbs: Integers, low: int) -> None:
    """Add ``values[i]·2^place``, not negative, to the sum i; place counts bits above 2^-1074."""
    from xent.kernels.cpu import exact

    exact.add_whole(values, place, limbs, low)


@dataclass(slots=True)
class Bins:
    """Sums over the bins of every class, [C·bins]: p of rows of weight 1 in `held` [C·bins, 3], and the rest in limbs."""

    bins: int
    held: Integers
    probability: Limbs
    weight: Limbs


@dataclass(frozen=True, slots=True)
class Predictions:
    """[C, N] numbers in float16, float32 or float64, what they are, the classes [N] that came true, -1 for none, and weights."""

    values: npt.NDArray[Any]
    kind: int
    target: Integers
    weight: Floats | None
    slack: float
    """How far the probabilities of a row may sum from 1."""


def judge(rows: Predictions, numbers: Floats, places: Integers, unfit: Chosen, bins: Bins | None = None) -> bool:
    """Fill numbers [5, N], places [2, N] and whether a row is no prediction; where the target is -1, with anything.

    Limbs of probabilities begin at place 0; whether any were used.
    """
    from xent.kernels.cpu import judged

    none = (0, np.zeros((0, 3), np.int64), np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64), 0)
    sums = none if bins is None else (bins.bins, bins.held, bins.probability[0], *bins.weight)
    weight, values = np.zeros(0) if rows.weight is None else rows.weight, _known(rows.values)
    shape = (_matrix(values), len(values))
    return judged.judge(*shape, rows.target, weight, rows.kind, rows.slack, numbers, places, unfit, *sums)


def log_softmax(values: npt.NDArray[Any]) -> Floats:
    """Logarithms [C, N] of the softmax of scores; NaN in columns that hold NaN, +inf or nothing finite.

    ``(x_j − m) − log(1 + Σ_{k ≠ leader} e^(x_k − m))`` with m the greatest: a row that is sure keeps its digits.
    """
    from xent.kernels.cpu import judged

    out, values = np.empty(values.shape), _known(values)
    judged.log_softmax(_matrix(values), out)
    return out


def temper(values: npt.NDArray[Any], target: Integers, inverse: float) -> Floats:
    """[3, N] of scores [C, N] at 1/T: the loss, and its first two derivatives by 1/T."""
    from xent.kernels.cpu import judged

    terms, values = np.empty((3, len(target))), _known(values)
    judged.temper(_matrix(values), len(values), target, inverse, terms)
    return terms


def _known(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same numbers in float32 or float64, in the machine's order of bytes."""
    kind = np.dtype(np.float32) if values.dtype.itemsize == 2 else values.dtype.newbyteorder("=")
    return values.astype(kind, copy=False)


def _matrix(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], int, int, int]:
    """Type, address and strides of numbers [C, N] in float32 or float64: code is compiled once for each, however they lie."""
    by_class, by_row = values.strides
    return np.empty(0, values.dtype), values.__array_interface__["data"][0], by_class, by_row
