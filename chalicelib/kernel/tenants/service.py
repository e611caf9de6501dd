"""Creating and changing tenants; what a request needs of one is read in `auth/tenancy.py`."""

import re
from collections.abc import Mapping
from typing import Any

from chalicelib.kernel import clock
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import DEFAULTS, DIRECTORY, TenantRecord
from chalicelib.kernel.errors import Conflict, FieldError, Invalid, NotFound
from chalicelib.kernel.store import paging, preconditions, records
from chalicelib.kernel.store.paging import Listing, Page, PageQuery
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.kernel.store.write_set import WriteSet

providers: set[str] = set()  #: that there are, added by the domain that speaks to them
_LIKE_A_TIME_ZONE = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


def create(
    tx: WriteSet,
    tenant_id: str | None,
    name: str,
    defaults: Mapping[str, Any],
    status: str = "active",
) -> TenantRecord:
    """Adds a tenant to `tx`. Raises Invalid for defaults that name what there is not; the commit
    raises Conflict when the id is taken.
    """
    _require_known(defaults)
    row = tenancy.record(tenant_id or clock.new_id(), name, status=status, **defaults)
    tx.create(row, Conflict(f"There is a tenant {row.sk} already"))
    return row


def get(tenant_id: str) -> TenantRecord:
    """The tenant; raises NotFound."""
    if not tenancy.is_tenant_id(tenant_id):
        raise NotFound("No tenant of this id")
    row = records.read(TenantRecord, DIRECTORY, tenant_id)
    if row is None:
        raise NotFound("No tenant of this id")
    return row


def list_all(query: PageQuery) -> Page[TenantRecord]:
    """A page of tenants by id."""
    return paging.read([Listing(TenantRecord, DIRECTORY)], query, DIRECTORY, "tenants")


def change(
    tx: WriteSet, tenant_id: str, values: Mapping[str, Any], if_match: IfMatch
) -> TenantRecord:
    """Adds the change of a tenant to `tx` and returns the tenant as it will be.

    Raises NotFound, and Invalid for defaults that name what there is not. The commit raises
    PreconditionFailed when the tenant is in none of the `wanted` versions, Conflict when another
    change came between. A suspension holds everywhere within `config_cache_seconds`.
    """
    _require_known(values)
    row = get(tenant_id)
    new = {name: value for name, value in values.items() if name in ("name", "status", *DEFAULTS)}
    preconditions.apply(tx, row, new, if_match, "tenant")
    tenancy.forget(tenant_id)
    return row


def _require_known(defaults: Mapping[str, Any]) -> None:
    field_errors = tuple(
        FieldError(f"defaults.{name}", told) for name, told in unknown_in(defaults)
    )
    if field_errors:
        raise Invalid("Some values cannot be taken; see errors", field_errors=field_errors)


def unknown_in(defaults: Mapping[str, Any]) -> list[FieldError]:
    """What defaults name that there is not; an empty text names nothing."""
    found = []
    provider, time_zone = defaults.get("provider"), defaults.get("time_zone")
    if provider and providers and provider not in providers:
        found.append(FieldError("provider", f"must be one of {', '.join(sorted(providers))}"))
    if time_zone and not _is_time_zone(time_zone):
        found.append(FieldError("time_zone", "must be an IANA time zone such as Europe/Berlin"))
    return found


def _is_time_zone(name: str) -> bool:
    """Where the system has no time zones at all, the form of a name must do."""
    if not _LIKE_A_TIME_ZONE.fullmatch(name):
        return False
    return _has_time_zone(name) or not _has_time_zone("UTC")


def _has_time_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True
