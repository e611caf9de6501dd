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

from chalicelib.kernel.http import dispatch, middleware
from chalicelib.kernel.http.openapi import api as openapi_api
from chalicelib.kernel.jobs import api as jobs_api
from chalicelib.kernel.notify import api as notifications_api
from chalicelib.kernel.notify import suppression_api
from chalicelib.kernel.settings import settings
from chalicelib.kernel.sockets import api as sockets_api
from chalicelib.kernel.tenants import api as tenants_api
from chalicelib.people import api as people_api
from chalicelib.people.imports import api as people_imports_api
from chalicelib.people.invitations import api as people_invitations_api
from chalicelib.projects import api as projects_api
from chalicelib.projects import page as projects_page
from chalicelib.projects.regions import api as projects_regions_api

app = Chalice("backburner")
app.experimental_feature_flags.update(["WEBSOCKETS"])  # without it Chalice packages no WebSocket
middleware.install(app)


@app.authorizer(ttl_seconds=300)
def authorize(request: AuthRequest) -> AuthResponse:
    """Identify the caller by the bearer token."""
    from chalicelib.kernel.auth import tokens

    return tokens.authorize(request.token, may_enter=people_api.sign_in)


dispatch.mount(
    app,
    authorize,
    tenants_api.routes,
    people_api.routes,
    people_invitations_api.routes,
    people_imports_api.routes,
    projects_api.routes,
    projects_page.routes,
    projects_regions_api.routes,
    notifications_api.routes,
    suppression_api.routes,
    jobs_api.routes,
    sockets_api.routes,
    openapi_api.routes,
)


@app.on_sqs_message(queue=settings.resource("notify"), batch_size=10)
def notify(event: SQSEvent) -> Any:
    """Deliver e-mail and SMS that a person is waiting for."""
    return _drain(event)


@app.on_sqs_message(queue=settings.resource("work"), batch_size=10)
def work(event: SQSEvent) -> Any:
    """Run the jobs of the domains."""
    return _drain(event)


@app.on_sqs_message(queue=settings.resource("bulk"), batch_size=10)
def bulk(event: SQSEvent) -> Any:
    """Run imports, campaigns and reports."""
    return _drain(event)


@app.on_sqs_message(queue=settings.resource("feedback"), batch_size=10)
def feedback(event: SQSEvent) -> Any:
    """Take in SES's events about mails that it accepted."""
    from chalicelib.kernel.jobs import worker
    from chalicelib.kernel.notify import feedback as mail_events

    return worker.drain(event.to_dict(), middleware.remaining_seconds(event), mail_events.handle)


@app.schedule("rate(1 minute)")
def sweep(event: CloudWatchEvent) -> None:
    """Push waiting jobs that a crash, a throttle or an outage left behind."""
    from chalicelib.kernel.jobs import outbox

    outbox.sweep(lambda: middleware.remaining_seconds(event) > outbox.SWEEP_RESERVE_SECONDS)


@app.schedule("rate(1 minute)")
def reconcile(event: CloudWatchEvent) -> None:  # noqa: ARG001  # it holds only the time
    """End projects whose workflow died or takes too long."""
    from chalicelib.projects import steps

    steps.reconcile()


@app.lambda_function()
def provision(event: dict[str, Any], context: Any) -> Any:  # noqa: ARG001  # Lambda passes both
    """One step of a project's workflow: infra/statemachines/provision-project.asl.json."""
    from chalicelib.projects import steps

    return steps.run(event)


@app.on_ws_connect()
def websocket_connect(event: WebsocketEvent) -> dict[str, int]:
    """Admit a client that has a ticket."""
    from chalicelib.kernel.sockets import connections

    query = event.to_dict().get("queryStringParameters") or {}
    is_admitted = connections.connect(event.connection_id, query.get("ticket", ""))
    return {"statusCode": 200 if is_admitted else 403}


@app.on_ws_message()
def websocket_message(event: WebsocketEvent) -> None:
    """Let a client follow a topic."""
    from chalicelib.kernel.sockets import connections

    connections.receive(event.connection_id, event.body)


@app.on_ws_disconnect()
def websocket_disconnect(event: WebsocketEvent) -> None:
    """Forget a connection that has ended."""
    from chalicelib.kernel.sockets import connections

    connections.disconnect(event.connection_id)


def _drain(event: SQSEvent) -> Any:
    from chalicelib.kernel.jobs import worker

    return worker.drain(event.to_dict(), middleware.remaining_seconds(event))


gc.freeze()
gc.enable()
