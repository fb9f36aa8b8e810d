"""The report: one HTML file that holds its pictures, its script and its style, and loads nothing.

Needs altair, vl-convert and Jinja; whoever imports a module of this package without them gets the plain ModuleNotFoundError,
which `Evaluation.to_html` turns into the line that installs them.
"""
