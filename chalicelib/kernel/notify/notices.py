"""Notices: a name, a function and a folder of templates. Sending, skipping, marking are here.

    @notice(channels=("email", "sms"))
    def invitation(context: Context, *, user_id: str) -> dict[str, Any]: ...

in `chalicelib/people/notices.py`, with `chalicelib/people/templates/invitation/`, is
`people.invitation`. The function reads what the texts need at the time of sending, and raises
Skip with a word when the message is no longer wanted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from chalicelib.kernel import tenancy
from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import Context, Declared, Result
from chalicelib.kernel.jobs.retry import Backoff
from chalicelib.kernel.notify import email, render, sms

Channel = Literal["email", "sms"]
#: What is done when an answer of SES or SNS was lost: neither can be asked whether it sent.
Guarantee = Literal["at_least_once", "at_most_once"]
Build = Callable[..., dict[str, Any]]

_TRIES = 6
_TIMEOUT_SECONDS = 25


@dataclass(frozen=True)
class Notice:
    """A declared notice."""

    name: str  #: with its domain, such as people.invitation
    package: str  #: where `templates/` is
    build: Build

    def __call__(self, context: Context, **args: Any) -> Result:
        """Delivers one message on the job's channel; returns the provider's id to keep."""
        folder = self.name.partition(".")[2]
        values = self.build(context, **args)
        job, tags = context.job, {"tenant": context.tenant_id, "job": context.job.id}
        to = str(job.recipient)
        if job.channel == "sms":
            sent = sms.send(render.sms(self.package, folder, values), to=to, tags=tags)
        else:
            mail = render.email(self.package, folder, values)
            name = _sender_name(context.tenant_id)
            sent = email.send(mail, to=to, from_name=name, tags=tags)
        return Result({"provider_message_id": sent})


def notice(
    *,
    channels: tuple[Channel, ...],
    guarantee: Guarantee = "at_least_once",
    tries: int = _TRIES,
    retry: Backoff | None = None,
) -> Callable[[Build], Build]:
    """Declares a notice. `guarantee` says what happens after an answer that was lost: sent again
    (an invoice nobody may miss), or not (a code that must not come twice).
    """

    def register(build: Build) -> Build:
        name = registry.name_of(build)
        registry.add(
            Declared(
                name,
                queue="notify",
                tries=tries,
                timeout_seconds=_TIMEOUT_SECONDS,
                retry=retry or Backoff(),
                run=Notice(name, build.__module__.rpartition(".")[0], build),
                channels=channels,
                repeats_lost_attempts=guarantee == "at_least_once",
            )
        )
        return build

    return register


def enqueue(
    transaction: Transaction,
    name: str,
    to: Mapping[Channel, str | None],
    *,
    queue: str | None = None,
    **args: Any,
) -> dict[Channel, Job]:
    """Saves one message per channel that has an address in `to`, in the caller's transaction.

    `queue` is another than the notices' own for messages that nobody waits for.
    """
    return {
        channel: transaction.enqueue(
            name, Delivery(channel=channel, recipient=address, queue=queue), **args
        )
        for channel, address in to.items()
        if address
    }


def _sender_name(tenant_id: str) -> str:
    tenant = tenancy.find(tenant_id)
    return (tenant.sender or tenant.name) if tenant else ""
