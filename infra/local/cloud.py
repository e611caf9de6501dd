"""The whole system in one process: AWS by moto, the API, the queues, the schedules, the inbox.

Each start is empty and binds free ports beside its own, so two run side by side. In order: the
socket is bound, the resources are built from the template, the settings are put into the
environment, and only then the app is imported, since it reads them at import.
"""

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig

from infra.local import authorizers, clock, emulator, environment, faults, log, template
from infra.local.control import Control
from infra.local.corrections import sqs
from infra.local.gateway import Server
from infra.local.issuer import Issuer
from infra.local.mail_events import MailEvents
from infra.local.mapping import Mapping, mappings_of
from infra.local.poller import Poller, drain
from infra.local.schedules import Schedules
from infra.local.sockets import Sockets
from infra.local.state import State, state_of
from infra.local.states import Executions, functions_of
from infra.local.template import Stack

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
TENANTS = {"t1": "Alder Books", "t2": "Birch Training"}
HOST = "127.0.0.1"
LAST_REQUESTS_SECONDS = 5  # given to requests under way when it is stopped


class UnknownSourceError(Exception):
    """The app has an event source that the local cloud does not play."""


@dataclass(frozen=True)
class Options:
    """How a local cloud is started."""

    port: int = 0  #: of the API; 0: a free one
    work: bool = True  #: False: the queues are left to others
    schedules: bool | None = None  #: whether they run by themselves; None: as `work` says
    aws_endpoint: bool = True  #: an address for the aws command line and for workers apart
    sweep_seconds: float = 60
    visibility_seconds: int = 360
    lease_seconds: int | None = None  #: None: as settings say
    log_lines: bool = True

    @property
    def run_schedules(self) -> bool:
        return self.work if self.schedules is None else self.schedules

    @property
    def worked_apart(self) -> bool:
        return self.aws_endpoint and not self.work


class LocalCloud:
    """One local cloud; there can be one in a process."""

    url: str  #: of the API
    endpoint_url: str = ""  #: for the aws command line; empty without it
    mappings: Sequence[Mapping]
    schedules: Schedules
    executions: Executions
    sockets: Sockets

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.issuer = Issuer()
        self._to_stop = ExitStack()

    def start(self) -> None:
        """Returns when the API answers. What cannot start leaves nothing running behind."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        server = Server(HOST, self.options.port)
        self._to_stop.callback(server.server_close)
        self.url = f"http://{HOST}:{server.port}"
        self.sockets = Sockets(HOST)
        self._to_stop.callback(self.sockets.stop)
        environment.shut_out_aws()
        emulator.start()
        self._to_stop.callback(clock.stop)
        self._to_stop.callback(emulator.stop)
        stack = self._build_resources()
        environment.describe(self.url, **self._settings(stack))
        self.app = importlib.import_module("app").app
        authorizers.remember_answers(self.app)
        self.sockets.start(self.app)
        # Before the emulator, since the app hears of each connection's end. Again is harmless.
        self._to_stop.callback(self.sockets.stop)
        if self.options.log_lines:
            log.install()
        self._make_tenants()
        self._read_event_sources()
        faults.clear()  # nor counts of the calls up to here
        self._work()
        self._serve(server)

    def _build_resources(self) -> Stack:
        """Everything the template names."""
        import botocore.session

        session = botocore.session.Session()
        parameters = {
            "Stage": environment.STAGE,
            "SenderEmail": environment.sender(),
            "QueueVisibilitySeconds": str(self.options.visibility_seconds),
        }
        stack = template.load(TEMPLATE, session, parameters)
        self._sqs = session.create_client("sqs")
        # Stands for Lambda's own pollers, which a fault on the app's calls does not reach.
        self._sqs._endpoint.without_faults = True
        sns = session.create_client("sns")
        sns._endpoint.without_faults = True
        self.mail_events = MailEvents(sns, stack.resources["MailEventsTopic"])
        self._to_stop.callback(self.mail_events.stop)
        return stack

    def _settings(self, stack: Stack) -> dict[str, str]:
        settings = {
            "QUEUE_URL_BASE": stack.outputs["NotifyQueueUrl"].rpartition("/")[0],
            "PROVISION_MACHINE_ARN": stack.outputs["ProvisionProjectArn"],
            "SOCKET_URL": self.sockets.url,
        }
        if self.options.lease_seconds is not None:
            settings["LEASE_SECONDS"] = str(self.options.lease_seconds)
        return settings

    def _make_tenants(self) -> None:
        from chalicelib.kernel import cache
        from chalicelib.kernel.auth import tenancy

        cache.forget_all()
        for tenant_id, name in TENANTS.items():
            tenancy.record(tenant_id, name).save()

    def _read_event_sources(self) -> None:
        from chalicelib.kernel.settings import settings

        refuse_unknown_sources(self.app)
        self.mappings = mappings_of(
            self.app, self._sqs, report_batch_item_failures=settings.partial_batch
        )
        every = {"sweep": self.options.sweep_seconds}
        self.schedules = Schedules(self.app, clock.now(), every_seconds=every)
        self.executions = Executions(functions_of(self.app))
        self.executions.start()
        self._to_stop.callback(self.executions.stop)

    def _work(self) -> None:
        if self.options.aws_endpoint:
            from infra.local import endpoint

            self.endpoint_url = endpoint.start()
            self._to_stop.callback(endpoint.stop)
        if self.options.work or self.options.worked_apart:
            self.mail_events.start()
        if self.options.run_schedules:
            self.schedules.start(clock.now)
            self._to_stop.callback(self.schedules.stop)
        if self.options.work:
            poller = Poller(self.mappings, self._sqs, sqs.wait_for_message)
            poller.start()
            self._to_stop.callback(poller.stop, sqs.wake_all)

    def _serve(self, server: Server) -> None:
        control = Control(self.issuer, self.state, self.advance, self.sockets.answer)
        serve = threading.Thread(target=server.serve, args=[self.app, control], daemon=True)
        serve.start()
        self._to_stop.callback(server.requests.wait_until_none, LAST_REQUESTS_SECONDS)
        self._to_stop.callback(server.shutdown)

    def state(self) -> State:
        """What waits, is in flight and is dead, and whether there is nothing left to do now."""
        apart, events = self.options.worked_apart, len(self.mail_events)
        return state_of(self.mappings, self.schedules, self.executions, apart=apart, left=events)

    def run_until_idle(self) -> int:
        """Works the queues in this thread until nothing is visible; returns the deliveries.

        Mail events are published on the spot, and taken in too. Executions are waited for; where
        one only waits for a moment, such as that of its next try, the clock is moved to it.
        """
        total = self._drain()
        while self.executions.go_on():
            total += self._drain()
        return total

    def _drain(self) -> int:
        total = drain(self.mappings, self._sqs, sqs.wait_for_message)
        while self.mail_events.publish_all():
            total += drain(self.mappings, self._sqs, sqs.wait_for_message)
        return total

    def advance(self, seconds: float) -> int:
        """Moves time for all in this process; runs each schedule that fell due once; how many."""
        return self.schedules.fire_after(lambda: clock.advance(seconds), clock.now)

    def reset(self) -> None:
        """Empty again, with its tenants; for tests."""
        self.sockets.close_all()
        self.executions.clear()
        emulator.reset_data()
        self.mail_events.clear()
        authorizers.forget()
        _forget_providers()
        self._make_tenants()

    def stop(self) -> None:
        """Ends what was started; requests and invocations under way are finished first."""
        self._to_stop.close()


def _forget_providers() -> None:
    from chalicelib.kernel.notify import breaker
    from chalicelib.kernel.store import batch_update

    batch_update.forget()
    breaker.forget()


def refuse_unknown_sources(app: Chalice) -> None:
    """A function that nothing here would ever call must not look as if it worked."""
    for source in app.event_sources:
        if not isinstance(source, SQSEventConfig | ScheduledEventConfig):
            kind = type(source).__name__.removesuffix("Config")
            raise UnknownSourceError(
                f"{source.name} in app.py waits for a {kind}; "
                "the local cloud knows queues and schedules only"
            )


@contextmanager
def running(options: Options | None = None) -> Iterator[LocalCloud]:
    """A started local cloud, stopped at the end."""
    cloud = LocalCloud(options)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()
