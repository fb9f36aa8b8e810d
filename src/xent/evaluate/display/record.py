"""An evaluation as JSON: what docs/evaluate.md lists, under names that stay."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from xent.evaluate.display.json_numbers import plain

if TYPE_CHECKING:
    from xent.evaluate.means.comparison import Comparison
    from xent.evaluate.result import Evaluation

SCHEMA_VERSION = 1
"""Grows when a key goes or comes to mean something else; a new key alone changes nothing."""


def written(
    result: Evaluation, comparison: Comparison | None = None, against: Evaluation | None = None, *, sources: Sequence[str] = ()
) -> str:
    """Everything as JSON, with what it was made of."""
    record: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "xent_version": version("xent"),
        "inputs": list(sources),
        **result.as_dict(),
        "comparison": None if comparison is None else comparison.as_dict(),
        "against": None if against is None else against.as_dict(),
    }
    return json.dumps(plain(record), indent=2, ensure_ascii=False, allow_nan=False)
