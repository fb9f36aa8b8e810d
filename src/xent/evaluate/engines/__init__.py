"""The same evaluation on more than one process or machine: each unit of work gives a state, and states merge.

Exactly once by construction: a manifest names every unit, each state says which unit it is of, and no mean is taken before all
are there. Who computes a unit, how often, and in what order changes no bit.
"""
