"""Regions over HTTP, for the platform's admins. No answer contains a password."""

from typing import Annotated, Any, Literal, cast

import msgspec

from chalicelib.kernel.auth.tenancy import ADMIN
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.outbound import addresses
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.projects.regions import service as regions
from chalicelib.projects.regions.service import RegionRecord

routes = Routes()

Provider = Literal[
    "openstack",
    "zadara",
]
RegionName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z",
        description="1 to 63 letters, digits, dots, underscores and hyphens",
        examples=["frankfurt"],
    ),
]
Address = Annotated[
    str,
    msgspec.Meta(
        max_length=addresses.LONGEST,
        pattern=addresses.SHAPE,
        description="an address such as https://cloud.example.com:5000/v3",
        examples=["https://cloud.example.com:5000/v3"],
    ),
]


def _short_text(example: str) -> msgspec.Meta:
    return msgspec.Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*\Z",
        description="1 to 255 characters, without control characters",
        examples=[example],
    )


Account = Annotated[str, _short_text("Default/admin")]
Username = Annotated[str, _short_text("backburner")]
Password = Annotated[str, _short_text("the password of that user")]


class NewRegion(msgspec.Struct, frozen=True, kw_only=True):
    """A region to add. The account is a domain, or "domain/project" if its role is in a project."""

    provider: Provider
    name: RegionName
    address: Address
    account: Account
    username: Username
    password: Password

    def __repr__(self) -> str:
        return f"NewRegion({self.provider}, {self.name})"


class RegionChange(msgspec.Struct, frozen=True, kw_only=True):
    """New values of a region; members that are left out stay as they are."""

    address: Address | msgspec.UnsetType = msgspec.UNSET
    account: Account | msgspec.UnsetType = msgspec.UNSET
    username: Username | msgspec.UnsetType = msgspec.UNSET
    password: Password | msgspec.UnsetType = msgspec.UNSET

    def __repr__(self) -> str:
        return "RegionChange()"


class RegionView(msgspec.Struct, frozen=True, kw_only=True):
    """A region."""

    provider: Provider
    name: str
    address: str
    account: str
    username: str
    created_at: str


@routes.post(
    "/admin/v1/regions",
    allow=ADMIN,
    platform=True,
    status=201,
    answers=RegionView,
    errors=(409,),
    calls=Calls(dynamodb=1, kms=1),
)
def create_region(body: NewRegion, request: Request) -> Reply:
    """Add a region. Its password is stored encrypted and never shown."""
    tx = WriteSet()
    row = regions.create(tx, body.provider, body.name, msgspec.structs.asdict(body))
    location = f"{request.base_url}/admin/v1/regions/{body.provider}/{body.name}"
    return _shown(row, tx, headers={"Location": location})


@routes.get(
    "/admin/v1/regions",
    allow=ADMIN,
    platform=True,
    answers=RegionView,
    paginated=True,
    calls=Calls(dynamodb=1),
)
def list_regions(query: PageQuery) -> Reply:
    """List regions by provider and name, without the simulated ones, which settings name."""
    page = regions.list_all(query)
    return Reply([view(row) for row in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/regions/{provider}/{name}",
    allow=ADMIN,
    platform=True,
    answers=RegionView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def get_region(provider: str, name: str) -> Reply:
    """Read one region."""
    return _shown(regions.get(provider, name))


@routes.patch(
    "/admin/v1/regions/{provider}/{name}",
    allow=ADMIN,
    platform=True,
    answers=RegionView,
    errors=(404, 409, 412),
    calls=Calls(dynamodb=2, kms=1),
)
def change_region(provider: str, name: str, body: RegionChange, request: Request) -> Reply:
    """Change a region's address or log-in, for example to replace its password.

    An address with another scheme, host or port needs the password in the same request.
    """
    tx = WriteSet()
    new = validation.provided(body)
    return _shown(regions.change(tx, provider, name, new, request.if_match), tx)


@routes.delete(
    "/admin/v1/regions/{provider}/{name}",
    allow=ADMIN,
    platform=True,
    answers=RegionView,
    errors=(404, 409, 412),
    calls=Calls(dynamodb=2),
)
def delete_region(provider: str, name: str, request: Request) -> Reply:
    """Delete a region. Its projects stay at the provider, but cannot be changed any more."""
    tx = WriteSet()
    return _shown(regions.delete(tx, provider, name, request.if_match), tx)


def _shown(row: RegionRecord, tx: WriteSet | None = None, **options: Any) -> Reply:
    return Reply(view(row), version=int(row.version), commit=tx, **options)


def view(row: RegionRecord) -> RegionView:
    return RegionView(
        provider=cast("Provider", row.provider),
        name=row.name,
        address=row.address,
        account=row.account,
        username=row.username,
        created_at=row.created_at,
    )
