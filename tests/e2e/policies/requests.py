"""Scenarios of the API, in by HTTP."""

import uuid
from typing import Any

from tests.e2e.policies import projects, sockets
from tests.e2e.policies.lane import Lane
from tests.functional.client import Answer, Caller
from tests.functional.deployed import Deployed

Json = dict[str, Any]


def _manager(lane: Lane) -> Caller:
    return Deployed(lane.told).client().as_("manager")


def _ok(answer: Answer, status: int = 200) -> Json:
    assert answer.status_code == status, f"{answer.status_code} {answer.text[:200]}"
    return dict(answer.json()) if answer.text else {}


def invites_changes_and_lists(lane: Lane) -> None:
    """A user's whole life, every list, and the pages that anybody sees."""
    manager = _manager(lane)
    made = _ok(manager.create_user(phone="+4915112345678"), 201)["data"]["user"]
    one = f"/admin/v1/users/{made['id']}"
    lane.must_hold("notify", manager.client.tenant_id("t1"))  # pushed, and not left to the sweep
    _ok(manager.get(one))
    _ok(manager.patch(one, {"name": "Ann B", "email": "ann-b@example.com"}))
    _ok(manager.post(f"{one}/resend-invitation"), 429)  # the limits were asked before
    for query in ("", "?search=ann", "?search=ann-b@example.com"):
        _ok(manager.get(f"/admin/v1/users{query}"))
    for path in ("jobs", "notifications", "notifications?recipient=ann@example.com"):
        _ok(manager.get(f"/admin/v1/{path}"))
    _ok(manager.get("/admin/v1/suppressions"), 200)
    keyed = {"Idempotency-Key": uuid.uuid4().hex}
    _ok(manager.post("/admin/v1/users", _bob(), headers=keyed), 201)
    _ok(manager.post("/admin/v1/users", _bob(), headers=keyed), 201)
    _ok(manager.delete(one))


def _bob() -> Json:
    return {"name": "Bob", "email": "bob@example.com", "role": "staff"}


def imports_a_file(lane: Lane) -> None:
    manager = _manager(lane)
    rows = "name,email,phone,role\nCid,cid@example.com,,staff\nbad,bad,,staff\n"
    batch = _ok(
        manager.send(
            "POST", "/admin/v1/users/import", headers={"Content-Type": "text/csv"}, data=rows
        ),
        202,
    )["data"]["batch_id"]
    _ok(manager.get(f"/v1/batches/{batch}"))
    lane.must_hold("bulk", manager.client.tenant_id("t1"))


def makes_and_changes_a_project(lane: Lane) -> None:
    from chalicelib.projects.models import Project

    manager = _manager(lane)
    user = _ok(manager.create_user(), 201)["data"]["user"]["id"]
    later = _ok(manager.create_user(email="later@example.com"), 201)["data"]["user"]["id"]
    name = f"P {uuid.uuid4().hex}"
    body = {"name": name, "provider": "simulated", "region": "local-1", "user_ids": [user]}
    made = _ok(manager.post("/admin/v1/projects", body), 201)["data"]
    one = f"/admin/v1/projects/{made['id']}"
    _ok(manager.patch(one, {"name": f"{name} B"}))
    _ok(manager.get("/admin/v1/projects"))
    _ok(manager.post(f"{one}/users", {"user_ids": [later]}), 202)
    Project.get(manager.client.tenant_id("t1"), f"project#{made['id']}").update(
        [Project.status.set("active")]
    )
    _ok(manager.post(f"{one}/suspend"), 202)
    # It takes part once the workflow has begun, which nobody starts here.
    _ok(manager.delete(f"{one}/users/{user}"), 404)


def lists_the_projects_of_a_member(lane: Lane) -> None:
    """As somebody of the staff, whose login is bound to who takes part."""
    manager = _manager(lane)
    tenant = manager.client.tenant_id("t1")
    project, _ = projects.new(lane, tenant)
    subject = sockets.member(tenant, project.id)
    listed = _ok(manager.client.as_("staff", sub=subject).get("/admin/v1/projects"))
    assert [each["id"] for each in listed["data"]] == [project.id]


def keeps_the_passwords_of_regions(lane: Lane) -> None:
    """Each under a data key of its own, which the API does not open."""
    new = {"provider": "openstack", "name": uuid.uuid4().hex, **projects.NOBODY}
    _ok(Deployed(lane.told).platform.post("/admin/v1/regions", new), 201)
