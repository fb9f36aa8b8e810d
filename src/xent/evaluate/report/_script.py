"""The one script of a report: Vega, which draws, Vega's interpreter, which needs no `eval`, and what the page does by itself."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import altair as alt
import vl_convert


@cache
def script() -> str:
    """The text of the script, to be written into a page as it is; a second or two the first time."""
    own = files("xent.evaluate.report").joinpath("templates", "page.js").read_text(encoding="utf-8")
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    bundle = vl_convert.javascript_bundle(own, vl_version=version)
    # In strings and patterns of JavaScript these mean the same; in HTML the plain ones would end the element, or hide its end.
    return re.sub(r"<(?=/script)", r"\\x3c", bundle, flags=re.IGNORECASE).replace("<!--", "\\x3c!--")
