"""Rules about options: one of a few words, or a number in a range."""

import math
from numbers import Integral, Real
from typing import Any, TypeGuard

from xent._errors import ArgumentError, EmptyMeanError

_NEUTRAL = {
    "label_smoothing": "0 smooths nothing.",
    "z_loss": "0 leaves the term out.",
    "focal": "0 is the plain loss.",
    "softcap": "None caps nothing.",
    "scale": "1 changes nothing.",
    "var": "A variance is the square of a standard deviation.",
    "eps": "1e-6 is the default.",
    "tolerance": "0 leaves out nothing.",
    "normalizer": "None divides by this call's own weight.",
}
_CHOICES = {
    "reduction": ("none", "sum", "mean"),
    "empty": ("nan", "zero", "raise"),
    "validate": ("raise", "warn", "off"),
    "frozen": ("hidden", "classifier"),
    "dtype": ("float32", "bfloat16", "float16", "float64"),
    "classifier_dtype": ("float32", "bfloat16", "float16", "float64"),
}


def choice(value: object, name: str) -> None:
    """One of the option's words."""
    words = _CHOICES[name]
    if not isinstance(value, str) or value not in words:
        raise ArgumentError(
            f"{name} must be one of {', '.join(map(repr, words))}", f"found {value!r}", f"Write {name}={words[0]!r}, say."
        )


def is_whole(value: object) -> TypeGuard[int]:
    """A whole number of Python or NumPy; True is not 1 here."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def _is_real(value: object) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, Real)


def _float64(value: object) -> float:
    """A real number rounded, infinite where float64 does not reach; NaN for anything else."""
    try:
        return float(value) if _is_real(value) else math.nan
    except OverflowError:
        return math.inf


def number(value: object, name: str, low: float, high: float = math.inf, *, open_low: bool = False) -> float:
    """A finite number in [low, high], or (low, high]."""
    wide = _float64(value)
    if -math.inf < wide < math.inf and low <= wide <= high and not (open_low and wide == low):
        return wide
    interval = f"{'(' if open_low or low == -math.inf else '['}{low}, {high}{')' if high == math.inf else ']'}"
    found = "a number beyond float64" if wide == math.inf != value else repr(value)
    raise ArgumentError(f"{name} must be a number in {interval}", f"found {found}", _NEUTRAL[name])


def finite(value: Any, name: str) -> float:
    """A finite number."""
    return number(value, name, -math.inf, math.inf)


def whole(value: object, name: str, least: int) -> int:
    """A whole number that is not too small."""
    if is_whole(value) and value >= least:
        return int(value)
    raise ArgumentError(f"{name} must be a whole number of at least {least}", f"found {value!r}", "It counts something.")


def ignored_label(value: object) -> int:
    """ignore_index is any whole number."""
    if is_whole(value):
        return int(value)
    raise ArgumentError("ignore_index must be a whole number", f"found {value!r}", "-100 is the default.")


def not_empty(weight_sum: float, empty: str) -> None:
    """A mean over nothing, where the caller wants to know."""
    if weight_sum == 0.0 and empty == "raise":
        raise EmptyMeanError(
            "a mean needs at least one counted row",
            "every row is ignored, has weight 0, or there is none",
            'empty="zero" or "nan" gives a value instead.',
        )
