"""Creating and changing tenants; what a request needs of one is read in `tenancy.py`."""

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel import clock, paging, tenancy, versions
from chalicelib.kernel.errors import Conflict, NotFound
from chalicelib.kernel.paging import Listing, Page, PageQuery
from chalicelib.kernel.tenancy import DEFAULTS, DIRECTORY, TenantRecord
from chalicelib.kernel.transactions import Transaction
from chalicelib.kernel.versions import Wanted


def create(
    tx: Transaction, tenant_id: str | None, name: str, defaults: Mapping[str, Any]
) -> TenantRecord:
    """Adds a tenant to `tx`; the commit raises Conflict when the id is taken."""
    row = tenancy.record(tenant_id or clock.new_id(), name, **defaults)
    tx.create(row, Conflict(f"There is a tenant {row.sk} already"))
    return row


def get(tenant_id: str) -> TenantRecord:
    """The tenant; raises NotFound."""
    if not tenancy.is_tenant_id(tenant_id):
        raise NotFound("No tenant of this id")
    try:
        return TenantRecord.get(DIRECTORY, tenant_id)
    except TenantRecord.DoesNotExist:
        raise NotFound("No tenant of this id") from None


def list_all(query: PageQuery) -> Page[TenantRecord]:
    """A page of tenants by id."""
    return paging.read([Listing(TenantRecord, DIRECTORY)], query, DIRECTORY, "tenants")


def change(
    tx: Transaction, tenant_id: str, values: Mapping[str, Any], wanted: Wanted
) -> TenantRecord:
    """Adds the change of a tenant to `tx` and returns the tenant as it will be.

    Raises NotFound. The commit raises PreconditionFailed when the tenant is in none of the
    `wanted` versions, Conflict when another change came between. A suspension holds everywhere
    within `config_cache_seconds`.
    """
    row = get(tenant_id)
    unchanged, otherwise = versions.as_read(row, wanted, "tenant")
    given = {name: value for name, value in values.items() if name in ("name", "status", *DEFAULTS)}
    row.version = int(row.version) + 1
    actions = [TenantRecord.version.set(row.version)]
    for name, value in given.items():
        setattr(row, name, value)
        actions.append(getattr(TenantRecord, name).set(value))
    tx.update(row, actions, unchanged, otherwise)
    tenancy.forget(tenant_id)
    return row
