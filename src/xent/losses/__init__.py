"""Losses know rows: a value, and the coefficients of its gradient, from a row's statistics. No matrix, no count."""
