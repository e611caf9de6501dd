"""Notices: kinds of messages, each a name, a function and a folder of templates.

    @notice(channels=("email", "sms"))
    def invitation(context: Context, *, user_id: str) -> dict[str, Any]: ...

in `chalicelib/people/notices.py`, with `chalicelib/people/templates/invitation/`, is
`people.invitation`. The function is called at the time of sending: it returns the values of the
templates, and raises Skip with a reason when the message is no longer wanted.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import Context, Declared, LostAttempt, Result
from chalicelib.kernel.jobs.retry import Backoff

Channel = Literal["email", "sms"]
#: What happens when the answer of SES or SNS was lost: nobody can ask them whether they sent it.
Guarantee = Literal["at_least_once", "at_most_once", "confirm_then_resend"]
_AFTER_LOST: dict[Guarantee, LostAttempt] = {
    "at_least_once": "repeat",
    "at_most_once": "give_up",
    "confirm_then_resend": "confirm",
}
Build = Callable[..., dict[str, Any]]

_TRIES = 6
_TIMEOUT_SECONDS = 25


class Notice(msgspec.Struct, frozen=True):
    """A declared notice."""

    name: str  #: the domain and the function, such as people.invitation
    package: str  #: the package that `templates/` is in
    build: Build
    requested_by_recipient: bool = False  #: True for messages that the daily limit does not count

    def __call__(self, context: Context, **args: Any) -> Result:
        """Sends one message on the job's channel; the result keeps the provider's message id."""
        # Late: saves requests, which only queue notices, the code that sends them.
        from chalicelib.kernel.notify import sending

        values = self.build(context, **args)
        folder = self.name.partition(".")[2]
        message_id = sending.deliver(
            context,
            self.package,
            folder,
            values,
            requested_by_recipient=self.requested_by_recipient,
        )
        return Result({"provider_message_id": message_id})


def notice(
    *,
    channels: tuple[Channel, ...],
    guarantee: Guarantee = "at_least_once",
    tries: int = _TRIES,
    retry: Backoff | None = None,
    requested_by_recipient: bool = False,
) -> Callable[[Build], Build]:
    """Declares a notice.

    `guarantee` says what happens after an answer of the provider was lost. The message is sent
    again (an invoice that nobody may miss), not sent again (a code that must not come twice), or,
    for e-mail, sent again only if SES reports nothing within `confirm_seconds`. The daily limit of
    a recipient does not count messages that are `requested_by_recipient`.
    """

    def register(build: Build) -> Build:
        name = registry.name_of(build)
        package = build.__module__.rpartition(".")[0]
        registry.add(
            Declared(
                name,
                queue="notify",
                tries=tries,
                timeout_seconds=_TIMEOUT_SECONDS,
                retry=retry or Backoff(),
                run=Notice(name, package, build, requested_by_recipient),
                channels=channels,
                lost_attempt=_AFTER_LOST[guarantee],
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
    not_after: int | None = None,
    **args: Any,
) -> dict[Channel, Job]:
    """Adds a message to the caller's transaction for each channel that has an address in `to`.

    `queue` replaces the notices' own queue, for messages that nobody waits for. After `not_after`,
    in epoch seconds, a message that has not been sent ends as `expired`.
    """
    return {
        channel: transaction.enqueue(
            name,
            Delivery(channel=channel, recipient=address, queue=queue, not_after=not_after),
            **args,
        )
        for channel, address in to.items()
        if address
    }
