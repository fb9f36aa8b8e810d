"""Settings every test shares."""

from hypothesis import HealthCheck, settings

# The first example of a property may compile a kernel, which says nothing about the property.
settings.register_profile("xent", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("xent")
