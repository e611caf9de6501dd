"""What holds for every answer: ids, timings, problems, and how paths and methods are refused."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller, Client

TIMING = re.compile(
    r'app;dur=\d+(\.\d+)?, aws;dur=\d+(\.\d+)?;desc="\d+ calls", conf;desc="\d+ calls"'
)


@pytest.fixture
def answers(manager: Caller) -> list[Answer]:
    """One of each kind of answer that the app itself gives."""
    return [
        manager.create_user(),  # 201
        manager.create_user(),  # 409
        manager.create_user(email="none"),  # 422
        manager.get("/admin/v1/users"),  # 200
        manager.get("/admin/v1/users/nobody"),  # 404
        manager.send("POST", "/admin/v1/users", headers={"Content-Type": "text/plain"}),  # 415
        manager.delete("/admin/v1/users"),  # 405
        manager.client.as_("staff").get("/admin/v1/users"),  # 403
    ]


@pytest.mark.local  # API Gateway itself answers other methods, with 404
def test_every_answer_has_a_request_id_and_server_timing(answers: list[Answer]) -> None:
    assert [each.status_code for each in answers] == [201, 409, 422, 200, 404, 415, 405, 403]
    for answer in answers:
        assert answer.headers["X-Request-Id"]
        assert TIMING.fullmatch(answer.headers["Server-Timing"]), answer.headers["Server-Timing"]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == len(answers)


def test_every_error_is_a_problem_that_names_its_request(answers: list[Answer]) -> None:
    for answer in answers:
        if answer.status_code >= 400:
            problem = answer.json()
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert problem["status"] == answer.status_code
            assert problem["title"]
            assert problem["type"]
            assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_every_success_is_an_envelope(answers: list[Answer]) -> None:
    for answer in answers:
        if answer.status_code < 400:
            assert answer.headers["Content-Type"].startswith("application/json")
            assert answer.json()["success"] is True


@pytest.mark.parametrize("sent", ["abc", "1-67891233-abcdef", "a" * 128, "a/b:c.d_e+f=g"])
def test_a_well_formed_request_id_is_taken_over(manager: Caller, sent: str) -> None:
    for path in ("/admin/v1/users", "/admin/v1/users/nobody"):
        answer = manager.get(path, headers={"X-Request-Id": sent})
        assert answer.headers["X-Request-Id"] == sent
        assert answer.json().get("request_id", sent) == sent


@pytest.mark.parametrize("sent", ["", "a" * 129, "a b", "a;b", "<script>", "a\tb", "ä"])
def test_a_malformed_request_id_is_replaced(manager: Caller, sent: str) -> None:
    headers = {"X-Request-Id": sent.encode("latin-1")}
    made = manager.get("/admin/v1/users", headers=headers).headers["X-Request-Id"]

    assert made
    assert made != sent


@pytest.mark.local  # API Gateway itself answers other methods, with 404
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
@pytest.mark.parametrize("path", ["/admin/v1/users", "/admin/v1/jobs", "/admin/v1/notifications"])
def test_another_method_on_a_list_is_a_405_that_names_the_allowed_ones(
    manager: Caller, path: str, method: str
) -> None:
    answer = manager.send(method, path)

    assert answer.status_code == 405
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize(
    "path",
    ["/", "/admin", "/admin/v1", "/admin/v1/userss", "/admin/v2/users", "/admin/v1/users/a/b/c"],
)
def test_an_unknown_path_is_a_404_problem(client: Client, manager: Caller, path: str) -> None:
    for answer in (manager.get(path), client.send("GET", path)):
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == 404


def test_reading_one_record_or_a_page_is_one_call(manager: Caller) -> None:
    user = manager.create_user().json()["data"]["user"]

    for path in ("users", f"users/{user['id']}", "jobs", f"jobs/{manager.jobs()[0]['id']}"):
        timing = manager.get(f"/admin/v1/{path}").headers["Server-Timing"]
        assert 'desc="1 calls", conf' in timing, path


def test_configuration_is_read_at_most_once_a_minute_and_counted_apart(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel import cache

    cache.forget_all()
    timings = [manager.get("/admin/v1/users").headers["Server-Timing"] for _ in range(3)]

    assert [timing.rpartition("conf;")[2] for timing in timings] == [
        'desc="1 calls"',
        'desc="0 calls"',
        'desc="0 calls"',
    ]
    assert all("aws;dur=" in timing and 'desc="1 calls", conf' in timing for timing in timings)


def test_links_lead_to_the_public_address(cloud: LocalCloud, manager: Caller) -> None:
    location = manager.create_user().headers["Location"]

    assert location.startswith(f"{cloud.url}/admin/v1/users/")
    assert (
        manager.client.with_token(manager.token).get(location.removeprefix(cloud.url)).status_code
        == 200
    )


def test_a_forged_host_does_not_change_the_links(cloud: LocalCloud, manager: Caller) -> None:
    answer = manager.send(
        "POST",
        "/admin/v1/users",
        json={"name": "Ann", "email": "ann@example.com", "role": "staff"},
        headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"},
    )

    assert answer.headers["Location"].startswith(cloud.url)


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """What the app logs, as it would stand in CloudWatch."""
    logger = logging.getLogger("backburner")
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger.handlers[0].formatter)
    logger.addHandler(handler)
    yield written
    logger.removeHandler(handler)


@pytest.mark.local  # it reads the log of this process
def test_each_request_s_line_says_who_did_it_and_for_which_tenant(
    manager: Caller, admin: Caller, client: Client, log_lines: io.StringIO
) -> None:
    manager.get("/admin/v1/users")
    admin.naming("t2").get("/admin/v1/users")
    client.as_("admin", None, sub="root").get("/admin/v1/tenants")
    lines = [json.loads(line) for line in log_lines.getvalue().splitlines()]
    said = [(line["sub"], line["tenant"]) for line in lines if line["message"] == "request"]
    assert said == [("manager-of-t1", "t1"), (said[1][0], "t2"), ("root", "")]
    assert said[1][0]


def test_no_name_address_number_token_or_query_is_logged(
    cloud: LocalCloud, manager: Caller, log_lines: io.StringIO
) -> None:
    manager.create_user("Ann Secretname", email="ann.secret@example.com", phone="+4915112345678")
    manager.create_user("Ann Secretname", email="ann.secret@example.com")
    manager.create_user("Ann Secretname", email="ann.secret@", phone="+4915112345678x")
    manager.get("/admin/v1/users?search=ann.secret")
    manager.get("/admin/v1/notifications?recipient=ann.secret@example.com")
    cloud.run_until_idle()
    lines = log_lines.getvalue()

    assert lines.count('"message":"request"') == 5
    assert lines.count('"message":"job"') == 2
    for secret in ("ann.secret", "Secretname", "15112345678", manager.token, "token=", "search="):
        assert secret not in lines
