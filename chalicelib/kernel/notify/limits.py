"""Limits that protect people and money, each one atomic conditional write without a read before it.

- a rate for each tenant and channel: the generic cell rate algorithm, which is a token bucket kept
  as one number (ITU-T I.371; https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm)
- the suppression list, and a daily limit of the messages that a recipient did not request: one row
  and one call for both
- for SMS, an allow-list of country prefixes, and a daily limit for each tenant
"""

import random
from collections.abc import Mapping
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

_KEEP_DAYS = 6  #: a row expires after half of them; DynamoDB may take the other half to delete it
_US = 1_000_000  #: microseconds in a second
_FIRST_SPREAD_SECONDS = 15
_LONGEST_SPREAD_SECONDS = 120
_EMAIL = "to#email#"
SPENDING = "spending"  #: stands for the row of a tenant's SMS among those of its recipients
SECONDS_IN_A_DAY = 86_400

Item = dict[str, Any]  #: a row in DynamoDB's form


class Rate(KernelRecord):
    """Row of a rate: keys (tenant, "rate#" + channel)."""

    free_at_us = Number(default=0)  #: epoch microseconds at which the bucket is full again


class Recipient(KernelRecord):
    """Row of a recipient: keys (tenant, "to#" + channel + "#" + address); counts by day too."""

    suppressed = UnicodeAttribute(null=True)  #: why: `bounced` or `complained`
    suppressed_at = UnicodeAttribute(null=True)


class Spending(KernelRecord):
    """Row of a tenant's SMS: keys (tenant, "sms-count"); counts by day."""


def take_turn(tenant_id: str, channel: str, *, waits: int = 0) -> None:
    """Takes a token of the tenant's bucket; raises Retry, which uses up no attempt, without one.

    `waits` says how often the job has waited so far. Waiting jobs are spread at random over a time
    that doubles with each wait up to two minutes, so that most of them find a token.
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
        raise Retry(reason, after_seconds=_spread(waits))


def _spread(waits: int) -> int:
    longest = min(_FIRST_SPREAD_SECONDS * 2 ** min(waits, 10), _LONGEST_SPREAD_SECONDS)
    return random.randint(1, longest)


def admit_recipient(
    tenant_id: str, channel: str, address: str, message_id: str, kind: str | None
) -> None:
    """Returns if this recipient may be sent the message, and counts it.

    A message is counted once a day however often it is tried, beside others of its kind; without a
    `kind` it is not counted. Raises Suppressed for an address that bounced or complained, Skip
    beyond the daily limit.
    """
    row = _recipient(tenant_id, channel, address)
    most = settings.recipient_daily_messages
    if not most or kind is None:
        _refuse_suppressed(row)
        return
    day = Path(_day_attribute(kind=kind))
    actions = [day.add({"SS": [message_id]}), Recipient.expires_at.set(_expiry())]
    actions += _forget_days(kind)
    few = size(day) < most  # type: ignore[no-untyped-call]
    counted = day.contains(message_id) | day.does_not_exist() | few
    if not row.change_if(Recipient.suppressed.does_not_exist() & counted, actions):
        _refuse_suppressed(row)
        raise Skip(f"recipient-daily-limit: {most} a day")


def admit_country(number: str) -> None:
    """Raises Skip for a number whose country gets no SMS."""
    prefixes = settings.listed("sms_prefixes")
    if prefixes and not number.startswith(prefixes):
        raise Skip("country-not-allowed")


def count_sms(tenant_id: str) -> None:
    """Adds one to the tenant's SMS of the day; raises Skip when the daily limit is reached.

    The row holds a number, not a set of messages as a recipient's row does: there may be thousands.
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
    """Takes an address off the list with `tx`, whose commit raises `error` if it is not on it."""
    actions: list[Action] = [Recipient.suppressed.remove(), Recipient.suppressed_at.remove()]
    actions.append(Recipient.expires_at.set(_expiry()))
    row = _recipient(tenant_id, channel, address)
    tx.update(row, actions, Recipient.suppressed.exists(), error)


def suppressed_addresses(tenant_id: str) -> Listing[Recipient]:
    """The tenant's suppression list in the order of the addresses."""
    within = Recipient.sk.startswith(_EMAIL)
    return Listing(Recipient, tenant_id, within, only=Recipient.suppressed.exists())


def today() -> str:
    """The day, in UTC, on which a message sent now counts."""
    return f"{clock.now():%Y%m%d}"


def rows_of(tenant_id: str, to: Mapping[Any, str]) -> dict[str, Item]:
    """The rows of these addresses by channel, and that of the tenant's SMS as `spending`.

    In DynamoDB's form, since they count in attributes of their own for each day; one read. Rows
    that are missing, or that DynamoDB had no time for, are left out.
    """
    sort_keys = {str(_recipient(tenant_id, each, to[each]).sk): each for each in to}
    if "sms" in to:
        sort_keys["sms-count"] = SPENDING
    table = Recipient._get_connection()
    keys: Any = [{"tenant": tenant_id, "sk": sort_key} for sort_key in sort_keys]
    found = table.batch_get_item(keys)["Responses"].get(table.table_name, [])
    return {sort_keys[item["sk"]["S"]]: item for item in found}


def is_suppressed(row: Item) -> bool:
    return "suppressed" in row


def is_recipient_full(row: Item, kind: str) -> bool:
    """True when today's messages of this kind have reached the daily limit of a recipient."""
    most = settings.recipient_daily_messages
    return bool(most) and len(row.get(_day_attribute(kind=kind), {}).get("SS", [])) >= most


def is_sms_full(row: Item) -> bool:
    """True when the tenant's SMS of today have reached their limit."""
    most = settings.sms_daily_per_tenant
    return bool(most) and int(row.get(_day_attribute(), {}).get("N", 0)) >= most


def seconds_left_today() -> int:
    """The seconds until the daily limits begin anew."""
    return SECONDS_IN_A_DAY - clock.epoch_seconds() % SECONDS_IN_A_DAY


def address_of(row: Recipient) -> str:
    return str(row.sk).removeprefix(_EMAIL)


def _refuse_suppressed(row: Recipient) -> None:
    stored = records.read(Recipient, row.tenant, row.sk, consistent=True)
    if stored is not None and stored.suppressed:
        raise Suppressed(stored.suppressed)


def _recipient(tenant_id: str, channel: str, address: str) -> Recipient:
    return Recipient(tenant_id, f"to#{channel}#{address.lower()}")


def _day_attribute(days_ago: int = 0, kind: str = "") -> str:
    """The attribute that counts for one day; each day has its own, so that it begins at zero."""
    of_kind = f"_{kind.replace('.', '_')}" if kind else ""
    return f"n{clock.now() - timedelta(days=days_ago):%Y%m%d}{of_kind}"


def _forget_days(kind: str = "") -> list[Any]:
    """Removes the counts of earlier days, or a row in use would grow with every day."""
    return [Path(_day_attribute(ago, kind)).remove() for ago in range(1, _KEEP_DAYS + 1)]


def _expiry() -> int:
    return clock.epoch_seconds() + _KEEP_DAYS * 86_400 // 2
