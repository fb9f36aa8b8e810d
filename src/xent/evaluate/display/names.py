"""Names that come from data, as text that shows every mark: nothing moves a cursor, hides, or turns what follows around."""

from __future__ import annotations

import unicodedata

LONGEST = 160
"""Characters of a name that are shown."""
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Categories of characters that show nothing, turn what follows around, or cannot be written as UTF-8."""
JOINERS = "\u200c\u200d"
"""Scripts and emoji need these two between letters."""


def shown(text: object, longest: int = LONGEST) -> str:
    r"""The text, cut where it is long, with what cannot be seen written out: ``\u202e`` for a mark that turns text around."""
    letters = str(text)
    cut = letters if len(letters) <= longest else letters[: longest - 1] + "…"
    return "".join(_visible(letter) for letter in cut)


def _visible(letter: str) -> str:
    """A character, or its number."""
    if unicodedata.category(letter) not in HIDDEN or letter in JOINERS:
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
