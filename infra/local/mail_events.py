"""The events that SES publishes about a mail a moment after it was accepted.

The addresses of SES's mailbox simulator behave as on AWS: bounce@ and complaint@ of
simulator.amazonses.com, also with a +label. Mail to every other address is delivered.
https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
"""

import json
import threading
import time
from collections import deque
from typing import Any

from infra.local import mailbox
from infra.local.mailbox import Sent

DELAY_SECONDS = 0.1  #: between accepting a mail and publishing its events
_SIMULATOR = "@simulator.amazonses.com"


def events_of(mail: Sent) -> list[dict[str, Any]]:
    """The events that SES publishes about a mail, in SES's order."""
    head = {
        "messageId": mail.message_id,
        "timestamp": mail.at,
        "destination": [mail.to],
        "tags": {"tenant": [mail.tenant_id], "job": [mail.job_id]},
    }
    return [
        {"eventType": kind, "mail": head, **({kind.lower(): detail} if detail else {})}
        for kind, detail in (("Send", {}), *_outcome(mail))
    ]


def _outcome(mail: Sent) -> list[tuple[str, dict[str, Any]]]:
    name = mail.to.partition("@")[0].partition("+")[0] if mail.to.endswith(_SIMULATOR) else ""
    recipient = [{"emailAddress": mail.to}]
    if name == "bounce":
        return [("Bounce", {"bounceType": "Permanent", "bouncedRecipients": recipient})]
    delivered = ("Delivery", {"timestamp": mail.at, "recipients": [mail.to]})
    if name == "complaint":
        return [delivered, ("Complaint", {"complainedRecipients": recipient})]
    return [delivered]


class MailEvents:
    """Publishes events to the configuration set's topic, in a thread or by `publish_all`."""

    def __init__(self, sns: Any, topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, dict[str, Any]]] = deque()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.muted = False  #: True loses all events, as may happen on AWS
        mailbox.on_record(self._schedule)

    def __len__(self) -> int:
        """How many events are still to be published."""
        return len(self._waiting)

    def publish_all(self) -> int:
        """Publishes all events now, without the delay; returns how many."""
        count = 0
        while (event := self._next(float("inf"))) is not None:
            self._publish(event)
            count += 1
        return count

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="mail-events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        mailbox.off_record(self._schedule)
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread:
            self._thread.join()

    def clear(self) -> None:
        with self._changed:
            self._waiting.clear()
        self.muted = False

    def _schedule(self, mail: Sent) -> None:
        if mail.channel != "email" or mail.job_id is None or self.muted:
            return
        due = time.monotonic() + DELAY_SECONDS
        with self._changed:
            self._waiting.extend((due, event) for event in events_of(mail))
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._stopping:
            event = self._next(time.monotonic())
            if event is not None:
                self._publish(event)
                continue
            with self._changed:
                pause = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if not self._stopping and (pause is None or pause > 0):
                    self._changed.wait(pause)

    def _next(self, now: float) -> dict[str, Any] | None:
        with self._changed:
            if self._waiting and self._waiting[0][0] <= now:
                return self._waiting.popleft()[1]
        return None

    def _publish(self, event: dict[str, Any]) -> None:
        self._sns.publish(TopicArn=self._topic_arn, Message=json.dumps(event))
