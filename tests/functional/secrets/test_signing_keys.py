"""The signing keys: read by whoever needs them, gone on with, and missing."""

import pytest

from chalicelib.kernel import keyring
from infra.local import faults, mailbox, roles
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Answer, Caller, Client
from tests.functional.people.invitations import by_api, by_looking, newest_token

USERS = "/admin/v1/users"
DENIED = Fault(
    "ssm", "GetParameter", "refuse", times=None, code="AccessDeniedException", status=400
)
OUTAGES = {
    "refused": DENIED,
    "throttled": Fault("ssm", "GetParameter", "throttle", times=None),
    "down": Fault("ssm", "GetParameter", "refuse", times=None),
    "silent": Fault("ssm", "GetParameter", "lose_answer", times=None),
}


def first_page(manager: Caller) -> Answer:
    """Of two users, so that there is a cursor."""
    return manager.get(f"{USERS}?per_page=1")


def conf_calls(answer: Answer) -> str:
    return answer.headers["Server-Timing"].rpartition(", ")[2]


@pytest.fixture
def two_users(manager: Caller) -> None:
    for name in ("ann", "bob"):
        assert manager.create_user(email=f"{name}@example.com").status_code == 201


@pytest.mark.usefixtures("two_users")
def test_an_instance_asks_for_the_keys_once_and_shows_that_as_conf(manager: Caller) -> None:
    first_page(manager)  # the tenant's own configuration is known from here on
    keyring.use()

    assert conf_calls(first_page(manager)) == 'conf;desc="1 calls"'
    assert conf_calls(first_page(manager)) == 'conf;desc="0 calls"'


@pytest.mark.usefixtures("two_users")
@pytest.mark.parametrize("outage", OUTAGES)
def test_known_keys_go_on_for_hours_while_ssm_does_not_answer(
    cloud: LocalCloud, client: Client, manager: Caller, outage: str
) -> None:
    cloud.run_until_idle()
    cursor = first_page(manager).json()["meta"]["next_cursor"]
    faults.add(OUTAGES[outage])
    for _ in range(3):
        cloud.advance(3600)
        assert first_page(manager).json()["meta"]["next_cursor"] == cursor
        assert manager.get(f"{USERS}?per_page=1&cursor={cursor}").status_code == 200
    assert by_api(client, newest_token("bob@example.com")).status_code == 200
    assert faults.counts()["ssm.GetParameter"]["faulted"] >= 3


@pytest.mark.usefixtures("two_users")
@pytest.mark.parametrize("outage", OUTAGES)
def test_without_a_key_only_what_needs_one_is_refused_for_now(
    cloud: LocalCloud, client: Client, manager: Caller, outage: str
) -> None:
    cloud.run_until_idle()
    token, page = newest_token("bob@example.com"), first_page(manager).json()
    keyring.use()
    faults.add(OUTAGES[outage])

    needing = [
        first_page(manager),
        manager.get(f"{USERS}?per_page=1&cursor={page['meta']['next_cursor']}"),
        manager.create_user(email="cid@example.com"),
        by_api(client, token),
        by_looking(client, token),
    ]
    assert [answer.status_code for answer in needing] == [503] * 5
    assert {answer.headers["Retry-After"] for answer in needing} == {"1"}
    assert manager.get(f"{USERS}/{page['data'][0]['id']}").status_code == 200
    assert manager.get(USERS).status_code == 200  # its only page has no cursor

    faults.clear()
    keyring.use()
    assert by_api(client, token).status_code == 200


@pytest.mark.usefixtures("two_users")
def test_a_mail_whose_link_cannot_be_signed_waits_and_goes_out_later(cloud: LocalCloud) -> None:
    keyring.use()
    faults.add(DENIED)
    cloud.run_until_idle()
    assert mailbox.sent() == []

    faults.clear()
    for _ in range(3):
        cloud.advance(120)
        cloud.run_until_idle()
    assert {mail.to for mail in mailbox.sent()} == {"ann@example.com", "bob@example.com"}


def test_a_seal_that_a_key_unread_for_ten_minutes_may_open_is_refused_for_now_only(
    cloud: LocalCloud, client: Client, manager: Caller
) -> None:
    manager.create_user()
    cloud.run_until_idle()
    strange = newest_token()[:-1] + "A"
    assert by_api(client, strange).status_code == 404

    faults.add(DENIED)
    cloud.advance(590)
    assert by_api(client, strange).status_code == 404
    cloud.advance(60)
    assert by_api(client, strange).status_code == 503


@pytest.mark.usefixtures("two_users")
@pytest.mark.parametrize("function", ["api_handler", "notify", "bulk"])
def test_a_function_whose_role_may_not_read_the_keys_cannot_do_its_work(
    cloud: LocalCloud, manager: Caller, function: str
) -> None:
    cloud.run_until_idle()
    mails = len(mailbox.sent())
    if function == "bulk":
        manager.send(
            "POST",
            f"{USERS}/import",
            headers={"Content-Type": "text/csv"},
            data="name,email,role\nCid,cid@example.com,staff\n",
        )
    elif function == "notify":
        manager.create_user(email="cid@example.com")
    keyring.use()

    with roles.without(function, "SigningKeys", "ssm:GetParameter"):
        if function == "api_handler":
            assert first_page(manager).status_code == 503
        else:
            cloud.run_until_idle()
    assert len(mailbox.sent()) == mails
    denials = roles.take_denials()
    assert {each.function for each in denials} == {function}
    assert "ssm:GetParameter" in denials[0].text


@pytest.mark.parametrize("queue", ["notify", "bulk"])
def test_a_worker_that_has_just_started_reads_the_keys_itself(
    cloud: LocalCloud, manager: Caller, queue: str
) -> None:
    if queue == "bulk":
        rows = "name,email,role\nAnn,ann@example.com,staff\n"
        headers = {"Content-Type": "text/csv"}
        manager.send("POST", f"{USERS}/import", headers=headers, data=rows)
    else:
        manager.create_user()
    keyring.use()
    faults.clear()

    cloud.run_until_idle()
    assert [mail.to for mail in mailbox.sent()] == ["ann@example.com"]
    assert faults.counts()["ssm.GetParameter"]["through"] == 1


def test_a_value_without_any_key_counts_as_no_answer(
    manager: Caller, parameter: str, two_users: None
) -> None:
    aws.client("ssm").put_parameter(
        Name=parameter, Value=" , ", Type="SecureString", Overwrite=True
    )
    keyring.use()

    assert first_page(manager).status_code == 503
