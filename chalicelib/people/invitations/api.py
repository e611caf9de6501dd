"""Accepting an invitation: by the API, and on the page behind the link, which needs no script.

A GET consumes nothing, since mail scanners open links.
"""

from http import HTTPStatus
from typing import Any

import msgspec

from chalicelib.kernel import templates
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError, Unauthorized, Unavailable
from chalicelib.kernel.http import dispatch
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.loading import Late
from chalicelib.people import service
from chalicelib.people.invitations import acceptance
from chalicelib.people.invitations import service as invitations
from chalicelib.people.invitations.acceptance import Acceptance, AlreadyAccepted
from chalicelib.people.views import Acceptable, AcceptQuery, UserView, user_view

routes = Routes()
tokens = Late("chalicelib.kernel.auth.tokens")  # brings cryptography along


@routes.post(
    "/v1/invitations/accept",
    answers=UserView,
    errors=(401, 403, 404, 409, 410),
    calls=Calls(dynamodb=5),
)
def accept_invitation(body: Acceptable, request: Request) -> Reply:
    """Accept an invitation by its token. It works once, even if two calls come at the same time.

    With a bearer token, which is optional, the login is bound to the user: it is let in at once,
    also when its token carries no e-mail address.
    """
    caller = _signed_in(request)
    token = invitations.read_token(body.token)
    person = service.get(token.tenant_id, token.person_id)
    accepting = Acceptance(token)
    if caller is not None:
        accepting.bind(caller, person)
    return Reply(
        user_view(person, status="active"),
        message="Invitation accepted",
        commit=accepting,
    )


def _signed_in(request: Request) -> Caller | None:
    """The caller of a route that the authorizer does not guard; None without a bearer token."""
    authorization = request.headers.get("authorization")
    if not authorization:
        return None
    try:
        caller: Caller = tokens.caller_of(tokens.claims_of(authorization))
    except tokens.TokenRefused as refused:
        raise Unauthorized from refused
    except tokens.IssuerUnavailable as error:
        raise Unavailable("Nobody can be signed in just now", after_seconds=5) from error
    return caller


@routes.get("/invitations/accept", errors=(403, 404, 410), calls=Calls(dynamodb=1))
def show_invitation(query: AcceptQuery, request: Request) -> Reply:
    """Show the page behind an invitation's link. It changes nothing."""
    try:
        invitation = acceptance.preview(invitations.read_token(query.token))
    except AlreadyAccepted:
        return _page(200, already=True)
    except Exception as error:  # noqa: BLE001  a page answers every error
        return _refusal(dispatch.client_error(error, request.id))
    return _page(200, invitation=invitation, token=query.token)


@routes.post(
    "/invitations/accept",
    errors=(403, 404, 410),
    media=(dispatch.FORM,),
    calls=Calls(dynamodb=1),
)
def accept_on_page(body: Acceptable, request: Request) -> Reply:
    """Accept an invitation from its page."""
    try:
        Acceptance(invitations.read_token(body.token)).commit()
    except AlreadyAccepted:
        return _page(200, already=True)
    except Exception as error:  # noqa: BLE001  a page answers every error
        return _refusal(dispatch.client_error(error, request.id))
    return _page(200, accepted=True)


def _refusal(error: AppError) -> Reply:
    is_ours = error.STATUS >= HTTPStatus.INTERNAL_SERVER_ERROR
    page = _page(error.STATUS, trouble=True) if is_ours else _page(error.STATUS, error=error.detail)
    return msgspec.structs.replace(page, headers=error.headers)


def _page(status: int, **values: Any) -> Reply:
    switches = dict.fromkeys(("trouble", "accepted", "already"), False)
    defaults = {"invitation": None, "token": "", "error": "", **switches}
    shown = {**defaults, **values}
    return Reply(
        html=templates.render_page("chalicelib.people", "accept.html", shown), status=status
    )
