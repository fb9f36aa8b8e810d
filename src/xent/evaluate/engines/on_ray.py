"""Units on a Ray cluster: one state for each, merged by the driver; no actor remembers anything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from xent import _errors
from xent._errors import MissingExtraError, XentError
from xent.evaluate.engines.manifest import Manifest

INSTALL = "Run in the clone of xent: pip install '.[learn,cli,data,ray]'"


def states(manifest: Manifest, numbers: Sequence[int], address: str | None) -> Iterator[tuple[int, bytes | XentError]]:
    """States as they come, or why there is none; Ray runs a unit again whose worker died."""
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise MissingExtraError("--engine ray needs Ray", f"{error.name} is not installed", INSTALL) from error
    if not numbers:
        return
    if not ray.is_initialized():
        ray.init(address=address, log_to_driver=False, include_dashboard=False)
    items = [{"unit": number} for number in numbers]
    units = ray.data.from_items(items, override_num_blocks=len(items))
    each: Any = partial(work, manifest)
    for row in units.map_batches(each, batch_size=1, batch_format="numpy").iter_rows():
        yield int(row["unit"]), _error(row["refused"]) if row["refused"] else bytes(row["state"])


def work(manifest: Manifest, batch: dict[str, Any]) -> dict[str, Any]:
    """The state of each unit of a batch, or the words in which its rows are refused."""
    states: list[bytes] = []
    refused: list[str] = []
    for number in batch["unit"]:
        try:
            states.append(manifest.count(int(number), manifest.zero()).to_bytes())
            refused.append("")
        except XentError as error:
            states.append(b"")
            refused.append(json.dumps([type(error).__name__, error.rule, error.found, error.remedy]))
    return {"unit": batch["unit"], "state": np.array(states, np.object_), "refused": np.array(refused, np.object_)}


def _error(words: str) -> XentError:
    """The error that a worker met."""
    name, rule, found, remedy = json.loads(words)
    kind = getattr(_errors, name, XentError)
    return kind(rule, found, remedy)
