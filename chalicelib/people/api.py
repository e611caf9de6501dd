"""Users over HTTP: create with invitation, one, list."""

from typing import Any

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.http import Reply, Request, Routes
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.paging import PageQuery
from chalicelib.kernel.tenancy import MANAGERS, Caller, Role
from chalicelib.kernel.validation import Email, Name, Phone
from chalicelib.people import service
from chalicelib.people.models import Person
from chalicelib.people.rules import Status

routes = Routes()


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to create and invite."""

    name: Name
    email: Email
    role: Role
    phone: Phone | None = None
    send_email: bool = True
    send_sms: bool = True


class UsersQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of users."""

    search: str | None = None
    status: Status | None = None
    role: Role | None = None


@routes.post("/admin/v1/users", allow=MANAGERS, status=201)
def create_user(caller: Caller, body: NewUser, request: Request) -> Reply:
    """Creates a user and queues the invitation; sending happens after the answer."""
    tx = Transaction(caller.tenant_id)
    values = msgspec.structs.asdict(body)
    invited = service.invite(tx, caller, **values, base_url=request.base_url)
    person = invited.person
    return Reply(
        {
            "user": view(person),
            "email_invitation_queued": "email" in invited.channels,
            "sms_invitation_queued": "sms" in invited.channels,
            "invitation_expires_at": clock.iso_seconds(int(person.invitation_expires_at)),
        },
        message="User created successfully and invitations queued",
        headers={"Location": f"{request.base_url}/admin/v1/users/{person.id}"},
        commit=tx,
    )


@routes.get("/admin/v1/users", allow=MANAGERS)
def list_users(caller: Caller, query: UsersQuery) -> Reply:
    """Users, newest first, or by name and e-mail when searched for."""
    page = service.find(
        caller.tenant_id, query, search=query.search, status=query.status, role=query.role
    )
    return Reply([view(person) for person in page.items], meta=page.meta)


@routes.get("/admin/v1/users/{user_id}", allow=MANAGERS)
def get_user(caller: Caller, user_id: str) -> Reply:
    """One user."""
    return Reply(view(service.get(caller.tenant_id, user_id)))


def view(person: Person) -> dict[str, Any]:
    """A user as the API shows it."""
    return {
        "id": person.id,
        "name": person.name,
        "email": person.email,
        "phone": person.phone,
        "role": person.role,
        "status": person.status,
        "created_at": person.created_at,
    }
