"""Tenants over HTTP, for the platform's admins."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

import msgspec

from chalicelib.kernel.auth.tenancy import ADMIN, DEFAULTS, TenantRecord
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.fields import Name
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.kernel.tenants import defaults, service

routes = Routes()

TenantId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}\Z",
        description="1 to 40 lower-case letters, digits and hyphens, not beginning with one",
    ),
]
Status = Literal["active", "suspended"]


def _struct(name: str, description: str, fields: list[tuple[str, Any, Any]]) -> Any:
    """A struct of the declared defaults, whose members no code can name."""
    return msgspec.defstruct(
        name, fields, frozen=True, kw_only=True, module=__name__, namespace={"__doc__": description}
    )


if TYPE_CHECKING:
    Defaults: TypeAlias = msgspec.Struct
    DefaultsChange: TypeAlias = msgspec.Struct
else:
    Defaults = _struct(
        "Defaults",
        "Values for those records of a tenant that have none of their own.",
        [(default.name, default.type, "") for default in defaults.declared()],
    )
    DefaultsChange = _struct(
        "DefaultsChange",
        "New defaults; members that are left out stay as they are.",
        [
            (default.name, default.type | msgspec.UnsetType, msgspec.UNSET)
            for default in defaults.declared()
        ],
    )


class NewTenant(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant to create; it gets an id unless it names one."""

    name: Name
    id: TenantId | None = None
    status: Status = "active"
    defaults: Defaults | None = None


class TenantChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a tenant; members that are left out stay as they are."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    status: Status | msgspec.UnsetType = msgspec.UNSET
    defaults: DefaultsChange | msgspec.UnsetType = msgspec.UNSET


validation.register_check(Defaults, defaults.errors_in)
validation.register_check(DefaultsChange, defaults.errors_in)


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
    values = msgspec.structs.asdict(body.defaults or Defaults())
    row = service.create(tx, body.id, body.name, values, body.status)
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
    return TenantView(
        id=str(row.sk),
        name=row.name,
        status=cast("Status", row.status),
        defaults=Defaults(**{name: getattr(row, name) for name in DEFAULTS}),
    )
