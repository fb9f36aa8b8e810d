"""What the front doors share: a call whose arguments have been checked, in NumPy arrays, ready for a schedule."""
