"""What comes from data, made harmless: names told apart, JSON inside a script, hashes of script and style."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

from xent.evaluate.display.names import shown


def labels(names: Sequence[str]) -> list[str]:
    """The names as they are shown, each unlike the others: charts tell classes apart by their label."""
    seen = [shown(name) or "(empty)" for name in names]
    counts = Counter(seen)
    return [name if counts[name] == 1 else f"{name} ({number})" for number, name in enumerate(seen)]


def brief(names: Sequence[str], most: int) -> list[str]:
    """The names with at most so many letters each: both ends of a long one or, where that makes two alike, what differs."""
    cut = [_ends(name, most) for name in names]
    if len(set(cut)) == len(set(names)):
        return cut
    long = [name for name in names if len(name) > most]
    alike = (len(set(letters)) == 1 for letters in zip(*long, strict=False))
    start = sum(takewhile(bool, alike))
    cut = [_from(name, start, most) if len(name) > most else name for name in names]
    if len(set(cut)) == len(set(names)):
        return cut
    numbers = {name: f"… ({number})" for number, name in enumerate(dict.fromkeys(names))}
    return [name if len(name) <= most else name[: most - len(numbers[name])] + numbers[name] for name in names]


def _ends(name: str, most: int) -> str:
    """A name without its middle."""
    return name if len(name) <= most else f"{name[: most // 2]}…{name[most // 2 + 1 - most :]}"


def _from(name: str, start: int, most: int) -> str:
    """The first letters of a name, and those from where it differs from others."""
    head = most // 4
    return _ends(name, most) if start <= head else _first(f"{name[:head]}…{name[start:]}", most)


def _first(name: str, most: int) -> str:
    """The first letters of a name."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def json_text(value: Any) -> str:
    """JSON that ends no script element and opens none, wherever it is written."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    for letter in "<>&'":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def policy(scripts: Iterable[str], styles: Iterable[str]) -> str:
    """A Content-Security-Policy under which these texts run and nothing is loaded, evaluated, sent or framed."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {' '.join(map(_hash, styles))}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _hash(text: str) -> str:
    """The source expression that allows exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
