"""Who calls, for which tenant, and the configuration of tenants.

The tenant in every key comes from here and nowhere else: from the token's claim, or for an `admin`
of the platform from the `X-Tenant-Id` header. No path and no body names a tenant.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pynamodb.attributes import UnicodeAttribute

from chalicelib import manifest
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
DIRECTORY = "#tenants"  #: partition of the records of tenants; no tenant id begins with '#'


class Caller(msgspec.Struct, frozen=True):
    """Who calls, by the token that the authorizer checked and the record of its login."""

    subject: str
    role: Role  #: the weaker of the token's and the record's
    tenant_id: str  #: the tenant of the request; empty only on routes of the platform
    email: str = ""  #: verified by the issuer; empty: none
    home: str = ""  #: the tenant that the token names
    user_id: str = ""  #: the user that the login is bound to; empty: none
    claimed_id: str = ""  #: the user that the claim USER_CLAIM names


class Tenant(msgspec.Struct, frozen=True):
    """A tenant's configuration, which an instance reads at most once a minute."""

    id: str
    name: str
    status: str  #: active or suspended
    defaults: Mapping[str, str]  #: by the names in `DEFAULTS`; an empty text stands for none

    @property
    def sender(self) -> str:
        """The name that its mails come from; empty: the tenant's name."""
        return self.defaults["sender"]


class TenantRecord(KernelRecord):
    """Row of a tenant: keys ("#tenants", id)."""

    name = UnicodeAttribute(default="")
    status = UnicodeAttribute(default="active")
    version = Number(default=1)  #: rises with each change; sent as the ETag
    time_zone = UnicodeAttribute(default="")
    sender = UnicodeAttribute(default="")
    # The defaults that domains have declared. A class's namespace may be added to in this way.
    locals().update({name: UnicodeAttribute(default="") for name, _ in manifest.DEFAULTS})


#: The names of a tenant's defaults, which are attributes of its row.
DEFAULTS = (*(name for name, _ in manifest.DEFAULTS), "time_zone", "sender")


def _read(tenant_id: str) -> Tenant | None:
    with telemetry.configuration():
        for row in TenantRecord.query(DIRECTORY, TenantRecord.sk == tenant_id):
            defaults = {name: getattr(row, name) or "" for name in DEFAULTS}
            return Tenant(row.sk, row.name, row.status, defaults)
    return None


_tenants = Cache(_read, keep_seconds=lambda: settings.config_cache_seconds)


def find(tenant_id: str) -> Tenant | None:
    """The tenant's configuration, at most `config_cache_seconds` old; None when unknown."""
    return _tenants.get(tenant_id)


def is_suspended(tenant_id: str) -> bool:
    """True for a tenant that is suspended, not for one that is unknown, or for the platform."""
    tenant = find(tenant_id) if is_tenant_id(tenant_id) else None
    return tenant is not None and tenant.status == "suspended"


def forget(tenant_id: str) -> None:
    """Drops what this instance remembers of one tenant."""
    _tenants.forget(tenant_id)


def record(tenant_id: str, name: str, **values: Any) -> TenantRecord:
    """A new row of a tenant, not yet saved."""
    return TenantRecord(DIRECTORY, tenant_id, name=name, **values)


def is_tenant_id(text: str) -> bool:
    """True for a text that may be a tenant's id. The platform's own partitions begin with '#'."""
    return 0 < len(text) <= _LONGEST_ID and not text.startswith("#")


def admit(caller: Caller, tenant_header: str | None) -> Caller:
    """The caller with the tenant of this request.

    `tenant_header` is X-Tenant-Id, which counts only for an admin. Raises BadRequest for an admin
    who names no tenant, Forbidden for a tenant that is unknown or suspended.
    """
    tenant_id = (tenant_header or "").strip() if caller.role == "admin" else caller.home
    if not tenant_id:
        if caller.role == "admin":
            raise BadRequest("Name the tenant in the X-Tenant-Id header")
        raise Forbidden("This token names no tenant; use a token of a tenant")
    return msgspec.structs.replace(caller, tenant_id=require_active(tenant_id).id)


def require_active(tenant_id: str) -> Tenant:
    """The tenant; raises Forbidden when it is unknown or suspended."""
    tenant = find(tenant_id) if is_tenant_id(tenant_id) else None
    if tenant is None or tenant.status != "active":
        raise Forbidden("This tenant is unknown or suspended")
    return tenant
