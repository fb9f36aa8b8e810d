"""How much of the logits exists at once, and in which order: decided from shapes and a number of bytes, before anything runs.

rows      chunks of rows with all their classes: one product for the logits, two for the gradients
classes   blocks of classes with all rows: statistics merge over the blocks; gradients make the logits a second time
"""

from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from xent.kernels.cpu.threads import get_num_threads
from xent.schedules.linear.algebra import slices

Order = Literal["rows", "classes"]
DEFAULT_BYTES = 48 << 20
"""What a call takes beyond its inputs and gradients where nothing is said: 64 MiB with what libraries keep for their products."""
CACHE_BYTES = 32 << 20
"""The last-level cache where the system does not tell."""
ROW_BYTES = 160
"""Statistics, coefficients and places of one row."""
OVERHEAD_ROWS = 22.0
"""A product of n rows takes as long as one of n + 22 in a long one: measured with 16 to 512 rows."""
FEWEST_CLASSES = 64
"""A block of classes is no narrower, unless there are fewer."""
FACTOR_BYTES = 8 << 20
"""Weights multiplied at once: a library's copy of them, which it keeps for the next product, is no larger."""
WIDEN_BYTES = 4 << 20
"""Weights widened at once where rows are walked: they stay in the cache."""
WIDEN_ROWS = 80.0
"""Widening all weights takes as long as a product of 80 rows."""
DENSEST = 1 / 16
"""Entries kept of a filtered gradient from which the dense products are as fast."""


class Shape(NamedTuple):
    """What decides how a call is planned."""

    rows: int
    classes: int
    width: int
    item: int
    """Bytes of a number in the computing dtype."""
    hidden_item: int
    classifier_item: int
    gradients: bool = True
    filtered: bool = False
    gathered: bool = False
    """Whether some rows are left out."""
    target_item: int = 0
    """Bytes of a number in probability targets whose rows have to be copied."""
    room: int = 0
    """Bytes that the products take for themselves."""


class Plan(NamedTuple):
    """What a call will hold and do."""

    order: Order
    rows: int
    """Rows whose logits exist at once."""
    classes: int
    """Classes whose logits exist at once."""
    bytes: int
    """Working memory beyond inputs and gradients."""
    products: int
    """Matrix products of the size of all the logits."""
    shape: Shape

    @property
    def step(self) -> int:
        """Classes whose weights are multiplied at once; a block of classes is widened as a whole."""
        widened = self.shape.classifier_item < self.shape.item
        if widened and self.order == "classes":
            return self.classes
        return max(1, (WIDEN_BYTES if widened else FACTOR_BYTES) // max(1, self.shape.width * self.shape.item))

    def row_slices(self) -> list[slice]:
        """The rows in order."""
        return slices(self.shape.rows, self.rows)

    def class_slices(self) -> list[slice]:
        """The classes in order."""
        return slices(self.shape.classes, self.classes)


def plan(shape: Shape, limit: int | None = None, rows: int | None = None) -> Plan | None:
    """The fastest way that stays within the limit; None if none does. Rows at once may be given, and then only that is tried."""
    budget = max(DEFAULT_BYTES, smallest(shape) + DEFAULT_BYTES // 2) if limit is None else limit
    if rows is not None:
        return _planned_rows(shape, max(1, min(rows, shape.rows)))
    if not shape.rows:
        return Plan("rows", 1, shape.classes, 0, 0, shape)
    whole = _by_rows(shape, budget)
    if shape.filtered and whole is not None:
        return whole
    found = [p for p in (whole, _by_classes(shape, budget)) if p is not None]
    return min(found, key=_cost) if found else None


def smallest(shape: Shape) -> int:
    """The smallest limit that works."""
    fewest = min(shape.classes, FEWEST_CLASSES)
    return min(_row_order_bytes(shape, 1), _class_order_bytes(shape, 1, fewest))


def _cost(plan: Plan) -> float:
    """Products, each as many times slower as its rows are few, and widening: for each tile that multiplies the weights."""
    shape, often = plan.shape, 2 if plan.shape.gradients else 1
    widened = often * WIDEN_ROWS / (plan.rows if plan.order == "rows" else max(1, shape.rows))
    return plan.products * (1.0 + OVERHEAD_ROWS / plan.rows) + widened * (shape.classifier_item < shape.item)


def _by_rows(shape: Shape, budget: int) -> Plan | None:
    fixed = _row_order_bytes(shape, 0)
    each = _row_order_bytes(shape, 1) - fixed
    tile = max(1, _cache_bytes() // max(1, shape.classes * shape.item))
    most = min(shape.rows, (budget - fixed) // each, tile)
    return None if most < 1 else _planned_rows(shape, _even(shape.rows, most))


def _planned_rows(shape: Shape, n: int) -> Plan:
    return Plan("rows", n, shape.classes, _row_order_bytes(shape, n), 3 if shape.gradients else 1, shape)


def _row_order_bytes(s: Shape, n: int) -> int:
    """Tile, copies of rows, widened weights, the wider half of their sum, a row's exponentials, and what is told of each row."""
    tile = n * s.classes * (s.item + s.target_item)
    if s.filtered:
        tile += int(n * s.classes * DENSEST) * (s.item + 4)
    copies = n * s.width * s.item * (1 + s.gradients) * (s.gathered or s.hidden_item < s.item)
    widened = min(WIDEN_BYTES, s.classes * s.width * s.item) if s.classifier_item < s.item else 0
    wider = s.classes * s.width * (s.item - s.classifier_item) if s.gradients else 0
    spare = get_num_threads() * s.classes * s.item
    return tile + copies + widened + wider + spare + s.room + s.rows * ROW_BYTES


def _by_classes(shape: Shape, budget: int) -> Plan | None:
    fewest = min(shape.classes, FEWEST_CLASSES)
    if budget < _class_order_bytes(shape, 1, fewest):
        return None
    rows = shape.rows
    while rows > 1 and budget < _class_order_bytes(shape, rows, min(shape.classes, max(fewest, rows))):
        rows = -(-rows // 2)
    fixed = _class_order_bytes(shape, rows, 0)
    each = _class_order_bytes(shape, rows, 1) - fixed
    most = min(shape.classes, (budget - fixed) // each, max(fewest, _cache_bytes() // (rows * shape.item)))
    classes = _even(shape.classes, max(1, most))
    return Plan("classes", rows, classes, _class_order_bytes(shape, rows, classes), 4 if shape.gradients else 1, shape)


def _class_order_bytes(s: Shape, n: int, c: int) -> int:
    """Tile, widened weights, the sum of their gradient, copies of the rows, the sum of theirs, and what is told of each row."""
    tile = n * (c + 1) * s.item + n * c * s.target_item
    weights = 2 * c * s.width * s.item if s.classifier_item < s.item else 0
    copied = s.gathered or s.hidden_item < s.item
    copies = n * s.width * s.item * copied
    wider = s.rows * s.width * (s.item if s.gathered else s.item - s.hidden_item) if s.gradients else 0
    return tile + weights + copies + wider + s.room + s.rows * 2 * ROW_BYTES


def _even(whole: int, most: int) -> int:
    """Parts of about one size, none larger than the most, whole vectors where they are many."""
    parts = -(-whole // most)
    size = -(-whole // parts)
    return min(most, -(-size // 16) * 16) if size > 16 else size


@cache
def _cache_bytes() -> int:
    """The last-level cache of the first processor, where the system tells."""
    for level in (3, 2):
        with suppress(OSError, ValueError):
            told = Path(f"/sys/devices/system/cpu/cpu0/cache/index{level}/size").read_text("ascii").strip()
            return int(told.removesuffix("K")) << 10
    return CACHE_BYTES
