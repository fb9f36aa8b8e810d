"""What stands in files and tables, to the last cell: gaps, numbers, names, ids and labels."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xent
from xent.evaluate import Columns, Comparison, count_table
from xent.evaluate.inputs.ids import keys
from xent.evaluate.state.hashing import BUCKETS, buckets

HEADER = "p_a,p_b,y,w\n"
GAP = "p_a,p_b,y,w\n0.5,0.5,a,1\n,0.5,a,1\n0.9,0.1,b,1\n"


def csv(folder: Path, text: str, name: str = "a.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def test_a_row_with_an_empty_prediction_is_skipped_where_that_is_asked_for(tmp_path: Path) -> None:
    path = csv(tmp_path, GAP)
    found = xent.evaluate(path, "y", kind="probs", columns="p_", skip_unfit=True)
    assert (found.rows, found.unfit, found.counted) == (3, 1, 2)
    assert found.log_loss_nats.value == pytest.approx(-np.log([0.5, 0.1]).mean(), rel=1e-15)
    with pytest.raises(xent.DistributionError) as refused:
        xent.evaluate(path, "y", kind="probs", columns="p_")
    assert str(refused.value) == (
        f"predictions must be numbers; row 1 of {path} holds NaN, or nothing, for class 'a' (1 such rows). "
        "Mend these rows, or leave them out and count them: --skip-unfit (skip_unfit=True)."
    )


def test_what_is_no_number_is_never_skipped(tmp_path: Path) -> None:
    for cell in ("?", "1e400", "1e-400", "0,5"):
        path = csv(tmp_path, GAP + f'"{cell}",0.5,a,1\n')
        with pytest.raises(xent.ArgumentError, match=r"numbers are written as .* in row 3 of .* column 'p_a' holds"):
            xent.evaluate(path, "y", kind="probs", columns="p_", skip_unfit=True)


def test_weights_may_not_be_missing(tmp_path: Path) -> None:
    path = csv(tmp_path, "p_a,p_b,y,w\n0.5,0.5,a,1\n0.5,0.5,a,\n")
    with pytest.raises(xent.ArgumentError, match=r"needs a number in this column; row 1 of .* has none in 'w' \(1 such cells\)"):
        xent.evaluate(path, "y", kind="probs", columns="p_", weight="w", skip_unfit=True)


@pytest.mark.parametrize("zero", ["0", "-0.0", "0e-400", ".0", "+0.", "0E5"])
def test_zero_is_zero_however_it_is_written(tmp_path: Path, zero: str) -> None:
    path = csv(tmp_path, f"p_a,p_b,y\n{zero},1.0,b\n")
    assert xent.evaluate(path, "y", kind="probs", columns="p_").log_loss_nats.value == 0.0


@pytest.mark.parametrize("kind", [pa.list_(pa.float64(), 2), pa.list_(pa.float64()), pa.large_list(pa.string())], ids=str)
def test_a_list_that_is_missing_is_a_row_without_a_prediction(kind: pa.DataType) -> None:
    lists = [[0.5, 0.5], None, [0.9, 0.1], [None, 1.0]]
    words = [None if row is None else [None if p is None else str(p) for p in row] for row in lists]
    table = pa.table({"p": pa.array(words if kind.value_type == pa.string() else lists, kind), "y": [0, 0, 1, 1]})
    found = xent.evaluate(table, "y", kind="probs", columns="p", classes=("0", "1"), skip_unfit=True)
    assert (found.rows, found.unfit, found.counted) == (4, 2, 2)
    assert found.log_loss_nats.value == pytest.approx(-np.log([0.5, 0.1]).mean(), rel=1e-15)


def test_cells_of_lists_are_named_by_their_row() -> None:
    lists = pa.array([["0.5", "0.5"], None, ["0.5", "?"]])
    with pytest.raises(xent.ArgumentError, match=r"in row 2 of the table column 'p' holds '\?'"):
        xent.evaluate(pa.table({"p": lists, "y": [0, 0, 0]}), "y", kind="probs", columns="p", classes=("0", "1"))
    short = pa.array([None, [0.5, 0.5], [0.5]])
    with pytest.raises(xent.ArgumentError, match=r"row 2 of the table has 1 in 'p'"):
        xent.evaluate(pa.table({"p": short, "y": [0, 0, 0]}), "y", kind="probs", columns="p", classes=("0", "1"))


def test_whole_numbers_may_be_missing_as_well() -> None:
    table = pa.table({"l_a": pa.array([3, None], pa.int64()), "l_b": [1, 2], "y": ["a", "b"]})
    assert xent.evaluate(table, "y", kind="logits", columns="l_", skip_unfit=True).unfit == 1
    alone = pa.table({"lp": pa.array([-1.0, None])})
    assert xent.evaluate(alone, kind="target-log-probs", columns="lp", skip_unfit=True).unfit == 1
    with pytest.raises(xent.DistributionError, match=r"row 1 of the table holds NaN, or nothing \(1 such rows\)"):
        xent.evaluate(alone, kind="target-log-probs", columns="lp")


def pairs(ids: pa.Array, **columns: object) -> pa.Table:
    return pa.table({"p_a": [0.5, 0.25, 0.75], "p_b": [0.5, 0.75, 0.25], "y": ["a", "b", "b"], "id": ids, **columns})


NUMBERS = [7, -(2**63), 1234567890123456789]


@pytest.mark.parametrize("ids", [pa.array([str(n) for n in NUMBERS]), pa.array(NUMBERS, pa.decimal128(20))], ids=str)
def test_a_number_and_its_text_are_one_id(ids: pa.Array) -> None:
    columns = Columns("y", "probs", "p_", id="id")
    one, other = (count_table(pairs(column), columns) for column in (pa.array(NUMBERS), ids))
    assert one.to_bytes() == other.to_bytes()
    assert Comparison.of(one, other).log_loss_nats.difference.value == 0.0


def test_numbers_of_a_text_file_pair_with_those_of_another(tmp_path: Path) -> None:
    lines = [json.dumps({"p_a": 0.5, "p_b": 0.5, "y": "a", "id": n}) for n in (1, 2.5, 3)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    (tmp_path / "b.csv").write_text("p_a,p_b,y,id\n" + "".join(f"0.5,0.5,a,{n}\n" for n in (3, 1, 2.5)))
    options = {"kind": "probs", "columns": "p_", "id": "id"}
    paths = [str(tmp_path / name) for name in ("a.jsonl", "b.csv")]
    assert xent.evaluate.compare(*paths, "y", **options).log_loss_nats.difference.value == 0.0


def test_every_number_has_a_key_of_its_own() -> None:
    words = ["-0", "00", "0", "01", "1", "-1", str(2**64 - 1), str(2**63), str(2**63 - 1), str(-(2**63)), str(-(2**63) - 1)]
    found = keys(pa.array(words))
    assert len(set(found.tolist())) == len(words)
    unsigned = [2**64 - 1, 2**63, 2**63 - 1, 0, 1]
    assert keys(pa.array(unsigned, pa.uint64())).tolist() == keys(pa.array([str(n) for n in unsigned])).tolist()
    assert keys(pa.array(["x", "12"])).tolist() == [keys(pa.array(["x"]))[0], keys(pa.array([12]))[0]]


def mixed(value: int) -> int:
    """SplitMix64, in whole numbers of Python."""
    z = (value + 0x9E3779B97F4A7C15) % 2**64
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def key_of(text: str) -> int:
    """The key of a text, as it is defined."""
    if re.fullmatch(r"0|-?[1-9][0-9]*", text) and -(2**63) <= int(text) < 2**63:
        return mixed(int(text) % 2**64)
    data = text.encode()
    key = mixed(len(data))
    for start in range(0, len(data), 8):
        key = mixed(key ^ int.from_bytes(data[start : start + 8], "little"))
    return key


def test_keys_of_texts_are_what_they_are_defined_as() -> None:
    words = [
        "",
        "a",
        "12345678",
        "123456789",
        "abcdefgh",
        "abcdefghi",
        "é\u202e𝛼",
        "-",
        "--1",
        "- 1",
        "1-",
        "+1",
        "1.0",
        "x" * 100,
    ]
    words += ["9" * 19, "9" * 20, str(2**63), str(-(2**63)), "-" + "9" * 19, "0", "00", "-0", "1/", "1:", "/1", ":1"]
    column = pa.array(["before", *words, "after"])
    assert keys(column.slice(1, len(words))).tolist() == [key_of(word) for word in words]
    assert keys(pa.array(["", ""])).tolist() == [mixed(0)] * 2
    assert keys(pa.array([], pa.string())).tolist() == []


def test_ids_that_are_much_alike_fall_evenly_and_never_together() -> None:
    n = 200_000
    for form in ("{}-row", "row-{:08}", "{0}{0}", "a{}" + "z" * 20):
        found = keys(pa.array([form.format(number) for number in range(n)]))
        assert len(np.unique(found)) == n
        counts = np.bincount(buckets(found), minlength=BUCKETS)
        assert np.square(counts - n / BUCKETS).sum() / (n / BUCKETS) == pytest.approx(BUCKETS, abs=5 * (2 * BUCKETS) ** 0.5)


def test_ids_that_float64_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"p_a": 0.5, "p_b": 0.5, "y": "a", "id": 9007199254740993}\n')
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(str(tmp_path / "a.jsonl"), "y", kind="probs", columns="p_", id="id")
    assert str(refused.value) == (
        f"ids must be told apart; row 0 of {tmp_path / 'a.jsonl'} holds 9007199254740992 in 'id', "
        "and float64 does not tell it from its neighbours. Write ids as texts."
    )


def test_every_row_has_an_id() -> None:
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(pairs(pa.array(["x", None, "z"])), "y", kind="probs", columns="p_", id="id")
    assert str(refused.value) == "every row needs an id; row 1 of the table has none in 'id'. Fill it, or leave --id (id=) out."


def test_what_has_no_group_is_called_so() -> None:
    groups = pairs(pa.array([1, 2, 3]), g=pa.array(["x", None, ""]))
    found = xent.evaluate(groups, "y", kind="probs", columns="p_", by="g")
    assert [row.name for row in found.by_group] == ["", "(none)", "x"]


def test_labels_may_be_places_where_that_is_said() -> None:
    odd = pa.table({"p_0": [0.5, 0.25], "p_1": [0.5, 0.75], "q_c0": [0.5, 0.5], "q_c1": [0.5, 0.5]})
    odd = odd.append_column("y", pa.array([0, 1])).append_column("t", pa.array(["1", "c0"]))
    named = pa.table({"p_cat": [0.5], "p_dog2": [0.5], "y": [1]})
    for table, target, predictions, placed in (
        (odd, "y", "p_", 0),
        (odd, "y", "p", 2),
        (odd, "t", "q_", 1),
        (named, "y", "p_", 1),
    ):
        assert count_table(table, Columns(target, "probs", predictions)).counts["placed"] == placed


@pytest.mark.parametrize("weight", [1e-75, 1e75])
def test_weights_of_any_measure_give_the_same_intervals(weight: float) -> None:
    rng = np.random.default_rng(0)
    probs, target, group = rng.dirichlet([1.0, 1.0], 300), rng.integers(0, 2, 300), rng.choice(["a", "b"], 300)
    table = pa.table({"p_0": probs[:, 0], "p_1": probs[:, 1], "y": target, "g": group, "w": np.full(300, weight)})
    options = {"kind": "probs", "columns": "p_", "by": "g"}
    heavy, plain = xent.evaluate(table, "y", weight="w", **options), xent.evaluate(table, "y", **options)
    for one, other in zip(heavy.by_group, plain.by_group, strict=True):
        assert one.log_loss_nats.low == pytest.approx(other.log_loss_nats.low, rel=1e-9)
        assert one.log_loss_nats.high == pytest.approx(other.log_loss_nats.high, rel=1e-9)
    far = xent.evaluate(np.array([[0.0, 9e74], [0.0, 0.0]]), np.zeros(2, int), kind="logits", weight=np.full(2, weight))
    assert far.log_loss_nats.value == pytest.approx(4.5e74, rel=1e-12)


def test_text_that_is_none_is_refused() -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 3, [None, pa.py_buffer(np.array([0, 1, 2, 3], np.int32)), pa.py_buffer(b"a\xffb")]
    )
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(pairs(broken), "y", kind="probs", columns="p_", id="id")
    assert str(refused.value) == "text must be UTF-8; column 'id' of the table holds other bytes. Write it anew, from texts."


def test_ids_in_half_precision_are_whole_numbers() -> None:
    columns, numbers = Columns("y", "probs", "p_", id="id"), np.arange(3)
    half, whole = (count_table(pairs(pa.array(ids)), columns) for ids in (numbers.astype(np.float16), numbers))
    assert half.to_bytes() == whole.to_bytes()


def test_an_infinite_label_is_refused_as_it_was_written() -> None:
    with pytest.raises(xent.LabelError) as refused:
        xent.evaluate(np.full((3, 2), 0.5), np.array([0.0, np.inf, np.nan]), kind="probs")
    assert str(refused.value) == (
        "labels must be classes, or NaN where there is none; row 1 of the arrays holds inf (1 such rows). "
        "Mend or remove these rows."
    )


def test_a_score_that_is_always_one_is_a_score() -> None:
    assert xent.evaluate(np.ones(30), np.arange(30) % 2, kind="logits").counted == 30
