"""Whether a message that is queued now would be sent, as far as the limits can tell.

For whoever would do harm by queueing one that is skipped later, such as a new invitation, which
ends the one before. Nothing is counted: the limits themselves decide when the message is sent.
"""

from collections.abc import Mapping
from typing import Literal

from chalicelib.kernel.errors import Skip
from chalicelib.kernel.notify import limits
from chalicelib.kernel.notify.limits import Item
from chalicelib.kernel.notify.notices import Channel
from chalicelib.kernel.settings import settings

#: `sent`; `full`: not before a daily limit begins anew; `never`: not while things are as they are
Prospect = Literal["sent", "full", "never"]


def find(tenant_id: str, kind: str, to: Mapping[Channel, str]) -> dict[Channel, Prospect]:
    """What would become of a message of this kind, by channel; one read."""
    rows = limits.rows_of(tenant_id, to)
    spending = rows.get(limits.SPENDING, {})
    return {
        channel: _find(channel, kind, address, rows.get(channel, {}), spending)
        for channel, address in to.items()
    }


def _find(channel: Channel, kind: str, address: str, row: Item, spending: Item) -> Prospect:
    if limits.is_suppressed(row) or (channel == "sms" and not _takes_sms(address)):
        return "never"
    if limits.is_recipient_full(row, kind) or (channel == "sms" and limits.is_sms_full(spending)):
        return "full"
    return "sent"


def _takes_sms(number: str) -> bool:
    try:
        limits.admit_country(number)
    except Skip:
        return False
    return settings.sms_enabled
