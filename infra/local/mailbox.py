"""The mailbox of the local cloud: every e-mail and SMS that SES and SNS accepted."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Channel = Literal["email", "sms"]


@dataclass(frozen=True)
class Sent:
    channel: Channel
    to: str  #: one address or number; a message to two people is two entries
    subject: str  #: empty for an SMS
    text: str
    html: str  #: empty for an SMS and for a mail without HTML
    at: str  #: ISO 8601, UTC
    tenant_id: str | None  #: from the tag `tenant`
    job_id: str | None  #: from the tag `job`
    message_id: str  #: the provider's
    sender: str  #: as in the request, with the display name; empty for an SMS


_lock = threading.Lock()
_sent: list[Sent] = []
_listeners: list[Callable[[Sent], None]] = []


def sent(
    tenant_id: str | None = None, channel: Channel | None = None, to: str | None = None
) -> list[Sent]:
    """The messages that match every filter that is not None, oldest first."""
    with _lock:
        messages = list(_sent)
    return [
        message
        for message in messages
        if (tenant_id is None or message.tenant_id == tenant_id)
        and (channel is None or message.channel == channel)
        and (to is None or message.to == to)
    ]


def record(message: Sent) -> None:
    """Adds a message and passes it to the listeners."""
    with _lock:
        _sent.append(message)
        listeners = list(_listeners)
    for listener in listeners:
        listener(message)


def on_record(listener: Callable[[Sent], None]) -> None:
    """Calls the listener with every message recorded from now on."""
    with _lock:
        _listeners.append(listener)


def off_record(listener: Callable[[Sent], None]) -> None:
    """Stops calling the listener; an unknown one is ignored."""
    with _lock:
        if listener in _listeners:
            _listeners.remove(listener)


def clear() -> None:
    with _lock:
        _sent.clear()
