"""Accepting an invitation: by the API, and on the page behind the link, which needs no script.

A GET consumes nothing, since mail scanners open links.
"""

from http import HTTPStatus
from typing import Any

import msgspec

from chalicelib.kernel import templates
from chalicelib.kernel.errors import AppError
from chalicelib.kernel.http import dispatch
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.people import service
from chalicelib.people.invitations import service as invitations
from chalicelib.people.invitations.service import Acceptance
from chalicelib.people.views import Acceptable, AcceptQuery, UserView, user_view

routes = Routes()


@routes.post(
    "/v1/invitations/accept",
    answers=UserView,
    errors=(403, 404, 410),
    calls=Calls(dynamodb=2),
)
def accept_invitation(body: Acceptable) -> Reply:
    """Accept an invitation by its token. It works once, even if two calls come at the same time."""
    token = invitations.read_token(body.token)
    person = service.get(token.tenant_id, token.person_id)
    return Reply(
        user_view(person, status="active"),
        message="Invitation accepted",
        commit=Acceptance(token),
    )


@routes.get("/invitations/accept", errors=(403, 404, 410), calls=Calls(dynamodb=1))
def show_invitation(query: AcceptQuery, request: Request) -> Reply:
    """Show the page behind an invitation's link. It changes nothing."""
    try:
        invitation = invitations.preview(invitations.read_token(query.token))
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
    except Exception as error:  # noqa: BLE001  a page answers every error
        return _refusal(dispatch.client_error(error, request.id))
    return _page(200, accepted=True)


def _refusal(error: AppError) -> Reply:
    is_ours = error.STATUS >= HTTPStatus.INTERNAL_SERVER_ERROR
    page = _page(error.STATUS, trouble=True) if is_ours else _page(error.STATUS, error=error.detail)
    return msgspec.structs.replace(page, headers=error.headers)


def _page(status: int, **values: Any) -> Reply:
    defaults = {"invitation": None, "token": "", "error": "", "trouble": False, "accepted": False}
    shown = {**defaults, **values}
    return Reply(
        html=templates.render_page("chalicelib.people", "accept.html", shown), status=status
    )
