"""Scenarios of sockets. Their connections are real ones of the stage, or such as have gone."""

import json
import ssl
import uuid
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.e2e.policies.lane import Lane

Json = dict[str, Any]
PATIENCE_SECONDS = 30


def opens_a_socket(lane: Lane) -> None:
    from chalicelib.kernel.sockets import connections

    connection, tenant = uuid.uuid4().hex, lane.tenant()
    query = {"ticket": _ticket(tenant)}
    event = _of_socket(connection, "$connect", queryStringParameters=query)
    assert lane.invoke(event)["statusCode"] == 200
    assert connections._find(connection)


def follows_and_leaves_a_project(lane: Lane) -> None:
    """As somebody who takes part in it, on a connection that is open."""
    from tests.e2e.policies import projects

    tenant = lane.tenant()
    project, _ = projects.new(lane, tenant)
    topic = f"project#{project.id}"
    with _opened(lane, _ticket(tenant, member(tenant, project.id))) as socket:
        assert _asked(socket, subscribe=topic) == {"subscribed": topic}
        assert _asked(socket, unsubscribe=topic) == {"unsubscribed": topic}


def follows_as_a_manager(lane: Lane) -> None:
    from tests.e2e.policies import projects

    tenant = lane.tenant()
    project, _ = projects.new(lane, tenant)
    topic = f"project#{project.id}"
    with _opened(lane, _ticket(tenant)) as socket:
        assert _asked(socket, subscribe=topic) == {"subscribed": topic}


def forgets_who_asks_and_goes(lane: Lane) -> None:
    tenant = lane.tenant()
    gone = follow_and_go(tenant, "x")
    event = _of_socket(gone, "$default", body='{"unsubscribe": "project#y"}')
    assert lane.invoke(event)["statusCode"] == 200
    must_be_forgotten(gone)


def closes_a_socket(lane: Lane) -> None:
    from chalicelib.kernel.sockets import connections

    connection = follow_and_go(lane.tenant(), "x")
    assert lane.invoke(_of_socket(connection, "$disconnect"))["statusCode"] == 200
    assert not connections._find(connection)


def follow_and_go(tenant: str, project_id: str) -> str:
    """A connection that follows the project, and of whose end nobody has heard."""
    from chalicelib.kernel.sockets import connections

    connection = uuid.uuid4().hex
    assert connections.connect(connection, _ticket(tenant))
    socket = connections._find(connection)
    assert socket
    assert connections._follow(socket, f"project#{project_id}")
    return connection


def must_be_forgotten(connection: str) -> None:
    from chalicelib.kernel.sockets import connections

    assert not connections._find(connection), "a connection that is gone is still told"


def _ticket(tenant: str, subject: str = "") -> str:
    """Of a manager, or of the member of staff with this login."""
    from chalicelib.kernel.auth.tenancy import Caller as By
    from chalicelib.kernel.sockets import connections

    if subject:
        caller = By(subject, "staff", tenant, home=tenant)
    else:
        caller = By("root", "manager", tenant, home=tenant)
    ticket, transaction = connections.issue(caller)
    transaction.commit()
    return ticket


def member(tenant: str, project_id: str) -> str:
    """The login of somebody who takes part."""
    from chalicelib.kernel import clock
    from chalicelib.people import models as people
    from chalicelib.people import service
    from chalicelib.people.service import NewPerson
    from chalicelib.projects import models
    from chalicelib.projects.rules import Candidate

    person_id = clock.new_id()
    ann = NewPerson("Ann", f"{person_id}@example.com", "staff")
    row = service.new_person(tenant, person_id, ann, created_by="root")
    row.subject = f"s-{person_id}"
    row.save()
    people.login(tenant, f"s-{person_id}", person_id=person_id).save()
    candidate = Candidate(person_id, "Ann", f"{person_id}@example.com", "member")
    models.participant(tenant, project_id, candidate).save()
    return f"s-{person_id}"


def _opened(lane: Lane, ticket: str) -> ClientConnection:
    from chalicelib.kernel.sockets import connections

    trusted = ssl.create_default_context(cafile=lane.told["certificate"])
    url = connections.address(ticket)
    return connect(url, ssl=trusted, open_timeout=PATIENCE_SECONDS, proxy=None)


def _asked(socket: ClientConnection, **message: str) -> Json:
    socket.send(json.dumps(message))
    answer: Json = json.loads(socket.recv(PATIENCE_SECONDS))
    return answer


def _of_socket(connection: str, route: str, **more: Any) -> Json:
    place = {"domainName": "a1.execute-api.eu-central-1.amazonaws.com", "stage": "api"}
    context = {**place, "connectionId": connection, "routeKey": route, "apiId": "a1"}
    return {"requestContext": context, "isBase64Encoded": False, **more}
