"""All entry points, as a table of contents: HTTP routes, queues, schedules, workflow, sockets."""

import gc

gc.disable()  # objects made by imports stay: collecting among them takes 7 % of a cold start

from typing import Any

from chalice.app import (
    AuthRequest,
    AuthResponse,
    Chalice,
    CloudWatchEvent,
    SQSEvent,
    WebsocketEvent,
)

from chalicelib import manifest
from chalicelib.kernel.auth import identity
from chalicelib.kernel.http import middleware, mounting
from chalicelib.kernel.loading import Late
from chalicelib.kernel.settings import settings

app = Chalice("backburner")
app.experimental_feature_flags.update(["WEBSOCKETS"])  # without it Chalice packages no WebSocket
middleware.install(app)

# Every function of Lambda imports this file: it must not pay for the others' work.
connections = Late("chalicelib.kernel.sockets.connections")
mail_events = Late("chalicelib.kernel.notify.feedback")
people = Late("chalicelib.people.api")
steps = Late("chalicelib.projects.steps")
sweeper = Late("chalicelib.kernel.jobs.sweep")
tokens = Late("chalicelib.kernel.auth.tokens")
worker = Late("chalicelib.kernel.jobs.worker")


identity.use(lambda: people.logins)


@app.authorizer(ttl_seconds=identity.KEEP_SECONDS)
def authorize(request: AuthRequest) -> AuthResponse:
    """Identify the caller by the bearer token and the record of its login."""
    answer: AuthResponse = tokens.authorize(request.token)
    return answer


mounting.mount(app, authorize, manifest.ROUTES)


@app.on_sqs_message(
    queue=settings.resource("notify"),
    batch_size=10,
    maximum_concurrency=settings.concurrency("notify"),
)
def notify(event: SQSEvent) -> Any:
    """Deliver e-mail and SMS that a person is waiting for."""
    return _drain(event)


@app.on_sqs_message(
    queue=settings.resource("work"), batch_size=10, maximum_concurrency=settings.concurrency("work")
)
def work(event: SQSEvent) -> Any:
    """Run the jobs of the domains."""
    return _drain(event)


@app.on_sqs_message(
    queue=settings.resource("bulk"), batch_size=10, maximum_concurrency=settings.concurrency("bulk")
)
def bulk(event: SQSEvent) -> Any:
    """Run imports, campaigns and reports."""
    return _drain(event)


@app.on_sqs_message(
    queue=settings.resource("feedback"),
    batch_size=10,
    maximum_concurrency=settings.concurrency("feedback"),
)
def feedback(event: SQSEvent) -> Any:
    """Take in SES's events about mails that it accepted."""
    return worker.drain(event.to_dict(), middleware.remaining_seconds(event), mail_events.handle)


@app.schedule("rate(1 minute)")
def sweep(event: CloudWatchEvent) -> None:
    """Push jobs whose time has come, and those that a crash or an outage left behind."""
    sweeper.run(lambda: middleware.remaining_seconds(event) > sweeper.RESERVE_SECONDS)


@app.schedule("rate(1 minute)")
def reconcile(event: CloudWatchEvent) -> None:  # noqa: ARG001  # it holds only the time
    """End projects whose workflow died or takes too long."""
    steps.reconcile()


@app.lambda_function()
def provision(event: dict[str, Any], context: Any) -> Any:  # noqa: ARG001  # Lambda passes both
    """One step of a project's workflow: infra/statemachines/provision-project.asl.json."""
    return steps.run(event)


@app.on_ws_connect()
def websocket_connect(event: WebsocketEvent) -> dict[str, int]:
    """Admit a client that has a ticket."""
    query = event.to_dict().get("queryStringParameters") or {}
    is_admitted = connections.connect(event.connection_id, query.get("ticket", ""))
    return {"statusCode": 200 if is_admitted else 403}


@app.on_ws_message()
def websocket_message(event: WebsocketEvent) -> None:
    """Let a client follow a topic."""
    connections.receive(event.connection_id, event.body)


@app.on_ws_disconnect()
def websocket_disconnect(event: WebsocketEvent) -> None:
    """Forget a connection that has ended."""
    connections.disconnect(event.connection_id)


def _drain(event: SQSEvent) -> Any:
    return worker.drain(event.to_dict(), middleware.remaining_seconds(event))


gc.freeze()
gc.enable()
