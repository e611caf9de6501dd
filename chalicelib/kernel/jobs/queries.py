"""The ledger's named lists."""

from functools import reduce
from operator import and_

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.jobs.ledger import DELIVERIES, PREFIX, Job, recipient_key
from chalicelib.kernel.store.paging import Listing


def matching(
    also: Condition | None = None, *, only_notices: bool = False, **equal: str | None
) -> Condition | None:
    """A filter on attributes of a job; None takes all."""
    wanted = [getattr(Job, name) == value for name, value in equal.items() if value is not None]
    if also is not None:
        wanted.append(also)
    if only_notices:
        wanted.append(Job.channel.exists())
    return reduce(and_, wanted) if wanted else None


def seen_as(status: str | None) -> Condition | None:
    """Messages with this status as recipients see it: done is `sent` until events say more."""
    if status is None:
        return None
    if status == "sent":
        unheard: Condition = Job.delivery.does_not_exist() | (Job.delivery == "sent")
        wanted: Condition = (Job.status == "done") & unheard
        return wanted
    word = "running" if status == "sending" else status
    wanted = Job.status == word
    if status in DELIVERIES:
        wanted = (Job.status == "done") & (Job.delivery == status)
    return wanted


def newest(tenant_id: str, only: Condition | None) -> Listing[Job]:
    """The tenant's jobs, newest first."""
    return Listing(Job, tenant_id, Job.sk.startswith(PREFIX), only=only, newest_first=True)


def to_recipient(tenant_id: str, recipient: str, only: Condition | None) -> Listing[Job]:
    """The tenant's messages to one address or number, newest first."""
    key = recipient_key(tenant_id, recipient)
    return Listing(Job, key, index="recipient", only=only, newest_first=True)
