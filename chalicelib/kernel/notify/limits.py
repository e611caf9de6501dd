"""Limits that protect people and money, each an atomic conditional write, none a read before it.

- a rate per tenant and channel: the generic cell rate algorithm, which is a token bucket kept as
  one number (ITU-T I.371; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)
- the suppression list, and at most so many unasked messages a day to one recipient: one row per
  recipient, one call
- SMS: an allow-list of country prefixes, and a cap a day per tenant
"""

from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Retry, Skip, Suppressed
from chalicelib.kernel.paging import Listing
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import KernelRecord

_KEEP_SECONDS = 3 * 86_400
_MS = 1000
_EMAIL = "to#email#"


class Rate(KernelRecord):
    """Row of a rate: keys (tenant, "rate#" + channel)."""

    free_at_ms = NumberAttribute(default=0)  #: when the bucket is full again


class Recipient(KernelRecord):
    """Row of a recipient: keys (tenant, "to#" + channel + "#" + address); also counts by day."""

    suppressed = UnicodeAttribute(null=True)  #: bounced or complained
    suppressed_at = UnicodeAttribute(null=True)


class Spending(KernelRecord):
    """Row of a tenant's SMS: keys (tenant, "sms-count"); counts by day."""


def take_turn(tenant_id: str, channel: str) -> None:
    """Takes a place in the tenant's rate; raises Retry, uncharged, when the bucket is empty."""
    is_sms, burst = channel == "sms", settings.rate_burst
    per_second = settings.tenant_sms_per_second if is_sms else settings.tenant_email_per_second
    if not per_second:
        return
    step_ms, now_ms = max(1, _MS // per_second), int(clock.now().timestamp() * _MS)
    row = Rate(tenant_id, f"rate#{channel}")
    busy = Rate.free_at_ms + step_ms
    full_ms = now_ms + burst * step_ms
    if _changed(row, [Rate.free_at_ms.set(busy)], Rate.free_at_ms.between(now_ms, full_ms)):
        return
    idle = Rate.free_at_ms.does_not_exist() | (Rate.free_at_ms < now_ms)
    if not _changed(row, [Rate.free_at_ms.set(now_ms + step_ms)], idle):
        raise Retry(f"the tenant's rate of {per_second} {channel} a second is used up")


def admit_recipient(tenant_id: str, channel: str, address: str, *, counted: bool) -> None:
    """Returns when this recipient may be written to.

    `counted` adds one to the day's unasked messages; an attempt that repeats one is not counted.
    Raises Suppressed for an address that bounced or complained, Skip beyond the daily limit.
    """
    row = _recipient(tenant_id, channel, address)
    most = settings.recipient_daily_messages if counted else 0
    if not most:
        _refuse_suppressed(row)
        return
    count = Path(_day_attribute())
    actions = [count.set((count | 0) + 1), Recipient.expires_at.set(_expiry())]
    free = Recipient.suppressed.does_not_exist() & (count.does_not_exist() | (count < most))
    if not _changed(row, actions, free):
        _refuse_suppressed(row)
        raise Skip(f"recipient-daily-limit: {most} a day")


def admit_sms(tenant_id: str, number: str, *, counted: bool) -> None:
    """Raises Skip for a country that is not allowed or a tenant whose day is spent."""
    prefixes = settings.listed("sms_prefixes")
    if prefixes and not number.startswith(prefixes):
        raise Skip("country-not-allowed")
    most = settings.sms_daily_per_tenant
    if not most or not counted:
        return
    count = Path(_day_attribute())
    actions = [count.set((count | 0) + 1), Spending.expires_at.set(_expiry())]
    if not _changed(
        Spending(tenant_id, "sms-count"), actions, count.does_not_exist() | (count < most)
    ):
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


def unsuppress(tenant_id: str, channel: str, address: str) -> bool:
    """Takes an address off the list; False when it was not on it."""
    actions = [Recipient.suppressed.remove(), Recipient.suppressed_at.remove()]
    row = _recipient(tenant_id, channel, address)
    return _changed(
        row, [*actions, Recipient.expires_at.set(_expiry())], Recipient.suppressed.exists()
    )


def suppressed_addresses(tenant_id: str) -> Listing[Recipient]:
    """The tenant's suppression list, by address."""
    within = Recipient.sk.startswith(_EMAIL)
    return Listing(Recipient, tenant_id, within, only=Recipient.suppressed.exists())


def address_of(row: Recipient) -> str:
    return str(row.sk).removeprefix(_EMAIL)


def _refuse_suppressed(row: Recipient) -> None:
    try:
        found = Recipient.get(row.tenant, row.sk)
    except Recipient.DoesNotExist:
        return
    if found.suppressed:
        raise Suppressed(found.suppressed)


def _recipient(tenant_id: str, channel: str, address: str) -> Recipient:
    return Recipient(tenant_id, f"to#{channel}#{address.lower()}")


def _day_attribute() -> str:
    """Counts stand under the day's own name, so that a new day begins at nothing."""
    return f"n{clock.now():%Y%m%d}"


def _expiry() -> int:
    return clock.epoch_seconds() + _KEEP_SECONDS


def _changed(row: KernelRecord, actions: list[Any], condition: Condition) -> bool:
    try:
        row.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code == "ConditionalCheckFailedException":
            return False
        raise
    return True
