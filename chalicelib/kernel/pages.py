"""Pages of HTML that the API serves: templates in a domain's `templates/pages/`."""

from typing import Any

from chalicelib.kernel.templates import environment


def render(package: str, page: str, values: dict[str, Any]) -> str:
    """The page with the values escaped."""
    return environment(package).get_template(f"pages/{page}").render(values)
