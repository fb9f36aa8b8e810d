"""Named workloads, timed beside their peers and beside a copy of the same bytes: ``python -m bench``."""
