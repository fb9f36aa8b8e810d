"""What JSON holds: every key that docs/evaluate.md lists and no other, whatever was judged."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xent
from tests.evaluate.conftest import Rows
from xent.evaluate import Comparison, evaluation

DOCS = Path(__file__).parents[2] / "docs" / "evaluate.md"
ESTIMATE = {"value", "low", "high"}
HEAD = ("schema_version", "xent_version", "inputs", "comparison", "against")


def documented() -> set[str]:
    """The keys of the table, its braces written out."""
    section = DOCS.read_text(encoding="utf-8").split("## As JSON")[1].split("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    keys = [key for cell in cells for key in re.findall(r"`([^`]+)`", cell)]
    return {before + word.strip() for key in keys for before, words in [parted(key)] for word in words}


def parted(key: str) -> tuple[str, list[str]]:
    before, brace, words = key.partition("{")
    return before, words.rstrip("}").split(",") if brace else [""]


def keys(value: Any, path: str = "") -> Iterator[str]:
    """Paths of all that is no object; an estimate is one thing, and a number as a name is ``*``."""
    if isinstance(value, dict) and set(value) != ESTIMATE:
        for name, item in value.items():
            step = "*" if re.fullmatch(r"[\d.]+", name) else name
            yield from keys(item, f"{path}.{step}" if path else step)
    elif isinstance(value, list):
        for item in value or [None]:
            yield from keys(item, f"{path}[]")
    else:
        yield path


@pytest.fixture(scope="module")
def record(rows: Rows) -> dict[str, Any]:
    totals = rows.totals()
    result = evaluation(totals)
    return json.loads(result.to_json(Comparison.of(totals, totals, names=("a", "b")), result, sources=["a.csv"]))


def test_every_key_is_documented_and_every_documented_key_is_there(record: dict[str, Any]) -> None:
    found = set(keys({name: value for name, value in record.items() if name != "against"})) | {"against"}
    assert found == documented()


def test_a_key_that_is_not_documented_would_be_found(record: dict[str, Any]) -> None:
    assert "by_class[].more" in set(keys(record | {"by_class": [{"more": 1}]})) - documented()


def test_it_says_what_was_judged_and_by_what(record: dict[str, Any]) -> None:
    assert record["schema_version"] == 1
    assert record["xent_version"] == version("xent")
    assert record["inputs"] == ["a.csv"]
    assert record["comparison"]["names"] == ["a", "b"]


def test_the_other_model_is_there_as_the_first_is(record: dict[str, Any]) -> None:
    assert record["against"] == {name: value for name, value in record.items() if name not in HEAD}


def test_without_another_model_no_key_moves(rows: Rows, record: dict[str, Any]) -> None:
    alone = json.loads(evaluation(rows.totals()).to_json(sources=["a.csv"]))
    assert alone == record | {"comparison": None, "against": None}


def test_a_language_model_has_the_same_keys(record: dict[str, Any]) -> None:
    tokens = xent.evaluate(np.array([-1.0, -2.0]), kind="target-log-probs", size=np.array([4.0, 3.0]))
    found = json.loads(tokens.to_json())
    assert found.keys() == record.keys()
    assert (found["accuracy"], found["brier"], found["classes"], found["confusion"]) == (None, None, [], None)


def test_what_is_not_finite_is_text_or_null() -> None:
    wrong = json.loads(xent.evaluate(np.array([[0.0, 1.0]] * 30), np.zeros(30, int), kind="probs").to_json())
    assert wrong["log_loss_nats"] == {"value": "infinity", "low": None, "high": None}
    assert wrong["finite_log_loss_nats"] is None


def test_confusions_are_counted_in_rows_whatever_the_weights(rows: Rows, record: dict[str, Any]) -> None:
    assert sum(pair["rows"] for pair in record["confusion"]) == rows.n
    assert record["weight"] != rows.n
