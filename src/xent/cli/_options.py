"""Values of options, read strictly."""

from collections.abc import Sequence
from pathlib import Path

from cyclopts import Token

from xent._errors import ArgumentError


def whole_number(kind: type[int], tokens: Sequence[Token]) -> int:
    """An integer, also as 1e3; ValueError where it has a fraction or is no number, which nothing rounds."""
    text = tokens[0].value
    try:
        return int(text)
    except ValueError:
        if not _is_whole(text):
            raise ValueError(f"{text} is no integer") from None
    return int(float(text))


def _is_whole(text: str) -> bool:
    """Whether it reads as a float without a fraction."""
    try:
        return float(text).is_integer()
    except ValueError:
        return False


def named_directory(text: str) -> Path:
    """The path; an empty one, which would be the current directory, is an ArgumentError."""
    if not text.strip():
        raise ArgumentError("--out must name a directory", "it is empty", "Leave it out for out.")
    return Path(text)


def whole_numbers(kind: object, tokens: Sequence[Token]) -> tuple[int, ...]:
    """Integers with commas between."""
    return tuple(int(word) for token in tokens for word in token.value.split(","))
