"""Creating and changing tenants. Requests read a tenant's configuration in `auth/tenancy.py`."""

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
from chalicelib.kernel.tenants import defaults as declarations


def create(
    tx: WriteSet,
    tenant_id: str | None,
    name: str,
    defaults: Mapping[str, Any],
    status: str = "active",
) -> TenantRecord:
    """Adds a tenant to `tx`.

    Raises Invalid for defaults that cannot be used, such as an unknown time zone. The commit raises
    Conflict when the id is taken.
    """
    _require_usable(defaults)
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

    Raises NotFound, and Invalid for defaults that cannot be used. The commit raises
    PreconditionFailed when the tenant is in none of the versions of `if_match`, Conflict when
    another change came between. Every instance knows of a suspension within `config_cache_seconds`.
    """
    _require_usable(values)
    row = get(tenant_id)
    new = {name: value for name, value in values.items() if name in ("name", "status", *DEFAULTS)}
    preconditions.apply(tx, row, new, if_match, "tenant")
    tenancy.forget(tenant_id)
    return row


def _require_usable(defaults: Mapping[str, Any]) -> None:
    errors = declarations.errors_in(defaults)
    field_errors = tuple(FieldError(f"defaults.{name}", detail) for name, detail in errors)
    if field_errors:
        raise Invalid("Some values cannot be used; see errors", field_errors=field_errors)
