"""What moto does differently from AWS, put right at run time: one file for one difference."""

import threading

from infra.local.corrections import (
    dynamodb,
    imports,
    mail,
    orders,
    queries,
    speed,
    sqs,
    sqs_install,
    updates,
    values,
)

_lock = threading.Lock()
_installed = False

_ALL = (dynamodb, orders, queries, updates, values, sqs_install, mail, speed, imports)


def install() -> None:
    """All of them, once a process."""
    global _installed  # noqa: PLW0603  # a process is patched once
    with _lock:
        if not _installed:
            for correction in _ALL:
                correction.install()
            _installed = True


def empty_all() -> None:
    """The data goes, the resources stay."""
    dynamodb.empty_all()
    sqs.empty_all()
    mail.empty_all()


def wake_all() -> None:
    """Whoever waits for a message looks again."""
    sqs.wake_all()
