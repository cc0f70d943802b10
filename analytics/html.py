"""The HTML templates of the report and of the review sheets."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.commands import how

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str) -> "Template":
    """Return a template by its path below `analytics/`; values that fill it are escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # not needed by whoever draws no page

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["how"] = how
    return environment.get_template(name)
