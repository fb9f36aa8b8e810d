"""Tables of the terminal: in every width, no number is cut."""

import pytest

from xent.cli._sheet import sheet

HEADINGS = ("class", "rows", "log loss", "95 % interval", "freq.")
ROWS = [["a name of many letters", "2,880", "0.4393", "[0.3000, 0.5000]", "10.2 %"], ["日本", "1", "-0.0100", "", "0.1 %"]]


@pytest.mark.parametrize("width", range(1, 100, 3))
def test_no_number_is_cut_in_any_width(width: int) -> None:
    lines = [line.plain for line in sheet(width, HEADINGS, ROWS, spare=("freq.", "95 % interval"))]
    text = "\n".join(lines)
    assert "…" not in text
    for number in ("2,880", "0.4393", "-0.0100"):
        assert number in text.replace("\n", " ").split()
    assert all(line == line.rstrip() for line in lines)


def test_columns_go_in_order_and_are_named() -> None:
    def left_out(width: int) -> str:
        return sheet(width, HEADINGS, ROWS, spare=("freq.", "95 % interval"))[-1].plain

    assert "without" not in left_out(80)
    assert left_out(60) == "(without freq.: the terminal is narrow)"
    assert left_out(40) == "(without 95 % interval, freq.: the terminal is narrow)"


def test_a_table_is_as_wide_as_its_words_in_columns_of_the_terminal() -> None:
    lines = sheet(80, HEADINGS, ROWS)
    assert max(line.cell_len for line in lines) == lines[1].cell_len
    assert lines[2].plain.startswith("a name of many letters  2,880    0.4393")
    assert lines[3].plain.startswith("日本                        1   -0.0100")


def test_a_long_name_folds() -> None:
    lines = [line.plain for line in sheet(30, HEADINGS[:3], [["x" * 30, "1", "2.0000"]])]
    assert [line.split() for line in lines[2:]] == [["x" * 14, "1", "2.0000"], ["x" * 14], ["xx"]]
    assert max(map(len, lines)) <= 30
