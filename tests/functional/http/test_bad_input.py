"""Input that cannot be taken: all faults at once, nothing stored, nothing sent."""

import json
from typing import Any

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller

GOOD = {"name": "Ann", "email": "ann@example.com", "role": "staff"}
JSON = {"Content-Type": "application/json"}


def send(manager: Caller, body: bytes | str, **headers: str) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    return manager.send("POST", "/admin/v1/users", headers={**JSON, **headers}, data=data)


def fields(answer: Answer) -> list[str]:
    return [error["field"] for error in answer.json()["errors"]]


def assert_refused(cloud: LocalCloud, answer: Answer, status: int) -> None:
    """The answer is this problem, and neither a row, a message nor a mail came of the request."""
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status
    assert {"type", "title", "detail", "request_id"} <= set(problem)
    assert "Traceback" not in answer.text
    assert aws.rows("people") == {}
    assert aws.rows("kernel") == {}
    cloud.run_until_idle()
    assert mailbox.sent() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"not json",
        b'{"name": "Ann"',
        b"{'name': 'Ann'}",
        b'{"name": "Ann",}',
        b'{"name": 7, "email"',
        b"[1",
        b"[" * 30_000,
        b'{"name":' * 7_000,
        b'{"name": "\\ud800", "email": "ann@example.com", "role": "staff"}',
        b'{"name": "\xff\xfe"}',
        b"\x00\x01\x02",
        b'{"name": NaN}',
        b"<xml/>",
        b"name=Ann&email=ann@example.com",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_unreadable_json_is_a_400(cloud: LocalCloud, manager: Caller, body: bytes) -> None:
    assert_refused(cloud, send(manager, body), 400)


@pytest.mark.parametrize("body", ["[]", '[{"name": "Ann"}]', '"text"', "7", "null", "true"])
def test_json_that_is_no_object_is_a_422(cloud: LocalCloud, manager: Caller, body: str) -> None:
    assert_refused(cloud, send(manager, body), 422)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *[({"name": value}, "name") for value in (7, None, True, [], {}, "", "   ", "a" * 201)],
        *[
            ({"email": value}, "email")
            for value in (7, None, [], {}, "", "ann", "ann@", "a b@c.de")
        ],
        ({"email": "a" * 250 + "@example.com"}, "email"),
        ({"email": "ann@example.com\r\nBcc: eve@example.com"}, "email"),
        ({"email": "ann@example.com, eve@example.com"}, "email"),
        *[({"role": value}, "role") for value in (7, None, [], "", "root", "Manager", "ADMIN")],
        *[
            ({"phone": value}, "phone")
            for value in (
                7,
                4915112345678,
                [],
                {},
                "",
                "015112345678",
                "4915112345678",
                "+0151123456",
                "+49 151 12345678",
                "+123456",
                "+1234567890123456",
                "+49151abc5678",
                "+4915112345678\n",
            )
        ],
        *[({"send_email": value}, "send_email") for value in (1, 0, "yes", None, [])],
        *[({"send_sms": value}, "send_sms") for value in (1, "true", None)],
        *[
            ({"name": f"An{control}n"}, "name")
            for control in ("\x00", "\n", "\r\n", "\t", "\x1b", "\x7f", "\x85", "\x9f")
        ],
        *[
            ({"name": name}, "name")
            for name in (
                "\u200b",
                "\u3164",
                "\u200d",
                "Ann\u202e",
                "\u2066Ann",
                "An\U000e0041n",
                "\ue000",
            )
        ],
        *[
            ({"name": name}, "name")
            for name in ("Win at https://evil.example", "WWW.evil.example", "evil.example/login")
        ],
        ({"email": "an\x00n@example.com"}, "email"),
    ],
    ids=repr,
)
def test_a_value_that_cannot_be_taken_is_a_422_that_names_its_field(
    cloud: LocalCloud, manager: Caller, change: dict[str, Any], field: str
) -> None:
    answer = manager.post("/admin/v1/users", {**GOOD, **change})

    assert_refused(cloud, answer, 422)
    assert fields(answer) == [field]
    assert answer.json()["errors"][0]["detail"]


@pytest.mark.parametrize(
    "name",
    [
        "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627",
        "\U0001f468\u200d\U0001f469",
        "O\u2019Neil / J. R.",
        "Dr.Ann",
    ],
)
def test_names_of_people_are_taken_as_they_are(manager: Caller, name: str) -> None:
    """Persian and emoji need joiners, which nobody sees by themselves."""
    answer = manager.create_user(name)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"]["user"]["name"] == name


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b'{"name":"A","email":"a@example.com","role":"staff","email":"b@example.com"}', "email"),
        (b'{"name":"A","email":"a@example.com","role":"staff","x":{"y":1,"y":2}}', "y"),
    ],
    ids=["a member", "a member within one"],
)
def test_a_member_that_stands_twice_is_a_422_that_names_it(
    cloud: LocalCloud, manager: Caller, body: bytes, member: str
) -> None:
    answer = send(manager, body)
    assert_refused(cloud, answer, 422)
    assert [error["field"] for error in answer.json()["errors"]] == [member]


@pytest.mark.parametrize("missing", ["name", "email", "role"])
def test_a_missing_field_is_a_422(cloud: LocalCloud, manager: Caller, missing: str) -> None:
    answer = manager.post("/admin/v1/users", {k: v for k, v in GOOD.items() if k != missing})

    assert_refused(cloud, answer, 422)
    assert answer.json()["errors"] == [{"field": missing, "detail": "is required"}]


def test_all_faults_are_told_at_once(cloud: LocalCloud, manager: Caller) -> None:
    body = {"name": "", "email": "ann", "phone": "1", "send_email": "yes", "send_sms": 7}
    answer = manager.post("/admin/v1/users", body)

    assert_refused(cloud, answer, 422)
    assert sorted(fields(answer)) == ["email", "name", "phone", "role", "send_email", "send_sms"]


def test_an_empty_object_misses_all_that_is_required(cloud: LocalCloud, manager: Caller) -> None:
    answer = send(manager, "{}")

    assert_refused(cloud, answer, 422)
    assert sorted(fields(answer)) == ["email", "name", "role"]


@pytest.mark.parametrize(
    ("kilobytes", "status"),
    [(65, 413), (1024, 413), (5 * 1024, 413)],
)
def test_a_body_that_is_too_large_is_a_413(
    cloud: LocalCloud, manager: Caller, kilobytes: int, status: int
) -> None:
    body = json.dumps({**GOOD, "name": "a" * kilobytes * 1024})

    assert_refused(cloud, send(manager, body), status)


def test_a_body_of_64_kilobytes_is_read(cloud: LocalCloud, manager: Caller) -> None:
    body = json.dumps(GOOD).ljust(64 * 1024)

    assert send(manager, body).status_code == 201


def test_a_large_body_without_a_token_is_refused_before_it_is_read(manager: Caller) -> None:
    answer = manager.client.send("POST", "/admin/v1/users", headers=JSON, data=b"x" * 100_000)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/html",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "json",
    ],
)
def test_another_content_type_is_a_415(cloud: LocalCloud, manager: Caller, kind: str) -> None:
    assert_refused(cloud, send(manager, json.dumps(GOOD), **{"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_is_taken_however_its_type_is_written(manager: Caller, kind: str) -> None:
    assert send(manager, json.dumps(GOOD), **{"Content-Type": kind}).status_code == 201


def test_fields_that_are_not_known_change_nothing(manager: Caller) -> None:
    answer = manager.post(
        "/admin/v1/users", {**GOOD, "status": "active", "id": "x", "created_at": "2000-01-01"}
    )

    user = answer.json()["data"]["user"]
    assert user["status"] == "invited"
    assert user["id"] != "x"


@pytest.mark.parametrize(
    "query",
    [
        {"per_page": "0"},
        {"per_page": "101"},
        {"per_page": "-1"},
        {"per_page": "1.5"},
        {"per_page": "many"},
        {"per_page": ""},
        {"status": "unknown"},
        {"role": "root"},
    ],
    ids=str,
)
def test_a_query_that_cannot_be_taken_is_a_422_that_names_its_field(
    manager: Caller, query: dict[str, str]
) -> None:
    answer = manager.get("/admin/v1/users", params=query)

    assert answer.status_code == 422
    assert fields(answer) == list(query)


def test_all_faults_of_a_query_are_told_at_once(manager: Caller) -> None:
    answer = manager.get("/admin/v1/users?per_page=0&role=root&status=asleep")

    assert sorted(fields(answer)) == ["per_page", "role", "status"]


@pytest.mark.parametrize("path", ["/admin/v1/users", "/admin/v1/jobs", "/admin/v1/notifications"])
@pytest.mark.parametrize("odd", ["'", '"', "%00", "..%2f..", "%F0%9F%98%80", "a" * 500])
def test_an_id_that_never_was_is_a_404(manager: Caller, path: str, odd: str) -> None:
    assert manager.get(f"{path}/{odd}").status_code == 404
