"""Settings every test shares."""

import pytest
from hypothesis import HealthCheck, settings

# The first example of a property may compile a kernel, which says nothing about the property.
settings.register_profile("xent", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("xent")

LONG = {
    *(
        "test_bench",
        "test_calibrate",
        "test_calibration",
        "test_compile",
        "test_engines",
        "test_examples",
        "test_fit",
        "test_harness",
    ),
    *("test_language_model", "test_linear_bench", "test_memory", "test_report_browser", "test_report_file"),
}
"""Files of few tests that take long."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: at the end one worker would wait for the other's."""
    items.sort(key=lambda item: item.path.stem not in LONG)
