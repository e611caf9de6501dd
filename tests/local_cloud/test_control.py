"""The `/_local` routes, by which tests and people control a local cloud."""

from typing import Any

import pytest
import requests

from tests.local_cloud.programs import PATIENCE, Cloud, problem_of

pytestmark = pytest.mark.local


def ask(cloud: Cloud, method: str, path: str, body: Any = None, **more: Any) -> requests.Response:
    return requests.request(method, cloud.url + path, json=body, timeout=PATIENCE, **more)


# Tokens ------------------------------------------------------------------------------------------


def test_a_token_lets_its_bearer_in_with_the_role_and_tenant_that_were_asked_for(
    shared_cloud: Cloud,
) -> None:
    asked = {"role": "manager", "tenant_id": "t2", "sub": "ann"}
    token = shared_cloud.control("POST", "/token", asked)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert ask(shared_cloud, "GET", "/admin/v1/users", headers=headers).status_code == 200


def test_an_admin_needs_no_tenant_in_the_token(shared_cloud: Cloud) -> None:
    asked = {"role": "admin", "tenant_id": None, "sub": "root", "department": "operations"}
    token = shared_cloud.control("POST", "/token", asked)["token"]
    headers = {"Authorization": f"Bearer {token}", "X-Tenant-Id": "t1"}
    assert ask(shared_cloud, "GET", "/admin/v1/users", headers=headers).status_code == 200


def test_a_token_may_have_expired_already(shared_cloud: Cloud) -> None:
    asked = {"role": "manager", "tenant_id": "t1", "sub": "ann", "expires_in_seconds": -3600}
    token = shared_cloud.control("POST", "/token", asked)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert ask(shared_cloud, "GET", "/admin/v1/users", headers=headers).status_code == 401


# What was sent -----------------------------------------------------------------------------------


def test_the_mailbox_is_a_list_of_messages_with_all_their_parts(shared_cloud: Cloud) -> None:
    name = "Tom <b>{{7*7}}</b>"
    shared_cloud.create_user("tom@example.com", name=name, phone="+12025550123")
    shared_cloud.until_idle()
    (mail,) = shared_cloud.control("GET", "/outbox?tenant_id=t1&channel=email&to=tom@example.com")
    assert mail.keys() >= {"channel", "to", "subject", "text", "html", "at", "tenant_id"}
    assert (mail["channel"], mail["to"], mail["tenant_id"]) == ("email", "tom@example.com", "t1")
    assert name in mail["text"]
    assert "Tom &lt;b&gt;{{7*7}}&lt;/b&gt;" in mail["html"]
    (sms,) = shared_cloud.control("GET", "/outbox?to=%2B12025550123")
    assert (sms["channel"], sms["subject"], sms["html"]) == ("sms", "", "")
    assert shared_cloud.control("GET", "/outbox?tenant_id=t2&to=tom@example.com") == []


def test_the_mailbox_can_be_read_from_a_position(shared_cloud: Cloud) -> None:
    before = len(shared_cloud.outbox())
    shared_cloud.create_user("newer@example.com")
    shared_cloud.until_idle()
    newer = shared_cloud.control("GET", f"/outbox?after={before}")
    assert [message["to"] for message in newer] == ["newer@example.com"]


@pytest.mark.parametrize("path", ["/_local", "/_local/", "/_local/?x=1"])
def test_the_page_for_people_loads_nothing_from_elsewhere(shared_cloud: Cloud, path: str) -> None:
    page = ask(shared_cloud, "GET", path)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.text
    assert "innerHTML" not in page.text
    for route in ("token", "outbox", "state", "clock", "faults"):
        assert f"/_local/{route}" in page.text


# Time, faults, state -----------------------------------------------------------------------------


def test_a_jump_fires_each_schedule_once(own_cloud: Cloud) -> None:
    answer = own_cloud.control("POST", "/clock", {"advance_seconds": 86_400})
    assert answer["schedules_fired"] == 2  # the sweep, and the check of projects
    assert own_cloud.control("POST", "/clock", {"advance_seconds": 0})["schedules_fired"] == 0
    assert own_cloud.control("POST", "/clock", {"advance_seconds": 0.5})["schedules_fired"] == 0


def test_with_sqs_down_for_the_app_a_user_is_accepted_and_the_sweep_delivers_afterwards(
    own_cloud: Cloud,
) -> None:
    own_cloud.control("POST", "/faults", {"service": "sqs", "operation": "*", "times": None})
    assert own_cloud.create_user("ann@example.com").status_code == 201
    own_cloud.until_idle()
    assert own_cloud.recipients() == set()
    own_cloud.control("DELETE", "/faults")
    own_cloud.control("POST", "/clock", {"advance_seconds": 61})
    own_cloud.until_idle()
    assert own_cloud.recipients() == {"ann@example.com"}


def test_the_fault_conflicts_is_shown_with_its_time_until_it_is_cleared(own_cloud: Cloud) -> None:
    added = own_cloud.control("POST", "/faults", {"service": "dynamodb", "kind": "conflicts"})
    (fault,) = added["active"]
    assert (fault["kind"], fault["times"], fault["seconds"]) == ("conflicts", None, 0.015)
    assert added["conflicts"] == {}
    assert own_cloud.control("DELETE", "/faults")["active"] == []


def test_faults_leave_alone_the_polls_that_stand_for_lambdas_own(own_cloud: Cloud) -> None:
    own_cloud.control("DELETE", "/faults")
    own_cloud.control("POST", "/faults", {"service": "sqs", "operation": "ReceiveMessage"})
    own_cloud.create_user("bob@example.com")
    own_cloud.until_idle()
    assert "bob@example.com" in own_cloud.recipients()
    (untouched,) = own_cloud.control("GET", "/faults")["active"]
    assert (untouched["operation"], untouched["times"]) == ("ReceiveMessage", 1)
    assert own_cloud.control("DELETE", "/faults") == {
        "active": [],
        "counts": {},
        "conflicts": {},
    }


def test_the_state_says_what_waits_is_in_flight_and_is_dead(shared_cloud: Cloud) -> None:
    shared_cloud.until_idle()
    state = shared_cloud.control("GET", "/state")
    assert state["queues"].keys() == {"notify", "work", "bulk", "feedback"}
    empty = {"waiting": 0, "in_flight": 0, "delayed": 0, "dead": 0}
    assert state["queues"]["notify"] == empty
    assert state["executions"].keys() == {"running", "succeeded", "failed"}


# Invalid requests --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("token", {"role": "emperor"}),
        ("token", {"role": ["manager"]}),
        ("token", {"iss": 5}),
        ("token", {"expires_in_seconds": "soon"}),
        ("token", []),
        ("clock", {}),
        ("clock", {"advance_seconds": -1}),
        ("clock", {"advance_seconds": "60"}),
        ("clock", {"advance_seconds": True}),
        ("clock", {"advance_seconds": 1e300}),
        ("faults", {}),
        ("faults", {"service": "s3"}),
        ("faults", {"service": ["sqs"]}),
        ("faults", {"service": "sqs", "operation": {}}),
        ("faults", {"service": "sqs", "operation": "Sing"}),
        ("faults", {"service": "sqs", "colour": "red"}),
        ("faults", {"service": "sqs", "times": "often"}),
    ],
)
def test_an_invalid_body_is_a_422_with_the_reason(
    shared_cloud: Cloud, path: str, body: Any
) -> None:
    answer = ask(shared_cloud, "POST", f"/_local/{path}", body)
    assert answer.status_code == 422
    assert problem_of(answer)["detail"]


@pytest.mark.parametrize("body", ["{bad", "NaN", '"text"', "[1"])
def test_a_body_that_is_no_json_object_is_a_422(shared_cloud: Cloud, body: str) -> None:
    answer = requests.post(f"{shared_cloud.url}/_local/token", data=body, timeout=PATIENCE)
    assert (answer.status_code, problem_of(answer)["status"]) == (422, 422)


def test_another_method_is_a_405_with_the_allowed_ones(shared_cloud: Cloud) -> None:
    answer = ask(shared_cloud, "DELETE", "/_local/clock")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, GET")


@pytest.mark.parametrize("path", ["/_local/", "/_local/state", "/_local/outbox"])
def test_head_is_get_without_the_body(shared_cloud: Cloud, path: str) -> None:
    answer = ask(shared_cloud, "HEAD", path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["", "/", "/state", "/outbox", "/jwks.json", "/nothing"])
def test_no_answer_may_be_cached(shared_cloud: Cloud, path: str) -> None:
    answer = ask(shared_cloud, "GET", f"/_local{path}")
    assert answer.headers["Cache-Control"] == "no-store"
