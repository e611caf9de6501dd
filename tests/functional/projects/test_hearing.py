"""Sockets: who may see a project no more hears no more of it."""

import pytest

from chalicelib.kernel.sockets import connections
from infra.local import faults
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller, Client
from tests.functional.http.lines import Line, Open
from tests.functional.people.invitations import newest_token

pytestmark = [
    pytest.mark.local,
    pytest.mark.usefixtures("as_on_a_stage"),
]  # pushes are made in this process


def joined(cloud: LocalCloud, root: Caller, client: Client, name: str, role: str) -> Caller:
    root.create_user(name, email=f"{name}@example.com", role=role)
    cloud.run_until_idle()
    caller = client.as_(role, sub=name)
    token = newest_token(f"{name}@example.com")
    assert caller.post("/v1/invitations/accept", {"token": token}).status_code == 200
    return caller


def user_id(root: Caller, name: str) -> str:
    (user,) = root.users(search=f"{name}@")
    return str(user["id"])


def made(cloud: LocalCloud, root: Caller, *names: str) -> str:
    body = {"name": "Harbour", "user_ids": [user_id(root, name) for name in names]}
    project_id: str = root.post("/admin/v1/projects", body).json()["data"]["id"]
    cloud.run_until_idle()
    return project_id


def following(line: Open, caller: Caller, project_id: str) -> Line:
    socket = line(caller)
    topic = f"project#{project_id}"
    assert socket.ask(subscribe=topic) == {"subscribed": topic}
    return socket


def push(project_id: str) -> None:
    connections.push("t1", f"project#{project_id}", {"percent": 1})


def test_who_is_removed_from_a_project_hears_nothing_from_that_moment_on(
    cloud: LocalCloud, client: Client, root: Caller, line: Open
) -> None:
    callers = {name: joined(cloud, root, client, name, "customer") for name in ("eve", "ann")}
    project_id = made(cloud, root, *callers)
    eve, ann = (following(line, caller, project_id) for caller in callers.values())
    push(project_id)
    assert eve.next() == ann.next()

    path = f"/admin/v1/projects/{project_id}/users/{user_id(root, 'eve')}"
    assert root.delete(path).status_code == 202
    push(project_id)
    assert ann.next()["data"] == {"percent": 1}
    assert eve.is_quiet()
    assert "refused" in eve.ask(subscribe=f"project#{project_id}")


@pytest.mark.parametrize("end", ["deactivated", "demoted", "moved"])
def test_whose_account_ends_or_is_demoted_hears_nothing_within_a_minute(
    cloud: LocalCloud, client: Client, root: Caller, line: Open, end: str
) -> None:
    joined(cloud, root, client, "olga", "manager")
    mona = joined(cloud, root, client, "mona", "manager")
    project_id = made(cloud, root)
    socket = following(line, mona, project_id)
    watching = following(line, root, project_id)
    path = f"/admin/v1/users/{user_id(root, 'mona')}"
    answer = {
        "deactivated": lambda: root.delete(path),
        "demoted": lambda: root.patch(path, {"role": "customer"}),
        "moved": lambda: root.patch(path, {"email": "new@example.com"}),
    }[end]()
    assert answer.status_code == 200

    cloud.advance(61)
    push(project_id)
    assert watching.next()["data"] == {"percent": 1}
    if end == "demoted":  # a manager takes part in the projects of the tenant by themselves
        assert socket.next()["data"] == {"percent": 1}
    else:
        assert socket.is_quiet()


def test_a_record_that_cannot_be_read_is_a_push_that_nobody_hears(
    cloud: LocalCloud, client: Client, root: Caller, line: Open
) -> None:
    mona = joined(cloud, root, client, "mona", "manager")
    project_id = made(cloud, root)
    socket = following(line, mona, project_id)
    cloud.advance(61)
    faults.add(Fault("dynamodb", "GetItem", "throttle", times=None))
    push(project_id)
    faults.clear()
    assert socket.is_quiet()

    push(project_id)
    assert socket.next()["data"] == {"percent": 1}


def test_an_admin_of_the_platform_hears_of_every_tenant_that_they_name(
    cloud: LocalCloud, root: Caller, line: Open
) -> None:
    project_id = made(cloud, root)
    socket = following(line, root, project_id)
    cloud.advance(61)
    push(project_id)

    assert socket.next()["data"] == {"percent": 1}
