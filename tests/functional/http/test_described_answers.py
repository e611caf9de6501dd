"""What the API describes of itself is what it answers."""

import html
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from infra import openapi
from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Answer, Caller, Client

MISSING = "01m81vfpqa4g492km3ew3kvx3r"
CSV = {"Content-Type": "text/csv"}
USERS, ONE = "/admin/v1/users", "/admin/v1/users/{user_id}"
AGAIN = f"{ONE}/resend-invitation"
BACK = f"{ONE}/reactivate"
PROJECTS = "/admin/v1/projects"
PAGE, ACCEPT = "/invitations/accept", "/v1/invitations/accept"
Sample = tuple[str, str, Answer]  #: method, path as described, what came back
USUAL_HEADERS = {"connection", "content-length", "content-type", "date", "server", "vary"}
OF_A_PAGE = {"cache-control", "content-security-policy", "referrer-policy"}
OF_A_PAGE |= {"x-content-type-options"}


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
    yield from of_projects(cloud, manager)
    yield from of_regions(client)
    yield from of_sockets(manager)
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
    yield "POST", BACK, manager.post(f"{user}/reactivate")
    manager.delete(user)
    yield "POST", BACK, manager.post(f"{user}/reactivate")


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


def of_projects(cloud: LocalCloud, manager: Caller) -> Iterator[Sample]:
    one = f"{PROJECTS}/{{project_id}}"
    user = manager.users()[0]["id"]
    body = {"name": "Alder", "user_ids": [user]}
    created = manager.post(PROJECTS, body)
    project = f"{PROJECTS}/{created.json()['data']['id']}"
    yield "POST", PROJECTS, created
    yield "POST", PROJECTS, manager.post(PROJECTS, body)
    yield "POST", PROJECTS, manager.post(PROJECTS, {"name": "", "user_ids": [MISSING]})
    yield "POST", PROJECTS, manager.post(PROJECTS, {"name": "Birch", "user_ids": [MISSING]})
    yield "GET", PROJECTS, manager.get(PROJECTS, params={"per_page": 1})
    yield "GET", PROJECTS, manager.get(PROJECTS, params={"status": "unheard-of"})
    yield "GET", f"{one}/status", manager.get(f"{project}/status")
    yield "POST", f"{one}/suspend", manager.post(f"{project}/suspend")
    cloud.run_until_idle()
    yield "GET", f"{one}/status", manager.get(f"{project}/status")
    yield "GET", f"{one}/users", manager.get(f"{project}/users")
    yield "GET", one, manager.get(project)
    yield "GET", one, manager.get(f"{PROJECTS}/{MISSING}")
    yield "PATCH", one, manager.patch(project, {"name": "Cedar"})
    yield "PATCH", one, manager.patch(project, {"name": "Fir"}, headers={"If-Match": '"v1"'})
    yield "POST", f"{one}/suspend", manager.post(f"{project}/suspend")
    cloud.run_until_idle()
    yield "POST", f"{one}/resume", manager.post(f"{project}/resume")
    cloud.run_until_idle()
    users = {"user_ids": [user]}
    yield "POST", f"{one}/users", manager.post(f"{project}/users", users)
    cloud.run_until_idle()
    rotation = "users/{user_id}/rotate-credential"
    yield "POST", f"{one}/{rotation}", manager.post(f"{project}/{rotation.format(user_id=user)}")
    yield "POST", f"{one}/{rotation}", manager.post(f"{project}/{rotation.format(user_id=user)}")
    cloud.run_until_idle()
    yield "DELETE", f"{one}/users/{{user_id}}", manager.delete(f"{project}/users/{user}")
    cloud.run_until_idle()
    yield "POST", f"{one}/retry", manager.post(f"{project}/retry")
    doomed = f"{PROJECTS}/{manager.post(PROJECTS, {'name': 'refused'}).json()['data']['id']}"
    cloud.run_until_idle()
    yield "GET", f"{one}/status", manager.get(f"{doomed}/status")
    yield "POST", f"{one}/retry", manager.post(f"{doomed}/retry")
    yield "DELETE", one, manager.delete(project)


def of_regions(client: Client) -> Iterator[Sample]:
    path, admin = "/admin/v1/regions", client.as_("admin", None)
    key, one = {"provider": "openstack", "name": "north"}, f"{path}/{{provider}}/{{name}}"
    given = {"address": "https://8.8.8.8", "account": "Default", "username": "u", "password": "p"}
    new, region = {**key, **given}, f"{path}/openstack/north"
    for _ in range(2):
        yield "POST", path, admin.post(path, new)
    yield "POST", path, admin.post(path, {**new, "address": "http://169.254.169.254/"})
    yield "GET", path, admin.get(path)
    yield "GET", one, admin.get(region)
    yield "PATCH", one, admin.patch(region, {"username": "other"})
    for _ in range(2):
        yield "DELETE", one, admin.delete(region)


def of_sockets(manager: Caller) -> Iterator[Sample]:
    path = "/admin/v1/socket-tickets"
    yield "POST", path, manager.post(path)


def of_invitations(client: Client) -> Iterator[Sample]:
    mails = mailbox.sent(to="ann@example.com", channel="email")
    token = {"token": mails[-1].text.partition("token=")[2].split()[0]}
    bobs = {"token": mailbox.sent(to="bob@example.com")[-1].text.partition("token=")[2].split()[0]}
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
        response = operation["responses"][str(answer.status_code)]
        assert_fits(described, response, answer, told)
        assert_headers_are_named(response, answer, told)
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


def assert_headers_are_named(response: dict[str, Any], answer: Answer, told: str) -> None:
    named = {name.lower() for name in response["headers"]}
    every = {name.lower() for name in answer.headers} - USUAL_HEADERS
    sent = {name for name in every if not name.startswith("access-control-")}
    if "text/html" in answer.headers.get("Content-Type", ""):
        sent -= OF_A_PAGE
    assert sent <= named, told
