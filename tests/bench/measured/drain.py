# ruff: noqa: INP001  not of a package: it runs in a process of its own
"""Our worker drains jobs that do nothing: python drain.py <endpoint> <jobs>

Jobs are saved and sent two to a transaction, as a request with two notices does. Then as many
pollers as Lambda opens on a queue receive ten messages, work them as the function does, claimed
and marked in the ledger, and delete them. Prints the seconds from the first job's run, as for the
others, to the last job's deletion, which theirs do not wait for, and the SQS calls made.
"""

import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

POLLERS = 5
REGION_ARN = "arn:aws:sqs:eu-central-1:123456789012:"


def main() -> None:
    wanted = int(sys.argv[2])
    from chalicelib.kernel import aws
    from chalicelib.kernel.jobs import outbox, registry
    from chalicelib.kernel.settings import settings

    ran: list[float] = []

    def nothing(_: registry.Context) -> None:
        """Does nothing."""
        ran.append(time.perf_counter())

    nothing.__module__ = "bench.drain"  # a job is named by the folder of its module
    registry.job(queue="work")(nothing)
    name = registry.name_of(nothing)
    sqs, calls = aws.client("sqs"), SimpleNamespace(made=0)
    url = aws.queue_url(settings.resource("work"))
    sqs.meta.events.register("before-call", lambda **_: setattr(calls, "made", calls.made + 1))
    for _ in range(wanted // 2):
        with outbox.Transaction("t1") as tx:
            tx.enqueue(name)
            tx.enqueue(name)
    done = Done(wanted)
    pollers = [threading.Thread(target=poll, args=(sqs, url, done)) for _ in range(POLLERS)]
    for poller in pollers:
        poller.start()
    for poller in pollers:
        poller.join()
    sys.stdout.write(f"\nRESULT {done.ended - ran[0]} {calls.made}\n")


class Done:
    """Counts what was delivered, until all was."""

    def __init__(self, wanted: int) -> None:
        self._left, self._lock = wanted, threading.Lock()
        self.ended = 0.0

    def add(self, number: int) -> None:
        with self._lock:
            self._left -= number
            self.ended = time.perf_counter()

    @property
    def all(self) -> bool:
        return self._left <= 0


def poll(sqs: Any, url: str, done: Done) -> None:
    from chalicelib.kernel.jobs import worker

    while not done.all:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = answer.get("Messages", [])
        if not messages:
            continue
        worker.drain({"Records": [record_of(each, url) for each in messages]}, 60)
        sqs.delete_message_batch(
            QueueUrl=url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": each["ReceiptHandle"]}
                for number, each in enumerate(messages)
            ],
        )
        done.add(len(messages))


def record_of(message: dict[str, Any], url: str) -> dict[str, Any]:
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "eventSourceARN": REGION_ARN + url.rpartition("/")[2],
    }


if __name__ == "__main__":
    main()
