"""What a linear loss is made of: rows of hidden states, and the classifier whose logits they never all have at once."""

import math
from typing import Any, NamedTuple

import numpy as np

from xent._typing import Array, ClassesC, Floats, IndicesN, PerRow, Storage
from xent.kernels.contract import Transform
from xent.kernels.cpu.threads import for_each
from xent.schedules import dense
from xent.schedules.linear.algebra import Algebra, pieces


class Matrix(NamedTuple):
    """Rows in storage dtype (bfloat16 as bits)."""

    array: Array
    storage: Storage

    @property
    def real(self) -> type[np.floating[Any]]:
        """The dtype it is computed in."""
        return np.float64 if self.storage == "float64" else np.float32


class SparseTarget(NamedTuple):
    """T of each row by its few classes: [n, k] indices, and [n, k] float64 ``w·y``."""

    classes: Array
    mass: Array

    def part(self, rows: slice) -> "SparseTarget":
        """Some of the rows."""
        return SparseTarget(self.classes[rows], self.mass[rows])


class Head(NamedTuple):
    """n rows that count, of hidden states [..., D], and a classifier [C, D]; what is said of each row is [n] or one number."""

    hidden: Matrix
    classifier: Matrix
    bias: ClassesC | None = None
    """[C] in the computing dtype."""
    rows: IndicesN | None = None
    """[n]: which rows of the hidden states count, in order; None for all."""
    target: IndicesN | None = None
    """[n], none of them ignored."""
    target_probs: Array | None = None
    """[..., C], before class weights."""
    probs_rows: IndicesN | None = None
    """[n]: which rows of the probabilities are meant; None for all."""
    sparse: SparseTarget | None = None
    weight: PerRow = 1.0
    class_weight: ClassesC | None = None
    class_vector: ClassesC | None = None
    transform: Transform = Transform()

    @property
    def number(self) -> int:
        """n."""
        return len(self.rows) if self.rows is not None else math.prod(self.hidden.array.shape[:-1])

    @property
    def classes(self) -> int:
        """C."""
        return len(self.classifier.array)

    @property
    def width(self) -> int:
        """D."""
        return self.classifier.array.shape[1]

    @property
    def real(self) -> type[np.floating[Any]]:
        """The dtype of logits and products."""
        return np.float64 if np.float64 in (self.hidden.real, self.classifier.real) else np.float32

    @property
    def storage(self) -> Storage:
        """The same, as kernels name it."""
        return "float64" if self.real is np.float64 else "float32"

    def hidden_part(self, part: slice, algebra: Algebra) -> Floats:
        """Rows of the hidden states, [n', D], to multiply with: a view where nothing has to change."""
        return _wide(Matrix(_picked(self.hidden.array, self.rows, part), self.hidden.storage), self.real, algebra)

    def classifier_part(self, part: slice, algebra: Algebra, scratch: "Scratch") -> Floats:
        """Rows of the classifier, [C', D], likewise."""
        stored = self.classifier.array[part]
        if self.classifier.storage == self.storage:
            return stored
        out = scratch.of("classifier", stored.shape, self.real)
        if scratch.widened != part:
            algebra.widen(stored, self.classifier.storage, out)
            scratch.widened = part
        return out

    def logits(self, hidden: Floats, classes: slice, tile: Floats, algebra: Algebra, scratch: "Scratch") -> None:
        """Into tile [n', C'] the logits of some rows and some classes."""
        for part in self.steps(classes, scratch):
            block = tile[:, part.start - classes.start : part.stop - classes.start]
            algebra.multiply(hidden, self.classifier_part(part, algebra, scratch).T, block, add=False)
        if self.bias is not None:
            _add_to_rows(self.bias[classes], tile)

    def steps(self, classes: slice, scratch: "Scratch") -> list[slice]:
        """Classes whose weights are multiplied at once."""
        starts = range(classes.start, classes.stop, scratch.step)
        return [slice(start, min(classes.stop, start + scratch.step)) for start in starts]

    def tile_rows(self, tile: Floats, part: slice, classes: slice, *, targets: bool = True) -> dense.Rows:
        """Logits of some rows and some classes as a problem that walks in blocks; of all classes, for class indices."""
        probs = None
        if targets and self.target_probs is not None:
            probs = _picked(self.target_probs[..., classes], self.probs_rows, part)[None]
        return dense.Rows(
            logits=tile[None],
            storage=self.storage,
            target=self.target[part] if targets and self.target is not None else None,
            target_probs=probs,
            weight=part_of(self.weight, part),
            class_weight=None if self.class_weight is None else self.class_weight[classes],
            class_vector=None if self.class_vector is None else self.class_vector[classes],
            transform=self.transform,
        )


class Scratch:
    """Memory used over and over in a call, by name; the largest asked for is kept."""

    def __init__(self, step: int) -> None:
        """Nothing yet."""
        self._kept: dict[str, Array] = {}
        self.step = step
        """Classes whose weights are multiplied at once."""
        self.widened: slice | None = None
        """Whose weights were widened last."""

    def of(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        """An array of that shape, of no particular values."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.size < size:
            kept = self._kept[name] = np.empty(size, dtype)
            self.widened = None
        return kept[:size].reshape(shape)


def part_of(values: PerRow, part: slice) -> PerRow:
    """The share of some rows in one number a row."""
    return values[part] if isinstance(values, np.ndarray) else values


def _add_to_rows(bias: ClassesC, tile: Floats) -> None:
    """On all threads."""

    def work(part: slice) -> None:
        with np.errstate(all="ignore"):
            np.add(tile[part], bias, out=tile[part])

    for_each(work, pieces(tile))


def _picked(array: Array, rows: IndicesN | None, part: slice) -> Array:
    """Rows of [..., width] as a matrix: a view where they lie side by side, else a copy of these alone."""
    here = _places(rows, part)
    together = not len(here) or here[-1] - here[0] == len(here) - 1
    if together and (array.ndim == 2 or joins(array)):
        first = int(here[0]) if len(here) else 0
        return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])[first : first + len(here)]
    return array[np.unravel_index(here, array.shape[:-1])]


def _places(rows: IndicesN | None, part: slice) -> IndicesN:
    return np.arange(int(part.start), int(part.stop), dtype=np.int64) if rows is None else rows[part]


def joins(array: Array) -> bool:
    """Whether the axes before the last can be seen as one without a copy."""
    first = array[..., :1]
    return np.may_share_memory(first.reshape(math.prod(first.shape[:-1]), 1), array) if array.size else True


def _wide(matrix: Matrix, real: Any, algebra: Algebra) -> Floats:
    if matrix.array.dtype == real and matrix.storage != "bfloat16":
        return matrix.array
    out = np.empty(matrix.array.shape, real)
    algebra.widen(matrix.array, matrix.storage, out)
    return out
