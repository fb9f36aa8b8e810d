"""Where gradients are summed up: in the computing dtype, and rounded once to the dtype of what they belong to."""

import math
from typing import Any, Protocol

import numpy as np

from xent._typing import Array, Floats, IndicesN, Storage
from xent.schedules.linear.algebra import Algebra, pieces
from xent.schedules.linear.head import Matrix


class Room(Protocol):
    """Where gradients lie."""

    def new(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array of a shape and dtype, of no particular values."""
        ...

    def cut(self, array: Array, used: int) -> None:
        """Of an array that was made here only so many bytes are still used."""
        ...


class Sum(Protocol):
    """A gradient [rows, D] while it grows."""

    def piece(self, part: slice) -> Floats:
        """Where products for these rows are added, in the computing dtype."""
        ...

    def done(self, part: slice) -> None:
        """Nothing more will be added to these rows."""
        ...

    def result(self) -> Array:
        """The gradient in storage dtype, when everything is done."""
        ...


def new_like(matrix: Matrix, room: Room) -> Array:
    """An array for the gradient, in storage dtype."""
    return room.new(matrix.array.shape, matrix.array.dtype)


class Direct:
    """Summed where it stays: the dtype is the computing dtype, and every row counts."""

    def __init__(self, like: Matrix, room: Room) -> None:
        """Room for the gradient."""
        self._out = new_like(like, room)
        self._rows = flat(self._out)

    def piece(self, part: slice) -> Floats:
        """A view."""
        return self._rows[part]

    def done(self, part: slice) -> None:
        """It is where it belongs."""

    def result(self) -> Array:
        """As it is."""
        return self._out


class Piecewise:
    """Summed a piece at a time, each of which is finished before the next begins."""

    def __init__(self, like: Matrix, rows: IndicesN | None, real: Any, algebra: Algebra, room: Room) -> None:
        """Room for the gradient; rows that do not count are 0."""
        self._like, self._rows, self._algebra, self._real = like, rows, algebra, real
        self._out = new_like(like, room)
        self._flat = flat(self._out)
        self._scratch = np.empty((0, self._flat.shape[1]), real)
        if rows is not None:
            self._out[...] = 0

    def piece(self, part: slice) -> Floats:
        """Scratch of that many rows."""
        length = part.stop - part.start
        if len(self._scratch) < length:
            self._scratch = np.empty((length, self._flat.shape[1]), self._real)
        return self._scratch[:length]

    def done(self, part: slice) -> None:
        """Rounded to where it belongs."""
        place(self._scratch[: part.stop - part.start], part, self._rows, self._like.storage, self._flat, self._algebra)

    def result(self) -> Array:
        """What has been put in its place."""
        return self._out


class Whole:
    """Summed as a whole in the computing dtype, and rounded at the end into the front half of the same memory."""

    def __init__(self, like: Matrix, rows: IndicesN | None, real: Any, algebra: Algebra, room: Room) -> None:
        """Room for the sum of the rows that count."""
        self._like, self._rows, self._algebra, self._room = like, rows, algebra, room
        number = math.prod(like.array.shape[:-1]) if rows is None else len(rows)
        self._sum = room.new((number, like.array.shape[-1]), real)

    def piece(self, part: slice) -> Floats:
        """A view."""
        return self._sum[part]

    def done(self, part: slice) -> None:
        """Other parts of the other matrix may still come."""

    def result(self) -> Array:
        """Rounded; nothing is written where something unread lies, for the stored dtype is narrower."""
        like = self._like
        if self._rows is not None:
            out = new_like(like, self._room)
            out[...] = 0
            for part in pieces(self._sum):
                place(self._sum[part], part, self._rows, like.storage, flat(out), self._algebra)
            return out
        wide = self._sum.reshape(-1)
        out = wide.view(like.array.dtype)[: wide.size]
        for part in pieces(wide):
            rounded = np.empty(part.stop - part.start, out.dtype)
            self._algebra.narrow(wide[part], like.storage, rounded)
            out[part] = rounded
        self._room.cut(self._sum, out.nbytes)
        return out.reshape(like.array.shape)


def flat(array: Array) -> Array:
    """[..., D] as a matrix."""
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def place(values: Floats, part: slice, rows: IndicesN | None, storage: Storage, out: Array, algebra: Algebra) -> None:
    """Values [n', D] rounded into the rows of a gradient that they belong to."""
    if rows is None:
        algebra.narrow(values, storage, out[part])
        return
    here = rows[part]
    if len(here) and here[-1] - here[0] == len(here) - 1:
        algebra.narrow(values, storage, out[here[0] : here[-1] + 1])
        return
    rounded = np.empty(values.shape, out.dtype)
    algebra.narrow(values, storage, rounded)
    out[here] = rounded
