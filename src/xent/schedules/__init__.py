"""Schedules know memory: what exists at once, and in which order."""
