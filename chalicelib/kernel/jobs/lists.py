"""The ledger's named lists."""

from functools import reduce
from operator import and_

from pynamodb.expressions.condition import Condition

from chalicelib.kernel.jobs.ledger import PREFIX, Job, recipient_key
from chalicelib.kernel.paging import Listing


def matching(*, only_notices: bool = False, **equal: str | None) -> Condition | None:
    """A filter on attributes of a job; None takes all."""
    wanted = [getattr(Job, name) == value for name, value in equal.items() if value is not None]
    if only_notices:
        wanted.append(Job.channel.exists())
    return reduce(and_, wanted) if wanted else None


def newest(tenant_id: str, only: Condition | None) -> Listing[Job]:
    """The tenant's jobs, newest first."""
    return Listing(Job, tenant_id, Job.sk.startswith(PREFIX), only=only, newest_first=True)


def to_recipient(tenant_id: str, recipient: str, only: Condition | None) -> Listing[Job]:
    """The tenant's messages to one address or number, newest first."""
    key = recipient_key(tenant_id, recipient)
    return Listing(Job, key, index="recipient", only=only, newest_first=True)
