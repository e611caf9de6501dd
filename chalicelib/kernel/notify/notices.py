"""Notices: a name, a function and a folder of templates; how one is sent is `sending.py`'s matter.

    @notice(channels=("email", "sms"))
    def invitation(context: Context, *, user_id: str) -> dict[str, Any]: ...

in `chalicelib/people/notices.py`, with `chalicelib/people/templates/invitation/`, is
`people.invitation`. The function reads what the texts need at the time of sending, and raises
Skip with a word when the message is no longer wanted.
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
#: What is done when an answer of SES or SNS was lost: neither can be asked whether it sent.
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

    name: str  #: with its domain, such as people.invitation
    package: str  #: where `templates/` is
    build: Build
    asked: bool = False  #: True for what the recipient asked for just now: not counted

    def __call__(self, context: Context, **args: Any) -> Result:
        """Delivers one message on the job's channel; returns the provider's id to keep."""
        from chalicelib.kernel.notify import sending  # of workers only

        values = self.build(context, **args)
        folder = self.name.partition(".")[2]
        sent = sending.deliver(context, self.package, folder, values, asked=self.asked)
        return Result({"provider_message_id": sent})


def notice(
    *,
    channels: tuple[Channel, ...],
    guarantee: Guarantee = "at_least_once",
    tries: int = _TRIES,
    retry: Backoff | None = None,
    asked: bool = False,
) -> Callable[[Build], Build]:
    """Declares a notice.

    `guarantee` says what happens after an answer that was lost: sent again (an invoice nobody may
    miss), not again (a code that must not come twice), or, for e-mail, sent again only when SES's
    own event does not come within `confirm_seconds`. `asked` is for messages that the recipient
    asked for just now: the daily limit does not count them.
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
                run=Notice(name, build.__module__.rpartition(".")[0], build, asked),
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
