"""What Python callers hand over: arrays, tensors, and batches one after the other."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse
import torch

import xent
from tests.evaluate.conftest import Rows

P, T = np.array([[0.5, 0.5], [0.9, 0.1]]), np.array([0, 1])


def judged(*given: Any, **options: Any) -> xent.evaluate.Evaluation:
    return xent.evaluate(*given, **{"kind": "probs"} | options)


def test_groups_and_ids_beside_arrays_give_what_columns_of_a_table_give(rows: Rows) -> None:
    n = len(rows.target)
    group, called = np.array(["a", "b", None] * n, object)[:n], np.arange(n) * 7
    columns = {f"p_{c}": rows.logits[:, c] for c in range(rows.logits.shape[1])}
    table = pa.table(columns | {"y": rows.target, "group": group, "id": called})
    expected = xent.evaluate(table, "y", kind="logits", columns="p_", by="group", id="id").to_json()
    for by, id in ((group, called), (list(group), torch.tensor(called)), (pa.array(group), called.astype(str))):
        assert judged(rows.logits, rows.target, kind="logits", by=by, id=id).to_json() == expected
    half = n // 2
    parts = [
        {"predictions": rows.logits[part], "target": rows.target[part], "by": group[part], "id": called[part]}
        for part in (slice(half), slice(half, n))
    ]
    assert judged(iter(parts), kind="logits").to_json() == expected


def test_groups_are_compared_as_any_rows_are() -> None:
    found = xent.evaluate.compare(P, P[:, ::-1], T, kind="probs", id=["x", "y"], by=["a", "b"])
    assert found.log_loss_nats.difference.value != 0.0


def test_bfloat16_is_read_as_it_is_from_arrays_and_tensors(rows: Rows) -> None:
    near = rows.logits.astype(ml_dtypes.bfloat16)
    expected = judged(near.astype(np.float32), rows.target, kind="logits").to_json()
    assert judged(near, rows.target, kind="logits").to_json() == expected
    assert judged(torch.tensor(rows.logits).bfloat16(), rows.target, kind="logits").to_json() == expected


def test_names_without_a_class_are_named_and_missing_ones_left_out() -> None:
    names = ["no", "yes"]
    assert judged(P, ["no", None], classes=names).ignored == 1
    assert judged(P, np.array(["no", np.nan], object), classes=names).ignored == 1
    with pytest.raises(xent.LabelError) as refused:
        judged(P, ["no", "maybe"], classes=names)
    assert str(refused.value) == (
        "true classes must be among the 2 of the columns ('no', 'yes'); row 1 of the arrays holds 'maybe' in 'target' "
        "(1 such rows). Is a column missing, or does the label need another spelling? An empty cell leaves a row out."
    )


BATCH = (
    "a batch is (predictions, target), (predictions, target, weight) or a mapping of predictions, target, weight, size, id, by"
)
NAME = "Name what it holds, in a mapping."
TABLE = "Give a list or an array of them; a name of a column serves with a table."
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "another key": (
        lambda: judged([{"predictions": P, "target": T, "weights": T}]),
        f"{BATCH}; batch 0 is one of predictions, target, weights. {NAME}",
    ),
    "no predictions": (lambda: judged([{"target": T}]), f"{BATCH}; batch 0 is one of target. {NAME}"),
    "four parts": (lambda: judged([(P, T, None, T)]), f"{BATCH}; batch 0 is tuple of 4. {NAME}"),
    "an array": (lambda: judged([(P, T), P]), f"{BATCH}; batch 1 is ndarray of 2. {NAME}"),
    "a number": (lambda: judged([3]), f"{BATCH}; batch 0 is int. {NAME}"),
    "no target": (
        lambda: judged([(P,)]),
        "predictions need their true classes; target is None. Give target=, or an iterable of (predictions, target).",
    ),
    "other parts": (
        lambda: judged([{"predictions": P, "target": T, "by": ["a", "b"]}, (P, T)]),
        "all batches must bring the same; batch 1 brings nothing else, and those before bring by. "
        "Give it with every batch, or with none.",
    ),
    "what batches bring": (
        lambda: judged([(P, T)], weight=T, by=T),
        "batches bring what is known of their rows themselves; found by, weight beside an iterable. "
        'Give each batch as a mapping: {"predictions": ..., "target": ..., "weight": ...}.',
    ),
    "no array": (
        lambda: judged(3.0),
        "predictions must be an array, a path, a data frame or an iterable of batches; found float. Give one of these.",
    ),
    "an iterable and a target": (
        lambda: judged(iter([(P, T)]), T),
        "predictions must have a row for each target; found list_iterator. "
        "Give an array, a path, a data frame, or an iterable of (predictions, target) alone.",
    ),
    "one weight": (
        lambda: judged(P, T, weight=2.0),
        f"with arrays weight must have one value a row; found () for 2 rows. {TABLE}",
    ),
    "weights of text": (
        lambda: judged(P, T, weight=["1", "2"]),
        "weight must be numbers, one a row; found <U1. Convert it, with astype(float) say.",
    ),
    "too few groups": (
        lambda: judged(P, T, by=["a"]),
        f"with arrays by must have one value a row; found (1,) for 2 rows. {TABLE}",
    ),
    "groups of many kinds": (
        lambda: judged(P, T, by=np.array([b"a", 1], object)),
        "by must be texts or numbers, all of one kind; Arrow says: ",
    ),
    "labels beyond int64": (
        lambda: judged(P, np.array([0, 2**64 - 1], np.uint64)),
        "labels must be classes, or NaN where there is none; row 1 of the arrays holds 18446744073709551615 (1 such rows). "
        "Mend or remove these rows.",
    ),
    "labels in arrays": (
        lambda: judged(P, np.array([np.array([0]), "no"], object), classes=["no", "yes"]),
        "target must be texts or numbers, all of one kind; Arrow says: ",
    ),
    "too few labels": (lambda: judged(P, [0]), f"with arrays target must have one value a row; found (1,) for 2 rows. {TABLE}"),
    "arguments in the other order": (
        lambda: judged(T, P),
        "with arrays target must have one value a row; found (2, 2) for 2 rows. "
        "Are predictions and target swapped? One-hot rows become classes by argmax(axis=1).",
    ),
    "one column of scores": (
        lambda: judged(P[:, :1], T),
        "predictions need a column for each class; found (2, 1). "
        "Scores of the second of two classes have one dimension: predictions[:, 0].",
    ),
    "dates as scores": (
        lambda: judged(np.array([0, 1], "M8[D]"), T),
        "predictions must be float16, float32, float64; found datetime64[D]. Convert them, with astype(float) say.",
    ),
    "whole numbers beyond float64": (
        lambda: judged(P, T, by=[2.0**53, 1.5]),
        "groups must be told apart; row 0 of the arrays holds 9007199254740992 in 'by', "
        "and float64 does not tell it from its neighbours. Write groups as texts.",
    ),
    "beyond int64": (lambda: judged(P, T, id=[2**70, 1]), "id must be texts or numbers, all of one kind; Arrow says: "),
    "half a character": (lambda: judged(P, T, by=["\ud800", "a"]), "by must be texts or numbers, all of one kind; Arrow says: "),
    "a frame of mixed columns": (
        lambda: judged(pd.DataFrame({"p_a": [0.5, "x"], "y": [0, 1]}), "y", columns="p_"),
        "a data frame must hand its columns over as Arrow; DataFrame says: ",
    ),
    "a missing id": (
        lambda: judged(P, T, id=["a", None]),
        "every row needs an id; row 1 of the arrays has none in 'id'. Fill it, or leave --id (id=) out.",
    ),
    "a column of arrays": (
        lambda: judged(P, T, by="country"),
        "by= names a column of a table; found 'country' and ndarray. Leave it out, or give a table.",
    ),
    "an array beside a table": (
        lambda: judged(pa.table({"p_a": P[:, 0], "p_b": P[:, 1], "y": T}), "y", columns="p_", by=["a", "b"]),
        "with a table by= is the name of a column; found list. Name it, or give the predictions as an array.",
    ),
    "a mask": (
        lambda: judged(np.ma.masked_array(P, P > 0.8), T),
        "predictions must be a plain array; found a masked array. Fill it, or leave its rows out.",
    ),
    "a sparse matrix": (
        lambda: judged(scipy.sparse.csr_array(P), T),
        "predictions must be a dense array; found csr_array. Use .toarray(), if it fits memory.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_meant_is_refused_in_these_words(name: str) -> None:
    call, said = REFUSED[name]
    with pytest.raises(xent.XentError) as refused:
        call()
    assert str(refused.value).startswith(said)
