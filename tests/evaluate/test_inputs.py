"""What stands in files and tables, to the last cell: gaps, numbers, names, ids and labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import xent

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
