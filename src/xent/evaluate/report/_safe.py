"""What comes from data, made harmless: names as text that shows every mark, JSON inside a script, hashes of script and style."""

from __future__ import annotations

import base64
import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

LONGEST = 160
"""Characters of a name that are shown."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Categories of characters that show nothing, turn what follows around, or cannot be written as UTF-8."""
JOINERS = "\u200c\u200d"
"""Scripts and emoji need these two between letters."""


def shown(text: object) -> str:
    r"""The text, cut where it is long, with what cannot be seen written out: ``\u202e`` for a mark that turns text around."""
    letters = str(text)
    cut = letters if len(letters) <= LONGEST else letters[: LONGEST - 1] + "…"
    return "".join(_visible(letter) for letter in cut)


def _visible(letter: str) -> str:
    """A character, or its number."""
    if unicodedata.category(letter) not in HIDDEN or letter in JOINERS:
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def labels(names: Sequence[str]) -> list[str]:
    """The names as they are shown, each unlike the others: charts tell classes apart by their label."""
    seen = [shown(name) or "(empty)" for name in names]
    counts = Counter(seen)
    return [name if counts[name] == 1 else f"{name} ({number})" for number, name in enumerate(seen)]


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
