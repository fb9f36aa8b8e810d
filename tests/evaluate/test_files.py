"""The same rows give the same result in every format, layout and order of reading; what is declared wrongly is refused."""

import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather
import pyarrow.parquet as pa_parquet
import pytest
import torch

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Columns, Comparison, Totals, metadata
from xent.evaluate.inputs import numpy_files
from xent.evaluate.inputs.files import found_files

NAMES = ("k0", "k1", "k2", "k3", "k4")


@pytest.fixture(scope="module")
def table(rows: Rows) -> pa.Table:
    probs = {f"p_{name}": rows.probs[:, n] for n, name in enumerate(rows.names)}
    target = np.array(rows.names)[rows.target]
    return pa.table({**probs, "y": target, "w": rows.weight, "bytes": rows.size, "g": rows.group, "id": rows.ids})


@pytest.fixture(scope="module")
def whole(rows: Rows) -> str:
    return xent.evaluate(rows.probs, rows.target, kind="probs", classes=NAMES, weight=rows.weight).to_json()


def write_parquet(table: pa.Table, path: Path) -> None:
    pa_parquet.write_table(table, path, row_group_size=77)


def write_feather(table: pa.Table, path: Path) -> None:
    pa_feather.write_feather(table, path, chunksize=91)


def write_stream(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=130)


def write_json(table: pa.Table, path: Path) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "a.parquet": write_parquet,
    "a.feather": write_feather,
    "a.arrow": write_stream,
    "a.csv": pa_csv.write_csv,
    "a.jsonl": write_json,
    "a.PARQUET": write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_result(tmp_path: Path, table: pa.Table, whole: str, name: str) -> None:
    WRITERS[name](table, tmp_path / name)
    assert xent.evaluate(tmp_path / name, "y", kind="probs", columns="p_", weight="w").to_json() == whole


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_so_do_arrays_in_an_archive(tmp_path: Path, rows: Rows, whole: str, save: Callable[..., None]) -> None:
    save(tmp_path / "a.npz", p=rows.probs, y=rows.target, w=rows.weight)
    found = xent.evaluate(str(tmp_path / "a.npz"), "y", kind="probs", columns="p", classes=NAMES, weight="w")
    assert found.to_json() == whole


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_so_do_values_of_pandas_column_by_column(tmp_path: Path, rows: Rows, whole: str, save: Callable[..., None]) -> None:
    values = pd.DataFrame(dict(enumerate(rows.probs.T))).to_numpy()
    assert np.isfortran(values)
    save(tmp_path / "a.npz", y=rows.target, p=values, w=rows.weight)
    found = xent.evaluate(str(tmp_path / "a.npz"), "y", kind="probs", columns="p", classes=NAMES, weight="w")
    assert found.to_json() == whole


def test_arrays_column_by_column_are_read_in_strips(tmp_path: Path, rows: Rows) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(rows.probs.astype(">f4")))
    with open(tmp_path / "b.npz", "wb") as file:
        np.savez(file, names=np.array(["a", "bc"] * 500), predictions=np.asfortranarray(rows.probs.astype(">f4")))
    for reader, name in ((numpy_files.NPY, "a.npy"), (numpy_files.NPZ, "b.npz")):
        strips = list(reader.batches(str(tmp_path / name), ["predictions"], 300))
        assert [strip.num_rows for strip in strips] == [300, 300, 300, 100]
        found = np.concatenate([strip.column(0).flatten().to_numpy() for strip in strips])
        assert (found == rows.probs.astype(np.float32).reshape(-1)).all()


def test_a_compressed_array_column_by_column_may_be_so_long(tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", p=np.asfortranarray(rows.probs), y=rows.target)
    monkeypatch.setattr(numpy_files, "MOST_PACKED", 1000)
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(str(tmp_path / "a.npz"), "y", kind="probs", columns="p")
    assert str(refused.value) == (
        f"an array must be plain numbers or texts in rows, as long as it declares; {tmp_path / 'a.npz'} 'p': it is compressed, "
        "lies column by column, and has 40128 bytes, more than 1000. Save numpy.ascontiguousarray of it, or all by numpy.savez."
    )


def test_so_does_a_structured_array(tmp_path: Path, rows: Rows, whole: str) -> None:
    held = np.zeros(rows.n, [*((f"p_{name}", "f8") for name in NAMES), ("y", "U2"), ("w", "f8")])
    for n, name in enumerate(NAMES):
        held[f"p_{name}"] = rows.probs[:, n]
    held["y"], held["w"] = np.array(NAMES)[rows.target], rows.weight
    np.save(tmp_path / "a.npy", held)
    assert xent.evaluate(str(tmp_path / "a.npy"), "y", kind="probs", columns="p_", weight="w").to_json() == whole


@pytest.mark.parametrize("kind", [pa.list_(pa.float64(), 5), pa.list_(pa.float64()), pa.large_list(pa.float64())], ids=str)
def test_so_does_a_column_of_lists(rows: Rows, whole: str, kind: pa.DataType) -> None:
    table = pa.table({"p": pa.array(rows.probs.tolist(), kind), "y": rows.target, "w": rows.weight})
    assert xent.evaluate(table, "y", kind="probs", columns="p", classes=NAMES, weight="w").to_json() == whole


@pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.float64, "names", "dictionary", "large", "numbers as text"])
def test_so_does_every_type_of_label(rows: Rows, table: pa.Table, whole: str, kind: object) -> None:
    names = pa.array(np.array(NAMES)[rows.target])
    labels = {
        "names": names,
        "dictionary": names.dictionary_encode(),
        "large": names.cast(pa.large_string()),
        "numbers as text": pa.array(rows.target.astype(str)),
    }
    target = labels[kind] if isinstance(kind, str) else pa.array(rows.target.astype(kind))  # type: ignore[call-overload]
    changed = table.set_column(table.column_names.index("y"), "y", target)
    assert xent.evaluate(changed, "y", kind="probs", columns="p_", weight="w").to_json() == whole


def test_so_do_data_frames_tensors_and_batches(rows: Rows, table: pa.Table, whole: str) -> None:
    options = {"kind": "probs", "classes": NAMES}
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert xent.evaluate(frame, "y", kind="probs", columns="p_", weight="w").to_json() == whole
    probs = torch.tensor(rows.probs, requires_grad=True)
    assert xent.evaluate(probs, torch.tensor(rows.target), weight=rows.weight, **options).to_json() == whole
    cuts = range(0, rows.n, 123)
    pairs = ((rows.probs[n : n + 123], rows.target[n : n + 123], rows.weight[n : n + 123]) for n in cuts)
    assert xent.evaluate(pairs, **options).to_json() == whole
    named = ({"predictions": p, "target": t, "weight": w} for p, t, w in [(rows.probs, rows.target, rows.weight)])
    assert xent.evaluate(named, **options).to_json() == whole


def test_columns_may_be_named_one_by_one(table: pa.Table, whole: str) -> None:
    columns = ", ".join(f"p_{name}" for name in NAMES)
    assert xent.evaluate(table, "y", kind="probs", columns=columns, classes=NAMES, weight="w").to_json() == whole


def test_a_file_may_say_itself_what_it_holds(tmp_path: Path, table: pa.Table, whole: str) -> None:
    said = table.replace_schema_metadata(metadata(Columns("y", "probs", "p_", weight="w")))
    pa_parquet.write_table(said, tmp_path / "a.parquet")
    assert xent.evaluate(tmp_path / "a.parquet").to_json() == whole


def test_parts_in_files_are_read_in_the_order_of_their_names(tmp_path: Path, table: pa.Table) -> None:
    folder = tmp_path / "parts"
    (folder / "deep").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for n, name in enumerate(["b.parquet", "a.parquet", "deep/c.parquet"]):
        pa_parquet.write_table(table.slice(300 * n, 300 if n < 2 else None), folder / name)
    (folder / ".hidden" / "x.parquet").write_bytes(b"left over")
    (folder / "_SUCCESS").write_bytes(b"")
    options = {"kind": "probs", "columns": "p_", "id": "id"}
    parts = xent.evaluate(folder, "y", **options)
    assert parts.to_json() == xent.evaluate(str(folder / "**/*.parquet"), "y", **options).to_json()
    alone = xent.evaluate(table, "y", **options)
    assert parts.log_loss_nats == alone.log_loss_nats
    assert [row.id for row in parts.surprising] == [row.id for row in alone.surprising]


def test_groups_weights_bytes_and_ids_come_from_columns(rows: Rows, table: pa.Table) -> None:
    result = xent.evaluate(table, "y", kind="probs", columns="p_", weight="w", size="bytes", by="g", id="id")
    assert [row.name for row in result.by_group] == ["a", "b", "c"]
    assert result.bits_per_byte is not None
    assert result.surprising[0].id == f"id-{np.argmax(rows.nats)}"


@pytest.mark.parametrize("kind", ["probs", "logits", "log-probs"])
def test_one_score_a_row_is_that_of_the_second_of_two_classes(kind: str) -> None:
    two = Rows(200, 2)
    score = {"probs": two.probs[:, 1], "logits": two.logits[:, 1] - two.logits[:, 0], "log-probs": np.log(two.probs[:, 1])}[kind]
    found = xent.evaluate(pa.table({"s": score, "y": two.target}), "y", kind=kind, columns="s")
    assert found.log_loss_nats.value == pytest.approx(two.nats.mean(), rel=1e-13)
    assert found.classes == ("0", "1")


def test_a_language_model_needs_the_targets_log_probability_alone(rows: Rows) -> None:
    table = pa.table({"lp": -rows.nats, "n": rows.size})
    found = xent.evaluate(table, kind="target-log-probs", columns="lp", size="n")
    assert found.perplexity.value == pytest.approx(np.exp(rows.nats.mean()), rel=1e-12)
    assert found.bits_per_byte is not None
    assert found.bits_per_byte.value == pytest.approx(rows.nats.sum() / np.log(2) / rows.size.sum(), rel=1e-12)
    assert found.accuracy is None


def test_rows_without_a_label_are_left_out(rows: Rows, table: pa.Table) -> None:
    target = table.column("y").to_pylist()
    target[3] = target[10] = None
    changed = table.set_column(table.column_names.index("y"), "y", pa.array(target))
    found = xent.evaluate(changed, "y", kind="probs", columns="p_")
    assert (found.rows, found.ignored, found.counted) == (1000, 2, 998)
    assert found.log_loss_nats.value == pytest.approx(np.delete(rows.nats, [3, 10]).mean(), rel=1e-13)


HALF = pa.table({"p_a": [0.5, 0.9], "p_b": [0.5, 0.1], "y": ["a", "b"], "w": [1.0, 2.0]})
LOGITS = pa.table({"p_a": [0.5, 2.9], "p_b": [-0.5, 0.1], "y": ["a", "b"]})

REFUSED: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "nothing declared": (
        lambda: xent.evaluate(HALF, "y"),
        xent.ArgumentError,
        "what predictions are must be declared: --probs, --logits or --log-probs with their columns, or --target-log-probs; "
        "the table has 4 columns ('p_a', 'p_b', 'y', 'w') and says nothing of them. "
        "Say, for instance, --probs p_ --target COLUMN, or kind='probs', columns='p_', target='COLUMN'.",
    ),
    "no target": (
        lambda: xent.evaluate(HALF, kind="probs", columns="p_"),
        xent.ArgumentError,
        "the column of true classes must be declared with --target (target=); the table has 4 columns ('p_a', 'p_b', 'y', 'w'). "
        "Name one of them.",
    ),
    "a kind without columns": (
        lambda: xent.evaluate(HALF, "y", kind="probs"),
        xent.ArgumentError,
        "predictions need their columns; kind is 'probs' and the table has 4 columns ('p_a', 'p_b', 'y', 'w'). "
        "Say, for instance, columns='p_'.",
    ),
    "lists of any length": (
        lambda: xent.evaluate(pa.table({"p": [[0.5, 0.5]], "y": ["a"]}), "y", kind="probs", columns="p"),
        xent.ArgumentError,
        "a column of lists of any length does not say how many classes there are; 'p' of the table is list<item: double>. "
        "Name the classes: --classes cat,dog,fish, or classes=['cat', 'dog', 'fish'].",
    ),
    "too few names": (
        lambda: xent.evaluate(HALF, "y", kind="probs", columns="p_", classes=("a", "b", "c")),
        xent.ArgumentError,
        "--classes (classes=) must name every column of predictions; 3 names for 2 columns. "
        "Name all, in the order of the columns.",
    ),
    "one score and names": (
        lambda: xent.evaluate(pa.table({"s": [0.5], "y": ["cat"]}), "y", kind="probs", columns="s"),
        xent.LabelError,
        "true classes must be among the 2 of the columns ('0', '1'); row 0 of the table holds 'cat' in 'y' (1 such rows). "
        "One column of scores names no classes: --classes FIRST,SECOND (classes=) does; the score is the second's.",
    ),
    "no such target": (
        lambda: xent.evaluate(HALF, "yy", kind="probs", columns="p_"),
        xent.ArgumentError,
        "--target (target=) must name a column; 'yy' is none of the 4 columns ('p_a', 'p_b', 'y', 'w') of the table. "
        "Did you mean 'y'?",
    ),
    "a prefix of nothing": (
        lambda: xent.evaluate(HALF, "y", kind="probs", columns="q_"),
        xent.ArgumentError,
        "--probs (columns=) must name columns, or begin the names of at least two; "
        "'q_' begins 0 of the 4 columns ('p_a', 'p_b', 'y', 'w') of the table. "
        "Several columns are written with commas between them.",
    ),
    "logits declared as probabilities": (
        lambda: xent.evaluate(LOGITS, "y", kind="probs", columns="p_"),
        xent.DistributionError,
        "each row of probs must be a distribution, whose probabilities are at least 0 and sum to 1 within 1e-06; "
        "in row 0 of the table they sum to 0 and one is -0.5 (2 such rows). Are these logits, or log-probabilities? Say so.",
    ),
    "logits declared as log-probabilities": (
        lambda: xent.evaluate(LOGITS, "y", kind="log-probs", columns="p_"),
        xent.DistributionError,
        "each row of log-probs must be a distribution, whose probabilities are at least 0 and sum to 1 within 1e-06; "
        "in row 0 of the table they sum to 2.25525193 and one is 0.5 (2 such rows). Are these logits, or probabilities? Say so.",
    ),
    "probabilities declared as logits": (
        lambda: xent.evaluate(pa.concat_tables([HALF] * 10), "y", kind="logits", columns="p_"),
        xent.DistributionError,
        "logits are any real numbers; all 20 rows hold no negative number and each sums to 1. "
        "They look like probabilities: declare them so, by --probs or kind='probs'.",
    ),
    "probabilities declared as the target's logarithm": (
        lambda: xent.evaluate(HALF, kind="target-log-probs", columns="w"),
        xent.DistributionError,
        "log-probabilities must be at most 0; row 0 of the table holds 1 (2 such rows). "
        "Are these probabilities? Take their logarithm.",
    ),
    "losses declared as log-probabilities": (
        lambda: xent.evaluate(np.array([3.25]), kind="target-log-probs"),
        xent.DistributionError,
        "log-probabilities must be at most 0; row 0 of the arrays holds 3.25 (1 such rows). "
        "Are these losses, −log p? Change their sign.",
    ),
    "top-k of targets alone": (
        lambda: xent.evaluate(np.array([-3.25]), kind="target-log-probs", top_k=[3]),
        xent.ArgumentError,
        "top_k needs predictions for every class; found 3 for targets alone. Leave it out.",
    ),
    "a label without a column": (
        lambda: xent.evaluate(HALF.set_column(2, "y", pa.array(["a", "c"])), "y", kind="probs", columns="p_"),
        xent.LabelError,
        "true classes must be among the 2 of the columns ('a', 'b'); row 1 of the table holds 'c' in 'y' (1 such rows). "
        "Is a column missing, or does the label need another spelling? An empty cell leaves a row out.",
    ),
    "a negative weight": (
        lambda: xent.evaluate(HALF.set_column(3, "w", pa.array([1.0, -2.0])), "y", kind="probs", columns="p_", weight="w"),
        xent.ArgumentError,
        "weights must be 0 or lie in [1e-75, 1e+75]; row 1 of the table holds -2 (1 such rows). "
        "0 leaves a row out; of weights only their ratios matter, so divide all by the greatest.",
    ),
    "a weight without a square": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), np.zeros(2, int), kind="probs", weight=np.array([1e-170, 0.0])),
        xent.ArgumentError,
        "weights must be 0 or lie in [1e-75, 1e+75]; row 0 of the arrays holds 1e-170 (1 such rows). "
        "0 leaves a row out; of weights only their ratios matter, so divide all by the greatest.",
    ),
    "bytes beyond measure": (
        lambda: xent.evaluate(np.full(2, -1.0), kind="target-log-probs", size=np.array([1.0, 1e80])),
        xent.ArgumentError,
        "numbers of bytes must be 0 or lie in [1e-75, 1e+75]; row 1 of the arrays holds 1e+80 (1 such rows). "
        "Mend or remove these rows.",
    ),
    "labels from 1": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), np.array([1, 2]), kind="probs"),
        xent.LabelError,
        "labels must lie in [0, 2), or be -1 where a row does not count; row 1 of the arrays holds 2 (1 such rows). "
        "Do labels count from 1?",
    ),
    "names with arrays": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), np.array(["a", "b"]), kind="probs"),
        xent.ArgumentError,
        "with arrays the target must be whole numbers or names of classes, one a row; found string. "
        "Names need classes=, in the order of the columns.",
    ),
    "arrays without a target": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), kind="probs"),
        xent.ArgumentError,
        "predictions need their true classes; target is None. Give target=, or an iterable of (predictions, target).",
    ),
    "arrays of no kind": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), np.array([0, 1])),
        xent.ArgumentError,
        'what predictions are must be declared; kind is None. Say kind="probs", "logits", "log-probs" or "target-log-probs".',
    ),
    "no row": (
        lambda: xent.evaluate(HALF.slice(0, 0), "y", kind="probs", columns="p_"),
        xent.ArgumentError,
        "there must be rows to judge; there is none. Is a file empty, or nothing but a header?",
    ),
    "no row that counts": (
        lambda: xent.evaluate(np.array([[0.5, 0.5], [7.0, 7.0]]), np.array([-1, 0]), kind="probs", skip_unfit=True),
        xent.ArgumentError,
        "there must be rows to judge; of 2 rows 1 have no label and 1 are unfit. Are the columns the right ones?",
    ),
    "no row of any weight": (
        lambda: xent.evaluate(np.full((2, 2), 0.5), np.array([0, 1]), kind="probs", weight=np.zeros(2)),
        xent.ArgumentError,
        "there must be rows to judge; every row has weight 0. Is the column of weights the right one?",
    ),
    "no rows to compare": (
        lambda: xent.evaluate.compare(HALF.slice(0, 0), HALF.slice(0, 0), "y", kind="probs", columns="p_"),
        xent.ArgumentError,
        "there must be rows to judge; there is none. Is a file empty, or nothing but a header?",
    ),
    "classes of one number": (
        lambda: xent.evaluate(pa.table({"p_01": [0.5], "p_1": [0.5], "y": [1]}), "y", kind="probs", columns="p_"),
        xent.LabelError,
        "classes must be called by different numbers; '01' and '1' are the same, and labels of the table are numbers. "
        "Write labels as text, or name the classes anew.",
    ),
    "places of classes of other numbers": (
        lambda: xent.evaluate(pa.table({"p_1": [0.5], "p_0": [0.5], "y": ["1"]}), "y", kind="probs", columns="p"),
        xent.LabelError,
        "labels that are numbers must be those of the classes, or their places from 0; in the table they are numbers, "
        "and the classes are called '_1', '_0'. If these are meant, say --classes 1,0 (classes=) or a longer prefix; "
        "else write names as labels.",
    ),
    "no batch": (
        lambda: xent.evaluate(iter([]), kind="probs"),
        xent.ArgumentError,
        "there must be rows to judge; there is no batch. Give at least one.",
    ),
    "bins that cut cells": (
        lambda: xent.evaluate(HALF, "y", kind="probs", columns="p_", bins=7),
        xent.ArgumentError,
        "bins must divide 3600 and be at most 100; found 7. 15 is the default; 10, 12, 20 and 25 serve as well.",
    ),
    "top_k of all": (
        lambda: xent.evaluate(HALF, "y", kind="probs", columns="p_", top_k=(2,)),
        xent.ArgumentError,
        "two classes have no top-k between 1 and all; found 2 with 2 classes. 1 is always counted; C is always right.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_in_these_words(name: str) -> None:
    call, kind, said = REFUSED[name]
    with pytest.raises(kind) as refused:
        call()
    assert str(refused.value) == said


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    pa_parquet.write_table(HALF, tmp_path / "a.parquet")
    pa_parquet.write_table(HALF.append_column("p_c", pa.array([0.0, 0.0])), tmp_path / "b.parquet")
    with pytest.raises(xent.ArgumentError, match=r"all files must have the same columns; .*b\.parquet has 'p_c' besides"):
        xent.evaluate(tmp_path, "y", kind="probs", columns="p_")


def test_a_file_cut_while_it_is_read_is_found(tmp_path: Path, table: pa.Table, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(table, tmp_path / "a.parquet")
    monkeypatch.setattr(pa_parquet.ParquetFile, "iter_batches", lambda self, size, **kwargs: iter([]))
    with pytest.raises(xent.ArgumentError, match=r"a file must hold the rows it declares; .*a\.parquet has 0 of 1000"):
        xent.evaluate(tmp_path / "a.parquet", "y", kind="probs", columns="p_")


def test_skipped_rows_are_counted(rows: Rows) -> None:
    probs = rows.probs.copy()
    probs[7] *= 2
    found = xent.evaluate(probs, rows.target, kind="probs", skip_unfit=True)
    assert (found.unfit, found.counted) == (1, rows.n - 1)


def test_json_holds_every_number(rows: Rows) -> None:
    held = json.loads(
        xent.evaluate(rows.probs, rows.target, kind="probs").to_json(), parse_constant=lambda name: pytest.fail(name)
    )
    assert held["log_loss_nats"]["value"] == pytest.approx(rows.nats.mean(), rel=1e-13)
    assert held["weight"] == rows.n


def test_what_is_not_finite_is_written_in_words() -> None:
    found = xent.evaluate(np.array([[1.0, 0.0]]), np.array([1]), kind="probs")
    assert json.loads(found.to_json())["log_loss_nats"]["value"] == "infinity"
    assert io.StringIO(found.to_json()).read().isascii()


def test_a_frame_of_predictions_takes_its_target_beside_it(rows: Rows, whole: str) -> None:
    frame = pd.DataFrame(rows.probs, columns=list(NAMES))
    names = pd.Series(np.array(NAMES)[rows.target])
    options = {"kind": "probs", "classes": NAMES, "weight": rows.weight}
    assert xent.evaluate(frame, names, **options).to_json() == whole
    assert xent.evaluate(frame, pd.Series(rows.target), **options).to_json() == whole
    assert xent.evaluate(rows.probs, rows.target.astype(np.float32), **options).to_json() == whole


def test_labels_that_are_missing_do_not_count(rows: Rows) -> None:
    target = rows.target.astype(np.float64)
    target[4] = np.nan
    assert xent.evaluate(rows.probs, target, kind="probs").ignored == 1
    with pytest.raises(xent.LabelError, match="labels must be classes, or NaN where there is none"):
        xent.evaluate(rows.probs, np.full(rows.n, 2**64 - 1, np.uint64), kind="probs")


def test_two_models_are_compared_in_one_call(rows: Rows) -> None:
    flat = (rows.probs + 1.0) / (1.0 + rows.classes)
    found = xent.evaluate.compare(rows.probs, flat, rows.target, kind="probs").log_loss_nats
    assert found.first == pytest.approx(rows.nats.mean(), rel=1e-12)
    assert found.difference.value == pytest.approx((rows.nats + np.log(flat[np.arange(rows.n), rows.target])).mean(), rel=1e-10)
    assert found.better > 0.99
    with pytest.raises(xent.ArgumentError, match="models are compared on the same weights"):
        Comparison.of(rows.totals(), rows_with_other_weights(rows))


def rows_with_other_weights(rows: Rows) -> Totals:
    totals = Totals(rows.spec)
    totals.update(replace(rows.batch(), weight=rows.weight + 1.0))
    return totals


def test_linked_folders_are_read_once_and_loops_end(tmp_path: Path, table: pa.Table) -> None:
    for folder in ("here/deep", "there", "here/.left"):
        (tmp_path / folder).mkdir(parents=True)
    for n, name in enumerate(("here/a.parquet", "here/deep/b.parquet", "there/c.parquet", "here/.left/d.parquet")):
        pa_parquet.write_table(table.slice(250 * n, 250), tmp_path / name)
    for link, to in {"linked": "there", "again": "there", "deep/up": "here", "e.parquet": "there/c.parquet"}.items():
        (tmp_path / "here" / link).symlink_to(tmp_path / to)
    found = [os.path.relpath(path, tmp_path) for path in found_files([str(tmp_path / "here")])]
    assert found == ["here/a.parquet", "here/again/c.parquet", "here/deep/b.parquet"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "predictions must be files that exist; a path is empty. Name a file, or . for this folder."),
        ("nowhere", "predictions must be files that exist; there is nothing at nowhere. Check the path."),
        ("a.csv.gz", "a.csv.gz ends in '.gz'. Unpack it first."),
        ("a.TSV", "a.TSV ends in '.TSV'. Write it with commas, as .csv."),
        ("a.json", "a.json ends in '.json'. Write one object a line, as .jsonl."),
        ("a.pt", "a.pt ends in '.pt'. Load it where you trust it, and save the arrays by numpy.savez."),
        ("a.xlsx", "a.xlsx ends in '.xlsx'. Save the sheet as .csv."),
        ("a.strange", "a.strange ends in '.strange'. Convert it."),
        ("a.parquet", "a.parquet is no plain file. Convert it."),
    ],
)
def test_paths_that_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, said: str) -> None:
    monkeypatch.chdir(tmp_path)
    if path.endswith(".parquet"):
        os.mkfifo(path)
    elif "." in path:
        Path(path).touch()
    with pytest.raises(xent.ArgumentError) as refused:
        xent.evaluate(path, kind="probs", columns="p_")
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_columns_that_are_not_parted_by_commas(tmp_path: Path, mark: str) -> None:
    (tmp_path / "a.csv").write_text(f"p_a{mark}p_b{mark}y\n0.5{mark}0.5{mark}a\n")
    for options in ({"kind": "probs", "columns": "p_", "target": "y"}, {"kind": "probs", "columns": "q_"}, {}):
        with pytest.raises(xent.ArgumentError, match=r"1 column \(.*Separate the columns by commas\.$"):
            xent.evaluate(str(tmp_path / "a.csv"), **options)
