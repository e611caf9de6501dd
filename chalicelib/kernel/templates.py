"""jinja2 environments, one per domain.

Values are text: they are never read as templates, and are escaped in HTML. A template that uses a
name for which no value was passed raises an error instead of leaving a gap.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


@cache
def environment(package: str) -> "Environment":
    """The environment of the package's folder `templates/`."""
    # Late: saves whatever renders nothing a quarter of what importing boto3 takes.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader(package),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(package: str, page: str, values: dict[str, Any]) -> str:
    """The page `templates/pages/<page>` of the package, with the values escaped."""
    return environment(package).get_template(f"pages/{page}").render(values)
