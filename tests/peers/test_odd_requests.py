"""Requests that a fuzzer once brought down or slipped through, and their kin, kept by name."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.peers import cloud as clouds
from tests.peers.cloud import Cloud

USERS = "/admin/v1/users"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with clouds.running(tmp_path_factory.mktemp("cloud") / "log") as started:
        yield started


@pytest.fixture(scope="module")
def token(cloud: Cloud) -> str:
    return cloud.token(role="manager", tenant_id="t1")


@pytest.fixture
def send(cloud: Cloud, token: str) -> Any:
    """Sends a request as a manager; every answer that is not a success is a problem."""

    def send(method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", **how.pop("headers", {})}
        answer = requests.request(method, cloud.url + path, headers=headers, timeout=30, **how)
        if answer.status_code >= 400:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer

    return send


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": 7, "more": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b"[" * 60_000,
        b'{"name": "\\ud800"}',
        b'{"name": "\xff"}',
        b"\x00",
    ],
    ids=["nested", "open", "surrogate", "not UTF-8", "NUL"],
)
def test_a_body_that_no_one_can_read_is_a_bad_request(send: Any, body: bytes) -> None:
    assert send("POST", USERS, data=body, headers=JSON).status_code == 400


@pytest.mark.parametrize("number", [b"1e999", b"9" * 5000], ids=["float", "integer"])
def test_a_number_that_no_one_can_hold_hides_no_other_fault(send: Any, number: bytes) -> None:
    answer = send("POST", USERS, data=b'{"name": 7, "more": ' + number + b"}", headers=JSON)

    assert answer.status_code == 422
    assert [each["field"] for each in answer.json()["errors"]] == ["name", "email", "role"]


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "*/*", ";"])
def test_a_preflight_may_have_any_content_type(send: Any, content_type: str) -> None:
    answer = send("OPTIONS", f"{USERS}/import", headers={"Content-Type": content_type})

    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=null", "status"),
        ("role=NULL", "role"),
        ("per_page=null", "per_page"),
        ("per_page=%D9%A5", "per_page"),  # an Arabic digit
        ("per_page=5&per_page=6", "per_page"),
        ("search=a&search=a", "search"),
    ],
)
def test_a_query_parameter_is_neither_null_nor_given_twice(
    send: Any, query: str, field: str
) -> None:
    answer = send("GET", f"{USERS}?{query}")

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


def test_null_is_a_word_that_can_be_searched_for(send: Any) -> None:
    new = {"name": "Ann Example", "email": "ann@example.com", "role": "staff"}
    assert send("POST", USERS, json=new).status_code == 201

    assert send("GET", f"{USERS}?search=null").json()["data"] == []


@pytest.mark.parametrize("user_id", ["x" * 101, "x" * 3000, "%C3%A9" * 200, "a b", "ä"])
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_an_id_that_no_record_can_have_is_not_found(send: Any, method: str, user_id: str) -> None:
    body = {"json": {}} if method == "PATCH" else {}

    assert send(method, f"{USERS}/{user_id}", **body).status_code == 404


def test_a_version_is_of_no_matter_to_a_request_that_changes_nothing(send: Any) -> None:
    assert send("GET", USERS, headers={"If-Match": "junk"}).status_code == 200


def test_a_method_that_a_path_does_not_answer_is_told_which_ones_it_does(send: Any) -> None:
    answer = send("PUT", USERS)

    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "POST", "OPTIONS"}
