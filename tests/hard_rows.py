"""Write `hard_rows.csv`: rows on which plain code loses every digit, hex in and hex out, judged by mpmath.

Run from the root of the repository: python -m tests.hard_rows
"""

import csv
import hashlib
import math
import re
from collections.abc import Iterator
from pathlib import Path

import mpmath
import numpy as np

from tests import exact, truth
from tests.contract.conventions import DTYPES, stored
from tests.contract.test_precision import HARD, wide_row

LEADS = (14.0, 17.328680, 20.0, 30.123, 40.0, 55.5, 70.7, 80.0)
MAX_ULP = 4
"""Of float32. In float64 the rounding of differences shows as well: as many ulp more as exponents reach."""


def exact_gradient_at_target(logits: list[float], target: int) -> mpmath.mpf:
    """``−(1 − p_target)``."""
    with mpmath.workdps(exact.DIGITS):
        others = mpmath.fsum(mpmath.exp(mpmath.mpf(x) - mpmath.mpf(logits[target])) for j, x in enumerate(logits) if j != target)
        return -others / (1 + others)


def line(name: str, dtype: str, logits: list[float], target: int, text: str | None = None) -> list[str]:
    loss = exact.nearest(exact.row(logits, target), truth.computed_in(dtype))
    gradient = exact.nearest(exact_gradient_at_target(logits, target), dtype)
    shown = text or " ".join(short_hex(x) for x in logits)
    reach = math.ceil(max(logits) - min(logits)) if dtype == "float64" else 0
    return [name, dtype, shown, str(target), short_hex(loss), short_hex(gradient), str(MAX_ULP + reach)]


def short_hex(value: float) -> str:
    """``float.hex`` without zeros that say nothing."""
    return re.sub(r"\.?0+p", "p", float(value).hex())


def lines() -> Iterator[list[str]]:
    rng = np.random.default_rng(20)
    for dtype in DTYPES:
        for lead in LEADS:
            for classes in (2, 10, 33):
                x = stored(rng.normal(-1.0, 1.0, classes), dtype).astype(np.float64)
                x[classes // 2] = x.max() + lead
                x = stored(x, dtype).astype(np.float64)
                yield line(f"leads by {lead:g} of {classes}", dtype, x.tolist(), classes // 2)
        for name, x, target in (
            ("two alike far up", [1000.0, 1000.0], 0),
            ("two alike far down", [-1000.0, -1000.0], 1),
            ("leads by 20 far up", [10240.0, 10220.0, 10000.0], 0),
            ("leads by 64 far down", [-10240.0, -10176.0], 1),
            ("trails by 80", [0.0, 80.0], 0),
            ("trails by almost nothing", [1.0, 1.0078125], 0),
            ("one of a hundred thousandths", [11.5] + [0.0] * 99, 0),
        ):
            yield line(name, dtype, stored(x, dtype).astype(np.float64).tolist(), target)
    for seed in (1, 2):
        x = wide_row(seed)
        text = f"wide:{seed}:{hashlib.sha256(x.tobytes()).hexdigest()[:16]}"
        for name, target in (("its first", 0), ("its greatest", int(x.argmax())), ("its least", int(x.argmin()))):
            yield line(f"32768 from N(0, 5), {name}", "float32", x.astype(np.float64).tolist(), target, text)


def write(path: Path = HARD) -> None:
    """Write the file anew."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", "dtype", "logits", "target", "loss", "gradient", "max_ulp"])
        writer.writerows(lines())


if __name__ == "__main__":
    write()
    print(f"{math.ceil(HARD.stat().st_size / 1024)} KiB in {HARD}")
