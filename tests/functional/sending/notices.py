"""Notices of the tests' own, one for each guarantee that people.invitation does not have."""

from typing import Any

from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify import notices
from chalicelib.kernel.notify.notices import notice


@notice(channels=("email", "sms"))
def reminder(context: Context, *, text: str) -> dict[str, Any]:
    """Sent at least once."""
    return {"text": text}


@notice(channels=("email", "sms"), guarantee="at_most_once", requested_by_recipient=True)
def code(context: Context, *, text: str) -> dict[str, Any]:
    """Asked for by its recipient, and sent at most once."""
    return {"text": text}


def queue(name: str, *to: str, tenant: str = "t1") -> list[str]:
    """Queues one message to each address or number; the ids of their jobs."""
    ids = []
    for start in range(0, len(to), 100):
        with Transaction(tenant) as tx:
            for address in to[start:][:100]:
                channel = "sms" if address.startswith("+") else "email"
                made = notices.enqueue(tx, f"sending.{name}", {channel: address}, text="hello")
                ids.append(made[channel].id)
    return ids
