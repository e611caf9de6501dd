"""Creating and changing tenants. Requests read a tenant's configuration in `auth/tenancy.py`."""

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

providers: set[str] = set()  #: the known ones; added by the domain that speaks to them
_TIME_ZONE_NAME = re.compile(r"[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


def create(
    tx: WriteSet,
    tenant_id: str | None,
    name: str,
    defaults: Mapping[str, Any],
    status: str = "active",
) -> TenantRecord:
    """Adds a tenant to `tx`.

    Raises Invalid for defaults that name an unknown provider or time zone. The commit raises
    Conflict when the id is taken.
    """
    _require_known(defaults)
    row = tenancy.record(tenant_id or clock.new_id(), name, status=status, **defaults)
    tx.create(row, Conflict(f"A tenant {row.sk} already exists; choose another id"))
    return row


def get(tenant_id: str) -> TenantRecord:
    """The tenant; raises NotFound."""
    if not tenancy.is_tenant_id(tenant_id):
        raise NotFound("No tenant has this id")
    row = records.read(TenantRecord, DIRECTORY, tenant_id)
    if row is None:
        raise NotFound("No tenant has this id")
    return row


def list_all(query: PageQuery) -> Page[TenantRecord]:
    """A page of tenants in the order of their ids."""
    return paging.read([Listing(TenantRecord, DIRECTORY)], query, DIRECTORY, "tenants")


def change(
    tx: WriteSet, tenant_id: str, values: Mapping[str, Any], if_match: IfMatch
) -> TenantRecord:
    """Adds the change of a tenant to `tx` and returns the tenant as it will be.

    Raises NotFound, and Invalid for defaults that name an unknown provider or time zone. The commit
    raises PreconditionFailed when the tenant is in none of the versions of `if_match`, Conflict
    when another change came between. Every instance knows of a suspension within
    `config_cache_seconds`.
    """
    _require_known(values)
    row = get(tenant_id)
    new = {name: value for name, value in values.items() if name in ("name", "status", *DEFAULTS)}
    preconditions.apply(tx, row, new, if_match, "tenant")
    tenancy.forget(tenant_id)
    return row


def _require_known(defaults: Mapping[str, Any]) -> None:
    errors = errors_in_defaults(defaults)
    field_errors = tuple(FieldError(f"defaults.{name}", detail) for name, detail in errors)
    if field_errors:
        raise Invalid("Some values cannot be used; see errors", field_errors=field_errors)


def errors_in_defaults(defaults: Mapping[str, Any]) -> list[FieldError]:
    """An error for an unknown provider and an unknown time zone; an empty text names none."""
    errors = []
    provider, time_zone = defaults.get("provider"), defaults.get("time_zone")
    if provider and providers and provider not in providers:
        errors.append(FieldError("provider", f"must be one of {', '.join(sorted(providers))}"))
    if time_zone and not _is_time_zone(time_zone):
        errors.append(FieldError("time_zone", "must be an IANA time zone such as Europe/Berlin"))
    return errors


def _is_time_zone(name: str) -> bool:
    """True for a known time zone. A system without time zones accepts every well-formed name."""
    if not _TIME_ZONE_NAME.fullmatch(name):
        return False
    return _has_time_zone(name) or not _has_time_zone("UTC")


def _has_time_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        return False
    return True
