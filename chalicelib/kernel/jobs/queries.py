"""The named lists of jobs and messages."""

from functools import reduce
from operator import and_

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.jobs.ledger import DELIVERIES, PREFIX, Job, recipient_key
from chalicelib.kernel.store.paging import Listing


def matching(
    also: Condition | None = None, *, only_notices: bool = False, **equal: str | None
) -> Condition | None:
    """The filter that all these conditions hold, or None without any; a value None is ignored."""
    conditions = [getattr(Job, name) == value for name, value in equal.items() if value is not None]
    if also is not None:
        conditions.append(also)
    if only_notices:
        conditions.append(Job.channel.exists())
    return reduce(and_, conditions) if conditions else None


def shown_as(status: str | None) -> Condition | None:
    """The filter for a status of jobs, as `ledger.shown_status` shows it; None without one."""
    if status is None:
        return None
    condition: Condition = Job.status == status
    if status == "failed":
        condition |= (Job.status == "done") & (Job.delivery == "rejected")
    elif status == "done":
        condition &= Job.delivery.does_not_exist() | (Job.delivery != "rejected")
    elif status == "skipped":
        condition |= Job.status == "suppressed"
    return condition


def seen_as(status: str | None) -> Condition | None:
    """The filter for a status of notifications, or None without one.

    A job that is done is `sent`, `delivered`, `bounced` or `complained`: see `ledger.DELIVERIES`.
    """
    if status in DELIVERIES:
        delivery: Condition = Job.delivery == status
        if status == "sent":
            delivery |= Job.delivery.does_not_exist()
        condition: Condition = (Job.status == "done") & delivery
        return condition
    if status in ("skipped", "suppressed"):  # which notifications tell apart
        return matching(status=status)
    return shown_as("running" if status == "sending" else status)


def newest(tenant_id: str, only: Condition | None) -> Listing[Job]:
    """The tenant's jobs, newest first."""
    return Listing(Job, tenant_id, Job.sk.startswith(PREFIX), only=only, newest_first=True)


def to_recipient(tenant_id: str, recipient: str, only: Condition | None) -> Listing[Job]:
    """The tenant's messages to one address or number, newest first."""
    key = recipient_key(tenant_id, recipient)
    return Listing(Job, key, index="recipient", only=only, newest_first=True)
