"""Tables of an evaluation: by class, by group, of the losses, and of the rows that surprised most."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xent.evaluate.means.intervals import NORMAL, Estimate
from xent.evaluate.means.means import LN2, Means
from xent.evaluate.state.exact import UNIT, ratio, rounded
from xent.evaluate.state.places import loss_edges
from xent.evaluate.totals import Totals

Floats = npt.NDArray[np.float64]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Brier:
    """The Brier score in [0, 2], and Murphy's split of it over bins of every class, 1973; what bins hide is `within`."""

    score: Estimate
    reliability: float | None
    """What a calibration of every class would remove."""
    resolution: float | None
    """How far the bins tell classes apart."""
    uncertainty: float
    """The score of naming the frequencies."""
    within: float | None
    """``score − (reliability − resolution + uncertainty)``: differences within a bin."""


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class: rows that are it, and rows taken for it."""

    name: str
    weight: float
    log_loss_nats: Estimate
    share_of_loss: float
    """Of the whole loss; NaN where that is infinite."""
    brier: float
    recall: float
    precision: float
    predicted_share: float
    """The mean probability it was given, over all rows; NaN beyond 4096 classes."""
    actual_share: float


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One value of the column to judge by."""

    name: str
    weight: float
    log_loss_nats: Estimate
    brier: float | None
    accuracy: float | None
    bits_per_byte: float | None
    """``Σ w·ℓ / (ln 2 · Σ w·bytes)``; None where bytes are not known."""


@dataclass(frozen=True, slots=True)
class LossBin:
    """Rows whose loss lies between two edges, in nats, and what they add to the mean."""

    low: float
    high: float
    weight: float
    nats: float


@dataclass(frozen=True, slots=True)
class Losses:
    """How the loss is spread over rows."""

    quantiles: dict[float, float]
    """The loss below which such a share of the weight lies, in nats, within 1.6 %."""
    worst_share: float
    """The share of the finite loss that the worst 1 % of the weight carries."""
    bins: tuple[LossBin, ...]


@dataclass(frozen=True, slots=True)
class SurprisingRow:
    """A row of great loss."""

    source: int
    row: int
    """Its number in the source, from 0."""
    id: str
    nats: float
    target: int
    predicted: int
    confidence: float


def brier(totals: Totals, means: Means) -> Brier:
    """The score, and its parts where every class has bins."""
    score, whole = means.mean("brier"), means.weight
    shares = [ratio(weight, whole) for weight in totals.sums["class_weight"].wholes()]
    uncertainty = math.fsum(share * (1.0 - share) for share in shares)
    if not totals.spec.binned:
        return Brier(score, None, None, uncertainty, None)
    shape = (totals.spec.n_classes, totals.spec.bins)
    columns = [totals.sums[f"classwise_{name}"].floats().reshape(shape) for name in ("weight", "probability", "hits")]
    weight, probability, hits = columns
    with np.errstate(divide="ignore", invalid="ignore"):
        said, came = probability / weight, hits / weight
        parts = weight / rounded(whole) * np.array([(said - came) ** 2, (came - np.array(shares)[:, None]) ** 2])
    reliability, resolution = (math.fsum(part[weight > 0.0].tolist()) for part in parts)
    return Brier(score, reliability, resolution, uncertainty, score.value - (reliability - resolution + uncertainty))


def by_class(totals: Totals) -> tuple[ClassRow, ...]:
    """A row for each class, in their order."""
    if not totals.spec.n_classes:
        return ()
    known = {name.removeprefix("class_"): sums.wholes() for name, sums in totals.sums.items() if name.startswith("class_")}
    # Without weights every row weighs 1, and so does the square of its weight.
    known = {"square_weight": known["weight"], "square_weight_nats": known["nats"]} | known
    whole, loss = sum(known["weight"]), None if any(known["infinite"]) else sum(known["nats"])
    given = _given(totals, whole)
    return tuple(
        _class(name, {key: sums[n] for key, sums in known.items()}, whole, loss, given[n])
        for n, name in enumerate(totals.spec.classes)
    )


def _class(name: str, sums: dict[str, int], whole: int, loss: int | None, given: float) -> ClassRow:
    """One class, of all weight and all loss; its share of an infinite loss is nothing."""
    weight = sums["weight"]
    return ClassRow(
        name=name,
        weight=rounded(weight),
        log_loss_nats=_mean_loss(sums),
        share_of_loss=math.nan if loss is None else ratio(sums["nats"], loss),
        brier=ratio(sums["brier"], weight),
        recall=ratio(sums["hits"], weight),
        precision=ratio(sums["hits"], sums["predicted"]),
        predicted_share=given,
        actual_share=ratio(weight, whole),
    )


def _given(totals: Totals, whole: int) -> list[float]:
    """The mean probability of each class."""
    if not totals.spec.binned:
        return [math.nan] * totals.spec.n_classes
    shape = (totals.spec.n_classes, totals.spec.bins)
    return [ratio(total, whole) for total in totals.sums["classwise_probability"].folded(shape, axis=1).wholes()]


def by_group(totals: Totals) -> tuple[GroupRow, ...]:
    """A row for each group, in the order of their names."""
    if totals.spec.by is None:
        return ()
    known = {name.removeprefix("group_"): sums.wholes() for name, sums in totals.sums.items() if name.startswith("group_")}
    return tuple(_group(name, {key: sums[n] for key, sums in known.items()}) for n, name in enumerate(totals.groups))


def _group(name: str, sums: dict[str, int]) -> GroupRow:
    weight = sums["weight"]
    of_classes = "brier" in sums
    return GroupRow(
        name=name,
        weight=rounded(weight),
        log_loss_nats=_mean_loss(sums),
        brier=ratio(sums["brier"], weight) if of_classes else None,
        accuracy=ratio(sums["hits"], weight) if of_classes else None,
        bits_per_byte=_bits_per_byte(sums) if "size" in sums else None,
    )


def _bits_per_byte(sums: dict[str, int]) -> float:
    """``Σ w·ℓ / (ln 2 · Σ w·bytes)``; infinite where a row of some weight is."""
    return math.inf if sums["infinite"] else ratio(sums["nats"], sums["size"]) / LN2


def _mean_loss(sums: dict[str, int]) -> Estimate:
    """The weighted mean of the loss, infinite where a row of some weight is, with its interval.

    The logarithm of the mean is taken as normal, so that no interval goes below 0; of one row, or of losses that are 0, there is
    none.
    """
    weight, nats = sums["weight"], sums["nats"]
    mean = math.inf if sums["infinite"] else ratio(nats, weight)
    if not 0.0 < mean < math.inf or weight**2 <= sums["square_weight"] * UNIT:
        return Estimate(mean)
    # Σ w²·(ℓ − mean)², times Σ w twice; divided by the square of Σ w·ℓ, which that is as well.
    spread = weight * (weight * sums["weighted_square_nats"] - 2 * nats * sums["square_weight_nats"])
    spread += nats * nats * sums["square_weight"]
    factor = math.exp(NORMAL * math.sqrt(max(ratio(spread * UNIT, (weight * nats) ** 2), 0.0)))
    return Estimate(mean, mean / factor, mean * factor)


def losses(totals: Totals) -> Losses:
    """Quantiles, and what the worst rows carry."""
    edges, weight = loss_edges(), totals.sums["loss_weight"].floats()
    nats, infinite = totals.sums["loss_nats"].floats(), totals.sums["infinite_weight"].floats()
    # The last bin holds great losses and infinite ones: these have a place of their own here.
    weight[-1] = rounded(totals.sums["loss_weight"].wholes()[-1] - totals.sums["infinite_weight"].total())
    total = weight.sum() + infinite[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        below = np.cumsum(np.concatenate([weight, infinite])) / total
        means = np.append(np.where(weight > 0.0, nats / weight, 0.0), np.inf)
    quantiles = {q: float(means[min(int(np.searchsorted(below, q)), len(means) - 1)]) for q in QUANTILES} if total else {}
    held = np.flatnonzero(weight)
    bins = tuple(LossBin(float(edges[n]), float(edges[n + 1]), float(weight[n]), float(nats[n])) for n in held.tolist())
    return Losses(quantiles, _worst_share(weight, nats, 0.01), bins)


def _worst_share(weight: Floats, nats: Floats, share: float) -> float:
    """What the worst share of the weight carries of the finite loss; within a bin rows count as alike."""
    weight, nats = weight[::-1], nats[::-1]
    wanted = share * weight.sum()
    before = np.concatenate([[0.0], np.cumsum(weight)[:-1]])
    with np.errstate(divide="ignore", invalid="ignore"):
        taken = np.clip((wanted - before) / weight, 0.0, 1.0)
        return float(np.where(weight > 0.0, taken * nats, 0.0).sum() / nats.sum())


def surprising(totals: Totals) -> tuple[SurprisingRow, ...]:
    """The rows of greatest loss, worst first."""
    if totals.worst is None:
        return ()
    names = ("source", "row", "id", "nats", "target", "predicted", "confidence")
    return tuple(SurprisingRow(*row) for row in zip(*(totals.worst.columns[name].tolist() for name in names), strict=True))
