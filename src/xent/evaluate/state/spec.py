"""What is evaluated: how predictions are written, the names of the classes, and what is counted beside the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from xent._errors import ArgumentError
from xent.evaluate.state import options

Kind = Literal["logits", "log-probs", "probs", "target-log-probs"]
"""Scores of every class, logarithms of their probabilities, these themselves, or the logarithm of the target's alone."""

MOST_BINS, MOST_CLASSES = 100, 1 << 20
MOST_BINNED_CLASSES = 4096
"""With more classes a reliability table of every class is left out: it would be most of the state."""


def too_many_classes(count: int) -> ArgumentError:
    """What is said of more classes than any table has columns for."""
    rule = f"there may be at most {MOST_CLASSES:,} classes"
    return ArgumentError(rule, f"found {count:,}", "Give the target's log-probability alone, as target-log-probs.")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller chooses of a `Spec` whatever the columns hold."""

    top_k: tuple[int, ...] = ()
    bins: int = 15
    sum_tolerance: float | None = None

    def __post_init__(self) -> None:
        """Keep them plain; which of them go together, a `Spec` knows."""
        _keep(self, _plain_choices(self))


@dataclass(frozen=True, slots=True)
class Spec:
    """What a state counts; states merge only if they agree on it.

    Args:
        kind: "logits", "log-probs", "probs", or "target-log-probs" where only the target's log-probability is known.
        classes: their names, in the order of the columns; none for "target-log-probs".
        top_k: the k for which a row is also right if its target is among the k greatest; 1 is always counted.
        bins: bins of equal width in the reliability tables; 3600 must be a multiple.
        weighted: whether rows bring weights.
        sized: whether rows bring numbers of bytes, for bits per byte.
        by: the name of a column whose values are judged apart as well.
        sum_tolerance: how far the probabilities of a row may sum from 1; None for what rounding in their dtype leaves.

    Raises:
        ArgumentError: an option out of its range, two classes of one name, or classes where there can be none.
        DTypeError: an option of another type.

    Example:
        >>> Spec("probs", ("cat", "dog")).n_classes
        2
    """

    kind: Kind
    classes: tuple[str, ...] = ()
    top_k: tuple[int, ...] = ()
    bins: int = 15
    weighted: bool = False
    sized: bool = False
    by: str | None = None
    sum_tolerance: float | None = None

    def __post_init__(self) -> None:
        """Keep plain what is given, and refuse what does not go together."""
        kind: Any = self.kind
        if not isinstance(kind, str) or kind not in get_args(Kind):
            rule = f"kind must be one of {', '.join(map(repr, get_args(Kind)))}"
            raise ArgumentError(rule, f"found {options.shown(self.kind)}", "It says what the numbers are; nothing guesses.")
        flags = {name: options.flag(getattr(self, name), name) for name in ("weighted", "sized")}
        named = {"classes": options.texts(self.classes), "by": options.column_name(self.by, "by"), "kind": str(self.kind)}
        _keep(self, _plain_choices(self) | flags | named)
        if self.sum_tolerance is not None and not 0.0 <= self.sum_tolerance <= 0.1:
            rule = "sum_tolerance must lie in [0, 0.1]"
            raise ArgumentError(rule, f"found {self.sum_tolerance!r}", "0.001 serves probabilities of three decimals.")
        self._check_classes()
        self._check_top_k()
        if not 1 <= self.bins <= MOST_BINS or CELLS % self.bins:
            rule = f"bins must divide {CELLS} and be at most {MOST_BINS}"
            raise ArgumentError(rule, f"found {self.bins!r}", "15 is the default; 10, 12, 20 and 25 serve as well.")

    @property
    def n_classes(self) -> int:
        """C; 0 where only the target's log-probability is known."""
        return len(self.classes)

    @property
    def binned(self) -> bool:
        """Whether every class has a reliability table."""
        return 0 < self.n_classes <= MOST_BINNED_CLASSES

    def as_json(self) -> dict[str, Any]:
        """Itself in lists, strings and numbers."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Spec:
        """The spec that `as_json` wrote."""
        known: dict[str, Any] = {name: tuple(item) if isinstance(item, list) else item for name, item in value.items()}
        return cls(**known)

    def _check_classes(self) -> None:
        if (self.kind == "target-log-probs") != (not self.classes):
            found = f"kind is {self.kind!r} and there are {len(self.classes)} classes"
            remedy = "Name a class for each column, or give the target's log-probability alone."
            raise ArgumentError("columns of predictions need names of classes, and nothing else does", found, remedy)
        if len(self.classes) > MOST_CLASSES:
            raise too_many_classes(len(self.classes))
        if len(self.classes) == 1:
            raise ArgumentError("there must be at least two classes", f"found {self.classes[0]!r} alone", "Is a column missing?")
        twice = _first_repeated(self.classes)
        if twice is not None:
            raise ArgumentError("names of classes must differ", f"{twice!r} stands twice", "Rename one of the columns.")

    def _check_top_k(self) -> None:
        least, most = 2, max(self.n_classes - 1, 1)
        for k in self.top_k:
            if not least <= k <= most:
                found = f"found {k!r} with {self.n_classes} classes"
                rule = f"top_k must lie in [{least}, {most}]"
                if self.n_classes == 2:
                    rule = "two classes have no top-k between 1 and all"
                if not self.n_classes:
                    raise ArgumentError(
                        "top_k needs predictions for every class", f"found {k!r} for targets alone", "Leave it out."
                    )
                raise ArgumentError(rule, found, "1 is always counted; C is always right.")
        twice = _first_repeated(self.top_k)
        if twice is not None:
            raise ArgumentError("numbers in top_k must differ", f"{twice!r} stands twice", "Leave one out.")


CELLS = 3600
"""Cells of the confidence; bins of any number that divides it lie on their edges."""


def _plain_choices(chosen: Choices | Spec) -> dict[str, Any]:
    """What the caller chooses, in plain numbers."""
    return {
        "top_k": options.wholes(chosen.top_k, "top_k"),
        "bins": options.whole(chosen.bins, "bins"),
        "sum_tolerance": options.tolerance(chosen.sum_tolerance, "sum_tolerance"),
    }


def _keep(known: Choices | Spec, plain: dict[str, Any]) -> None:
    """Put values into what is frozen once it is made."""
    for name, value in plain.items():
        object.__setattr__(known, name, value)


def _first_repeated(values: Sequence[Any]) -> Any:
    """The first value that stands twice, or None."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
