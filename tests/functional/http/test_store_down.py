"""A store that is down or throttled: 503 with Retry-After, and all is well again after it."""

from collections.abc import Callable

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Answer, Caller, Client
from tests.functional.people.invitations import Accept, by_form, by_looking, newest_token

KINDS = ("refuse", "throttle")
MISSING = "01m81vfpqa4g492km3ew3kvx3r"
CSV = {"Content-Type": "text/csv"}

CALLS: dict[str, Callable[[Caller], Answer]] = {
    "list": lambda caller: caller.get("/admin/v1/users"),
    "read": lambda caller: caller.get(f"/admin/v1/users/{MISSING}"),
    "jobs": lambda caller: caller.get("/admin/v1/jobs"),
    "batch": lambda caller: caller.get(f"/v1/batches/{MISSING}"),
    "create": lambda caller: caller.create_user(),
    "change": lambda caller: caller.patch(f"/admin/v1/users/{MISSING}", {"name": "Bob"}),
    "resend": lambda caller: caller.post(f"/admin/v1/users/{MISSING}/resend-invitation"),
    "import": lambda caller: caller.send(
        "POST",
        "/admin/v1/users/import",
        headers=CSV,
        data="name,email,role\nAnn,ann@example.com,staff\n",
    ),
    "tenants": lambda caller: caller.get("/admin/v1/tenants"),
    "regions": lambda caller: caller.get("/admin/v1/regions"),
}


def assert_unavailable(answer: Answer) -> None:
    assert answer.status_code == 503, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert int(answer.headers["Retry-After"]) >= 1
    assert "Traceback" not in answer.text
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_every_call_is_a_503_while_the_store_is_down(
    cloud: LocalCloud, admin: Caller, name: str, kind: faults.Kind
) -> None:
    admin.get("/admin/v1/users")  # the tenant is known already
    faults.add(Fault("dynamodb", kind=kind, times=None))
    assert_unavailable(CALLS[name](admin))

    faults.clear()
    assert CALLS[name](admin).status_code < 500


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_that_cannot_be_read_is_a_503_and_not_a_refusal(
    cloud: LocalCloud, manager: Caller, kind: faults.Kind
) -> None:
    faults.add(Fault("dynamodb", kind=kind, times=None))
    assert_unavailable(manager.get("/admin/v1/users"))

    faults.clear()
    assert manager.get("/admin/v1/users").status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_accepting_an_invitation_waits_for_the_store(
    cloud: LocalCloud, client: Client, manager: Caller, kind: faults.Kind
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    token = mailbox.sent()[0].text.partition("token=")[2].split()[0]
    faults.add(Fault("dynamodb", kind=kind, times=None))

    body = {"token": token}
    assert_unavailable(client.send("POST", "/v1/invitations/accept", json=body))
    page = client.send("GET", "/invitations/accept", params=body)
    form = client.send("POST", "/invitations/accept", data=body)
    assert [page.status_code, form.status_code] == [503, 503]
    assert min(int(each.headers["Retry-After"]) for each in (page, form)) >= 1
    faults.clear()
    assert client.send("POST", "/v1/invitations/accept", json=body).status_code == 200


@pytest.mark.parametrize("open_page", [by_looking, by_form])
@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_an_invitation_asks_to_try_again_and_blames_no_link(
    cloud: LocalCloud, client: Client, manager: Caller, kind: faults.Kind, open_page: Accept
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    token = newest_token()
    faults.add(Fault("dynamodb", kind=kind, times=None))
    page = open_page(client, token)

    assert page.status_code == 503
    assert int(page.headers["Retry-After"]) >= 1
    assert page.headers["Content-Type"].startswith("text/html")
    assert "This is temporary" in page.text
    assert "try again" in page.text
    assert "does not work" not in page.text
    assert token not in page.text
    faults.clear()
    assert open_page(client, token).status_code == 200


def test_queues_that_are_down_are_no_503(cloud: LocalCloud, manager: Caller) -> None:
    faults.add(Fault("sqs", times=None))

    assert manager.create_user().status_code == 201
