"""Which exact sums a state holds, and over what."""

from __future__ import annotations

from xent._errors import ArgumentError
from xent.evaluate.state.hashing import BUCKETS
from xent.evaluate.state.places import CELL_COUNT, LOSS_BINS
from xent.evaluate.state.spec import Spec

MOST_GROUPS = 1000


def sizes(spec: Spec) -> dict[str, int]:
    """The number of sums under each name; those of groups grow with the groups."""
    n = spec.n_classes
    always = {
        "bucket_weight": BUCKETS,
        "bucket_nats": BUCKETS,
        "infinite_weight": 1,
        "square_weight": 1,
        "square_nats": 1,
        "loss_weight": LOSS_BINS,
        "loss_nats": LOSS_BINS,
    }
    by_class = {f"class_{name}": n for name in (*CLASSED, *(SPREAD if spec.weighted else ()))}
    of_classes = {
        "bucket_brier": BUCKETS,
        "bucket_entropy": BUCKETS,
        "bucket_bin_weight": BUCKETS * spec.bins,
        "bucket_bin_confidence": BUCKETS * spec.bins,
        "bucket_bin_hits": BUCKETS * spec.bins,
        "cell_weight": CELL_COUNT,
        "cell_confidence": CELL_COUNT,
        "cell_hits": CELL_COUNT,
        **{f"bucket_top_{k}": BUCKETS for k in spec.top_k},
        **by_class,
    }
    binned = {f"classwise_{name}": n * spec.bins for name in ("weight", "probability", "hits")}
    sized = {"bucket_size": BUCKETS}
    known = {"brier": n > 0, "hits": n > 0, "size": spec.sized}
    grouped = {f"group_{name}": 0 for name in GROUPED if known.get(name, True)}
    return {
        **always,
        **(of_classes if n else {}),
        **(binned if spec.binned else {}),
        **(sized if spec.sized else {}),
        **(grouped if spec.by is not None else {}),
    }


CLASSED = ("weight", "nats", "infinite", "weighted_square_nats", "brier", "hits", "predicted")
SPREAD = ("square_weight", "square_weight_nats")
"""What is summed for each class: as below, and w of rows taken for it; without weights w² is w, and w²·ℓ is w·ℓ."""
GROUPED = ("weight", "nats", "infinite", "square_weight", "weighted_square_nats", "square_weight_nats", "brier", "hits", "size")
"""What is summed for each value of a column: w, w·ℓ, w of infinite rows, w², w²·ℓ², w²·ℓ, w·Brier, w of right rows, w·bytes."""


def group_names(one: tuple[str, ...], other: tuple[str, ...], column: str | None) -> tuple[str, ...]:
    """The names of both, sorted; ArgumentError where they are too many."""
    names = tuple(sorted({*one, *other}))
    if len(names) > MOST_GROUPS:
        found = f"{column!r} holds more"
        raise ArgumentError(f"a column to judge by may hold {MOST_GROUPS} values", found, "Group them first.")
    return names
