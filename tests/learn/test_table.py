"""What a table may hold, and how it is read."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest

from xent.learn._table import digits_table, read_table


def csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_every_column_but_the_target_is_a_feature(tmp_path):
    table = read_table(csv(tmp_path, "id,a,kind,b\n7,1.5,x,2\n8,-3e2,y,4\n"), "kind", ["id"])
    assert (table.columns, table.target_name) == (("a", "b"), "kind")
    np.testing.assert_array_equal(table.features, [[1.5, 2.0], [-300.0, 4.0]])
    assert table.target.tolist() == ["x", "y"]


def test_dropped_columns_need_neither_name_nor_numbers_and_may_share_a_name(tmp_path):
    table = read_table(csv(tmp_path, ",a,id,id,kind\n0,1,p,q,x\n1,2,r,s,y\n"), "kind", ["", "id"])
    assert table.columns == ("a",)
    np.testing.assert_array_equal(table.features, [[1.0], [2.0]])


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (["1", "0", "1"], [1, 0, 1]),
        (["true", "false", "true"], [True, False, True]),
        (["1.0", "2.0", "-3.0"], [1.0, 2.0, -3.0]),
        (["NA", "CH", "NA"], ["NA", "CH", "NA"]),
        (['"a,b"', '"c\nd"', "é"], ["a,b", "c\nd", "é"]),
    ],
)
def test_classes_of_every_kind(tmp_path, cells, classes):
    text = "t,x\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells))
    assert read_table(csv(tmp_path, text), "t").target.tolist() == classes


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    assert read_table(csv(tmp_path, "t,x\n1,2\n", "utf-8-sig"), "t").columns == ("x",)


def test_numbers_of_every_kind_and_booleans_are_features(tmp_path):
    columns = {
        "int8": pa.array([1, -2], pa.int8()),
        "uint64": pa.array([1, 2**60], pa.uint64()),
        "float16": pa.array(np.array([0.5, 2], np.float16)),
        "bool": pa.array([True, False]),
        "decimal": pa.array([1, 2], pa.decimal128(5, 2)),
        "target": pa.array(["a", "b"]).dictionary_encode(),
    }
    pa_parquet.write_table(pa.table(columns), tmp_path / "table.parquet")
    table = read_table(tmp_path / "table.parquet", "target")
    np.testing.assert_array_equal(table.features, [[1, 1, 0.5, 1, 1], [-2, 2.0**60, 2, 0, 2]])
    assert table.features.dtype == np.float64
    assert table.target.tolist() == ["a", "b"]


def test_without_a_table_there_are_digits():
    table = digits_table()
    assert table.features.shape == (1797, 64)
    assert len(table.columns) == 64
    assert sorted(set(table.target)) == list(range(10))
