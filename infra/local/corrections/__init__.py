"""What moto does differently from AWS, put right at run time: one file for one difference."""

import threading
from importlib import import_module

from infra.local.corrections import (
    alarms,
    dynamodb,
    imports,
    mail,
    orders,
    queries,
    runs,
    speed,
    sqs,
    sqs_install,
    statements,
    updates,
    values,
)

_lock = threading.Lock()
_installed = False

_ALL = (dynamodb, orders, queries, statements, updates, values, sqs_install, mail, speed, imports)
#: Only now: they import what `imports` makes light.
_LATE = ("interpreter", "executions")


def install() -> None:
    """All of them, once a process."""
    global _installed  # noqa: PLW0603  # a process is patched once
    with _lock:
        if not _installed:
            for correction in (alarms, *_ALL):
                correction.install()
            for name in _LATE:
                import_module(f"{__name__}.{name}").install()
            _installed = True


def empty_all() -> None:
    """The data goes, the resources stay."""
    dynamodb.empty_all()
    sqs.empty_all()
    mail.empty_all()
    if _installed:
        import_module(f"{__name__}.executions").empty_all()


def wake_all() -> None:
    """Whoever waits for a message or for a time looks again."""
    sqs.wake_all()
    runs.wake_due()
