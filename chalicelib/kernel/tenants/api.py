"""Tenants over HTTP, for the platform's admins."""

from typing import Annotated, Literal, cast

import msgspec

from chalicelib.kernel.auth.tenancy import ADMIN, DEFAULTS, TenantRecord
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.http.validation import Name
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.kernel.tenants import service

routes = Routes()

TenantId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z",
        description="1 to 40 lower-case letters, digits and hyphens, not beginning with one",
    ),
]
ShortText = Annotated[
    str,
    msgspec.Meta(
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z",
        description="at most 100 characters, without control characters",
    ),
]
TimeZone = Annotated[
    str,
    msgspec.Meta(
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z",
        description="an IANA time zone such as Europe/Berlin",
    ),
]
Status = Literal["active", "suspended"]


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """Values for those records of a tenant that have none of their own."""

    provider: ShortText = ""
    region: ShortText = ""
    time_zone: TimeZone = ""
    sender: ShortText = ""


class NewTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant to create; it gets an id unless it names one."""

    name: Name
    id: TenantId | None = None
    status: Status = "active"
    defaults: Defaults | None = None


class DefaultsChange(msgspec.Struct, frozen=True, kw_only=True):
    """New defaults; members that are left out stay as they are."""

    provider: ShortText | msgspec.UnsetType = msgspec.UNSET
    region: ShortText | msgspec.UnsetType = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET
    sender: ShortText | msgspec.UnsetType = msgspec.UNSET


class TenantChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a tenant; members that are left out stay as they are."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET
    defaults: DefaultsChange | msgspec.UnsetType = msgspec.UNSET


validation.register_check(Defaults, service.errors_in_defaults)
validation.register_check(DefaultsChange, service.errors_in_defaults)


class TenantView(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant."""

    id: str
    name: str
    status: Status
    defaults: Defaults


@routes.post(
    "/admin/v1/tenants",
    allow=ADMIN,
    platform=True,
    status=201,
    answers=TenantView,
    errors=(409,),
    calls=Calls(dynamodb=1),
)
def create_tenant(body: NewTenant, request: Request) -> Reply:
    """Create a tenant."""
    tx = WriteSet()
    defaults = msgspec.structs.asdict(body.defaults or Defaults())
    row = service.create(tx, body.id, body.name, defaults, body.status)
    headers = {"Location": f"{request.base_url}/admin/v1/tenants/{row.sk}"}
    return Reply(view(row), headers=headers, version=int(row.version), commit=tx)


@routes.get(
    "/admin/v1/tenants",
    allow=ADMIN,
    platform=True,
    answers=TenantView,
    paginated=True,
    calls=Calls(dynamodb=1),
)
def list_tenants(query: PageQuery) -> Reply:
    """List tenants by id."""
    page = service.list_all(query)
    return Reply([view(row) for row in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/tenants/{tenant_id}",
    allow=ADMIN,
    platform=True,
    answers=TenantView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def get_tenant(tenant_id: str) -> Reply:
    """Read one tenant."""
    row = service.get(tenant_id)
    return Reply(view(row), version=int(row.version))


@routes.patch(
    "/admin/v1/tenants/{tenant_id}",
    allow=ADMIN,
    platform=True,
    answers=TenantView,
    errors=(404, 409, 412),
    calls=Calls(dynamodb=2),
)
def change_tenant(tenant_id: str, body: TenantChange, request: Request) -> Reply:
    """Change a tenant. Once it is suspended, its requests are refused within a minute."""
    tx = WriteSet()
    values = validation.provided(body)
    values |= validation.provided(values.pop("defaults", None))
    row = service.change(tx, tenant_id, values, request.if_match)
    return Reply(view(row), version=int(row.version), commit=tx)


def view(row: TenantRecord) -> TenantView:
    defaults = Defaults(**{name: getattr(row, name) for name in DEFAULTS})
    return TenantView(
        id=str(row.sk), name=row.name, status=cast("Status", row.status), defaults=defaults
    )
