"""Everything that is changed in moto, installed together and once a process.

corrections/   where moto differs from AWS; docs/moto.md has a text for its authors on each fault
hooks/         where moto is connected to the local cloud: its clock, functions, mailbox and faults
speedups/      where moto only does needless work; without these the answers are the same
"""

import threading
from importlib import import_module

from infra.local import execution_registry
from infra.local.corrections import sqs_queues

_lock = threading.Lock()
_installed = False

#: In this order: `import_stubs` must come before what loads Step Functions, and mail is checked
#: before it is put into the mailbox.
_MODULES = (
    "speedups.import_stubs",
    "corrections.dynamodb",
    "corrections.item_writes",
    "corrections.partiql",
    "corrections.sqs",
    "hooks.mail_capture",
    "corrections.mail",
    "corrections.alarms",
    "hooks.interpreter",
    "corrections.executions",
    "speedups.sorted_index",
    "speedups.query_planner",
    "speedups.update_expressions",
    "speedups.attribute_codec",
    "speedups.caches",
    "hooks.transaction_conflicts",
    "hooks.expiry",
)


def install() -> None:
    """Installs all patches; a second call does nothing."""
    global _installed  # noqa: PLW0603  # a process is patched once
    with _lock:
        if not _installed:
            for name in _MODULES:
                import_module(f"infra.local.{name}").install()
            _installed = True


def empty_all() -> None:
    """Deletes all data: items, messages, mail, executions. Tables, queues and machines stay."""
    from infra.local.corrections import dynamodb
    from infra.local.hooks import mail_capture
    from infra.local.speedups import sorted_index

    with dynamodb.lock:
        for table in dynamodb.empty_all():
            sorted_index.forget(table)
    sqs_queues.empty_all()
    mail_capture.empty_all()
    if _installed:
        import_module("infra.local.corrections.executions").empty_all()


def wake_all() -> None:
    """Lets everybody who waits for a message or a time check again."""
    sqs_queues.wake_all()
    execution_registry.wake_due()
