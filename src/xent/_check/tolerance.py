"""How far from 1 the sum of probabilities may lie, by what their dtype and number can explain."""

import math

# Wider than the dtype's own unit in float32 and float64: long rows and large logits lose digits before they arrive, and
# float64 rows often come from float32 ones or from six printed digits.
ROUNDING_UNIT = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-14, "float64": 2.0**-21}


def slack(dtype: str, classes: int) -> float:
    """How far a sum of ``classes`` probabilities may miss 1: ``unit·(2 + ½·ln K)``.

    Rounding every ln p shifts the sum by up to half a unit times the entropy, which is at most ln K.
    """
    return ROUNDING_UNIT[dtype] * (2.0 + 0.5 * math.log(max(classes, 1)))
