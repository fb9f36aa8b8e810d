"""From sums to numbers: the only place where anything is divided."""
