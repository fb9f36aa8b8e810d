"""Kernels know matrices: logits to row statistics, row coefficients to the gradient."""
