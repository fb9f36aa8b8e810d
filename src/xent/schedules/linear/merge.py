"""Statistics of a row whose classes were seen in parts: blocks of a vocabulary here, shards of a classifier elsewhere.

Parts merge as (sum, weight) pairs do, by what they say of themselves alone; derivation: docs/derivations/class-blocks.md.
"""

from typing import NamedTuple

import numpy as np

from xent._typing import Array, Floats, RowsN
from xent.kernels.contract import RowStatistics


class Part(NamedTuple):
    """What some of the classes say of each row, as if there were no others."""

    rows: RowStatistics
    """`mass` is the target's share of these classes: 0 or 1 for an index. Where all of them are −inf, `peak` is −inf."""
    vector_mass: float = 0.0
    """``Σ_j u_j`` over these classes."""


def merged(one: Part, other: Part) -> Part:
    """What both say together: ``lse = log(e^lse₁ + e^lse₂)``, and each distance from an lse grows as that lse does."""
    a, b = one.rows, other.rows
    with np.errstate(over="ignore", invalid="ignore"):
        ahead = _ahead(a, b)
        up, over = _growth(-ahead), _growth(ahead)
        first = ahead >= 0.0
        rows = RowStatistics(
            peak=np.where(first, a.peak, b.peak),
            excess=np.where(first, a.excess + up, b.excess + over),
            surprisal=(a.surprisal + _times(a.mass, up)) + (b.surprisal + _times(b.mass, over)),
            mass=np.asarray(a.mass + b.mass),
            smooth=_smooth(one, other, up, over),
            entropy=_entropy(a.entropy, b.entropy, up, over),
            rank=None if a.rank is None or b.rank is None else a.rank + b.rank,
            target_entropy=None if a.target_entropy is None or b.target_entropy is None else a.target_entropy + b.target_entropy,
        )
    return Part(rows, one.vector_mass + other.vector_mass)


def with_void(part: Part, logits: Floats, scale: float) -> Part:
    """The same where rows hold nothing but −inf: they say that the row is elsewhere, and do not spoil it."""
    rows = part.rows
    doubtful = np.flatnonzero(np.isnan(rows.excess))
    with np.errstate(invalid="ignore"):
        void = doubtful[(logits[doubtful] * scale == -np.inf).all(axis=1)]
    if not len(void):
        return part
    rows.peak[void], rows.excess[void] = -np.inf, 0.0
    rows.surprisal[void] = np.where(np.broadcast_to(rows.mass, rows.peak.shape)[void] > 0.0, np.inf, 0.0)
    if rows.smooth is not None:
        rows.smooth[void] = np.inf if part.vector_mass > 0.0 else 0.0
    if rows.entropy is not None:
        rows.entropy[void] = 0.0
    return part


def finished(part: Part) -> RowStatistics:
    """The statistics when all classes have been seen: a row of nothing but −inf has no meaning."""
    rows = part.rows
    void = np.isnan(rows.excess) | (rows.peak == -np.inf)
    if not void.any():
        return rows
    parts = (rows.excess, rows.surprisal, rows.smooth, rows.entropy)
    excess, surprisal, smooth, entropy = (None if values is None else np.where(void, np.nan, values) for values in parts)
    assert excess is not None
    assert surprisal is not None
    return rows._replace(excess=excess, surprisal=surprisal, smooth=smooth, entropy=entropy)


def joined(parts: list[RowStatistics]) -> RowStatistics:
    """Statistics of rows after rows."""
    found = {"peak": np.empty(0), "excess": np.empty(0), "surprisal": np.empty(0)}
    for name, first in parts[0]._asdict().items() if parts else ():
        if first is not None:
            found[name] = np.concatenate([np.atleast_1d(getattr(part, name)) for part in parts])
    return RowStatistics(**found)


def _ahead(a: RowStatistics, b: RowStatistics) -> RowsN:
    """``lse₁ − lse₂``; +inf where neither has a class that counts, NaN where either is."""
    ahead = (a.peak - b.peak) + (a.excess - b.excess)
    both = (a.peak == -np.inf) & (b.peak == -np.inf)
    return np.where(both, np.inf, ahead)


def _growth(behind: RowsN) -> RowsN:
    """``log(1 + e^behind)``: what a part's lse lacks when another is so far ahead of it."""
    return np.logaddexp(0.0, behind)


def _times(weights: Array | float, values: RowsN) -> RowsN:
    """The product in which 0 · inf is 0."""
    return np.where(np.equal(weights, 0.0), 0.0, weights * values)


def _smooth(one: Part, other: Part, up: RowsN, over: RowsN) -> RowsN | None:
    if one.rows.smooth is None or other.rows.smooth is None:
        return None
    return (one.rows.smooth + _times(one.vector_mass, up)) + (other.rows.smooth + _times(other.vector_mass, over))


def _entropy(a: RowsN | None, b: RowsN | None, up: RowsN, over: RowsN) -> RowsN | None:
    """``P₁·(H₁ − log P₁) + P₂·(H₂ − log P₂)`` with each part's share P of the probability."""
    if a is None or b is None:
        return None
    return _times(np.exp(-up), a + up) + _times(np.exp(-over), b + over)
