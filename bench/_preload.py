"""What the server of measuring processes imports once."""

from contextlib import suppress
from importlib import import_module

import bench.memory  # noqa: F401

for _name in ("numba", "torch", "xent.torch", "scipy.special", "sklearn.metrics", "ml_dtypes"):
    with suppress(ImportError):
        import_module(_name)
