"""The state is a commutative monoid: no order, batch, thread or retry changes a bit of it."""

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Batch, Spec, Totals, evaluation
from xent.evaluate.state import kept
from xent.evaluate.state.packed import DIGEST, MAGIC


def parts(rows: Rows, sizes: list[int]) -> Iterator[Totals]:
    start = 0
    for size in sizes:
        part = Totals(rows.spec)
        part.update(rows.batch(start, start + size))
        yield part
        start += size


@pytest.mark.parametrize("sizes", [[1] * 10 + [990], [333, 333, 334], [999, 1], [500, 0, 500]])
def test_parts_merged_in_any_order_are_the_whole_to_the_bit(rows: Rows, sizes: list[int]) -> None:
    whole = rows.totals().to_bytes()
    states = list(parts(rows, sizes))
    for order in (states, states[::-1], states[1:] + states[:1]):
        merged = Totals(rows.spec)
        for state in order:
            merged.merge(state)
        assert merged.to_bytes() == whole


def test_merging_is_associative(rows: Rows) -> None:
    a, b, c = (part.to_bytes() for part in parts(rows, [100, 400, 500]))

    def merged(one: bytes, other: bytes) -> bytes:
        state = Totals.from_bytes(one)
        state.merge(Totals.from_bytes(other))
        return state.to_bytes()

    assert merged(merged(a, b), c) == merged(a, merged(b, c)) == merged(merged(c, a), b)


def test_the_zero_changes_nothing(rows: Rows) -> None:
    state = rows.totals()
    before = state.to_bytes()
    state.merge(Totals(rows.spec))
    assert state.to_bytes() == before
    zero = Totals(rows.spec)
    zero.merge(state)
    assert zero.to_bytes() == before


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_threads_change_no_bit(rows: Rows, threads: int) -> None:
    whole = rows.totals().to_bytes()
    try:
        xent.set_num_threads(threads)
        assert rows.totals().to_bytes() == whole
    finally:
        xent.set_num_threads(None)


def test_the_sample_keeps_the_same_rows_whatever_their_order(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xent.evaluate.totals.sample_size", lambda n_classes: 37)
    whole = rows.totals()
    assert whole.sample is not None
    assert len(whole.sample) == 37
    merged = Totals(rows.spec)
    for state in reversed(list(parts(rows, [250, 250, 250, 250]))):
        merged.merge(state)
    assert merged.to_bytes() == whole.to_bytes()
    one_by_one = Totals(rows.spec)
    for start in reversed(range(0, 1000, 50)):
        one_by_one.update(rows.batch(start, start + 50))
    assert one_by_one.to_bytes() == whole.to_bytes()


def test_the_most_surprising_rows_are_kept(rows: Rows) -> None:
    worst = rows.totals().worst
    assert worst is not None
    assert len(worst) == kept.MOST_WORST
    expected = np.argsort(-rows.nats, kind="stable")[: kept.MOST_WORST]
    assert worst.columns["row"].tolist() == expected.tolist()
    assert worst.columns["id"].tolist() == [rows.ids[n] for n in expected]
    np.testing.assert_allclose(worst.columns["nats"], rows.nats[expected], rtol=1e-12)


def test_the_size_does_not_depend_on_the_rows() -> None:
    spec = Spec("logits", ("a", "b", "c"))
    lengths: list[int] = []
    for n in (100_000, 400_000):
        rng = np.random.default_rng(0)
        state = Totals(spec)
        state.update(Batch(rng.normal(size=(n, 3)).astype(np.float32), rng.integers(0, 3, n)))
        lengths.append(len(state.to_bytes()))
    assert lengths[1] < 1.05 * lengths[0]


def test_states_of_different_things_do_not_merge(rows: Rows) -> None:
    with pytest.raises(xent.ArgumentError, match="count the same things"):
        rows.totals().merge(Totals(Spec("logits", rows.names)))


def test_a_refused_batch_leaves_the_state_as_it_was(rows: Rows) -> None:
    state = rows.totals()
    before = state.to_bytes()
    bad = rows.batch(0, 10)
    bad.values[3, 0], kept_value = np.nan, bad.values[3, 0]
    try:
        with pytest.raises(xent.DistributionError, match=r"row 3 \(id 'id-3'\)"):
            state.update(bad)
    finally:
        bad.values[3, 0] = kept_value
    assert state.to_bytes() == before


def test_bytes_return_the_state(rows: Rows) -> None:
    state = Totals.from_bytes(rows.totals().to_bytes())
    assert evaluation(state).to_json() == evaluation(rows.totals()).to_json()


def test_bytes_hold_no_pickle(rows: Rows) -> None:
    data = rows.totals().to_bytes()
    length = int.from_bytes(data[len(MAGIC) + 2 : len(MAGIC) + 10], "little")
    header = json.loads(data[len(MAGIC) + 10 :][:length])
    assert {dtype for _, dtype, _ in header["arrays"]} <= {"<u4", "<i8", "<u8", "<f8", "<f4"}


def test_every_altered_byte_is_found(rows: Rows) -> None:
    small = Totals(Spec("target-log-probs"))
    small.update(Batch(np.array([-1.0, -2.0]), np.zeros(2, np.int64)))
    data = small.to_bytes()
    for place in [*range(0, 200), len(data) - DIGEST - 1, len(data) - 1]:
        altered = bytearray(data)
        altered[place] ^= 0x40
        with pytest.raises(xent.ArgumentError):
            Totals.from_bytes(bytes(altered))


def forged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """A small state with another header, and a checksum that is right."""
    state = Totals(Spec("probs", ("a", "b"), by="g"))
    state.update(Batch(np.full((3, 2), 0.5), np.array([0, 1, 1]), group=["x", "y", "x"]))
    body = state.to_bytes()[:-DIGEST]
    start = len(MAGIC) + 10
    length = int.from_bytes(body[len(MAGIC) + 2 : start], "little")
    header = json.loads(body[start : start + length])
    changed = change(header)
    text = changed if isinstance(changed, bytes) else json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    data = body[: len(MAGIC) + 2] + len(text).to_bytes(8, "little") + text + body[start + length :]
    return data + hashlib.blake2b(data, digest_size=DIGEST).digest()


def put(*path: object) -> Callable[[dict[str, Any]], object]:
    """Put the last of these where the others lead."""

    def change(header: dict[str, Any]) -> None:
        place: Any = header
        for step in path[:-2]:
            place = place[step]
        place[path[-2]] = path[-1]

    return change


FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no JSON": lambda header: b"{",
    "deep": lambda header: b"[" * 200_000,
    "a list": lambda header: b"[]",
    "digits": lambda header: b"9" * 5000,
    "no text": lambda header: b"\xff\xfe",
    "no arrays": lambda header: header.pop("arrays") and None,
    "an array twice": lambda header: header["arrays"].append(header["arrays"][0]),
    "a huge array": put("arrays", 0, 2, [2**70, 0]),
    "a negative array": put("arrays", 0, 2, [-1]),
    "a shape that is none": put("arrays", 0, 2, 5),
    "objects": put("arrays", 0, 1, "|O"),
    "places far up": put("low", "bucket_nats", 10**7),
    "places below": put("low", "bucket_nats", -1),
    "infinite places": put("low", "bucket_nats", 1e400),
    "negative counts": put("counts", "rows", -1),
    "counts as text": put("counts", "rows", "3"),
    "a print beyond 64 bits": put("print", 2**64),
    "a print of weights beyond 64 bits": put("weight_print", 2**64),
    "a print of no weights": put("weight_print", 7),
    "groups out of order": put("groups", ["y", "x"]),
    "groups that are none": put("groups", [1, {}]),
    "a group too many": put("groups", ["x", "y", "z"]),
    "no ids": put("ids", []),
    "ids of null": put("ids", [None] * 3),
    "ids that are numbers": put("ids", [1, 2, 3]),
    "more left out than there is": put("counts", "ignored", 7),
    "more infinite than counted": put("counts", "infinite", 4),
    "hits of more than there is": lambda header: header["low"].update(cell_hits=header["low"]["cell_hits"] + 1),
    "probabilities that look like themselves": put("alike", True),
    "an answer that is none": put("alike", 0),
    "another class": put("spec", "classes", ["a", "b", "c"]),
    "a spec of nothing": put("spec", {}),
    "a name that is a number": put("spec", "by", 5),
}


def test_a_state_as_it_was_is_no_forgery() -> None:
    assert Totals.from_bytes(forged(lambda header: None)).counts["rows"] == 3


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_header_is_refused(name: str) -> None:
    with pytest.raises(xent.ArgumentError):
        Totals.from_bytes(forged(FORGERIES[name]))


def test_a_state_is_not_merged_with_itself_and_a_copy_is_its_own(rows: Rows) -> None:
    state = rows.totals()
    before, twin = state.to_bytes(), copy.copy(state)
    with pytest.raises(xent.ArgumentError) as refused:
        state.merge(state)
    assert str(refused.value) == "no row may be counted twice; a state is to be merged with itself. Merge it with another."
    twin.merge(rows.totals())
    assert state.to_bytes() == before != twin.to_bytes()


def test_rows_that_tie_but_for_the_sign_of_a_zero_are_the_same_row() -> None:
    spec = Spec("log-probs", ("a", "b"), weighted=True)
    states: list[bytes] = []
    for first, second in ((0.0, -0.0), (-0.0, 0.0)):
        whole = Totals(spec)
        for zero in (first, second):
            whole.update(Batch(np.array([[zero, -np.inf]]), np.array([0]), source=-1, weight=np.array([zero])))
        states.append(whole.to_bytes())
    assert states[0] == states[1]


def test_small_parts_do_not_pile_up(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xent.evaluate.totals.sample_size", lambda n_classes: 37)
    whole = Totals(rows.spec)
    for start in range(200):
        whole.update(rows.batch(start, start + 1))
        assert len(whole._waiting) <= 64
    at_once = Totals(rows.spec)
    at_once.update(rows.batch(0, 200))
    assert whole.to_bytes() == at_once.to_bytes()


@pytest.mark.parametrize("length", [0, 5, 30, 1000])
def test_cut_bytes_are_refused(rows: Rows, length: int) -> None:
    with pytest.raises(xent.ArgumentError, match=r"Totals\.to_bytes"):
        Totals.from_bytes(rows.totals().to_bytes()[:length])


def test_infinite_losses_are_counted_and_the_mean_is_infinite() -> None:
    state = Totals(Spec("probs", ("a", "b")))
    state.update(Batch(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([1, 0])))
    result = evaluation(state)
    assert result.infinite == 1
    assert math.isinf(result.log_loss_nats.value)
    assert result.log_loss_nats.low is None
    assert result.finite_log_loss_nats == pytest.approx(math.log(2.0), rel=1e-15)


def test_unlabelled_and_unfit_rows_are_counted_and_add_nothing(rows: Rows) -> None:
    values, target = rows.logits.copy(), rows.target.copy()
    values[5], values[6], values[9], target[6], target[7] = np.nan, np.inf, np.inf, -1, -1
    state = Totals(Spec("logits", rows.names), skip_unfit=True)
    state.update(Batch(values, target))
    plain = Totals(Spec("logits", rows.names))
    left = np.delete(np.arange(rows.n), [5, 6, 7, 9])
    plain.update(Batch(rows.logits[left], rows.target[left]))
    assert state.counts == {"rows": 1000, "ignored": 2, "infinite": 0, "unfit": 2, "nan": 1, "placed": 0}
    for name in ("bucket_nats", "class_nats", "cell_weight"):
        assert state.sums[name].total() == plain.sums[name].total()


def test_rows_of_one_id_stand_in_the_order_of_what_they_hold() -> None:
    spec = Spec("probs", ("a", "b", "c"))
    key = np.full(1, 7, np.uint64)
    rows = [np.array([[0.5, 0.3, 0.2]]), np.array([[0.5, 0.2, 0.3]]), np.array([[0.5, 0.25, 0.25]])]
    states: list[bytes] = []
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        state = Totals(spec)
        for number in order:
            state.update(Batch(rows[number], np.zeros(1, np.int64), source=-1, keys=key))
        states.append(state.to_bytes())
    assert states[0] == states[1] == states[2]


def test_groups_are_told_apart_to_the_last_character() -> None:
    state = Totals(Spec("probs", ("a", "b"), by="g"))
    names = ["x", "x\0", "x\0\0", "q" * 1_000_000]
    state.update(Batch(np.full((4, 2), 0.5), np.zeros(4, np.int64), group=names))
    assert sorted(names) == list(state.groups)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("size", [1, 7, 40])
def test_logits_are_refused_only_where_all_are_distributions_in_any_order(order: slice, size: int) -> None:
    alike = np.random.default_rng(0).dirichlet([1.0, 1.0], 40)
    for last, refused in (([0.5, 0.5], True), ([0.5, 0.6], False), ([1.5, -0.5], False)):
        values = np.vstack([alike[1:], last])[order]
        parts: list[Totals] = []
        for start in range(0, 40, size):
            part = Totals(Spec("logits", ("a", "b")))
            part.update(Batch(values[start : start + size], np.zeros(len(values[start : start + size]), np.int64), first=start))
            parts.append(Totals.from_bytes(part.to_bytes()))
        whole = Totals(Spec("logits", ("a", "b")))
        for part in parts:
            whole.merge(part)
        if not refused:
            assert evaluation(whole).counted == 40
            continue
        with pytest.raises(xent.DistributionError, match="logits are any real numbers; all 40 rows"):
            evaluation(whole)


def test_few_logits_may_look_like_distributions() -> None:
    for rows, refused in ((19, False), (20, True)):
        state = Totals(Spec("logits", ("a", "b")))
        state.update(Batch(np.array([[1.0, 0.0]] * rows + [[2.0, 2.0]]), np.array([0] * rows + [-1])))
        assert state.alike
        if refused:
            with pytest.raises(xent.DistributionError, match="all 20 rows"):
                evaluation(state)
        else:
            assert evaluation(state).counted == 19


def test_the_state_of_no_rows_is_one_and_has_no_mean() -> None:
    zero = Totals.from_bytes(Totals(Spec("logits", ("a", "b"))).to_bytes())
    with pytest.raises(xent.ArgumentError, match="there must be rows to judge; there is none"):
        evaluation(zero)
