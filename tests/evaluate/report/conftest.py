"""Evaluations that tests of the report and the plots share."""

import numpy as np
import pyarrow as pa
import pytest

from xent.evaluate import Choices, Columns, Comparison, evaluation
from xent.evaluate._call import totals_of

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
    return totals_of(*logits(rows, classes, **options), Columns(None, "logits"), choices=CHOICES)


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
    return evaluation(totals_of(pa.table(columns), "true", words, choices=CHOICES))


@pytest.fixture(scope="session")
def compared():
    """One model, and its comparison with another."""
    values, target = logits(500, 3)
    first, second = (totals_of(x, target, Columns(None, "logits"), choices=CHOICES) for x in (values, 0.3 * values))
    return evaluation(first), Comparison.of(first, second)


@pytest.fixture(scope="session")
def infinite():
    """Rows of infinite loss, rows without a label, and rows that are no distribution."""
    values = np.full((120, 3), 1.0 / 3.0)
    values[:4], values[7] = [0.0, 0.5, 0.5], np.nan
    target = np.zeros(120, np.int64)
    target[10:15] = -1
    return evaluation(totals_of(values, target, Columns(None, "probs"), choices=CHOICES, skip_unfit=True))


@pytest.fixture(scope="session")
def words():
    """Log-probabilities of the true class alone."""
    nats = np.random.default_rng(0).gamma(1.2, 2.0, 300)
    sizes = np.full(300, 4.0)
    return evaluation(totals_of(-nats, None, Columns(None, "target-log-probs"), size=sizes, choices=CHOICES))
