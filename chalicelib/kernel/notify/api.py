"""Notifications over HTTP. A notification is the job that sends a message to one recipient."""

from typing import Any, Literal, cast

import msgspec

from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.errors import NotFound
from chalicelib.kernel.http.routes import Calls, Reply, Routes
from chalicelib.kernel.jobs import ledger, queries
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store import paging
from chalicelib.kernel.store.paging import Filter, PageQuery

routes = Routes()

Status = Literal[
    "queued",
    "sending",
    "sent",
    "delivered",
    "bounced",
    "complained",
    "failed",
    "suppressed",
    "skipped",
    "expired",
    "cancelled",
]


class NotificationsQuery(PageQuery, frozen=True, kw_only=True):
    """Filters of the list of notifications."""

    recipient: Filter | None = None
    status: Status | None = None
    kind: Filter | None = None


class NotificationView(msgspec.Struct, frozen=True, kw_only=True):
    """A message to one recipient on one channel."""

    id: str
    kind: str
    channel: Literal["email", "sms"]
    recipient: str
    status: Status
    attempts: int
    provider_message_id: str | None
    error: str | None
    created_at: str
    sent_at: str | None


@routes.get(
    "/admin/v1/notifications",
    allow=MANAGERS,
    answers=NotificationView,
    paginated=True,
    calls=Calls(dynamodb=paging.MAX_CALLS),
)
def list_notifications(caller: Caller, query: NotificationsQuery) -> Reply:
    """List messages, newest first: one for each recipient and channel."""
    status = queries.seen_as(query.status)
    if query.recipient:
        only = queries.matching(status, type=query.kind)
        listing = queries.to_recipient(caller.tenant_id, query.recipient, only)
    else:
        only = queries.matching(status, only_notices=True, type=query.kind)
        listing = queries.newest(caller.tenant_id, only)
    page = paging.read([listing], query, caller.tenant_id, "notifications")
    return Reply([view(job) for job in page.items], meta=page.meta)


@routes.get(
    "/admin/v1/notifications/{notification_id}",
    allow=MANAGERS,
    answers=NotificationView,
    errors=(404,),
    calls=Calls(dynamodb=1),
)
def get_notification(caller: Caller, notification_id: str) -> Reply:
    """Read one message."""
    job = ledger.get(caller.tenant_id, notification_id)
    if job is None or job.channel is None:
        raise NotFound("No notification has this id")
    return Reply(view(job))


def _status(job: Job) -> str:
    """The job's status as a recipient's: `done` is `sent`, or what the provider reported since."""
    if job.status == "done":
        return "failed" if job.delivery == "rejected" else str(job.delivery or "sent")
    return "sending" if job.status == "running" else str(job.status)


def view(job: Job) -> NotificationView:
    """A message as the API shows it; one that is only queued is never shown as sent."""
    return NotificationView(
        id=job.id,
        kind=job.type,
        channel=cast("Any", job.channel),
        recipient=str(job.recipient),
        status=cast("Any", _status(job)),
        attempts=int(job.attempts),
        provider_message_id=job.provider_message_id,
        error=job.last_error,
        created_at=job.created_at,
        sent_at=job.finished_at if ledger.shown_status(job) == "done" else None,
    )
