"""A local cloud to count in: nobody works its queues but us, and every AWS call is seen."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from infra.local import log
from infra.local.cloud import LocalCloud, Options, running
from infra.local.mapping import Mapping
from tests.functional.client import Caller, Client

Seen = Callable[[str, str, dict[str, Any], dict[str, Any]], None]  #: service, operation, in, out


@contextmanager
def counted(seen: Seen) -> Iterator[LocalCloud]:
    """A cloud whose calls, the app's and those of Lambda's pollers, are told to `seen`."""
    with running(Options(work=False, aws_endpoint=False, log_lines=False)) as cloud:
        from chalicelib.kernel import aws
        from chalicelib.kernel.store import connection

        log.silence()
        connection.connection()
        for client in (aws.client("dynamodb"), aws.client("sqs"), cloud._sqs):
            _watch(client, seen)
        yield cloud


def _watch(client: Any, seen: Seen) -> None:
    asked: dict[int, dict[str, Any]] = {}

    def before(params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        asked[id(context)] = params

    def after(model: Any, parsed: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
        service = model.service_model.service_name
        seen(service, model.name, asked.pop(id(context), {}), parsed)

    client.meta.events.register("before-parameter-build", before)
    client.meta.events.register("after-call", after)


def admin_of(cloud: LocalCloud) -> Caller:
    """An admin who names the tenant t1, and who is known from here on."""
    admin = Client(cloud.url, cloud.issuer.token).as_("admin", None).naming("t1")
    admin.get("/admin/v1/users?per_page=1")
    return admin


def mapping_of(cloud: LocalCloud, queue: str) -> Mapping:
    (found,) = [each for each in cloud.mappings if each.queue_name.endswith(f"-{queue}")]
    return found


def drained(cloud: LocalCloud, queue: str) -> int:
    """Works a queue until it is empty, and messages that wait when their time comes; how many
    messages were delivered.
    """
    mapping, delivered = mapping_of(cloud, queue), 0
    while True:
        while taken := mapping.poll_once(cloud._sqs):
            delivered += taken
        if not cloud.state()["queues"][queue]["in_flight"]:
            return delivered
        cloud.advance(1)
