"""What the words mean: self-information, entropy, cross-entropy, divergence, mutual information, perplexity.

Every function takes probabilities of any array-API library (NumPy, PyTorch, JAX, array-api-strict) and answers in that
library, on the same device. float32 and float64 are computed as they are, float16 and bfloat16 in float32, which is also
the result's dtype. Lists and numbers become NumPy float64. In shapes K is the number of classes and ``...`` any further
axes. 0 · ln 0 = 0; automatic differentiation meets no NaN there.

Inputs are checked, never renormalised. K probabilities may miss their sum by u · (2 + ½ ln K), where u is 2⁻¹⁰ for
float16, 2⁻⁷ for bfloat16, 2⁻¹⁴ for float32 and 2⁻²¹ for float64, and laws that join p and q, such as
H(p, q) = H(p) + KL(p‖q), hold to within what the sums miss. The checks read values, which ``jax.jit`` does not allow.
Beyond what each page lists, every function raises DTypeError for arrays that are not floating point or of two libraries,
ShapeError for an axis that is not there, and ArgumentError for an unknown unit.
"""

import math

from xent.information._arguments import Array, nats_per, open_events, open_row_pairs, open_rows, open_tables
from xent.information._terms import divergence_terms, positive, surprisal

__all__ = [
    "binary_entropy",
    "conditional_entropy",
    "cross_entropy",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
    "self_information",
]


def self_information(p: Array, *, unit: str = "nat") -> Array:
    """Surprise at an event of probability p, in nats by default.

    ``I(p) = −ln p``, elementwise; +inf at p = 0.

    Args:
        p: [...] probabilities of single events, each in [0, 1]; they need not sum to anything.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] self-information in ``unit``, ≥ 0.

    Raises:
        DistributionError: an entry is NaN or outside [0, 1]; names the worst, its place, and how many there are.

    Example:
        Surprises of independent events add up: one fair coin, then two.

        >>> print(self_information(0.5, unit="bit"), self_information(0.5 * 0.5, unit="bit"))
        1.0 2.0

    References:
        Shannon, "A Mathematical Theory of Communication", 1948.
    """
    xp, p = open_events(p)
    return xp.where(p == 0, xp.full_like(p, math.inf), surprisal(xp, p)) / nats_per(unit)


def binary_entropy(p: Array, *, unit: str = "nat") -> Array:
    """Entropy of an event that has probability p, in nats by default.

    ``H₂(p) = −p ln p − (1 − p) ln(1 − p)``, elementwise.

    Args:
        p: [...] probabilities of single events, each in [0, 1].
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] entropy in ``unit``, from 0 (certain) to ln 2 nats (a fair coin).

    Raises:
        DistributionError: an entry is NaN or outside [0, 1]; names the worst, its place, and how many there are.

    Example:
        A fair coin is one bit; any coin is the entropy of its two sides.

        >>> print(binary_entropy(0.5, unit="bit"))
        1.0
        >>> print(f"{binary_entropy(0.9):.4f} {entropy([0.9, 0.1]):.4f}")
        0.3251 0.3251

    References:
        Shannon 1948; Cover & Thomas, "Elements of Information Theory", 2nd ed. 2006, eq. 2.5.
    """
    xp, p = open_events(p)
    other_side = 0.0 - xp.log1p(-xp.where(p < 1, p, xp.zeros_like(p)))
    return (p * surprisal(xp, p) + (1.0 - p) * other_side) / nats_per(unit)


def entropy(p: Array, *, axis: int = -1, unit: str = "nat") -> Array:
    """Mean surprise of a distribution, in nats by default.

    ``H(p) = −Σₖ pₖ ln pₖ``

    Args:
        p: [..., K, ...] probabilities that sum to 1 along ``axis``.
        axis: the class axis.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] entropy in ``unit``, from 0 (one class certain) to ln K nats (all classes alike).

    Raises:
        DistributionError: a row is no distribution; names the worst row and its sum, or the worst entry.

    Example:
        A fair coin is one bit, and K classes alike are ln K nats.

        >>> print(entropy([0.5, 0.5], unit="bit"))
        1.0
        >>> print(f"{entropy([0.2] * 5):.4f} {math.log(5):.4f}")
        1.6094 1.6094

    References:
        Shannon 1948; Cover & Thomas, eq. 2.1.
    """
    xp, p, axis = open_rows(p, axis)
    return xp.sum(p * surprisal(xp, p), axis=axis) / nats_per(unit)


def perplexity(p: Array, *, axis: int = -1) -> Array:
    """Number of classes, all alike, that would be as uncertain as p: a count, the same in every unit.

    ``PP(p) = exp H(p)``

    Args:
        p: [..., K, ...] probabilities that sum to 1 along ``axis``.
        axis: the class axis.

    Returns:
        [...] perplexity, from 1 to K.

    Raises:
        DistributionError: a row is no distribution; names the worst row and its sum, or the worst entry.

    Example:
        A fair die leaves six faces to guess from, a loaded one fewer.

        >>> print(f"{perplexity([1 / 6] * 6):.4f} {perplexity([0.5, 0.1, 0.1, 0.1, 0.1, 0.1]):.4f}")
        6.0000 4.4721

    References:
        Jelinek, Mercer, Bahl & Baker, "Perplexity: a measure of the difficulty of speech recognition tasks", 1977.
    """
    xp, p, axis = open_rows(p, axis)
    return xp.exp(xp.sum(p * surprisal(xp, p), axis=axis))


def cross_entropy(p: Array, q: Array, *, axis: int = -1, unit: str = "nat") -> Array:
    """Mean surprise of one who expects q while p holds, in nats by default.

    ``H(p, q) = −Σₖ pₖ ln qₖ = H(p) + KL(p‖q)``; +inf where some qₖ = 0 < pₖ.

    Args:
        p: [..., K, ...] the distribution that holds.
        q: [..., K, ...] the distribution expected, of the same shape.
        axis: the class axis.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] cross-entropy in ``unit``, at least the entropy of p.

    Raises:
        DistributionError: a row is no distribution; names the worst row and its sum, or the worst entry.
        ShapeError: p and q differ in shape; states both. Nothing is broadcast.

    Example:
        Entropy and divergence add up to it; where p is certain only −ln 0.7 is left.

        >>> p, q = [0.5, 0.3, 0.2], [0.7, 0.2, 0.1]
        >>> print(f"{cross_entropy(p, q):.4f} {entropy(p) + kl_divergence(p, q):.4f}")
        1.1217 1.1217
        >>> print(f"{cross_entropy([1, 0, 0], q):.4f} nats")
        0.3567 nats

    References:
        Shannon 1948; Cover & Thomas, theorem 5.4.3.
    """
    xp, p, q, axis = open_row_pairs(p, q, axis)
    terms = xp.where((p > 0) & (q == 0), xp.full_like(p, math.inf), p * surprisal(xp, q))
    return xp.sum(terms, axis=axis) / nats_per(unit)


def kl_divergence(p: Array, q: Array, *, axis: int = -1, unit: str = "nat") -> Array:
    """Extra surprise of one who expects q while p holds, in nats by default.

    ``KL(p‖q) = Σₖ pₖ ln(pₖ/qₖ) − pₖ + qₖ``; +inf where some qₖ = 0 < pₖ. The last two parts cancel over a row; with them
    each term is ≥ 0, so that rounding cannot make a divergence negative and nearly equal rows keep their digits.

    Args:
        p: [..., K, ...] the distribution that holds.
        q: [..., K, ...] the distribution expected, of the same shape.
        axis: the class axis.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] divergence in ``unit``, ≥ 0, and exactly 0 where p = q.

    Raises:
        DistributionError: a row is no distribution; names the worst row and its sum, or the worst entry.
        ShapeError: p and q differ in shape; states both. Nothing is broadcast.

    Example:
        Where p is certain it has no entropy, so divergence and cross-entropy agree. Order matters.

        >>> p, q = [1, 0, 0], [0.7, 0.2, 0.1]
        >>> print(f"{kl_divergence(p, q):.4f} {cross_entropy(p, q):.4f} nats; swapped {kl_divergence(q, p)}")
        0.3567 0.3567 nats; swapped inf

    References:
        Kullback & Leibler, "On Information and Sufficiency", 1951; Cover & Thomas, eq. 2.26.
    """
    xp, p, q, axis = open_row_pairs(p, q, axis)
    return xp.sum(divergence_terms(xp, p, q), axis=axis) / nats_per(unit)


def js_divergence(p: Array, q: Array, *, axis: int = -1, unit: str = "nat") -> Array:
    """Mean divergence of p and q from their midpoint, in nats by default.

    ``JS(p, q) = ½ KL(p‖m) + ½ KL(q‖m)`` with ``m = ½ (p + q)``; symmetric, and finite for all p and q.

    Args:
        p: [..., K, ...] one distribution.
        q: [..., K, ...] the other, of the same shape.
        axis: the class axis.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] divergence in ``unit``, from 0 (p = q) to ln 2 nats (no class in common).

    Raises:
        DistributionError: a row is no distribution; names the worst row and its sum, or the worst entry.
        ShapeError: p and q differ in shape; states both. Nothing is broadcast.

    Example:
        It is the entropy of the midpoint less the mean entropy; two that share no class are one bit apart.

        >>> p, q, midpoint = [0.5, 0.3, 0.2], [0.7, 0.2, 0.1], [0.6, 0.25, 0.15]
        >>> print(f"{js_divergence(p, q):.4f} {entropy(midpoint) - (entropy(p) + entropy(q)) / 2:.4f}")
        0.0219 0.0219
        >>> print(js_divergence([1, 0], [0, 1], unit="bit"))
        1.0

    References:
        Lin, "Divergence Measures Based on the Shannon Entropy", 1991.
    """
    xp, p, q, axis = open_row_pairs(p, q, axis)
    # In 2p, 2q and p + q, as a halved smallest number would be 0 and its divergence infinite.
    terms = divergence_terms(xp, 2.0 * p, p + q) + divergence_terms(xp, 2.0 * q, p + q)
    nats = xp.sum(terms, axis=axis) / 4.0
    most = xp.full_like(nats, math.log(2.0))
    return xp.where(nats > most, most, nats) / nats_per(unit)


def conditional_entropy(joint: Array, *, axis: tuple[int, int] = (-2, -1), unit: str = "nat") -> Array:
    """Uncertainty about Y left to one who knows X, in nats by default.

    ``H(Y|X) = −Σₓᵧ p(x, y) ln(p(x, y) / p(x)) = H(X, Y) − H(X)``

    Args:
        joint: [..., X, Y] tables p(x, y), each of which sums to 1 as a whole.
        axis: the axes of X, which is known, and of Y; swapped they ask for H(X|Y).
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] conditional entropy in ``unit``, from 0 (X tells Y) to H(Y) (X tells nothing of Y).

    Raises:
        DistributionError: a table is no distribution; names the worst table and its sum, or the worst entry.

    Example:
        The chain rule: X and Y together are X, and what Y adds.

        >>> joint, of_x, flat = [[0.3, 0.2], [0.1, 0.4]], [0.5, 0.5], [0.3, 0.2, 0.1, 0.4]
        >>> print(f"{entropy(flat):.4f} {entropy(of_x) + conditional_entropy(joint):.4f}")
        1.2799 1.2799

    References:
        Shannon 1948; Cover & Thomas, theorem 2.2.1.
    """
    xp, joint, axes = open_tables(joint, axis)
    given_x = joint / positive(xp, xp.sum(joint, axis=axes[1], keepdims=True))
    return xp.sum(joint * surprisal(xp, given_x), axis=axes) / nats_per(unit)


def mutual_information(joint: Array, *, axis: tuple[int, int] = (-2, -1), unit: str = "nat") -> Array:
    """What X tells of Y, and Y of X, in nats by default.

    ``I(X; Y) = Σₓ p(x) KL(p(y|x)‖p(y)) = H(X) + H(Y) − H(X, Y)``

    Args:
        joint: [..., X, Y] tables p(x, y), each of which sums to 1 as a whole.
        axis: the axes of X and of Y; their order matters to rounding alone.
        unit: "nat", "bit" or "hartley".

    Returns:
        [...] mutual information in ``unit``, from 0 (independent) to the lesser of H(X) and H(Y).

    Raises:
        DistributionError: a table is no distribution; names the worst table and its sum, or the worst entry.

    Example:
        A fair coin and its copy share one bit, two coins none.

        >>> print(f"{mutual_information([[0.5, 0], [0, 0.5]], unit='bit'):.4f} {mutual_information([[0.25] * 2] * 2):.4f}")
        1.0000 0.0000

    References:
        Shannon 1948; Cover & Thomas, eq. 2.28.
    """
    xp, joint, axes = open_tables(joint, axis)
    of_x, of_y = (xp.sum(joint, axis=other, keepdims=True) for other in (axes[1], axes[0]))
    # p(y|x) against p(y), as p(x) p(y) may underflow to 0 where p(x, y) does not.
    terms = divergence_terms(xp, joint / positive(xp, of_x), xp.zeros_like(joint) + of_y)
    return xp.sum(of_x * terms, axis=axes) / nats_per(unit)
