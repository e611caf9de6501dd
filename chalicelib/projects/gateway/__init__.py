"""Cloud providers behind one small port: OpenStack, Zadara, and a simulated one.

Every call of the port looks for what exists already, so making it twice does no harm.
"""

from chalicelib.projects.gateway.port import (
    Busy,
    CloudUser,
    Credential,
    Down,
    Provider,
    Refused,
    Region,
    Role,
    Save,
)

__all__ = [
    "Busy",
    "CloudUser",
    "Credential",
    "Down",
    "Provider",
    "Refused",
    "Region",
    "Role",
    "Save",
    "connect",
]


def connect(region: Region) -> Provider:
    """A connection to the region's provider, which logs in at its first call.

    Raises Refused for an unknown provider, and for an address that must not be called.
    """
    if region.provider == "openstack":
        from chalicelib.projects.gateway.openstack import OpenStack

        return OpenStack(region)
    if region.provider == "zadara":
        from chalicelib.projects.gateway.zadara import Zadara

        return Zadara(region)
    if region.provider == "simulated":
        from chalicelib.projects.gateway.simulated import Simulated

        return Simulated(region)
    raise Refused(f"There is no provider {region.provider!r}")
