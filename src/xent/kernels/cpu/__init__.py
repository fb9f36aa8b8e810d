"""The Numba backend: row kernels at the speed of memory, on threads of our own."""
