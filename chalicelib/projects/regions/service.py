"""Regions: addresses of providers, and our accounts there. The platform's admins maintain them.

sk of tenant "#platform"        record         found by
region#<provider>#<name>        RegionRecord   find, get, list_all

Regions of the simulated provider come from settings and have no row. `find` and `is_known` may be
`config_cache_seconds` old, like a tenant's configuration.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.auth import vault
from chalicelib.kernel.cache import Cache
from chalicelib.kernel.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
)
from chalicelib.kernel.outbound import addresses
from chalicelib.kernel.outbound.addresses import Hostile
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import paging, preconditions, records
from chalicelib.kernel.store.paging import Listing, Page, PageQuery
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.kernel.store.records import Number
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.projects.gateway import Refused, Region
from chalicelib.projects.models import ProjectsRecord
from chalicelib.projects.rules import SIMULATED
from chalicelib.projects.settings import settings as own_settings

PLATFORM = vault.PLATFORM  #: partition of records that belong to no tenant
CHANGEABLE = ("address", "account", "username", "password")
_PREFIX = "region#"
_LONGEST_NAME = 63


class RegionRecord(ProjectsRecord):
    """Row of a region. Its password opens only for this row and the host of its address."""

    address = UnicodeAttribute()
    account = UnicodeAttribute()
    username = UnicodeAttribute()
    sealed_password = BinaryAttribute(legacy_encoding=False)
    version = Number(default=1)  #: rises with each change; sent as the ETag
    created_at = UnicodeAttribute()

    @property
    def provider(self) -> str:
        return str(self.sk).split("#")[1]

    @property
    def name(self) -> str:
        return str(self.sk).split("#")[2]


def find(provider: str, name: str) -> Region | None:
    """The region with its log-in, at most `config_cache_seconds` old.

    Raises Refused when its password was stored for another host than that of its address.
    """
    if provider == SIMULATED:
        return _simulated(name) if is_known(provider, name) else None
    row = _regions.get((provider, name)) if is_known(provider, name) else None
    if row is None:
        return None
    label = _label(str(row.sk), row.address)
    try:
        password = vault.opened(label, row, RegionRecord.sealed_password)
    except vault.Unsealable as error:
        raise Refused(
            f"the stored password of the region {name} is not for its address; "
            "enter the password again"
        ) from error
    return Region(provider, name, row.address, row.account, row.username, password)


def is_known(provider: str, name: str) -> bool:
    """True when there is such a region; does not open its password."""
    if provider == SIMULATED:
        return name in own_settings.listed("simulated_regions")
    return len(name) <= _LONGEST_NAME and _regions.get((provider, name)) is not None


def _simulated(name: str) -> Region:
    behaviour = {
        "latency_ms": own_settings.simulated_latency_ms,
        "calls_per_second": own_settings.simulated_calls_per_second,
        "failures": own_settings.simulated_failures,
    }
    return Region(SIMULATED, name, urlencode(behaviour), "", "", "")


def _read(provider_and_name: tuple[str, str]) -> RegionRecord | None:
    with telemetry.configuration():
        return records.read(RegionRecord, PLATFORM, _key(*provider_and_name))


_regions = Cache(_read, keep_seconds=lambda: settings.config_cache_seconds)


def _key(provider: str, name: str) -> str:
    return f"{_PREFIX}{provider}#{name}"


def create(tx: WriteSet, provider: str, name: str, values: Mapping[str, str]) -> RegionRecord:
    """Adds a region to `tx`.

    Raises Invalid for an address that must not be called. The commit raises Conflict when the
    provider has a region of this name.
    """
    _check(values)
    row = RegionRecord(
        PLATFORM,
        _key(provider, name),
        **_stored(_key(provider, name), values["address"], values),
        created_at=clock.iso(clock.now()),
    )
    tx.create(row, Conflict(f"A region {name} of {provider} already exists; choose another name"))
    return row


def get(provider: str, name: str) -> RegionRecord:
    """The region, not from the cache; raises NotFound."""
    row = records.read(RegionRecord, PLATFORM, _key(provider, name))
    if row is None:
        raise NotFound("No region has this provider and name")
    return row


def list_all(query: PageQuery) -> Page[RegionRecord]:
    """A page of regions in the order of provider and name."""
    listing = Listing(RegionRecord, PLATFORM, RegionRecord.sk.startswith(_PREFIX))
    return paging.read([listing], query, PLATFORM, "regions")


def change(
    tx: WriteSet,
    provider: str,
    name: str,
    values: Mapping[str, str],
    if_match: IfMatch,
) -> RegionRecord:
    """Adds the change of a region to `tx` and returns the region as it will be.

    Raises NotFound, and Invalid for an address that must not be called, or that is on another host
    and comes without the password. The commit raises PreconditionFailed when the region is in none
    of the versions of `if_match`, Conflict when another change came between.
    """
    row = get(provider, name)
    _check(values)
    address = values.get("address", row.address)
    if "password" not in values and _host(address) != _host(row.address):
        raise _password_missing()
    preconditions.apply(tx, row, _stored(str(row.sk), address, values), if_match, "region")
    _regions.forget((provider, name))
    return row


def delete(tx: WriteSet, provider: str, name: str, if_match: IfMatch) -> RegionRecord:
    """Adds the deletion of a region to `tx`; its projects cannot be changed any more.

    Raises what `change` raises.
    """
    row = get(provider, name)
    tx.delete(row, *preconditions.unchanged_since(row, if_match, "region"))
    _regions.forget((provider, name))
    return row


def _stored(key: str, address: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The values as a row stores them, with the password sealed for the host of the address."""
    stored: dict[str, Any] = {name: values[name] for name in CHANGEABLE if name in values}
    if "password" in stored:
        stored["sealed_password"] = vault.seal(_label(key, address), stored.pop("password"))
    return stored


def _label(key: str, address: str) -> vault.Label:
    return vault.Label(tenant_id=PLATFORM, use=vault.GATEWAY, name=key, host=_host(address))


def _host(address: str) -> str:
    """Whom a password is given to, in one spelling: scheme, host and port of an address."""
    try:
        parts = addresses.parse(address, private=True)
    except Hostile:
        return address  # of a row from before some rule; nobody calls it
    return parts.url.removesuffix(parts.path)


def _password_missing() -> Invalid:
    """A stored password would go to whoever has the new host, mistyped or not."""
    error = FieldError(
        "password",
        "must be sent with an address on another host: "
        "the stored one is for the host that it was given for",
    )
    return Invalid("A new host needs the password; see errors", field_errors=(error,))


def _check(values: Mapping[str, str]) -> None:
    """Raises Invalid for an address that must not be called.

    A name that does not resolve here may resolve where it is used, and is checked there again.
    """
    if "address" not in values:
        return
    try:
        address = addresses.parse(values["address"], private=settings.private_addresses)
        addresses.resolved(address.host, address.port, private=settings.private_addresses)
    except Hostile as hostile:
        error = FieldError("address", str(hostile))
        raise Invalid("This address cannot be used; see errors", field_errors=(error,)) from hostile
    except OSError:
        telemetry.log.info("address of a region does not resolve here")
