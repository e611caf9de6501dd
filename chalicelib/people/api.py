"""Users over HTTP."""

from typing import cast

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import paging
from chalicelib.people import access, changes, service
from chalicelib.people.changes import Change
from chalicelib.people.invitations import service as invitations
from chalicelib.people.service import NewPerson
from chalicelib.people.views import (
    NewUser,
    UserChange,
    UserCreated,
    UsersQuery,
    UserView,
    user_view,
)

routes = Routes()
logins = access  #: the records of logins, which app.py names
ONE_READ = Calls(dynamodb=1)
ACCEPTED = Calls(dynamodb=1, sqs=1)
READ_AND_CHANGED = Calls(dynamodb=2, sqs=2)  #: a push for messages, and one for jobs of domains
#: the same, and mostly one read to find another manager
CHANGED = Calls(dynamodb=3 + changes.MOST_READS, sqs=2)


@routes.post(
    "/admin/v1/users",
    allow=MANAGERS,
    status=201,
    answers=UserCreated,
    errors=(409,),
    calls=ACCEPTED,
)
def create_user(caller: Caller, body: NewUser, request: Request) -> Reply:
    """Create a user and queue the invitation. It is sent after the answer."""
    tx = Transaction(caller.tenant_id)
    new = NewPerson(body.name, body.email, body.role, body.phone, body.send_email, body.send_sms)
    invited = service.invite(tx, caller, new, base_url=request.base_url)
    person = invited.person
    return Reply(
        UserCreated(
            user=user_view(person),
            email_invitation_queued="email" in invited.channels,
            sms_invitation_queued="sms" in invited.channels,
            invitation_expires_at=clock.iso_seconds(int(person.invitation_expires_at)),
        ),
        message="User created successfully"
        + (" and invitations queued" if invited.channels else ""),
        headers={"Location": f"{request.base_url}/admin/v1/users/{person.id}"},
        version=int(person.version),
        commit=tx,
    )


@routes.get(
    "/admin/v1/users",
    allow=MANAGERS,
    answers=UserView,
    paginated=True,
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_users(caller: Caller, query: UsersQuery) -> Reply:
    """List users, newest first, or those whose name or e-mail address begins with `search`."""
    page = service.find(
        caller.tenant_id, query, search=query.search, status=query.status, role=query.role
    )
    return Reply([user_view(person) for person in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/users/{user_id}",
    allow=MANAGERS,
    answers=UserView,
    errors=(404,),
    calls=ONE_READ,
)
def get_user(caller: Caller, user_id: str) -> Reply:
    """Read one user."""
    person = service.get(caller.tenant_id, user_id)
    return Reply(user_view(person), version=int(person.version))


@routes.patch(
    "/admin/v1/users/{user_id}",
    allow=MANAGERS,
    answers=UserView,
    errors=(404, 409, 412),
    calls=CHANGED,
)
def change_user(caller: Caller, user_id: str, body: UserChange, request: Request) -> Reply:
    """Change a user's name, e-mail address, phone number or role. Nobody can change their own role,
    and the last active manager keeps it.

    The weaker role of token and user counts, within a minute of the change. A new e-mail address
    ends the login that was used until now, also within a minute, and is sent a new invitation.
    """
    tx, new = Transaction(caller.tenant_id), cast("Change", validation.provided(body))
    base_url = request.base_url
    person = changes.change(tx, caller, user_id, new, request.if_match, base_url=base_url)
    return Reply(user_view(person), version=int(person.version), commit=tx)


@routes.delete(
    "/admin/v1/users/{user_id}",
    allow=MANAGERS,
    answers=UserView,
    errors=(404, 409, 412),
    calls=CHANGED,
)
def deactivate_user(caller: Caller, user_id: str, request: Request) -> Reply:
    """Deactivate a user. Their requests are refused and their sockets silent within a minute.

    A waiting invitation is not sent, and its link stops working. Their access to projects ends in
    the background. The last active manager of a tenant stays.
    """
    tx = Transaction(caller.tenant_id)
    person = changes.deactivate(tx, caller, user_id, request.if_match)
    return Reply(user_view(person), version=int(person.version), commit=tx)


@routes.post(
    "/admin/v1/users/{user_id}/reactivate",
    allow=MANAGERS,
    answers=UserView,
    errors=(404, 409, 412),
    calls=READ_AND_CHANGED,
)
def reactivate_user(caller: Caller, user_id: str, request: Request) -> Reply:
    """Let a deactivated user in again, with the role and the login that they had; they are told.

    Who had not accepted their invitation gets a new one.
    """
    tx, base_url = Transaction(caller.tenant_id), request.base_url
    person = changes.reactivate(tx, caller, user_id, request.if_match, base_url=base_url)
    return Reply(
        user_view(person), message="User reactivated", version=int(person.version), commit=tx
    )


@routes.post(
    "/admin/v1/users/{user_id}/resend-invitation",
    allow=MANAGERS,
    status=202,
    answers=UserView,
    errors=(404, 409, 412, 429),
    calls=Calls(dynamodb=3, sqs=1),
)
def resend_invitation(caller: Caller, user_id: str, request: Request) -> Reply:
    """Queue a new invitation. The earlier link stops working, unless the new one cannot be sent.

    Beyond the daily limits it is refused (429).
    """
    tx = Transaction(caller.tenant_id)
    person = invitations.resend(tx, caller, user_id, request.base_url, request.if_match)
    return Reply(user_view(person), message="Invitation queued", commit=tx)
