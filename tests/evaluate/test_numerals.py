"""Numbers as people read them."""

import math

import pytest

from xent.evaluate import Estimate
from xent.evaluate.display.numerals import amount, column, estimated, in_percent, interval, number, percent, plural, probability


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (-1e-9, "-1.0e-09"),
        (0.14719, "0.1472"),
        (0.0005, "0.0005"),
        (1.23e-5, "1.2e-05"),
        (999.12345, "999.1235"),
        (1260.17, "1,260.2"),
        (234567.8, "234,568"),
        (2e118, "2.000e+118"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_a_number(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("estimate", "value", "span"),
    [
        (Estimate(0.02, -8.337e-05, 0.0288), "0.0200", "[-0.0001, 0.0288]"),
        (Estimate(-1e-6, -0.01, 0.01), "0.0000", "[-0.0100, 0.0100]"),
        (Estimate(2e-5, 1e-5, 3.4e-5), "2.0e-05", "[1.0e-05, 3.4e-05]"),
        (Estimate(900.0, 800.0, 1200.0), "900.0", "[800.0, 1,200.0]"),
        (Estimate(0.5), "0.5000", ""),
        (Estimate(math.inf), "inf", ""),
    ],
)
def test_a_value_and_its_interval_have_the_same_digits(estimate: Estimate, value: str, span: str) -> None:
    assert (estimated(estimate), interval(estimate)) == (value, span)


def test_numbers_under_each_other_have_the_same_decimals() -> None:
    found = column([Estimate(0.4, 0.3, 0.5), Estimate(2e-5, 1e-5, 3e-5)])
    assert found == [("0.4000", "[0.3000, 0.5000]"), ("0.0000", "[0.0000, 0.0000]")]
    assert column([Estimate(2e-5), Estimate(5000.0)]) == [("2.0e-05", ""), ("5,000.0", "")]


def test_shares() -> None:
    assert in_percent(Estimate(0.954394, 0.9407, 0.9678)) == ("95.44", "[94.07, 96.78]")
    assert in_percent(Estimate(math.nan)) == ("nan", "")
    assert (percent(0.123), percent(math.nan), percent(0.12345, 2)) == ("12.3 %", "", "12.35 %")


def test_a_thousand_replicates_show_no_certainty() -> None:
    assert [probability(p) for p in (1.0, 0.9994, 0.5, 0.0006, 0.0)] == ["> 0.999", "0.999", "0.500", "0.001", "< 0.001"]
    assert probability(math.nan) == "–"


def test_rows_and_weights() -> None:
    assert [amount(w) for w in (1.0, 2880.0, 1234567.0, 11.25, 1234567.8)] == ["1", "2,880", "1,234,567", "11.25", "1,234,568"]
    assert [plural(n, "row") for n in (0, 1, 2880)] == ["0 rows", "1 row", "2,880 rows"]
    assert plural(2, "class") == "2 classes"
