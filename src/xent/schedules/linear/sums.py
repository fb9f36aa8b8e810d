"""The gradients of a linear loss, added up from tiles: of the hidden states, of the classifier and of its bias."""

from typing import NamedTuple

import numpy as np

from xent._typing import Array, Floats
from xent.kernels.contract import Kernel
from xent.schedules.linear.algebra import Algebra
from xent.schedules.linear.filtering import Entries, add_to_classifier, add_to_hidden
from xent.schedules.linear.head import Head, Scratch
from xent.schedules.linear.plan import Order
from xent.schedules.linear.room import Direct, Piecewise, Room, Sum, Whole


class Wanted(NamedTuple):
    """Which gradients are asked for; a product that nobody wants is not made."""

    hidden: bool = True
    classifier: bool = True
    bias: bool = False


class Gradients(NamedTuple):
    """In storage dtype, the bias's in the computing dtype; None where not wanted."""

    hidden: Array | None
    classifier: Array | None
    bias: Array | None


class Sums:
    """Where the products of tiles go."""

    def __init__(self, head: Head, wanted: Wanted, order: Order, algebra: Algebra, room: Room) -> None:
        """Room for what is wanted."""
        self._head, self._algebra = head, algebra
        self._hidden = _hidden_sum(head, order, algebra, room) if wanted.hidden else None
        self._classifier = _classifier_sum(head, order, algebra, room) if wanted.classifier else None
        self._bias = np.zeros((1, head.classes), head.real) if wanted.bias else None

    def by_classifier(self, tile: Floats, hidden: Floats, classes: slice, *, first: bool) -> None:
        """Add the gradient of some classes that comes from the rows of a tile."""
        if self._classifier is not None:
            self._algebra.multiply(tile.T, hidden, self._classifier.piece(classes), add=not first)
        if self._bias is not None:
            # Row by row: a product with ones would sum in an order that BLAS chooses.
            with np.errstate(all="ignore"):
                self._bias[0, classes] += np.add.reduce(tile, axis=0)

    def by_hidden(self, tile: Floats, rows: slice, classes: slice, scratch: Scratch, *, first: bool) -> None:
        """Add the gradient of some rows that comes from the classes of a tile."""
        if self._hidden is None:
            return
        piece = self._hidden.piece(rows)
        for part in self._head.steps(classes, scratch):
            block = tile[:, part.start - classes.start : part.stop - classes.start]
            weights = self._head.classifier_part(part, self._algebra, scratch)
            self._algebra.multiply(block, weights, piece, add=not (first and part.start == classes.start))

    def by_entries(self, kernel: Kernel, some: Entries, hidden: Floats, rows: slice, *, first: bool) -> None:
        """Add the gradients of all classes and some rows from the few entries that were kept."""
        if self._hidden is not None:
            piece = self._hidden.piece(rows)
            piece[...] = 0
            add_to_hidden(kernel, some, self._head.classifier, piece)
        if self._classifier is not None:
            whole = self._classifier.piece(slice(0, self._head.classes))
            if first:
                whole[...] = 0
            add_to_classifier(kernel, some, hidden, whole)
        if self._bias is not None:
            for sparse in some.kept:
                kernel.add_sparse_columns(sparse, self._bias[0])

    def hidden_done(self, rows: slice) -> None:
        """Nothing more will come for these rows."""
        if self._hidden is not None:
            self._hidden.done(rows)

    def classifier_done(self, classes: slice) -> None:
        """Nothing more will come for these classes."""
        if self._classifier is not None:
            self._classifier.done(classes)

    def result(self) -> Gradients:
        """Rounded to what they belong to; 0 where no row counts."""
        hidden, classifier = self._finished(self._hidden), self._finished(self._classifier)
        return Gradients(hidden, classifier, None if self._bias is None else self._bias[0])

    def _finished(self, part: Sum | None) -> Array | None:
        if part is None:
            return None
        result = part.result()
        if not self._head.number:
            result[...] = 0
        return result


def _hidden_sum(head: Head, order: Order, algebra: Algebra, room: Room) -> Sum:
    if head.hidden.storage == head.storage and head.rows is None:
        return Direct(head.hidden, room)
    return (Piecewise if order == "rows" else Whole)(head.hidden, head.rows, head.real, algebra, room)


def _classifier_sum(head: Head, order: Order, algebra: Algebra, room: Room) -> Sum:
    if head.classifier.storage == head.storage:
        return Direct(head.classifier, room)
    return (Whole if order == "rows" else Piecewise)(head.classifier, None, head.real, algebra, room)
