"""The whole system in one process: AWS by moto, the API, the queues, the schedules, the mailbox.

A local cloud starts empty, and two can run side by side, since all ports but the API's are free
ones. The order of the start matters: the API's socket is bound, the resources are built from the
template, the environment variables are set, and only then the app is imported, which reads them.
"""

import importlib
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalice.app import Chalice, ScheduledEventConfig, SQSEventConfig

from infra import policies
from infra.local import (
    authorizers,
    clock,
    emulator,
    environment,
    faults,
    invocation,
    log,
    roles,
    template,
)
from infra.local.cloud_state import State, state_of
from infra.local.control import Control
from infra.local.corrections import sqs_queues
from infra.local.executions import Executions, functions_of
from infra.local.gateway import Server
from infra.local.issuer import Issuer
from infra.local.mail_events import MailEvents
from infra.local.mapping import Mapping, mappings_of
from infra.local.policy import PolicyError
from infra.local.poller import Poller, drain
from infra.local.resources import TemplateError
from infra.local.schedules import ScheduleError, Schedules
from infra.local.sockets import Sockets
from infra.local.template import Stack

TEMPLATE = Path(__file__).parents[1] / "template.yaml"
TENANTS = {"t1": "Alder Books", "t2": "Birch Training"}
HOST = "127.0.0.1"
LAST_REQUESTS_SECONDS = 5  # that requests have to end when the cloud is stopped


class UnknownSourceError(Exception):
    """The app has an event source that the local cloud does not support."""


#: What is wrong with the project's own files, and says so in a sentence.
CANNOT_START = (TemplateError, ScheduleError, UnknownSourceError, PolicyError)


@dataclass(frozen=True)
class Options:
    """The settings of a local cloud."""

    port: int = 0  #: of the API; 0 is a free one
    work: bool = True  #: False leaves the queues to other processes
    schedules: bool | None = None  #: whether schedules run; None means the same as `work`
    aws_endpoint: bool = True  #: serve AWS over HTTP, for the command line and other processes
    sweep_seconds: float = 60
    visibility_seconds: int = 360
    lease_seconds: int | None = None  #: None leaves the setting's default
    log_lines: bool = True

    @property
    def run_schedules(self) -> bool:
        return self.work if self.schedules is None else self.schedules

    @property
    def has_external_workers(self) -> bool:
        return self.aws_endpoint and not self.work


class LocalCloud:
    """A local cloud; a process can have one."""

    url: str  #: of the API
    endpoint_url: str = ""  #: of AWS over HTTP; empty without it
    mappings: Sequence[Mapping]
    schedules: Schedules
    executions: Executions
    sockets: Sockets

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.issuer = Issuer()
        self._to_stop = ExitStack()

    def start(self) -> None:
        """Returns when the API answers. If it cannot start, nothing is left running."""
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
        authorizers.cache_answers(self.app)
        self.sockets.start(self.app)
        # A second time, so that it comes before the emulator's: the app hears of every disconnect.
        self._to_stop.callback(self.sockets.stop)
        if self.options.log_lines:
            log.install()
        self._make_tenants()
        roles.enforce()
        self._to_stop.callback(roles.lift)
        self._read_event_sources()
        faults.clear()  # also the counts of the calls up to here
        self._work()
        self._serve(server)

    def _build_resources(self) -> Stack:
        """Builds all resources of the template."""
        import boto3

        session = boto3.Session()
        parameters = {
            "Stage": environment.STAGE,
            "SenderEmail": environment.sender(),
            "QueueVisibilitySeconds": str(self.options.visibility_seconds),
        }
        stack = template.load(TEMPLATE, session, parameters)
        make_signing_key(session.client("ssm"))
        self._sqs = session.client("sqs")
        # It stands for Lambda's own pollers, which faults of the app's calls do not affect.
        self._sqs._endpoint.without_faults = True
        sns = session.client("sns")
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
        clock.on_jump(cache.forget_all)  # what instances remember is kept for a minute
        for tenant_id, name in TENANTS.items():
            tenancy.record(tenant_id, name).save()

    def _read_event_sources(self) -> None:
        from chalicelib.kernel.settings import settings

        refuse_unknown_sources(self.app)
        self.mappings = mappings_of(
            self.app, self._sqs, report_batch_item_failures=settings.partial_batch
        )
        every_seconds = {"sweep": self.options.sweep_seconds}
        self.schedules = Schedules(self.app, clock.now(), every_seconds=every_seconds)
        self.executions = Executions(functions_of(self.app))
        self.executions.start()
        self._to_stop.callback(self.executions.stop)

    def _work(self) -> None:
        if self.options.aws_endpoint:
            from infra.local import endpoint

            self.endpoint_url = endpoint.start()
            self._to_stop.callback(endpoint.stop)
        if self.options.work or self.options.has_external_workers:
            self.mail_events.start()
        if self.options.run_schedules:
            self.schedules.start(clock.now)
            self._to_stop.callback(self.schedules.stop)
        if self.options.work:
            poller = Poller(self.mappings, self._sqs, sqs_queues.wait_for_message)
            poller.start()
            self._to_stop.callback(poller.stop, sqs_queues.wake_all)

    def _serve(self, server: Server) -> None:
        control = Control(self.issuer, self.state, self.advance, self.sockets.answer)
        server.prepare(self.app, control)  # here, so that what fails ends the start
        threading.Thread(target=server.serve, name="api", daemon=True).start()
        self._to_stop.callback(server.requests.wait_until_none, LAST_REQUESTS_SECONDS)
        self._to_stop.callback(server.shutdown)

    def state(self) -> State:
        """The numbers of messages and executions, and whether anything is left to do now."""
        return state_of(
            self.mappings,
            self.schedules,
            self.executions,
            has_external_workers=self.options.has_external_workers,
            pending_events=len(self.mail_events),
        )

    def invoke(self, name: str, event: Any, context: Any) -> Any:
        """Calls a function of app.py in its role, as Lambda does."""
        function = self.app if name == "api_handler" else self.app.handler_map[name]
        with invocation.of(policies.lambda_name(name, environment.STAGE)):
            return function(event, context)

    def run_until_idle(self) -> int:
        """Works the queues in this thread until no message is visible; returns the deliveries.

        Mail events are published at once and worked too. Executions run until they end; where one
        waits for a time, such as that of its next try, the clock is moved there.
        """
        total = self._drain()
        while self.executions.advance():
            total += self._drain()
        return total

    def _drain(self) -> int:
        total = drain(self.mappings, self._sqs, sqs_queues.wait_for_message)
        while self.mail_events.publish_all():
            total += drain(self.mappings, self._sqs, sqs_queues.wait_for_message)
        return total

    def advance(self, seconds: float) -> int:
        """Moves the clock, then runs every schedule that has fallen due once; returns how many."""
        return self.schedules.fire_after(lambda: clock.advance(seconds), clock.now)

    def reset(self) -> None:
        """Deletes all data but the tenants; for tests."""
        self.sockets.close_all()
        self.executions.clear()
        emulator.reset_data()
        self.mail_events.clear()
        authorizers.forget()
        _clear_caches()
        self._make_tenants()

    def stop(self) -> None:
        """Stops everything; requests and invocations under way end first."""
        self._to_stop.close()


def _clear_caches() -> None:
    """Empties the app's caches of what was deleted."""
    from chalicelib.kernel import keyring
    from chalicelib.kernel.notify import breaker
    from chalicelib.kernel.store import batch_update

    batch_update.forget()
    breaker.forget()
    keyring.use()


def make_signing_key(ssm: Any) -> None:
    """Stores the one key that signs links and cursors, where a deployment stores a stage's."""
    ssm._endpoint.without_faults = True
    ssm.put_parameter(
        Name=f"/backburner/{environment.STAGE}/signing-keys",
        Value="local-signing-key",
        Type="SecureString",
        Overwrite=True,
    )


def refuse_unknown_sources(app: Chalice) -> None:
    """Raises UnknownSourceError for a function that the local cloud would never call."""
    for source in app.event_sources:
        if not isinstance(source, SQSEventConfig | ScheduledEventConfig):
            kind = type(source).__name__.removesuffix("Config")
            raise UnknownSourceError(
                f"{source.name} in app.py waits for a {kind}; "
                "the local cloud supports queues and schedules only"
            )


@contextmanager
def running(options: Options | None = None) -> Iterator[LocalCloud]:
    """Starts a local cloud, and stops it at the end."""
    cloud = LocalCloud(options)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.stop()
