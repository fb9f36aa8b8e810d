"""Predictions to judge, and their truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from xent.evaluate import Batch, Spec, Totals


@dataclass
class Rows:
    """Logits of rows with a known distribution, labels drawn from a softened one, weights, bytes, groups and ids."""

    n: int = 1000
    classes: int = 5
    seed: int = 3
    logits: npt.NDArray[Any] = field(init=False)
    target: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.logits = rng.normal(0.0, 2.0, (self.n, self.classes))
        noise = rng.gumbel(size=self.logits.shape)
        self.target = (self.logits / 1.5 + noise).argmax(axis=1)
        self.weight = rng.exponential(size=self.n)
        self.size = rng.integers(1, 9, self.n).astype(np.float64)
        self.group = rng.choice(["a", "b", "c"], self.n).tolist()
        self.ids = [f"id-{n}" for n in range(self.n)]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"k{n}" for n in range(self.classes))

    @property
    def probs(self) -> npt.NDArray[np.float64]:
        p = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    @property
    def nats(self) -> npt.NDArray[np.float64]:
        top = self.logits.max(axis=1)
        lse = top + np.log(np.exp(self.logits - top[:, None]).sum(axis=1))
        return lse - self.logits[np.arange(self.n), self.target]

    @property
    def spec(self) -> Spec:
        return Spec("logits", self.names, top_k=(2, 3), weighted=True, sized=True, by="group")

    def batch(self, start: int = 0, stop: int | None = None) -> Batch:
        part = slice(start, stop)
        return Batch(
            self.logits[part],
            self.target[part],
            first=start,
            ids=self.ids[part],
            weight=self.weight[part],
            size=self.size[part],
            group=self.group[part],
        )

    def totals(self) -> Totals:
        totals = Totals(self.spec)
        totals.update(self.batch())
        return totals


@pytest.fixture(scope="session")
def rows() -> Rows:
    return Rows()
