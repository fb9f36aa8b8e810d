"""What a batch may bring, and what a spec: of any dtype that says the same, or refused in words before it is counted."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Batch, Choices, Comparison, Spec, Totals
from xent.evaluate.state.groups import Groups

P, Y = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.7, 0.3]]), np.array([0, 1, 1, 0])
PLAIN = Spec("probs", ("a", "b"))
WEIGHTED, SIZED, BY = (
    Spec("probs", ("a", "b"), **{name: value}) for name, value in (("weighted", True), ("sized", True), ("by", "g"))
)
TEXTS = ["x", "z", "y", "x"]


def unaligned(values: np.ndarray) -> np.ndarray:
    """The same numbers, a byte off their place."""
    rows = np.zeros(len(values), [("a", "i1"), ("b", values.dtype)])
    rows["b"] = values
    return rows["b"]


def counted(spec: Spec = PLAIN, values: Any = P, target: Any = Y, **known: Any) -> bytes:
    """The state of one batch, as bytes that are one when they are read."""
    state = Totals(spec)
    state.update(Batch(values, target, **known))
    data = state.to_bytes()
    assert Totals.from_bytes(data).to_bytes() == data
    return data


def named(*given: Any) -> list[str]:
    """What to call some values."""
    return [str(getattr(value, "dtype", type(value).__name__)) for value in given]


LABELS = [Y.astype(kind) for kind in ("i1", "u1", "i2", "u4", "u8", ">i8")] + [unaligned(Y), np.repeat(Y, 2)[::2]]


@pytest.mark.parametrize("target", LABELS, ids=named(*LABELS))
def test_labels_of_any_whole_dtype_are_the_same_labels(target: np.ndarray) -> None:
    assert counted(target=target) == counted()


@pytest.mark.parametrize("kind", ["i1", "u1", "i2"])
def test_labels_of_many_classes_do_not_wrap(kind: str) -> None:
    rng = np.random.default_rng(0)
    values, target = rng.dirichlet(np.ones(120), 300), rng.integers(0, 120, 300)
    spec = Spec("probs", tuple(map(str, range(120))))
    assert counted(spec, values, target.astype(kind)) == counted(spec, values, target)


AMOUNTS = [np.array([1, 2, 3, 0], kind) for kind in ("f2", "f4", "i4", "u8", np.longdouble, ">f8")]
AMOUNTS += [unaligned(np.array([1.0, 2.0, 3.0, 0.0])), np.array([1.0, 2.0, 3.0, -0.0])]


@pytest.mark.parametrize("amounts", AMOUNTS, ids=named(*AMOUNTS))
def test_weights_and_sizes_of_any_real_dtype_are_the_same(amounts: np.ndarray) -> None:
    plain = np.array([1.0, 2.0, 3.0, 0.0])
    assert counted(WEIGHTED, weight=amounts) == counted(WEIGHTED, weight=plain)
    assert counted(SIZED, size=amounts) == counted(SIZED, size=plain)


def test_keys_groups_and_numbers_are_the_same_however_they_are_held() -> None:
    keys = np.array([5, 2**64 - 1, 7, 8], np.uint64)
    for same in (keys.astype(">u8"), unaligned(keys), np.repeat(keys, 3)[::3]):
        assert counted(keys=same) == counted(keys=keys)
    place = np.array([0, 2, 1, 0])
    groups = [
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        Groups.of(TEXTS),
        Groups(("x", "y", "z"), place.astype("u1")),
    ]
    for group in groups:
        assert counted(BY, group=group) == counted(BY, group=TEXTS)
    assert counted(first=np.int32(3), source=np.int8(1), placed=np.int64(2)) == counted(first=3, source=1, placed=2)
    assert counted(ids=np.array(TEXTS)) == counted(ids=tuple(TEXTS)) == counted(ids=TEXTS)


def test_arrays_that_are_right_are_not_copied() -> None:
    from xent.evaluate.state.batch import check

    keys, ones = np.arange(4, dtype=np.uint64), np.ones(4)
    groups = Groups.of(TEXTS)
    spec = Spec("probs", ("a", "b"), weighted=True, sized=True, by="g")
    found = check(spec, Batch(P, Y, keys=keys, weight=ones, size=ones, group=groups))
    assert found.values is P
    assert found.target is Y
    assert found.keys is keys
    assert found.weight is ones
    assert isinstance(found.group, Groups)
    assert found.group.place is groups.place


WHOLE = (
    "labels must be whole numbers, in an array of NumPy; the predictions has {}. Convert them; -1 stands where a row has none."
)
REAL = "{} must be real numbers, in an array of NumPy; the predictions has {}. Convert them, with astype(float) say."
KEYS = "keys must be uint64, in an array of NumPy; the predictions has {}. Hash what tells rows apart into 64 bits."
PLACES = "places of groups must be whole numbers, in an array of NumPy; the predictions has {}. Groups.of makes them from texts."
AXIS = "{} must be one a row; the predictions has {}. Is an axis to be left out?"
SHORT = "{} must be one a row; the predictions has {} for 4 rows. Is a row missing?"
LISTED = "{} must be a list of texts, one a row; the predictions has {}. Give a list."
FLOATS = "predictions must be float16, float32, float64; the predictions has {}. Convert them, with astype(float) say."
BRINGS = "a batch brings {}, one a row, if the spec says so, and else none; the spec says {} and the predictions has {}."
SORTED = "names of groups must be texts, sorted, each once; {}. Groups.of makes them from texts."
FIRST = f"first must lie in [0, {2**63 - 5}]; found {{}}. Rows are counted from 0."
SOURCE = f"source must lie in [{-(2**63)}, {2**63 - 1}]; found {{}}. Sources are counted from 0."

REFUSED: list[tuple[Spec, dict[str, Any], type[xent.XentError], str]] = [
    (PLAIN, {"target": np.array([0, np.nan, 1, 0])}, xent.DTypeError, WHOLE.format("float64")),
    (PLAIN, {"target": np.array([0, 0.5, 1, 0])}, xent.DTypeError, WHOLE.format("float64")),
    (PLAIN, {"target": Y.tolist()}, xent.DTypeError, WHOLE.format("list")),
    (PLAIN, {"target": Y.astype(object)}, xent.DTypeError, WHOLE.format("object")),
    (PLAIN, {"target": Y.astype("U1")}, xent.DTypeError, WHOLE.format("<U1")),
    (PLAIN, {"target": Y.astype(bool)}, xent.DTypeError, WHOLE.format("bool")),
    (PLAIN, {"target": np.ma.array(Y, mask=Y > 0)}, xent.DTypeError, WHOLE.format("MaskedArray")),
    (PLAIN, {"target": Y[:, None]}, xent.ShapeError, AXIS.format("labels", (4, 1))),
    (
        PLAIN,
        {"target": np.array([0, 1, 1, 2**64 - 1], np.uint64), "ids": list("abcd")},
        xent.LabelError,
        "labels must lie in [0, 2), or be -1 where a row does not count; row 3 (id 'd') of the predictions holds "
        "18446744073709551615 (1 such rows). Does the label name a class without a column?",
    ),
    (PLAIN, {"values": P.tolist()}, xent.DTypeError, FLOATS.format("list")),
    (PLAIN, {"values": np.ma.array(P, mask=P > 0.8)}, xent.DTypeError, FLOATS.format("MaskedArray")),
    (PLAIN, {"values": P.astype(int)}, xent.DTypeError, FLOATS.format("int64")),
    (WEIGHTED, {"weight": [1.0] * 4}, xent.DTypeError, REAL.format("weights", "list")),
    (WEIGHTED, {"weight": np.ones(4, complex)}, xent.DTypeError, REAL.format("weights", "complex128")),
    (WEIGHTED, {"weight": np.array(["1"] * 4)}, xent.DTypeError, REAL.format("weights", "<U1")),
    (WEIGHTED, {"weight": np.ones(4, bool)}, xent.DTypeError, REAL.format("weights", "bool")),
    (WEIGHTED, {"weight": np.ones((4, 1))}, xent.ShapeError, AXIS.format("weights", (4, 1))),
    (WEIGHTED, {"weight": np.ones(2)}, xent.ArgumentError, BRINGS.format("weights", True, "(2,) for 4 rows")),
    (WEIGHTED, {}, xent.ArgumentError, BRINGS.format("weights", True, "none")),
    (SIZED, {"size": 3.0}, xent.DTypeError, REAL.format("numbers of bytes", "float")),
    (SIZED, {"size": np.ones(4, object)}, xent.DTypeError, REAL.format("numbers of bytes", "object")),
    (PLAIN, {"keys": np.arange(9, dtype=np.uint64)}, xent.ShapeError, SHORT.format("keys", 9)),
    (PLAIN, {"keys": np.arange(3, dtype=np.uint64)}, xent.ShapeError, SHORT.format("keys", 3)),
    (PLAIN, {"keys": np.arange(4)}, xent.DTypeError, KEYS.format("int64")),
    (PLAIN, {"keys": [1, 2, 3, 4]}, xent.DTypeError, KEYS.format("list")),
    (PLAIN, {"keys": np.ones((4, 1), np.uint64)}, xent.ShapeError, AXIS.format("keys", (4, 1))),
    (PLAIN, {"ids": list("abc")}, xent.ShapeError, SHORT.format("ids", 3)),
    (PLAIN, {"ids": list("abcde")}, xent.ShapeError, SHORT.format("ids", 5)),
    (PLAIN, {"ids": "abcd"}, xent.DTypeError, LISTED.format("ids", "str")),
    (PLAIN, {"ids": (name for name in "abcd")}, xent.DTypeError, LISTED.format("ids", "generator")),
    (
        PLAIN,
        {"ids": ["a", None, "c", "d"]},
        xent.DTypeError,
        "ids must be texts; row 1 (id None) of the predictions has NoneType. Give str() of each.",
    ),
    (
        BY,
        {"group": ["a", None, "c", "d"]},
        xent.DTypeError,
        "groups must be texts; the predictions has NoneType. Give str() of each.",
    ),
    (BY, {"group": [[], [], [], []]}, xent.DTypeError, "groups must be texts; the predictions has list. Give str() of each."),
    (BY, {"group": "abcd"}, xent.DTypeError, LISTED.format("groups", "str")),
    (BY, {"group": list("abc")}, xent.ArgumentError, BRINGS.format("groups", True, "(3,) for 4 rows")),
    (PLAIN, {"group": TEXTS}, xent.ArgumentError, BRINGS.format("groups", False, "(4,) for 4 rows")),
    (BY, {"group": Groups(("a",), [0] * 4)}, xent.DTypeError, PLACES.format("list")),  # type: ignore[arg-type]
    (BY, {"group": Groups(("a", "b"), Y > 0)}, xent.DTypeError, PLACES.format("bool")),  # type: ignore[arg-type]
    *(
        (
            BY,
            {"group": Groups(("a", "b"), np.array([0, bad, 1, 0]))},
            xent.ArgumentError,
            f"places of groups must lie in [0, 2); the predictions has {bad} at row 1. Groups.of makes them from texts.",
        )
        for bad in (-1, 2)
    ),
    (BY, {"group": Groups(("b", "a"), Y)}, xent.ArgumentError, SORTED.format("the predictions has others")),
    (BY, {"group": Groups(("a", "a"), Y)}, xent.ArgumentError, SORTED.format("the predictions has others")),
    (
        BY,
        {"group": Groups((1, 2), Y)},  # type: ignore[arg-type]
        xent.ArgumentError,
        SORTED.format("those of the predictions are no list of texts"),
    ),
    (PLAIN, {"first": 1.5}, xent.DTypeError, "first must be a whole number; found 1.5. Give an int."),
    (PLAIN, {"first": -5}, xent.ArgumentError, FIRST.format(-5)),
    (PLAIN, {"first": 2**63 - 4}, xent.ArgumentError, FIRST.format(2**63 - 4)),
    (PLAIN, {"source": "a"}, xent.DTypeError, "source must be a whole number; found 'a'. Give an int."),
    (PLAIN, {"source": 2**70}, xent.ArgumentError, SOURCE.format(2**70)),
    (PLAIN, {"placed": 5}, xent.ArgumentError, "placed must lie in [0, 4]; found 5. It counts rows of this batch."),
    (PLAIN, {"placed": True}, xent.DTypeError, "placed must be a whole number; found True. Give an int."),
]


@pytest.mark.parametrize(
    ("spec", "given", "kind", "words"), REFUSED, ids=[f"{n}-{next(iter(row[1]), '')}" for n, row in enumerate(REFUSED)]
)
def test_a_batch_of_something_else_is_refused_in_words(
    spec: Spec, given: dict[str, Any], kind: type[xent.XentError], words: str
) -> None:
    state = Totals(spec)
    before = state.to_bytes()
    with pytest.raises(kind) as refused:
        state.update(Batch(**{"values": P, "target": Y} | given))
    assert type(refused.value) is kind
    assert str(refused.value).removesuffix(" Make the two agree.") == words
    assert state.to_bytes() == before


FOREIGN: dict[str, tuple[Callable[[], object], str]] = {
    "a spec": (lambda: Totals(None), "a state counts what a Spec says; found NoneType. Give a Spec."),  # type: ignore[arg-type]
    "a batch": (lambda: Totals(PLAIN).update((P, Y)), "rows come in a Batch; found tuple. Give a Batch."),  # type: ignore[arg-type]
    "a state": (lambda: Totals(PLAIN).merge(None), "a state merges with another; found NoneType. Give a Totals."),  # type: ignore[arg-type]
    "a flag": (
        lambda: Totals(PLAIN, skip_unfit="no"),  # type: ignore[arg-type]
        "skip_unfit must be True or False; found 'no'. Say which.",
    ),
    "states": (
        lambda: Comparison.of(b"", Totals(PLAIN)),  # type: ignore[arg-type]
        "states of models are compared; found bytes. Give a Totals.",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_of_another_type_is_refused_in_words(name: str) -> None:
    call, words = FOREIGN[name]
    with pytest.raises(xent.DTypeError) as refused:
        call()
    assert str(refused.value) == words


@pytest.mark.parametrize("given", ["abc", None, 1.5, -1, 10**12], ids=str)
def test_a_state_is_read_from_bytes_alone(given: Any) -> None:
    with pytest.raises(xent.DTypeError) as refused:
        Totals.from_bytes(given)
    words = f"a state is read from bytes; found {type(given).__name__}. Give what Totals.to_bytes wrote."
    assert str(refused.value) == words


def test_a_state_is_read_from_whatever_holds_its_bytes() -> None:
    data = counted()
    for same in (bytearray(data), memoryview(data), np.frombuffer(data, np.uint8)):
        assert Totals.from_bytes(same).to_bytes() == data  # type: ignore[arg-type]


GIVEN: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"classes": ["a", "b", "c", "d"], "top_k": [np.int64(2)]}, {"top_k": (2,)}),
    ({"classes": np.array(["a", "b", "c", "d"]), "top_k": np.array([2, 3])}, {"top_k": (2, 3)}),
    ({"bins": np.int64(10)}, {"bins": 10}),
    ({"sum_tolerance": np.float32(0.5**7)}, {"sum_tolerance": 0.5**7}),
    ({"sum_tolerance": Fraction(1, 128)}, {"sum_tolerance": 0.5**7}),
    ({"sum_tolerance": 0}, {"sum_tolerance": 0.0}),
    ({"weighted": np.True_, "kind": np.str_("probs")}, {"weighted": True}),
    ({"by": np.str_("g")}, {"by": "g"}),
]


@pytest.mark.parametrize(("given", "kept"), GIVEN, ids=range(len(GIVEN)))
def test_a_spec_is_its_own_copy_from_bytes(given: dict[str, Any], kept: dict[str, Any]) -> None:
    spec = Spec(**{"kind": "probs", "classes": ("a", "b", "c", "d")} | given)
    assert spec == Spec("probs", ("a", "b", "c", "d"), **kept)
    copy = Totals.from_bytes(Totals(spec).to_bytes())
    copy.merge(Totals(spec))
    assert copy.spec == spec


CLASSES = 'classes must be a list of names; found {}. Name them in the order of the columns, say ["no", "yes"].'
NAMES = "names of classes must be texts; found {}. Give str() of each."
TOP_K = "top_k must be a list of whole numbers; found {}. One alone is a list as well: top_k=[2]."
BINS = "bins must be a whole number; found {}. Give an int."
TOLERANCE = "sum_tolerance must be a number or None; found {}. 0.001 serves probabilities of three decimals."
KINDS = "'logits', 'log-probs', 'probs', 'target-log-probs'"
KIND = f"kind must be one of {KINDS}; found {{}}. It says what the numbers are; nothing guesses."
NO_SPEC: list[tuple[dict[str, Any], str]] = [
    ({"classes": "ab"}, CLASSES.format("'ab'")),
    ({"classes": None}, CLASSES.format("None")),
    ({"classes": {"a"}}, CLASSES.format("{'a'}")),
    ({"classes": (0, 1)}, NAMES.format("0")),
    ({"classes": [b"a", b"b"]}, NAMES.format("b'a'")),
    ({"classes": ["a" * 9, ("b",) * 40]}, NAMES.format("tuple")),
    ({"top_k": 2}, TOP_K.format("2")),
    ({"top_k": "2"}, TOP_K.format("'2'")),
    ({"top_k": [2.5]}, "each number in top_k must be a whole number; found 2.5. Give an int."),
    ({"bins": 7.5}, BINS.format("7.5")),
    ({"bins": 15.0}, BINS.format("15.0")),
    ({"bins": True}, BINS.format("True")),
    ({"sum_tolerance": "x"}, TOLERANCE.format("'x'")),
    ({"sum_tolerance": True}, TOLERANCE.format("True")),
    ({"by": 5}, "by must be the name of a column or None; found 5. Give its name as a text."),
    ({"weighted": 0}, "weighted must be True or False; found 0. Say which."),
    ({"sized": "no"}, "sized must be True or False; found 'no'. Say which."),
]


@pytest.mark.parametrize(("given", "words"), NO_SPEC, ids=[str(given) for given, _ in NO_SPEC])
def test_a_spec_of_something_else_is_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(xent.DTypeError) as refused:
        Spec(**{"kind": "probs", "classes": ("a", "b")} | given)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": None}, KIND.format("None")),
        ({"kind": ["probs"]}, KIND.format("['probs']")),
        (
            {"sum_tolerance": 10**400},
            "sum_tolerance must lie in [0, 0.1]; found inf. 0.001 serves probabilities of three decimals.",
        ),
    ],
    ids=["no kind", "a list", "beyond float64"],
)
def test_options_out_of_range_are_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(xent.ArgumentError) as refused:
        Spec(**{"kind": "probs", "classes": ("a", "b")} | given)
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"top_k": 2}, TOP_K.format("2")),
        ({"top_k": [2.5]}, "each number in top_k must be a whole number; found 2.5. Give an int."),
        ({"classes": None}, CLASSES.format("None")),
        ({"classes": "ab"}, CLASSES.format("'ab'")),
        ({"classes": [0.5, 1]}, NAMES.format("0.5")),
        ({"bins": 7.5}, BINS.format("7.5")),
        ({"sum_tolerance": "x"}, TOLERANCE.format("'x'")),
        ({"skip_unfit": "no"}, "skip_unfit must be True or False; found 'no'. Say which."),
    ],
    ids=str,
)
def test_options_of_evaluate_are_refused_in_words(given: dict[str, Any], words: str) -> None:
    with pytest.raises(xent.DTypeError) as refused:
        xent.evaluate(P, Y, kind="probs", **given)
    assert str(refused.value) == words


def test_choices_are_kept_plain() -> None:
    assert Choices([np.int64(2)], np.int8(10), np.float64(0.01)) == Choices((2,), 10, 0.01)  # type: ignore[arg-type]
    with pytest.raises(xent.DTypeError, match="bins must be a whole number"):
        Choices(bins="15")  # type: ignore[arg-type]


def test_classes_that_are_whole_numbers_are_called_by_their_texts(rows: Rows) -> None:
    for classes in ([4, 3, 2, 1, 0], np.arange(5)[::-1]):
        found = xent.evaluate(rows.probs, rows.target, kind="probs", classes=classes)
        named = xent.evaluate(rows.probs, rows.target, kind="probs", classes=["4", "3", "2", "1", "0"])
        assert found.to_json() == named.to_json()
    truth = xent.evaluate(P, Y, kind="probs", classes=[False, True])
    assert [one.name for one in truth.by_class] == ["False", "True"]
