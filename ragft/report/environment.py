"""The environment in which both reports' templates are rendered."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from ragft.report import formatting
from ragft.report.escaping import escape_markdown


@cache
def environment() -> Environment:
    """Return the templates' environment: everything is escaped, and an unknown name is an error."""
    made = Environment(
        loader=PackageLoader("ragft.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("score", "signed", "span", "seconds", "duration", "count", "percent", "amount", "moment")
    made.filters.update({name: getattr(formatting, name) for name in names}, md=escape_markdown)
    return made
