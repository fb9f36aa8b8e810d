"""What passes between losses and kernels: a loss never sees a matrix, a kernel never sees a loss.

For a row with logits x let ``z = softcap·tanh(scale·x / softcap)`` (``scale·x`` without a cap; an infinite x stays infinite),
``p = softmax(z)``, T the target row (one-hot, or probabilities times class weight) and u the class vector.

A kernel turns logits into `RowStatistics`; a loss turns these into a value and `RowCoefficients`;
the kernel turns those into the gradient with respect to x::

    (a·p − b·T − c·u − d·p·(log p + entropy)) · dz/dx

Statistics are float64. Rows whose index target is -1 are ignored: every statistic and gradient is exactly 0,
whatever the row holds. A row with NaN, +inf, or nothing but −inf is NaN, and no other row notices.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from xent._typing import Array, ClassesC, Floats, IndicesN, MatrixCD, MatrixNC, MatrixND, PerRow, RowMeasure, RowsN, Storage


class Transform(NamedTuple):
    """From logits x to z: ``softcap·tanh(scale·x / softcap)``, or ``scale·x`` where softcap is None."""

    scale: float = 1.0
    softcap: float | None = None

    @property
    def plain(self) -> bool:
        """Whether z is x itself."""
        return self.scale == 1.0 and self.softcap is None


class Problem(NamedTuple):
    """A block of rows, and everything a kernel needs to know of it.

    In `logits`, and in the matrices that kernels write, either the classes of a row or the rows of a class lie side by side.
    """

    logits: MatrixNC
    storage: Storage
    target: IndicesN | None = None
    """[N], -1 where ignored."""
    target_probs: MatrixNC | None = None
    """[N, C] float32 or float64; T before class weights."""
    class_weight: ClassesC | None = None
    """[C], multiplies `target_probs` to give T; the weight of an index target is the loss's business."""
    class_vector: ClassesC | None = None
    """[C], the vector u of label smoothing."""
    transform: Transform = Transform()


class Want(NamedTuple):
    """The statistics that cost extra and must be asked for."""

    smooth: bool = False
    entropy: bool = False
    rank: bool = False
    target_entropy: bool = False


class RowStatistics(NamedTuple):
    """What a loss may know of a row; each [N], in nats, exactly 0 at ignored rows."""

    peak: RowsN
    """``max_j z_j``, or a number of the row that serves as well: the target's z, or where its exponentials were shifted to."""
    excess: RowsN
    """``lse − peak``: kept apart, for at 1e20 one float64 cannot hold their sum, and near 0 it is all there is."""
    surprisal: RowsN
    """``Σ_j T_j (lse − z_j)``; 0 without a target."""
    mass: PerRow = 1.0
    """``Σ_j T_j``; 1 for an index target."""
    smooth: RowsN | None = None
    """``Σ_j u_j (lse − z_j)``."""
    entropy: RowsN | None = None
    """``−Σ_j p_j log p_j``."""
    rank: RowsN | None = None
    """How many classes score above the target."""
    target_entropy: RowsN | None = None
    """``−Σ_j w_j y_j log y_j`` for target probabilities y and class weights w."""

    @property
    def lse(self) -> RowsN:
        """``log Σ_j exp z_j``."""
        return self.peak + self.excess


class RowCoefficients(NamedTuple):
    """The gradient of a row: ``a·p − b·T − c·u − d·p·(log p + entropy)``; a number, or one a row."""

    a: PerRow
    b: PerRow
    c: PerRow = 0.0
    d: PerRow = 0.0

    def times(self, factor: PerRow) -> "RowCoefficients":
        """The same gradient times a number, or one number a row."""
        if isinstance(factor, float) and factor == 1.0:
            return self
        return RowCoefficients(self.a * factor, self.b * factor, self.c * factor, self.d * factor)


class KnownCoefficients(NamedTuple):
    """A row's gradient as ``(a + b·mass)·p − b·T − c·u``, where no number has to wait for the statistics."""

    a: PerRow = 0.0
    b: PerRow = 0.0
    c: PerRow = 0.0

    def times(self, factor: PerRow) -> "KnownCoefficients":
        """The same gradient times a number, or one number a row."""
        return KnownCoefficients(self.a * factor, self.b * factor, self.c * factor)

    def given(self, mass: PerRow) -> RowCoefficients:
        """As `RowCoefficients`, once the mass is there."""
        return RowCoefficients(self.a + self.b * mass, self.b, self.c)


class SparseRows(NamedTuple):
    """The entries of a gradient that are worth their price: row after row, in each by ascending class."""

    start: IndicesN
    """[N + 1]; those of row r are ``start[r]:start[r + 1]``."""
    column: Array
    """[K] int32: the class of each."""
    value: Floats
    """[K], in the dtype of the logits."""
    dropped: RowsN
    """The probability of the classes left out."""


class Pointwise(Protocol):
    """A loss of one number at a time: ``value`` and ``derivatives`` in plain NumPy, and a name kernels may know."""

    @property
    def name(self) -> str:
        """The key under which a backend may hold a compiled form."""
        ...

    @property
    def value(self) -> Callable[..., Floats]:
        """``value(input, *others)``, elementwise."""
        ...

    @property
    def derivatives(self) -> Callable[..., tuple[Floats, ...]]:
        """``derivatives(input, *others)``: with respect to the input, and to others that have one."""
        ...


class Kernel(Protocol):
    """A backend. It refuses with a reason, or serves; it knows no loss, reduction, framework or rank."""

    @property
    def name(self) -> str:
        """The name to ask for it by."""
        ...

    def refuses(self, storage: Storage, pointwise: str | None = None) -> str | None:
        """The reason why it cannot serve logits of that storage, or that pointwise loss; None if it can."""
        ...

    def statistics(self, problem: Problem, want: Want) -> RowStatistics:
        """The statistics of every row."""
        ...

    def gradient(self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, out: MatrixNC) -> None:
        """Write the gradient with respect to the logits into out, which may be the logits themselves."""
        ...

    def statistics_and_gradient(
        self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: MatrixNC
    ) -> RowStatistics:
        """Both at once, which lets a kernel visit each row once; out may be the logits themselves."""
        ...

    def sparse_gradient(
        self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, tolerance: float, most: int
    ) -> SparseRows | None:
        """The gradient without its least entries, or None if more than `most` would stay.

        Of each row the smallest probabilities go, the earlier class first among equals, as long as their sum stays within the
        tolerance; a share of the tolerance that covers rounding may be left. The target's entry stays. Ignored rows have none,
        NaN rows all. For float32 and float64 logits, index targets or none, without class vector and d.
        """
        ...

    def add_sparse_product(self, sparse: SparseRows, matrix: MatrixCD, storage: Storage, out: MatrixND) -> None:
        """``out += S · matrix``, to each number in the order of classes; rows of either may lie apart."""
        ...

    def add_sparse_transposed(self, sparse: SparseRows, matrix: MatrixND, out: MatrixCD) -> None:
        """``out += Sᵀ · matrix``, to each number in the order of rows; both float32 or float64, their rows may lie apart."""
        ...

    def add_sparse_columns(self, sparse: SparseRows, out: Floats) -> None:
        """``out += Sᵀ · 1``, to each of [C] in the order of rows."""
        ...

    def log_probs(self, problem: Problem, out: MatrixNC) -> None:
        """Write ``z − lse`` into out, which may be the logits themselves."""
        ...

    def measure(self, values: MatrixNC, storage: Storage) -> RowMeasure:
        """Sum, least and greatest of each row."""
        ...

    def pointwise(self, loss: Pointwise, task: "PointwiseTask") -> float:
        """Sum over one flat block; values and gradients written where the task asks."""
        ...


class PointwiseTask(NamedTuple):
    """One flat block of numbers: the first input in storage dtype, the others likewise or float64."""

    inputs: tuple[Array, ...]
    storage: Storage
    values: Array | None = None
    """Float32 (float64 for float64 storage), not scaled."""
    gradients: tuple[Array, ...] = ()
    """In storage dtype, scaled by `factor`."""
    factor: float = 1.0


POINTWISE_BLOCK = 1 << 18
"""Elements summed as one: a sum over blocks in order is the same for every number of threads."""
