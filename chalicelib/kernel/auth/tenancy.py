"""Who calls, for which tenant, and what a tenant's configuration is.

The tenant of every key comes from here and nowhere else: from the token's claim, or for an
`admin` of the platform from the `X-Tenant-Id` header. A path or body never names one.
"""

from typing import Any, Literal

import msgspec
from pynamodb.attributes import UnicodeAttribute

from chalicelib.kernel import telemetry
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.errors import BadRequest, Forbidden
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.records import KernelRecord, Number

Role = Literal["admin", "manager", "staff", "customer"]
ROLES: tuple[Role, ...] = ("admin", "manager", "staff", "customer")
ADMIN: tuple[Role, ...] = ("admin",)
MANAGERS: tuple[Role, ...] = ("admin", "manager")
EVERYONE: tuple[Role, ...] = ROLES

_LONGEST_ID = 64
DIRECTORY = "#tenants"  #: partition of the tenants' own records; no tenant id begins with '#'


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as the authorizer found in the token."""

    subject: str
    role: Role
    tenant_id: str  #: whose records are meant; never empty on a tenant's route
    email: str = ""


class Tenant(msgspec.Struct, frozen=True):
    """A tenant's configuration, as read at most once a minute per instance."""

    id: str
    name: str
    status: str  #: active or suspended
    sender: str  #: name shown as sender of its mails; empty: the tenant's name
    provider: str = ""  #: of its projects unless they name one; empty: the deployment's
    region: str = ""  #: of that provider


class TenantRecord(KernelRecord):
    """Row of a tenant: keys ("#tenants", id)."""

    name = UnicodeAttribute(default="")
    status = UnicodeAttribute(default="active")
    version = Number(default=1)  #: rises with each change: the ETag
    provider = UnicodeAttribute(default="")
    region = UnicodeAttribute(default="")
    time_zone = UnicodeAttribute(default="")
    sender = UnicodeAttribute(default="")


DEFAULTS = ("provider", "region", "time_zone", "sender")  #: of a tenant's records


def _read(tenant_id: str) -> Tenant | None:
    with telemetry.configuration():
        for row in TenantRecord.query(DIRECTORY, TenantRecord.sk == tenant_id):
            return Tenant(row.sk, row.name, row.status, row.sender, row.provider, row.region)
    return None


_tenants = Cache(_read, keep_seconds=lambda: settings.config_cache_seconds)


def find(tenant_id: str) -> Tenant | None:
    """The tenant's configuration, at most `config_cache_seconds` old; None when unknown."""
    return _tenants.get(tenant_id)


def forget(tenant_id: str) -> None:
    """Drops what this instance remembers of one tenant."""
    _tenants.forget(tenant_id)


def record(tenant_id: str, name: str, **values: Any) -> TenantRecord:
    """A tenant's row, to be saved."""
    return TenantRecord(DIRECTORY, tenant_id, name=name, **values)


def is_tenant_id(text: str) -> bool:
    """True for what may name a tenant: partitions of the platform's own begin with '#'."""
    return 0 < len(text) <= _LONGEST_ID and not text.startswith("#")


def admitted(caller: Caller, named: str | None) -> Caller:
    """The caller with the tenant whose records are meant.

    `named` is the X-Tenant-Id header, which only an admin's call is read for. Raises BadRequest
    for an admin who names none, Forbidden for an unknown or suspended tenant.
    """
    tenant_id = (named or "").strip() if caller.role == "admin" else caller.tenant_id
    if not tenant_id:
        if caller.role == "admin":
            raise BadRequest("Name the tenant in the X-Tenant-Id header")
        raise Forbidden("This token names no tenant")
    return Caller(caller.subject, caller.role, active(tenant_id).id, caller.email)


def active(tenant_id: str) -> Tenant:
    """The tenant. Raises Forbidden for one that is unknown or suspended."""
    tenant = find(tenant_id) if is_tenant_id(tenant_id) else None
    if tenant is None or tenant.status != "active":
        raise Forbidden("This tenant is unknown or suspended")
    return tenant
