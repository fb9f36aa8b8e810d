"""The truth that xent is held against, for many rows: float64, the rounding of each difference carried along.

It shares no code with xent. `test_truth.py` holds it against `exact.py`, which computes a few rows with 400 digits.
Beside each number stands how far from it a right computation in float16, bfloat16, float32 or float64 may be.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIGNIFICANT = {"float16": 11, "bfloat16": 8, "float32": 24, "float64": 53}
SMALLEST_EXPONENT = {"float16": -14, "bfloat16": -126, "float32": -126, "float64": -1022}


def ulp(values: npt.ArrayLike, dtype: str) -> Floats:
    """The distance between neighbours of that dtype at each value."""
    _, exponent = np.frexp(np.abs(np.asarray(values, np.float64)))
    exponent = np.maximum(exponent - 1, SMALLEST_EXPONENT[dtype])
    return np.ldexp(1.0, exponent - (SIGNIFICANT[dtype] - 1))


def computed_in(dtype: str) -> str:
    """What a row of that dtype is computed in, and what its loss comes back as."""
    return "float64" if dtype == "float64" else "float32"


def eps(dtype: str) -> float:
    """The ulp of 1 of what a row of that dtype is computed in."""
    return float(ulp(1.0, computed_in(dtype)))


def eps_of(dtype: str) -> float:
    """The ulp of 1 of the dtype itself."""
    return float(ulp(1.0, dtype))


def misses(actual: Any, truth: npt.ArrayLike, limit: npt.ArrayLike, *, nan: bool = False) -> npt.NDArray[np.bool_]:
    """Where a number is farther from the truth than the limit: a NaN always is, unless NaN is the truth and may be."""
    found = np.asarray(actual).astype(np.float64)
    right = np.asarray(truth, np.float64)
    assert found.shape == right.shape, f"shape {found.shape}, truth {right.shape}"
    assert nan or not np.isnan(right).any(), "the truth is NaN"
    with np.errstate(invalid="ignore"):
        return ~((np.abs(found - right) <= limit) | (found == right) | (np.isnan(right) & np.isnan(found)))


def assert_near(actual: Any, truth: npt.ArrayLike, limit: npt.ArrayLike, what: str = "", *, nan: bool = False) -> None:
    """No number is farther from the truth than the limit; infinities are equal; the worst is shown."""
    far = misses(actual, truth, limit, nan=nan)
    if far.any():
        where = tuple(int(i) for i in np.argwhere(far)[0])
        found, right, most = (np.broadcast_to(np.asarray(x).astype(np.float64), far.shape)[where] for x in (actual, truth, limit))
        raise AssertionError(f"{what} {where}: {found!r}, truth {right!r}, limit {most:.3g} ({int(far.sum())} of {far.size})")


@dataclass(frozen=True)
class Softmax:
    """Rows of z and what follows from them, the greatest of each row kept out of the sum."""

    z: Floats
    others: Floats
    """``Σ_{j ≠ argmax} exp(z_j − max)``, [N, 1]."""
    exponentials: Floats
    """``exp(z_j − max)``."""
    peak: Floats
    """[N, 1]."""

    @property
    def excess(self) -> Floats:
        """``lse − max``, [N, 1]."""
        return np.log1p(self.others)

    @property
    def lse(self) -> Floats:
        """``log Σ exp z``, [N, 1]."""
        return self.peak + self.excess

    @property
    def p(self) -> Floats:
        """Softmax."""
        return self.exponentials / (1.0 + self.others)

    @property
    def surprisals(self) -> Floats:
        """``lse − z_j``: two terms that are never negative."""
        return (self.peak - self.z) + self.excess

    def miss(self, target: npt.NDArray[np.integer[Any]]) -> Floats:
        """``1 − p_target``, [N, 1]: the share of the other classes, summed without the target's."""
        rest = self.exponentials.copy()
        np.put_along_axis(rest, target[:, None], 0.0, 1)
        return rest.sum(axis=1, keepdims=True) / (1.0 + self.others)


def softmax(z: Floats) -> Softmax:
    """Softmax of each row [N, C]; NaN for a row that has none."""
    with np.errstate(all="ignore"):
        first = np.argmax(z, axis=1)[:, None]
        peak = np.take_along_axis(z, first, 1)
        difference = z - peak
        # What rounding took from the difference (Knuth's two-sum) is given back after the exponential.
        back = difference + peak
        lost = (z - back) + ((back - difference) - peak)
        exponentials = np.exp(difference) * (1.0 + np.where(np.isfinite(lost), lost, 0.0))
        exponentials[~np.isfinite(peak[:, 0])] = np.nan
        rest = exponentials.copy()
        np.put_along_axis(rest, first, 0.0, 1)
        return Softmax(z, rest.sum(axis=1, keepdims=True), exponentials, peak)


@dataclass(frozen=True)
class RowTruth:
    """Values [N] and gradients [N, C] of the sum of rows, and how far from them rounding may lead."""

    value: Floats
    gradient: Floats
    value_limit: Floats
    gradient_limit: Floats


def weigh(weights: Floats, values: Floats) -> Floats:
    """The product in which 0 · inf is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(weights == 0.0, 0.0, weights * values)


def bend(x: Floats, softcap: float | None, scale: float) -> tuple[Floats, Floats]:
    """z and dz/dx, the slope of tanh as 1/cosh², which does not cancel; an infinite logit is a mask and is not bent."""
    with np.errstate(all="ignore"):
        if softcap is None:
            return x * scale, np.full_like(x, scale)
        z = np.where(np.isinf(x), x * scale, softcap * np.tanh(x * scale / softcap))
        return z, scale / np.cosh(x * scale / softcap) ** 2


def focal_value_and_slope(s: Floats, gamma: float) -> tuple[Floats, Floats]:
    """``(1 − e^−s)^γ·s`` and its derivative."""
    with np.errstate(all="ignore"):
        q, right = -np.expm1(-s), np.exp(-s)
        slope = np.where(np.isinf(s), 1.0, q**gamma + gamma * q ** (gamma - 1.0) * right * s)
        return q**gamma * s, np.where(s == 0.0, 0.0 if gamma else 1.0, slope)


@dataclass(frozen=True)
class Options:
    """What a softmax loss may be asked for; the formulas are in `exact.row`."""

    weight: npt.ArrayLike | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    focal: float = 0.0
    softcap: float | None = None
    scale: float = 1.0
    ignore_index: int = -100
    minus_target_entropy: bool = False

    @property
    def z_is_rounded(self) -> bool:
        """Whether z is not the logits times a power of two."""
        return self.softcap is not None or np.frexp(abs(self.scale))[0] != 0.5


@dataclass(frozen=True)
class Goal:
    """The target's side of each row: T, its mass and entropy, and the weight of the row."""

    pull: Floats
    """``mass·p − T``, [N, C]."""
    pull_size: Floats
    """The sum of what is subtracted there; ``1 − p`` of an index."""
    T: Floats
    surprisal: Floats
    whole: Floats
    mass: Floats
    entropy: Floats


def index_goal(soft: Softmax, label: npt.NDArray[np.int64], w: Floats) -> Goal:
    """The target is one class; 1 − p of that class is a sum over the others."""
    pull, onehot, nothing = soft.p.copy(), np.zeros_like(soft.p), np.zeros_like(soft.peak)
    np.put_along_axis(pull, label[:, None], -soft.miss(label), 1)
    np.put_along_axis(onehot, label[:, None], 1.0, 1)
    surprisal = np.take_along_axis(soft.surprisals, label[:, None], 1)
    return Goal(pull, np.abs(pull), onehot, surprisal, w[label][:, None], nothing + 1.0, nothing)


def soft_goal(soft: Softmax, y: Floats, w: Floats) -> Goal:
    """The target is a distribution, class weights inside."""
    weighted = w * y
    mass = weighted.sum(axis=1, keepdims=True)
    entropy = -weigh(weighted, np.log(np.where(y == 0.0, 1.0, y))).sum(axis=1, keepdims=True)
    surprisal = weigh(weighted, soft.surprisals).sum(axis=1, keepdims=True)
    return Goal(mass * soft.p - weighted, mass * soft.p + weighted, weighted, surprisal, np.ones_like(mass), mass, entropy)


def rows(logits: npt.ArrayLike, target: npt.ArrayLike, *, dtype: str = "float32", **options: Any) -> RowTruth:
    """Losses and gradients of [N, C] logits, and how far a right computation in that dtype may be from them."""
    o, x, given = Options(**options), np.asarray(logits).astype(np.float64), np.asarray(target)
    counted = given != o.ignore_index if given.dtype.kind in "iu" else np.ones(len(x), bool)
    w = np.ones(x.shape[1]) if o.weight is None else np.asarray(o.weight, np.float64)
    z, slope = bend(x, o.softcap, o.scale)
    with np.errstate(all="ignore"):
        soft = softmax(z)
        if given.dtype.kind in "iu":
            goal = index_goal(soft, np.where(counted, given, 0).astype(np.int64), w)
        else:
            goal = soft_goal(soft, given.astype(np.float64), w)
        value, value_limit = _values(o, soft, goal, w / x.shape[1], dtype)
        gradient, gradient_limit = _gradients(o, soft, goal, w / x.shape[1], slope, dtype)
    return RowTruth(
        np.where(counted, value[:, 0], 0.0),
        np.where(counted[:, None], gradient, 0.0),
        np.where(counted & np.isfinite(value_limit[:, 0]), value_limit[:, 0], 0.0),
        np.where(counted[:, None] & np.isfinite(gradient_limit), gradient_limit, 0.0),
    )


def _values(o: Options, soft: Softmax, goal: Goal, u: Floats, dtype: str) -> tuple[Floats, Floats]:
    """Values, and limits: 4 ulp of each, and what the rounding of z must cost where z is computed."""
    modulated, steepness = focal_value_and_slope(goal.surprisal, o.focal)
    smooth = weigh(u, soft.surprisals).sum(axis=1, keepdims=True) if o.label_smoothing else 0.0
    kept = goal.whole * (1.0 - o.label_smoothing)
    entropy = goal.entropy if o.minus_target_entropy else 0.0
    value = weigh(kept, modulated - entropy) + o.label_smoothing * smooth + o.z_loss * weigh(goal.whole, soft.lse**2)

    unit, z_error = eps(dtype), 2.0 * _greatest(soft.z) if o.z_is_rounded else 0.0
    limit = 4.0 * (1.0 + o.focal) * ulp(value, computed_in(dtype))
    limit = limit + np.where(goal.surprisal < np.exp(-80.0), smallest_normal(dtype), 0.0)
    limit = limit + unit * z_error * (kept * np.abs(steepness) * goal.mass + o.label_smoothing * u.sum())
    limit = limit + unit * o.z_loss * goal.whole * 2.0 * np.abs(soft.lse) * (
        4.0 * soft.excess + z_error + np.abs(soft.peak) * (dtype == "float64")
    )
    limit = limit + 4.0 * unit * goal.surprisal * o.minus_target_entropy
    if computed_in(dtype) == "float64":
        limit = limit + unit * np.abs(value) * _reach(soft)
    return value, limit


def _gradients(o: Options, soft: Softmax, goal: Goal, u: Floats, slope: Floats, dtype: str) -> tuple[Floats, Floats]:
    """Gradients, and limits: a few roundings of each term, one in each exponent, and one into the dtype."""
    _, steepness = focal_value_and_slope(goal.surprisal, o.focal)
    strength = goal.whole * (1.0 - o.label_smoothing) * steepness
    pull_of_lse = o.z_loss * goal.whole * 2.0 * soft.lse
    gradient = (weigh(strength, goal.pull) + o.label_smoothing * (u.sum() * soft.p - u) + pull_of_lse * soft.p) * slope

    # lse may be small because max and excess cancel; their roundings are not.
    z_size = 2.0 * o.z_loss * goal.whole * (np.abs(soft.lse) + soft.excess + np.abs(soft.peak) * (dtype == "float64"))
    size = np.abs(strength) * goal.pull_size + o.label_smoothing * (u.sum() * soft.p + u) + z_size * soft.p
    exponent = np.where(np.isfinite(soft.surprisals), soft.surprisals, 0.0) + 4.0 * _greatest(soft.z) * o.z_is_rounded
    if dtype == "float64":
        exponent = exponent + _reach(soft) + np.abs(soft.peak)
        # a·p − b at the target is (a − b) + a·expm1(−s), for which no dtype is wider; without z-loss a is b.
        size = size + np.abs(strength) * goal.T * (o.z_loss > 0.0 or o.label_smoothing > 0.0)
    bent = 4.0 * abs(o.scale) * size if o.softcap is not None else 0.0
    finest = smallest_normal(dtype) * (np.abs(strength) + np.abs(pull_of_lse))
    limit = finest + eps(dtype) * (size * np.abs(slope) * (4.0 * (1.0 + o.focal) + exponent) + bent)
    return gradient, limit + rounding(gradient, dtype)


def rounding(values: Floats, dtype: str) -> Floats:
    """Half an ulp of the dtype, for results computed more finely."""
    return 0.5 * (1.0 + 2.0**-10) * ulp(values, dtype) + smallest_normal(dtype)


def smallest_normal(dtype: str) -> float:
    """What lies below it may be lost: a target that leads by 88 in float32, by 708 in float64."""
    return 2.0 ** SMALLEST_EXPONENT[computed_in(dtype)]


def _greatest(z: Floats) -> Floats:
    return np.where(np.isfinite(z), np.abs(z), 0.0).max(axis=1, keepdims=True)


def _reach(soft: Softmax) -> Floats:
    """How far a row's exponents reach: in float64 their rounding shows, as no wider dtype catches it."""
    return np.where(np.isfinite(soft.z), soft.peak - soft.z, 0.0).max(axis=1, keepdims=True)


@dataclass(frozen=True)
class PointTruth:
    """Values and gradients shaped like the first input, and their limits; gradients one for each input that has one."""

    value: Floats
    value_limit: Floats
    gradients: tuple[Floats, ...]
    gradient_limits: tuple[Floats, ...]


def binary(x: Floats, y: Floats, weight: Any = 1.0, positive: Any = 1.0, *, dtype: str = "float32") -> PointTruth:
    """Binary cross-entropy: every term is positive, so 4 ulp of the value."""
    yes, no = weigh(positive * y, np.logaddexp(0.0, -x)), weigh(1.0 - y, np.logaddexp(0.0, x))
    value = weight * (yes + no)
    up, down = weight * (1.0 - y) * np.exp(-np.logaddexp(0.0, -x)), weight * positive * y * np.exp(-np.logaddexp(0.0, x))
    # In float64 the logarithm of the oracle's own sigmoid is rounded.
    finely = eps(dtype) * (4.0 + (np.abs(x) if dtype == "float64" else 0.0)) * (up + down)
    return PointTruth(
        value, 4.0 * ulp(value, computed_in(dtype)), (up - down,), (np.nan_to_num(finely) + rounding(up - down, dtype),)
    )


def squared(x: Floats, y: Floats, weight: Any = 1.0, *, dtype: str = "float32") -> PointTruth:
    """Squared error and ``2·w·(x − y)``."""
    value, gradient = weight * (x - y) ** 2, 2.0 * weight * (x - y)
    limit = 4.0 * eps(dtype) * np.abs(gradient) + rounding(gradient, dtype)
    return PointTruth(value, 4.0 * ulp(value, computed_in(dtype)), (gradient,), (limit,))


def gaussian(mean: Floats, y: Floats, var: Floats, *, full: bool = False, dtype: str = "float32") -> PointTruth:
    """``½·(log var + (y − mean)²/var)``: two terms that may cancel."""
    ratio, unit = (y - mean) ** 2 / var, eps(dtype)
    constant = 0.5 * np.log(2.0 * np.pi) if full else 0.0
    size = 0.5 * (np.abs(np.log(var)) + ratio) + constant
    to_mean, to_var = (mean - y) / var, 0.5 * (1.0 - ratio) / var
    return PointTruth(
        0.5 * (np.log(var) + ratio) + constant,
        4.0 * unit * size + ulp(size, computed_in(dtype)),
        (to_mean, to_var),
        (4.0 * unit * np.abs(to_mean) + rounding(to_mean, dtype), 4.0 * unit * (1.0 + ratio) / var + rounding(to_var, dtype)),
    )
