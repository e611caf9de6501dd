"""Where a tenant's projects are made if they name no place themselves."""

from chalicelib.kernel.tenants.defaults import Default, ShortText
from chalicelib.projects import rules


def _fault_of_provider(name: str) -> str:
    return "" if name in rules.PROVIDERS else f"must be one of {', '.join(sorted(rules.PROVIDERS))}"


DEFAULTS = (
    Default("provider", ShortText, _fault_of_provider),
    Default("region", ShortText),  #: at that provider; checked when a project is created
)
