"""How a domain declares its routes. `dispatch.py` does everything around a view.

    routes = Routes()

    @routes.post("/admin/v1/users", allow=MANAGERS, status=201, answers=UserCreated,
                 calls=Calls(dynamodb=1, sqs=1))
    def create_user(caller: Caller, body: NewUser) -> Reply:
        \"\"\"Create a user.\"\"\"

A view gets what its parameters name: `caller`, `body` and `query` (msgspec structs), `request`, and
the names in the path. Its docstring is the operation's description in the OpenAPI document.
"""

import inspect
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol, TypedDict, Unpack, get_type_hints

import msgspec
from pynamodb.expressions.condition import Condition

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.store.preconditions import IfMatch
from chalicelib.kernel.store.records import Keyed

MAX_BODY_BYTES = 64 * 1024


class Commit(Protocol):
    """What is committed before the answer is sent, such as an `outbox.Transaction`."""

    def save(self, record: Keyed, condition: Condition, error: AppError) -> None: ...

    def commit(self) -> None: ...


class Request(msgspec.Struct, frozen=True):
    """One HTTP request, as far as a view may need it."""

    id: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str  #: the address that links start with, without a slash at its end
    if_match: IfMatch = None


class Reply(msgspec.Struct, frozen=True):
    """A view's answer. One with a transaction is sent only after the transaction is committed."""

    data: Any = None
    message: str = ""
    status: int = 0  #: 0: the status that the route declares
    meta: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)  #: members beside `data`
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    version: int | None = None  #: version of the record, sent as its ETag
    html: str | None = None  #: a page instead of data
    json: bytes | None = None  #: a JSON document instead of data
    commit: Commit | None = None


class Calls(msgspec.Struct, frozen=True):
    """The most AWS calls that a request makes, whatever the size of a page or a table."""

    dynamodb: int = 0
    sqs: int = 0
    kms: int = 0

    @property
    def total(self) -> int:
        return self.dynamodb + self.sqs + self.kms


View = Callable[..., Reply]


class Route(msgspec.Struct, frozen=True):
    """A declared route and its view."""

    method: str
    path: str
    view: View
    parameters: Mapping[str, Any]  #: the view's parameters and their types
    calls: Calls
    allow: tuple[Role, ...] = ()  #: roles that may call; empty: anyone, without a token
    status: int = 200
    answers: Any = None  #: type of `data`; None: a page
    paginated: bool = False  #: True: `data` is a list of `answers`, in pages
    extra: Mapping[str, Any] = msgspec.field(
        default_factory=dict
    )  #: types of members beside `data`
    errors: tuple[int, ...] = ()  #: statuses beside those that every route may answer
    platform: bool = False  #: True for routes of the platform, which belong to no tenant
    max_body_bytes: int = MAX_BODY_BYTES
    media: tuple[str, ...] = ("application/json",)  #: media types of its body
    samples: Mapping[str, str] = msgspec.field(
        default_factory=dict
    )  #: an example for each media type whose body is a file
    in_openapi: bool = True  #: False: not in the OpenAPI document
    polled: bool = False  #: True: asked again until work is done; the answer says when

    @property
    def name(self) -> str:
        return self.view.__name__

    @property
    def changes(self) -> bool:
        return self.method != "GET"

    @property
    def takes_if_match(self) -> bool:
        return HTTPStatus.PRECONDITION_FAILED in self.errors


class Options(TypedDict, total=False):
    """What a route may declare besides its path."""

    calls: Calls
    allow: tuple[Role, ...]
    status: int
    answers: Any
    paginated: bool
    extra: Mapping[str, Any]
    errors: tuple[int, ...]
    platform: bool
    max_body_bytes: int
    media: tuple[str, ...]
    samples: Mapping[str, str]
    in_openapi: bool
    polled: bool


class Routes:
    """Routes of one domain, in the order of declaration."""

    def __init__(self) -> None:
        self.declared: list[Route] = []

    def get(self, path: str, **options: Unpack[Options]) -> Callable[[View], View]:
        return self._declare("GET", path, options)

    def post(self, path: str, **options: Unpack[Options]) -> Callable[[View], View]:
        return self._declare("POST", path, options)

    def patch(self, path: str, **options: Unpack[Options]) -> Callable[[View], View]:
        return self._declare("PATCH", path, options)

    def delete(self, path: str, **options: Unpack[Options]) -> Callable[[View], View]:
        return self._declare("DELETE", path, options)

    def _declare(self, method: str, path: str, options: Options) -> Callable[[View], View]:
        def register(view: View) -> View:
            hints = get_type_hints(view, include_extras=True)
            parameters = {name: hints[name] for name in inspect.signature(view).parameters}
            complete: Options = {"calls": Calls(), **options}
            self.declared.append(Route(method, path, view, parameters, **complete))
            return view

        return register
