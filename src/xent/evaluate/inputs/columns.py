"""Which columns of a table hold what: as declared by the caller or by the file itself, never guessed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import get_args

import pyarrow as pa

from xent._errors import ArgumentError
from xent.evaluate.state.options import some
from xent.evaluate.state.spec import MOST_CLASSES, Choices, Kind, Spec, too_many_classes

METADATA = b"xent"
"""Under this key of its schema a file may say what its columns hold."""


@dataclass(frozen=True, slots=True)
class Columns:
    """What a table's columns hold, in the caller's words.

    Args:
        target: the column of classes, by name or by number; optional for "target-log-probs".
        kind: what predictions are.
        predictions: the prefix of their columns, several columns with commas between, or one column of lists.
        classes: names of the classes where columns bring none, as those of a list do not.
        weight: the column of weights.
        size: the column of bytes that each row predicts.
        id: the column of what rows are called; the bootstrap draws by it.
        by: the column whose values are judged apart.
    """

    target: str | None = None
    kind: Kind | None = None
    predictions: str | None = None
    classes: tuple[str, ...] = ()
    weight: str | None = None
    size: str | None = None
    id: str | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns as they stand in a table: those of the predictions one by one, or one of lists."""

    spec: Spec
    predictions: tuple[str, ...]
    target: str | None
    weight: str | None
    size: str | None
    id: str | None
    by: str | None

    @property
    def names(self) -> list[str]:
        """Every column that is read, once."""
        others = (self.target, self.weight, self.size, self.id, self.by)
        return list(dict.fromkeys([*self.predictions, *(name for name in others if name is not None)]))


def declared(schema: pa.Schema) -> Columns:
    """What the file says of its own columns; nothing where it says nothing."""
    text = (schema.metadata or {}).get(METADATA)
    if text is None:
        return Columns()
    try:
        said = json.loads(text)
        known = {name: said[name] for name in Columns.__slots__ if isinstance(said.get(name), str)}
    except (ValueError, AttributeError, TypeError):
        return Columns()
    return Columns(**known) if known.get("kind") in get_args(Kind) else Columns()


def metadata(columns: Columns) -> dict[bytes, bytes]:
    """What a file has to say so that `declared` finds it."""
    said = {name: value for name in Columns.__slots__ if isinstance(value := getattr(columns, name), str)}
    return {METADATA: json.dumps(said, sort_keys=True).encode()}


def completed(columns: Columns, schema: pa.Schema) -> Columns:
    """The caller's words, and the file's where the caller says nothing."""
    said = declared(schema)
    if columns.kind is not None:
        said = replace(said, kind=None, predictions=None)
    missing = [name for name in Columns.__slots__ if not getattr(columns, name) and getattr(said, name)]
    return replace(columns, **{name: getattr(said, name) for name in missing})


def laid_out(columns: Columns, schema: pa.Schema, source: str, choices: Choices = Choices(), *, labelled: bool = True) -> Layout:
    """Find the columns in a table; one of true classes must be among them where rows are labelled.

    Raises:
        ArgumentError: predictions or target are not declared, or name no column; says which there are.
    """
    columns = completed(columns, schema)
    names: list[str] = schema.names
    if columns.kind is None or columns.predictions is None:
        raise _undeclared(columns.kind, names, source)
    options = {"--target (target=)": columns.target, "--weights (weight=)": columns.weight, "--bytes (size=)": columns.size}
    options |= {"--id (id=)": columns.id, "--by (by=)": columns.by}
    for option, name in options.items():
        if name is not None:
            check_present(names, option, name, source)
    alone = columns.kind == "target-log-probs"
    if columns.target is None and labelled and not alone:
        found = f"{source} has {listed(names)}"
        remedy = _parted(names) or "Name one of them."
        raise ArgumentError("the column of true classes must be declared with --target (target=)", found, remedy)
    predictions, classes = _predictions(columns, schema, source)
    spec = Spec(
        kind=columns.kind,
        classes=() if alone else classes,
        weighted=columns.weight is not None,
        sized=columns.size is not None,
        by=columns.by,
        **asdict(choices),
    )
    return Layout(spec, predictions, columns.target, columns.weight, columns.size, columns.id, columns.by)


def _predictions(columns: Columns, schema: pa.Schema, source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of predictions, and the names of the classes."""
    text, names = columns.predictions or "", list(schema.names)
    option = f"--{columns.kind} (columns=)"
    if "," in text and text not in names:
        chosen = [name.strip() for name in text.split(",")]
        for name in chosen:
            check_present(names, option, name, source)
        return tuple(chosen), _named(columns, chosen)
    others = {columns.target, columns.weight, columns.size, columns.id, columns.by}
    longer = [name for name in names if name.startswith(text) and name != text]
    if text not in names:
        both = next((name for name in longer if name in others), None)
        if both is not None:
            found = f"{text!r} begins {both!r} too, which holds something else"
            rule = f"{option} must begin the names of predictions alone"
            raise ArgumentError(rule, found, "Write the columns out, with commas.")
        if len(longer) < 2:
            found = f"{text!r} begins {len(longer)} of the {listed(names)} of {source}"
            remedy = _parted(names) or "Several columns are written with commas between them."
            raise ArgumentError(f"{option} must name columns, or begin the names of at least two", found, remedy)
        return tuple(longer), _named(columns, [name.removeprefix(text) for name in longer])
    if len(longer) > 1:
        found = f"{text!r} is a column of {source} and begins {len(longer)} others"
        raise ArgumentError(f"{option} must be either a column or a prefix", found, "Write the columns out, with commas.")
    if columns.kind == "target-log-probs":
        return (text,), ()
    return (text,), _classes_of_one(columns, schema.field(text).type, source)


def _named(columns: Columns, own: Sequence[str]) -> tuple[str, ...]:
    """Names of the classes: as given, else as the columns are called."""
    if columns.classes and len(columns.classes) != len(own):
        rule = "--classes (classes=) must name every column of predictions"
        found = f"{len(columns.classes)} names for {len(own)} columns"
        raise ArgumentError(rule, found, "Name all, in the order of the columns.")
    return columns.classes or tuple(own)


def _classes_of_one(columns: Columns, kind: pa.DataType, source: str) -> tuple[str, ...]:
    """Names of the classes where one column holds them all, or the score of the second of two."""
    if pa.types.is_fixed_size_list(kind) and kind.list_size > MOST_CLASSES:
        raise too_many_classes(kind.list_size)
    if pa.types.is_fixed_size_list(kind):
        return _named(columns, [str(n) for n in range(kind.list_size)])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if columns.classes:
            return columns.classes
        found = f"{columns.predictions!r} of {source} is {kind}"
        remedy = "Name the classes: --classes cat,dog,fish, or classes=['cat', 'dog', 'fish']."
        raise ArgumentError("a column of lists of any length does not say how many classes there are", found, remedy)
    return _named(columns, ["0", "1"])


def check_present(names: Sequence[str], option: str, column: str, source: str) -> None:
    """Refuse a column that the table lacks, or has twice."""
    count = sum(name == column for name in names)
    if count == 1:
        return
    close = get_close_matches(column, names, n=1)
    remedy = f"Did you mean {close[0]!r}?" if close else _parted(names) or "Name one of them."
    found = f"{column!r} is none of the {listed(names)} of {source}"
    if count:
        found, remedy = f"{source} has {count} columns named {column!r}", "Rename or remove them."
    raise ArgumentError(f"{option} must name a column", found, remedy)


def _parted(names: Sequence[str]) -> str | None:
    """What to do where one name looks like all of them."""
    alone = names[0] if len(names) == 1 else ""
    return "Separate the columns by commas." if ";" in alone or "\t" in alone else None


def listed(names: Sequence[str]) -> str:
    """``3 columns: 'a', 'b', 'c'``, cut after ten."""
    return f"{len(names)} column{'s' if len(names) != 1 else ''} ({some(names)})"


def _undeclared(kind: Kind | None, names: Sequence[str], source: str) -> ArgumentError:
    """What is said where nothing says what predictions are; the remedy names the prefix that most columns share."""
    prefixes = [name[: name.find("_") + 1] for name in names if "_" in name]
    best = max(prefixes, key=prefixes.count, default="p_")
    if kind is not None:
        rule, found = "predictions need their columns", f"kind is {kind!r} and {source} has {listed(names)}"
        return ArgumentError(rule, found, f"Say, for instance, columns={best!r}.")
    rule = "what predictions are must be declared: --probs, --logits or --log-probs with their columns, or --target-log-probs"
    remedy = f"Say, for instance, --probs {best} --target COLUMN, or kind='probs', columns={best!r}, target='COLUMN'."
    return ArgumentError(rule, f"{source} has {listed(names)} and says nothing of them", _parted(names) or remedy)
