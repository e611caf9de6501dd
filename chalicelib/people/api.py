"""Users over HTTP."""

from typing import cast

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.http import validation
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import paging
from chalicelib.people import service
from chalicelib.people.invitations import service as invitations
from chalicelib.people.service import Change, NewPerson
from chalicelib.people.views import (
    NewUser,
    UserChange,
    UserCreated,
    UsersQuery,
    UserView,
    user_view,
)

routes = Routes()
sign_in = (
    service.sign_in
)  #: called by the authorizer for every token that the gateway has not cached

ONE_READ = Calls(dynamodb=1)
ACCEPTED = Calls(dynamodb=1, sqs=1)
READ_AND_CHANGED = Calls(dynamodb=2, sqs=1)  #: one push for the jobs of other domains


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
    calls=READ_AND_CHANGED,
)
def change_user(caller: Caller, user_id: str, body: UserChange, request: Request) -> Reply:
    """Change a user's name, phone number or role. Nobody can change their own role."""
    return _changed(caller, user_id, cast("Change", validation.provided(body)), request)


@routes.delete(
    "/admin/v1/users/{user_id}",
    allow=MANAGERS,
    answers=UserView,
    errors=(404, 409, 412),
    calls=READ_AND_CHANGED,
)
def deactivate_user(caller: Caller, user_id: str, request: Request) -> Reply:
    """Deactivate a user. A waiting invitation is not sent, and its link stops working. Their access
    to projects ends in the background.
    """
    return _changed(caller, user_id, {"status": "deactivated"}, request)


def _changed(caller: Caller, user_id: str, new: Change, request: Request) -> Reply:
    tx = Transaction(caller.tenant_id)
    person = service.change(tx, caller, user_id, new, request.if_match)
    return Reply(user_view(person), version=int(person.version), commit=tx)


@routes.post(
    "/admin/v1/users/{user_id}/resend-invitation",
    allow=MANAGERS,
    status=202,
    answers=UserView,
    errors=(404, 409, 412, 429),
    calls=Calls(dynamodb=2, sqs=1),
)
def resend_invitation(caller: Caller, user_id: str, request: Request) -> Reply:
    """Queue a new invitation. The earlier link stops working."""
    tx = Transaction(caller.tenant_id)
    person = invitations.resend(tx, user_id, request.base_url, request.if_match)
    return Reply(user_view(person), message="Invitation queued", commit=tx)
