"""What the API describes of itself is what it answers."""

import html
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from infra import openapi
from infra.local import faults, outbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Answer, Caller, Client

MISSING = "01m81vfpqa4g492km3ew3kvx3r"
CSV = {"Content-Type": "text/csv"}
USERS, ONE = "/admin/v1/users", "/admin/v1/users/{user_id}"
AGAIN = f"{ONE}/resend-invitation"
PAGE, ACCEPT = "/invitations/accept", "/v1/invitations/accept"
Sample = tuple[str, str, Answer]  #: method, path as described, what came back


def test_the_served_description_is_the_one_that_is_checked_and_names_its_server(
    cloud: LocalCloud, client: Client
) -> None:
    answer = client.send("GET", "/openapi.json")
    served = answer.json()

    assert answer.headers["Content-Type"] == "application/json"
    assert served.pop("servers") == [{"url": cloud.url}]
    assert served == openapi.current()
    same = client.send("GET", "/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert same.status_code == 304


def test_the_page_for_people_names_every_operation(cloud: LocalCloud, client: Client) -> None:
    page = client.send("GET", "/docs")

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    for path, operations in openapi.current()["paths"].items():
        assert path in page.text
        for each in operations.values():
            assert each["summary"] in html.unescape(page.text)


def samples(cloud: LocalCloud, client: Client, manager: Caller) -> Iterator[Sample]:
    """At least one good answer of every operation, and one of most kinds of errors."""
    yield from of_users(client, manager)
    yield from of_background(cloud, manager)
    yield from of_invitations(client)
    yield from of_suppressions(cloud, manager)
    yield from of_endings(client, manager)


def of_users(client: Client, manager: Caller) -> Iterator[Sample]:
    created = manager.create_user(phone="+4915112345678")
    user = f"{USERS}/{created.json()['data']['user']['id']}"
    yield "POST", USERS, created
    yield "POST", USERS, manager.create_user()
    yield "POST", USERS, manager.create_user(email="none", role="root")
    yield "POST", USERS, manager.send("POST", USERS, data="{")
    yield "POST", USERS, manager.send("POST", USERS, data="x" * 70_000)
    yield "POST", USERS, manager.send("POST", USERS, headers={"Content-Type": "text/plain"})
    yield "POST", USERS, client.as_("staff").create_user()
    yield "GET", USERS, manager.get(USERS)
    yield "GET", USERS, manager.get(USERS, params={"cursor": "forged"})
    yield "GET", USERS, manager.get(USERS, params={"per_page": "0", "role": "root"})
    yield "GET", USERS, client.as_("admin", None).get(USERS)
    yield "GET", USERS, client.send("GET", USERS)
    yield "GET", ONE, manager.get(user)
    yield "GET", ONE, manager.get(user, headers={"If-None-Match": "*"})
    yield "GET", ONE, manager.get(f"{USERS}/{MISSING}")
    yield "PATCH", ONE, manager.patch(user, {"phone": None})
    yield "PATCH", ONE, manager.patch(user, {}, headers={"If-Match": '"v1"'})
    yield "POST", AGAIN, manager.post(f"{user}/resend-invitation")


def of_background(cloud: LocalCloud, manager: Caller) -> Iterator[Sample]:
    cloud.advance(61)
    yield "POST", AGAIN, manager.post(f"{USERS}/{manager.users()[0]['id']}/resend-invitation")
    upload = manager.send(
        "POST",
        f"{USERS}/import",
        headers=CSV,
        data="name,email,role\nBob,bob@example.com,staff\nbad,bad,bad\n",
    )
    batch = f"/v1/batches/{upload.json()['data']['batch_id']}"
    yield "POST", f"{USERS}/import", upload
    yield "POST", f"{USERS}/import", manager.send("POST", f"{USERS}/import", headers=CSV, data=b"")
    yield "GET", "/v1/batches/{batch_id}", manager.get(batch)
    cloud.run_until_idle()
    yield "GET", "/v1/batches/{batch_id}", manager.get(batch)
    yield "GET", "/v1/batches/{batch_id}", manager.get(f"/v1/batches/{MISSING}")
    for kind, name in (("jobs", "job_id"), ("notifications", "notification_id")):
        listed = manager.get(f"/admin/v1/{kind}", params={"per_page": 2})
        yield "GET", f"/admin/v1/{kind}", listed
        path = f"/admin/v1/{kind}/{{{name}}}"
        yield "GET", path, manager.get(f"/admin/v1/{kind}/{listed.json()['data'][0]['id']}")
        yield "GET", path, manager.get(f"/admin/v1/{kind}/{MISSING}")


def of_invitations(client: Client) -> Iterator[Sample]:
    mails = outbox.sent(to="ann@example.com", channel="email")
    token = {"token": mails[-1].text.partition("token=")[2].split()[0]}
    bobs = {"token": outbox.sent(to="bob@example.com")[-1].text.partition("token=")[2].split()[0]}
    yield "GET", PAGE, client.send("GET", PAGE, params=token)
    yield "GET", PAGE, client.send("GET", PAGE, params={"token": "x"})
    yield "GET", PAGE, client.send("GET", PAGE)
    yield "POST", ACCEPT, client.send("POST", ACCEPT, json=token)
    yield "POST", ACCEPT, client.send("POST", ACCEPT, json=token)
    yield "POST", PAGE, client.send("POST", PAGE, data=bobs)
    yield "POST", PAGE, client.send("POST", PAGE, data=bobs)
    yield "POST", PAGE, client.send("POST", PAGE, data={"token": ""})


def of_suppressions(cloud: LocalCloud, manager: Caller) -> Iterator[Sample]:
    path, address = "/admin/v1/suppressions", "bounce@simulator.amazonses.com"
    manager.create_user(email=address)
    cloud.run_until_idle()
    yield "GET", path, manager.get(path)
    for _ in range(2):
        yield "DELETE", path, manager.delete(path, params={"address": address})
    yield "DELETE", path, manager.delete(path)


def of_endings(client: Client, manager: Caller) -> Iterator[Sample]:
    yield "DELETE", ONE, manager.delete(f"{USERS}/{manager.users()[0]['id']}")
    yield "DELETE", ONE, manager.delete(f"{USERS}/{MISSING}")
    admin, tenants = client.as_("admin", None), "/admin/v1/tenants"
    yield "POST", tenants, admin.post(tenants, {"id": "cedar", "name": "Cedar"})
    yield "POST", tenants, admin.post(tenants, {"id": "cedar", "name": "Cedar"})
    yield "GET", tenants, admin.get(tenants)
    yield "GET", f"{tenants}/{{tenant_id}}", admin.get(f"{tenants}/cedar")
    yield "PATCH", f"{tenants}/{{tenant_id}}", admin.patch(f"{tenants}/cedar", {"name": "Fir"})
    yield "PATCH", f"{tenants}/{{tenant_id}}", admin.patch(f"{tenants}/nobody", {"name": "Fir"})
    faults.add(Fault("dynamodb", times=None))
    yield "GET", USERS, manager.get(USERS)
    yield "POST", USERS, manager.create_user(email="x@example.com")
    yield "GET", PAGE, client.send("GET", PAGE, params={"token": "x"})
    faults.clear()


def test_every_answer_of_a_sample_of_calls_is_described_and_fits_its_schema(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    described = openapi.current()
    seen = set()
    for method, path, answer in samples(cloud, client, manager):
        operation = described["paths"][path][method.lower()]
        told = f"{method} {path} {answer.status_code} {answer.text[:300]}"
        assert str(answer.status_code) in operation["responses"], told
        assert_fits(described, operation["responses"][str(answer.status_code)], answer, told)
        seen.add((method, path, answer.ok))
    operations = {
        (method.upper(), path, True) for path, each in described["paths"].items() for method in each
    }
    assert operations <= seen, f"without a good sample: {operations - seen}"


def assert_fits(
    described: dict[str, Any], response: dict[str, Any], answer: Answer, told: str
) -> None:
    content = response.get("content", {})
    if not answer.content:
        assert not content, told
        return
    media = answer.headers["Content-Type"].partition(";")[0]
    assert media in content, told
    if media.endswith("json"):
        schema = {**content[media]["schema"], "components": described["components"]}
        try:
            jsonschema.Draft202012Validator(schema).validate(json.loads(answer.text))
        except jsonschema.ValidationError as error:
            pytest.fail(f"{told}: {error.message}")
