"""Cloud providers behind one small port: OpenStack, Zadara, and a simulated one.

Every call of the port looks for what exists already, so making it twice does no harm.
"""

from collections.abc import Callable

from chalicelib.projects.gateway.openstack import OpenStack
from chalicelib.projects.gateway.port import (
    Busy,
    CloudUser,
    Credential,
    Down,
    Proved,
    Provider,
    Refused,
    Region,
    Role,
    Save,
    Unproved,
)
from chalicelib.projects.gateway.simulated import Simulated
from chalicelib.projects.gateway.zadara import Zadara

__all__ = [
    "Busy",
    "CloudUser",
    "Credential",
    "Down",
    "Proved",
    "Provider",
    "Refused",
    "Region",
    "Role",
    "Save",
    "Unproved",
    "connect",
]

_PROVIDERS: dict[str, Callable[[Region], Provider]] = {
    "openstack": OpenStack,
    "zadara": Zadara,
    "simulated": Simulated,
}


def connect(region: Region) -> Provider:
    """A connection to the region's provider, which logs in at its first call.

    Raises Refused for an unknown provider, and for an address that must not be called.
    """
    if region.provider not in _PROVIDERS:
        raise Refused(f"There is no provider {region.provider!r}")
    return _PROVIDERS[region.provider](region)
