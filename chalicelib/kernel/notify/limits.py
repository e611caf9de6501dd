"""Limits that protect people and money, each an atomic conditional write, none a read before it.

- a rate per tenant and channel: the generic cell rate algorithm, which is a token bucket kept as
  one number (ITU-T I.371; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)
- the suppression list, and at most so many unasked messages a day to one recipient: one row per
  recipient, one call
- SMS: an allow-list of country prefixes, and a cap a day per tenant
"""

import random
from datetime import timedelta
from typing import Any

from pynamodb.attributes import UnicodeAttribute
from pynamodb.expressions.condition import size
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.errors import AppError, Retry, Skip, Suppressed
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.paging import Listing
from chalicelib.kernel.store.records import KernelRecord, Number
from chalicelib.kernel.store.write_set import WriteSet

_KEEP_DAYS = 6  #: half of them until a row expires, half for DynamoDB to delete it
_US = 1_000_000  #: microseconds in a second
_FIRST_SPREAD_SECONDS = 15
_LONGEST_SPREAD_SECONDS = 120
_EMAIL = "to#email#"


class Rate(KernelRecord):
    """Row of a rate: keys (tenant, "rate#" + channel)."""

    free_at_us = Number(default=0)  #: when the bucket is full again, since 1970


class Recipient(KernelRecord):
    """Row of a recipient: keys (tenant, "to#" + channel + "#" + address); also counts by day."""

    suppressed = UnicodeAttribute(null=True)  #: bounced or complained
    suppressed_at = UnicodeAttribute(null=True)


class Spending(KernelRecord):
    """Row of a tenant's SMS: keys (tenant, "sms-count"); counts by day."""


def take_turn(tenant_id: str, channel: str, *, holds: int = 0) -> None:
    """Takes a place in the tenant's rate; raises Retry, uncharged, when the bucket is empty.

    `holds` counts the job's waits so far. Jobs that wait for one bucket are spread over a time
    that doubles with them up to two minutes: the bucket does not run dry and few come in vain.
    """
    is_sms, burst = channel == "sms", settings.rate_burst
    per_second = settings.tenant_sms_per_second if is_sms else settings.tenant_email_per_second
    if not per_second:
        return
    step_us, now_us = -(-_US // per_second), int(clock.now().timestamp() * _US)
    row = Rate(tenant_id, f"rate#{channel}")
    idle = Rate.free_at_us.does_not_exist() | (Rate.free_at_us < now_us)
    if row.change_if(idle, [Rate.free_at_us.set(now_us + step_us)]):
        return
    room = Rate.free_at_us.between(now_us, now_us + max(0, burst - 1) * step_us)
    if not row.change_if(room, [Rate.free_at_us.set(Rate.free_at_us + step_us)]):
        reason = f"the tenant's rate of {per_second} {channel} a second is used up"
        raise Retry(reason, after_seconds=_spread(holds))


def _spread(holds: int) -> int:
    most = min(_FIRST_SPREAD_SECONDS * 2 ** min(holds, 10), _LONGEST_SPREAD_SECONDS)
    return random.randint(1, most)


def admit_recipient(tenant_id: str, channel: str, address: str, *, unasked: str | None) -> None:
    """Returns when this recipient may be written to.

    `unasked` names a message of ours, which is counted once a day however often it is tried.
    Raises Suppressed for an address that bounced or complained, Skip beyond the daily limit.
    """
    row = _recipient(tenant_id, channel, address)
    most = settings.recipient_daily_messages
    if not most or unasked is None:
        _refuse_suppressed(row)
        return
    day = Path(_day_attribute())
    actions = [day.add({"SS": [unasked]}), Recipient.expires_at.set(_expiry()), *_forget_days()]
    few = size(day) < most  # type: ignore[no-untyped-call]
    counted = day.contains(unasked) | day.does_not_exist() | few
    if not row.change_if(Recipient.suppressed.does_not_exist() & counted, actions):
        _refuse_suppressed(row)
        raise Skip(f"recipient-daily-limit: {most} a day")


def admit_country(number: str) -> None:
    """Raises Skip for a number whose country gets no SMS."""
    prefixes = settings.listed("sms_prefixes")
    if prefixes and not number.startswith(prefixes):
        raise Skip("country-not-allowed")


def count_sms(tenant_id: str) -> None:
    """Adds one to the tenant's SMS of the day; raises Skip when they are spent.

    A number and not, as for a recipient, a set of messages: those may be thousands.
    """
    most = settings.sms_daily_per_tenant
    if not most:
        return
    count = Path(_day_attribute())
    one_more = count.set((count | 0) + 1)
    actions = [one_more, Spending.expires_at.set(_expiry()), *_forget_days()]
    free = count.does_not_exist() | (count < most)
    if not Spending(tenant_id, "sms-count").change_if(free, actions):
        raise Skip(f"sms-daily-limit: {most} a day for this tenant")


def suppress(tenant_id: str, channel: str, address: str, why: str) -> None:
    """Puts an address on the tenant's suppression list; safe to repeat."""
    _recipient(tenant_id, channel, address).update(
        [
            Recipient.suppressed.set(why),
            Recipient.suppressed_at.set(clock.iso(clock.now())),
            Recipient.expires_at.remove(),
        ]
    )


def unsuppress(tx: WriteSet, tenant_id: str, channel: str, address: str, error: AppError) -> None:
    """Takes an address off the list, with the transaction; `otherwise` when it is not on it."""
    actions: list[Action] = [Recipient.suppressed.remove(), Recipient.suppressed_at.remove()]
    actions.append(Recipient.expires_at.set(_expiry()))
    row = _recipient(tenant_id, channel, address)
    tx.update(row, actions, Recipient.suppressed.exists(), error)


def suppressed_addresses(tenant_id: str) -> Listing[Recipient]:
    """The tenant's suppression list, by address."""
    within = Recipient.sk.startswith(_EMAIL)
    return Listing(Recipient, tenant_id, within, only=Recipient.suppressed.exists())


def today() -> str:
    """The day, in UTC, that a message sent now is counted on."""
    return f"{clock.now():%Y%m%d}"


def address_of(row: Recipient) -> str:
    return str(row.sk).removeprefix(_EMAIL)


def _refuse_suppressed(row: Recipient) -> None:
    stored = records.read(Recipient, row.tenant, row.sk, consistent=True)
    if stored is not None and stored.suppressed:
        raise Suppressed(stored.suppressed)


def _recipient(tenant_id: str, channel: str, address: str) -> Recipient:
    return Recipient(tenant_id, f"to#{channel}#{address.lower()}")


def _day_attribute(days_ago: int = 0) -> str:
    """Counts stand under the day's own name, so that a new day begins at nothing."""
    return f"n{clock.now() - timedelta(days=days_ago):%Y%m%d}"


def _forget_days() -> list[Any]:
    """A row in use would grow with each day; one that is not is deleted within as many days."""
    return [Path(_day_attribute(ago)).remove() for ago in range(1, _KEEP_DAYS + 1)]


def _expiry() -> int:
    return clock.epoch_seconds() + _KEEP_DAYS * 86_400 // 2
