"""Evaluations that tests of the report and the plots share."""

import numpy as np
import pyarrow as pa
import pytest

import xent
from xent.evaluate import Choices, Columns, Comparison, evaluation
from xent.evaluate._call import totals_of
from xent.evaluate.inputs.arrays import Parts

HOSTILE = ("<img src=x onerror=alert(1)>", "</script><script>alert(1)</script>", "evil\u202egnp.exe", "a\"b'c&d$e$", "plain")
CHOICES = Choices()


def logits(rows, classes, seed=0, sharp=1.6):
    """Rows that know something, and are too sure of it."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, rows)
    values = rng.normal(size=(rows, classes))
    values[np.arange(rows), target] += 1.5
    return sharp * values, target


def judged(rows, classes, **options):
    """The state after such rows."""
    return totals_of(Parts(*logits(rows, classes, **options)), Columns(None, "logits"), choices=CHOICES)


@pytest.fixture(scope="session")
def ten():
    """Ten classes."""
    return evaluation(judged(900, 10))


@pytest.fixture(scope="session")
def hostile():
    """Classes, ids, groups and names of columns that would be markup if they were let."""
    values, target = logits(400, len(HOSTILE))
    columns = {f"p_{name}": values[:, number] for number, name in enumerate(HOSTILE)}
    columns |= {"true": [HOSTILE[number] for number in target], "id": [f"<b>{row}</b>\u202e" for row in range(400)]}
    columns["<i>by</i>"] = [HOSTILE[row % 3] for row in range(400)]
    words = Columns("true", "logits", "p_", id="id", by="<i>by</i>")
    return evaluation(totals_of(Parts(pa.table(columns)), words, choices=CHOICES))


@pytest.fixture(scope="session")
def compared():
    """One model, and its comparison with another."""
    values, target = logits(500, 3)
    first, second = (totals_of(Parts(x, target), Columns(None, "logits"), choices=CHOICES) for x in (values, 0.3 * values))
    return evaluation(first), Comparison.of(first, second, names=("runs/a.parquet", "runs/b<.parquet"))


@pytest.fixture(scope="session")
def infinite():
    """Rows of infinite loss, rows without a label, and rows that are no distribution."""
    values = np.full((120, 3), 1.0 / 3.0)
    values[:4], values[7] = [0.0, 0.5, 0.5], np.nan
    target = np.zeros(120, np.int64)
    target[10:15] = -1
    return evaluation(totals_of(Parts(values, target), Columns(None, "probs"), choices=CHOICES, skip_unfit=True))


@pytest.fixture(scope="session")
def words():
    """Log-probabilities of the true class alone."""
    nats = np.random.default_rng(0).gamma(1.2, 2.0, 300)
    sizes = np.full(300, 4.0)
    return evaluation(totals_of(Parts(-nats, size=sizes), Columns(None, "target-log-probs"), choices=CHOICES))


@pytest.fixture(scope="session")
def words_by_group():
    """The same for three kinds of text, whose bytes are known."""
    nats = np.random.default_rng(0).gamma(1.2, 2.0, 300) * np.tile([1.0, 3.0, 2.0], 100)
    held = pa.table({"lp": -nats, "n": np.full(300, 4.0), "kind": ["a", "b", "c"] * 100})
    columns = Columns(None, "target-log-probs", "lp", size="n", by="kind")
    return evaluation(totals_of(Parts(held), columns, choices=CHOICES))


@pytest.fixture(scope="session")
def one_row():
    """A single row."""
    return xent.evaluate(np.array([[0.3, 0.7]]), np.array([1]), kind="probs")


@pytest.fixture(scope="session")
def one_label():
    """Rows of one class alone, of two that there are."""
    return xent.evaluate(np.random.default_rng(0).normal(size=(60, 2)), np.zeros(60, np.int64), kind="logits")


@pytest.fixture(scope="session")
def all_infinite():
    """No loss is finite."""
    return xent.evaluate(np.array([[0.0, 1.0]] * 30), np.zeros(30, np.int64), kind="probs")


@pytest.fixture(scope="session")
def great():
    """Losses from nothing to thousands of nats."""
    values = np.array([[0.0, 5000.0], [0.0, 40.0], [1e-14, 0.0], [40.0, 0.0]] * 10)
    return xent.evaluate(values, np.zeros(40, np.int64), kind="logits")


@pytest.fixture(scope="session")
def thousand():
    """A thousand classes."""
    return evaluation(judged(1500, 1000))


@pytest.fixture(scope="session")
def long_names():
    """Sixty classes whose long names differ in their middle, and ids as long as those of databases."""
    names = [f"A very long name of category number {number} of men's and women's shoes" for number in range(60)]
    values, target = logits(900, 60)
    columns = {f"z_{name}": values[:, number] for number, name in enumerate(names)} | {"true": [names[one] for one in target]}
    columns["id"] = [f"550e8400-e29b-41d4-a716-{row:012d}" for row in range(900)]
    return evaluation(totals_of(Parts(pa.table(columns)), Columns("true", "logits", "z_", id="id"), choices=CHOICES))
