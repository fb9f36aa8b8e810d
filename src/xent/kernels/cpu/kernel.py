"""The Numba backend's face: blocks of rows handed to compiled functions by address."""

import threading

import numpy as np

from xent._typing import Array, Floats, IndicesN, MatrixCD, MatrixNC, MatrixND, RowMeasure, Storage
from xent.kernels.contract import (
    KnownCoefficients,
    Pointwise,
    PointwiseTask,
    Problem,
    RowCoefficients,
    RowStatistics,
    SparseRows,
    Transform,
    Want,
)
from xent.kernels.cpu import elementwise, fused, short_rows, sparse_products, sparse_rows
from xent.kernels.cpu import rows as long_rows
from xent.kernels.cpu.blocks import BLOCK
from xent.kernels.cpu.compiled import kernel
from xent.kernels.cpu.selection import BINS

_STORED: dict[Storage, type] = {"float16": np.int16, "bfloat16": np.uint16, "float32": np.float32, "float64": np.float64}
"""What compiled code sees: half precision as bits, told apart by sign."""
_LIKE = {storage: np.empty(0, dtype) for storage, dtype in _STORED.items()}
_NO_INDICES: IndicesN = np.empty(0, np.int64)
_NO_CLASSES = np.empty(0)


@kernel
def address_of(array):
    """Where an array's first element lies; NumPy's own ways to say so take 4 times as long."""
    return array.ctypes.data


class _Scratch(threading.local):
    """What a thread's kernels write on the way, made once: by storage, and by storage and number of classes."""

    def __init__(self) -> None:
        self.blocks: dict[bool, Array] = {}
        self.spare: dict[bool, Array] = {}
        self.tiles: dict[tuple[bool, int], tuple[Array, Array]] = {}


_mine = _Scratch()


def _real(storage: Storage) -> type:
    """The computing dtype."""
    return np.float64 if storage == "float64" else np.float32


def _scratch(storage: Storage) -> Array:
    double = storage == "float64"
    if double not in _mine.blocks:
        _mine.blocks[double] = np.empty((4, BLOCK), _real(storage))
    return _mine.blocks[double]


def _spare(storage: Storage, classes: int) -> Array:
    """Room for one row's exponentials."""
    double = storage == "float64"
    if double not in _mine.spare or len(_mine.spare[double]) < classes:
        _mine.spare[double] = np.empty(classes, _real(storage))
    return _mine.spare[double]


def _is_short(problem: Problem) -> bool:
    """Whether tiles of rows serve: few classes, plain logits, index targets."""
    return problem.target is not None and problem.logits.shape[1] <= short_rows.WIDEST and problem.transform.plain


def _tile(storage: Storage, classes: int) -> tuple[Array, Array]:
    key = (storage == "float64", classes)
    if key not in _mine.tiles:
        _mine.tiles.clear()
        _mine.tiles[key] = short_rows.scratch(_real(storage), classes)
    return _mine.tiles[key]


def _place(matrix: MatrixNC) -> tuple[int, int]:
    """Address of the first row, and bytes from row to row."""
    known = matrix.view(np.int16) if matrix.itemsize == 2 else matrix
    return address_of(known), matrix.strides[0]


def _spread(matrix: MatrixNC) -> tuple[int, int, int]:
    """The same, and bytes from class to class."""
    return *_place(matrix), matrix.strides[1] if matrix.shape[1] > 1 else matrix.itemsize


def _together(matrix: MatrixNC) -> MatrixNC:
    """With the classes of a row side by side: itself, or a copy."""
    return matrix if matrix.strides[1] == matrix.itemsize or matrix.shape[1] == 1 else np.ascontiguousarray(matrix)


def _turned(problem: Problem) -> Problem:
    """The problem as long rows want it."""
    probs = None if problem.target_probs is None else _together(problem.target_probs)
    return problem._replace(logits=_together(problem.logits), target_probs=probs)


def _bend(transform: Transform) -> tuple[float, float] | None:
    """Scale and soft cap (-1: none) as compiled code takes them, or None for plain logits."""
    return None if transform.plain else (float(transform.scale), -1.0 if transform.softcap is None else float(transform.softcap))


def _indices(problem: Problem) -> IndicesN:
    return _NO_INDICES if problem.target is None else problem.target


def _classes(vector: Array | None) -> Array:
    return _NO_CLASSES if vector is None else vector


def _packed(coefficients: RowCoefficients | KnownCoefficients, count: int) -> Array:
    """[k, N], or [k, 1] where all are plain numbers."""
    for value in coefficients:
        if type(value) is not float:
            break
    else:
        count = 1
    result = np.empty((len(coefficients), count))
    for row, value in enumerate(coefficients):
        result[row] = value
    return result


def _full_statistics(problem: Problem, want: Want, result: Array) -> RowStatistics:
    """Statistics as `fused.full` leaves them."""
    with_probs = problem.target_probs is not None
    without = problem.target is None and not with_probs
    return RowStatistics(
        peak=result[long_rows.PEAK],
        excess=result[long_rows.EXCESS],
        surprisal=np.zeros(result.shape[1]) if without else result[long_rows.SURPRISAL],
        mass=result[fused.MASS] if with_probs else 1.0,
        smooth=result[fused.SMOOTH] if want.smooth else None,
        target_entropy=result[fused.TARGET_ENTROPY] if with_probs and want.target_entropy else None,
    )


def _entries(sparse: SparseRows) -> tuple[Array, Array, Array, Array]:
    """Start, column and value, and where each row's entries begin."""
    return sparse.start, sparse.column, sparse.value, sparse.start[:-1].copy()


def _rows_of(matrix: Array) -> tuple[Array, int, int, int]:
    """A matrix of floats as compiled code takes it: dtype, address, bytes from row to row, numbers in a row."""
    return _LIKE["float64" if matrix.itemsize == 8 else "float32"], *_place(matrix), matrix.shape[1]


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
        more_wanted = want.smooth or want.entropy or want.rank
        problem = _turned(problem) if more_wanted or not _is_short(problem) else problem
        core = self._core(problem)
        target = None if problem.target_probs is None else self._target_sums(problem, core, want)
        smooth = entropy = rank = None
        if more_wanted:
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
        if (goal := _together(out)) is not out:
            self.gradient(problem, rows, coefficients, goal)
            out[...] = goal
            return
        problem = _turned(problem)
        count, classes = problem.logits.shape
        head = (_LIKE[problem.storage], *_place(problem.logits), *_place(out), classes)
        entropy = np.zeros(count) if rows.entropy is None else rows.entropy
        four = _packed(coefficients, count)
        known = (_indices(problem), rows.peak, rows.excess, rows.surprisal, entropy, four, _classes(problem.class_vector))
        scratch = _scratch(problem.storage)
        long_rows.gradient(*head, _bend(problem.transform), *known, *self._target_place(problem), scratch)

    def statistics_and_gradient(
        self, problem: Problem, want: Want, coefficients: KnownCoefficients, out: MatrixNC
    ) -> RowStatistics:
        """Both in one visit a row, where logits are plain."""
        if want.entropy or want.rank or not problem.transform.plain:
            rows = self.statistics(problem, want)
            self.gradient(problem, rows, coefficients.given(rows.mass), out)
            return rows
        count, classes = problem.logits.shape
        storage, known = problem.storage, _packed(coefficients, count)
        tiled = _is_short(problem) and problem.class_vector is None
        if not tiled and (goal := _together(out)) is not out:
            found = self.statistics_and_gradient(problem, want, coefficients, goal)
            out[...] = goal
            return found
        if tiled:
            result = np.empty((3, count))
            places = (*_spread(problem.logits), *_spread(out))
            tile = _tile(storage, classes)
            short_rows.fused(_LIKE[storage], *places, classes, _indices(problem), known, *tile, result)
            return RowStatistics(result[long_rows.PEAK], result[long_rows.EXCESS], result[long_rows.SURPRISAL])
        problem = _turned(problem)
        head = (_LIKE[storage], *_place(problem.logits), *_place(out), classes, _indices(problem), known)
        if problem.target_probs is not None or problem.class_vector is not None:
            result = np.empty((6, count))
            target = (_classes(problem.class_vector), *self._target_place(problem), want.target_entropy)
            fused.full(*head, *target, _spare(storage, classes), _scratch(storage), result)
            return _full_statistics(problem, want, result)
        result = np.empty((3, count))
        fused.simple(*head, _spare(storage, classes), _scratch(storage), result)
        surprisal = np.zeros(count) if problem.target is None else result[long_rows.SURPRISAL]
        return RowStatistics(result[long_rows.PEAK], result[long_rows.EXCESS], surprisal)

    def sparse_gradient(
        self, problem: Problem, rows: RowStatistics, coefficients: RowCoefficients, tolerance: float, most: int
    ) -> SparseRows | None:
        """The entries that stay, in one visit a row."""
        assert problem.storage in {"float32", "float64"}, problem.storage
        problem = _turned(problem)
        (count, classes), real = problem.logits.shape, _real(problem.storage)
        most = min(most, problem.logits.size)
        found = SparseRows(np.zeros(count + 1, np.int64), np.empty(most, np.int32), np.empty(most, real), np.empty(count))
        head = (_LIKE[problem.storage], *_place(problem.logits), classes, _bend(problem.transform), _indices(problem))
        known = (rows.peak, rows.excess, rows.surprisal, _packed(coefficients, count), float(tolerance))
        room = (np.empty(classes, np.int32), _spare(problem.storage, classes), np.empty(BINS), _scratch(problem.storage))
        if not sparse_rows.sparse_gradient(*head, *known, *found, *room):
            return None
        entries = slice(found.start[-1])
        return found._replace(column=found.column[entries], value=found.value[entries])

    def add_sparse_product(self, sparse: SparseRows, matrix: MatrixCD, storage: Storage, out: MatrixND) -> None:
        """In compiled code, tile of classes by tile."""
        place = (_LIKE[storage], *_place(matrix), len(matrix))
        tile = sparse_products.classes_of_tile(out.shape[1], matrix.itemsize)
        sparse_products.add_product(*_entries(sparse), *place, *_rows_of(out), tile)

    def add_sparse_transposed(self, sparse: SparseRows, matrix: MatrixND, out: MatrixCD) -> None:
        """In compiled code, tile of classes by tile."""
        like, *place, width = _rows_of(out)
        tile = sparse_products.classes_of_tile(width, out.itemsize)
        sparse_products.add_transposed(*_entries(sparse), *_rows_of(matrix)[:3], len(out), like, *place, width, tile)

    def add_sparse_columns(self, sparse: SparseRows, out: Floats) -> None:
        """Entry by entry."""
        sparse_products.add_columns(sparse.column, sparse.value, out)

    def log_probs(self, problem: Problem, out: MatrixNC) -> None:
        """``z − lse`` into out."""
        if (goal := _together(out)) is not out:
            self.log_probs(problem, goal)
            out[...] = goal
            return
        problem = _turned(problem)
        head = (_LIKE[problem.storage], *_place(problem.logits), *_place(out), out.shape[1])
        long_rows.log_probs(*head, _bend(problem.transform), len(out), _scratch(problem.storage))

    def measure(self, values: MatrixNC, storage: Storage) -> RowMeasure:
        """Sum, least and greatest of each row."""
        values, result = _together(values), np.empty((3, len(values)))
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
        head = (_LIKE[problem.storage], *_spread(problem.logits), classes)
        short_rows.statistics(*head, _indices(problem), *_tile(problem.storage, classes), result)
        return result

    def _long_core(self, problem: Problem) -> Array:
        """The same by rows alone, where the peak is the row's maximum."""
        result, classes = np.empty((3, len(problem.logits))), problem.logits.shape[1]
        head = (_LIKE[problem.storage], *_place(problem.logits), classes)
        long_rows.statistics(*head, _bend(problem.transform), _indices(problem), _scratch(problem.storage), result)
        return result

    def _target_place(self, problem: Problem) -> tuple[Array, int, int, Array]:
        if problem.target_probs is None:
            return _LIKE["float32"], 0, 0, _NO_CLASSES
        like = _LIKE["float64" if problem.target_probs.itemsize == 8 else "float32"]
        return like, *_place(problem.target_probs), _classes(problem.class_weight)

    def _target_sums(self, problem: Problem, core: Array, want: Want) -> Array:
        result = np.empty((3, core.shape[1]))
        head = (_LIKE[problem.storage], *_place(problem.logits), problem.logits.shape[1], _bend(problem.transform))
        like, address, stride, weight = self._target_place(problem)
        long_rows.target_sums(*head, core, like, address, stride, weight, want.target_entropy, _scratch(problem.storage), result)
        return result

    def _extras(self, problem: Problem, core: Array, want: Want) -> Array:
        result = np.empty((3, core.shape[1]))
        head = (_LIKE[problem.storage], *_place(problem.logits), problem.logits.shape[1], _bend(problem.transform))
        vector = _classes(problem.class_vector) if want.smooth else _NO_CLASSES
        tail = (want.entropy, want.rank, _scratch(problem.storage), result)
        long_rows.extras(*head, _indices(problem), core, vector, *tail)
        return result
