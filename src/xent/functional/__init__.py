"""The NumPy front door: check once, call a schedule, reduce."""
