"""jinja2 environments, one per domain. Values are text: never read as templates, escaped in HTML.

A name that a template uses and nobody passes is an error, not a gap.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment(package: str) -> "Environment":
    """The environment over `templates/` of this package."""
    # Late: only workers and a page or two render, and jinja2 is a quarter of the cost of boto3.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(package: str, page: str, values: dict[str, Any]) -> str:
    """The page `templates/pages/<page>` of this package, with the values escaped."""
    return environment(package).get_template(f"pages/{page}").render(values)
