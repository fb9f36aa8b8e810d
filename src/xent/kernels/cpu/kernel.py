"""The Numba backend's face: blocks of rows handed to compiled functions by address."""

import numpy as np

from xent._typing import Array, IndicesN, MatrixNC, RowMeasure, Storage
from xent.kernels.contract import Pointwise, PointwiseTask, Problem, RowCoefficients, RowStatistics, Transform, Want
from xent.kernels.cpu import elementwise, short_rows
from xent.kernels.cpu import rows as long_rows
from xent.kernels.cpu.blocks import BLOCK
from xent.kernels.cpu.compiled import kernel

_STORED: dict[Storage, type] = {"float16": np.int16, "bfloat16": np.uint16, "float32": np.float32, "float64": np.float64}
"""What compiled code sees: half precision as bits, told apart by sign."""
_LIKE = {storage: np.empty(0, dtype) for storage, dtype in _STORED.items()}
_NO_INDICES: IndicesN = np.empty(0, np.int64)
_NO_CLASSES = np.empty(0)


@kernel
def address_of(array):
    """Where an array's first element lies; NumPy's own ways to say so take 4 times as long."""
    return array.ctypes.data


def _scratch(storage: Storage) -> Array:
    return np.empty((4, BLOCK), np.float64 if storage == "float64" else np.float32)


def _is_short(problem: Problem) -> bool:
    """Whether tiles of rows serve: few classes, plain logits, index targets."""
    return problem.target is not None and problem.logits.shape[1] <= short_rows.WIDEST and problem.transform.plain


def _tile(storage: Storage, classes: int) -> tuple[Array, Array]:
    return short_rows.scratch(np.float64 if storage == "float64" else np.float32, classes)


def _place(matrix: MatrixNC) -> tuple[int, int]:
    """Address of the first row, and bytes from row to row."""
    known = matrix.view(np.int16) if matrix.itemsize == 2 else matrix
    return address_of(known), matrix.strides[0]


def _bend(transform: Transform) -> tuple[float, float]:
    """Scale and soft cap as compiled code takes them: a cap of -1 is none."""
    return transform.scale, -1.0 if transform.softcap is None else transform.softcap


def _indices(problem: Problem) -> IndicesN:
    return _NO_INDICES if problem.target is None else problem.target


def _classes(vector: Array | None) -> Array:
    return _NO_CLASSES if vector is None else vector


def _coefficients(coefficients: RowCoefficients, count: int) -> Array:
    """[4, N], or [4, 1] where all four are plain numbers."""
    a, b, c, d = coefficients
    if type(a) is type(b) is type(c) is type(d) is float:
        result = np.empty((4, 1))
        result[0, 0], result[1, 0], result[2, 0], result[3, 0] = a, b, c, d
        return result
    result = np.empty((4, count))
    result[0], result[1], result[2], result[3] = a, b, c, d
    return result


class NumbaKernel:
    """Compiled row kernels for every storage and the pointwise losses it knows by name."""

    name = "numba"

    def refuses(self, storage: Storage, pointwise: str | None = None) -> str | None:
        """A pointwise loss without a compiled form."""
        if pointwise is not None and pointwise not in elementwise.COMPILED:
            return f"no compiled form of {pointwise}"
        return None

    def statistics(self, problem: Problem, want: Want) -> RowStatistics:
        """The statistics of every row."""
        core = self._core(problem)
        target = None if problem.target_probs is None else self._target_sums(problem, core, want)
        smooth = entropy = rank = None
        if want.smooth or want.entropy or want.rank:
            more = self._extras(problem, self._long_core(problem) if _is_short(problem) else core, want)
            smooth = more[long_rows.SMOOTH] if want.smooth else None
            entropy = more[long_rows.ENTROPY] if want.entropy else None
            rank = more[long_rows.RANK] if want.rank else None
        surprisal = core[long_rows.SURPRISAL] if problem.target is not None else np.zeros(core.shape[1])
        return RowStatistics(
            peak=core[long_rows.PEAK],
            excess=core[long_rows.EXCESS],
            surprisal=surprisal if target is None else target[long_rows.TARGET_SURPRISAL],
            mass=1.0 if target is None else target[long_rows.MASS],
            smooth=smooth,
            entropy=entropy,
            rank=rank,
            target_entropy=target[long_rows.TARGET_ENTROPY] if target is not None and want.target_entropy else None,
        )

    def gradient(self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, out: MatrixNC) -> None:
        """The gradient with respect to the logits, into out."""
        count, classes = problem.logits.shape
        four, entropy = _coefficients(coefficients, count), rows.entropy
        head = (_LIKE[problem.storage], *_place(problem.logits), *_place(out), classes)
        known = (_indices(problem), rows.peak, rows.excess, rows.surprisal)
        simple = problem.target_probs is None and problem.class_vector is None and entropy is None
        if simple and _is_short(problem):
            short_rows.gradient(*head, *known, four, *_tile(problem.storage, classes))
        elif simple:
            long_rows.gradient(*head, *_bend(problem.transform), *known, four, _scratch(problem.storage))
        else:
            known = (*known, np.zeros(count) if entropy is None else entropy, four, _classes(problem.class_vector))
            target = self._target_place(problem)
            long_rows.full_gradient(*head, *_bend(problem.transform), *known, *target, _scratch(problem.storage))

    def log_probs(self, problem: Problem, out: MatrixNC) -> None:
        """``z − lse`` into out."""
        head = (_LIKE[problem.storage], *_place(problem.logits), *_place(out), out.shape[1])
        long_rows.log_probs(*head, *_bend(problem.transform), self._core(problem), _scratch(problem.storage))

    def measure(self, values: MatrixNC, storage: Storage) -> RowMeasure:
        """Sum, least and greatest of each row."""
        result = np.empty((3, len(values)))
        long_rows.measure(_LIKE[storage], *_place(values), values.shape[1], _scratch(storage), result)
        return RowMeasure(*result)

    def pointwise(self, loss: Pointwise, task: PointwiseTask) -> float:
        """The compiled form of the loss."""
        return elementwise.run(loss.name, task, _STORED[task.storage])

    def _core(self, problem: Problem) -> Array:
        """[3, N]: peak, excess, surprisal of an index target."""
        if not _is_short(problem):
            return self._long_core(problem)
        result, classes = np.empty((3, len(problem.logits))), problem.logits.shape[1]
        head = (_LIKE[problem.storage], *_place(problem.logits), classes)
        tile = _tile(problem.storage, classes)
        short_rows.statistics(*head, _indices(problem), *tile, _scratch(problem.storage), result)
        return result

    def _long_core(self, problem: Problem) -> Array:
        """The same by rows alone, where the peak is the row's maximum."""
        result, classes = np.empty((3, len(problem.logits))), problem.logits.shape[1]
        head = (_LIKE[problem.storage], *_place(problem.logits), classes)
        long_rows.statistics(*head, *_bend(problem.transform), _indices(problem), _scratch(problem.storage), result)
        return result

    def _target_place(self, problem: Problem) -> tuple[Array, int, int, Array]:
        if problem.target_probs is None:
            return _LIKE["float32"], 0, 0, _NO_CLASSES
        like = _LIKE["float64" if problem.target_probs.itemsize == 8 else "float32"]
        return like, *_place(problem.target_probs), _classes(problem.class_weight)

    def _target_sums(self, problem: Problem, core: Array, want: Want) -> Array:
        result = np.empty((3, core.shape[1]))
        head = (_LIKE[problem.storage], *_place(problem.logits), problem.logits.shape[1], *_bend(problem.transform))
        like, address, stride, weight = self._target_place(problem)
        long_rows.target_sums(*head, core, like, address, stride, weight, want.target_entropy, _scratch(problem.storage), result)
        return result

    def _extras(self, problem: Problem, core: Array, want: Want) -> Array:
        result = np.empty((3, core.shape[1]))
        head = (_LIKE[problem.storage], *_place(problem.logits), problem.logits.shape[1], *_bend(problem.transform))
        vector = _classes(problem.class_vector) if want.smooth else _NO_CLASSES
        tail = (want.entropy, want.rank, _scratch(problem.storage), result)
        long_rows.extras(*head, _indices(problem), core, vector, *tail)
        return result
