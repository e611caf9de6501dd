"""`backburner tenant create` and `bind`: who may enter a stage before anybody else can."""

import argparse

import pytest

from chalicelib.kernel.errors import AppError, Conflict, Invalid, NotFound
from infra.local import mailbox
from infra.local.cloud import LocalCloud
from infra.ops import tenants
from tests import settings
from tests.functional.client import Client
from tests.functional.people.invitations import newest_token

pytestmark = pytest.mark.local  # the commands run in this process


def command(*words: str) -> str:
    """What the command prints. Raises what its program turns into a sentence."""
    parser = argparse.ArgumentParser()
    tenants.add_commands(parser.add_subparsers())
    options = parser.parse_args(["tenant", *words])
    text: str = options.command(options)
    return text


def create(*more: str) -> str:
    return command("create", "--id", "alder", "--name", "Alder Books", *more)


def test_the_first_manager_is_invited_together_with_the_tenant(
    cloud: LocalCloud, client: Client
) -> None:
    told = create("--manager-email", "mona@example.com", "--manager-name", "Mona")
    assert "The invitation is queued for mona@example.com" in told
    cloud.run_until_idle()
    (mail,) = mailbox.sent()
    assert mail.subject == "Alder Books invites you"
    assert "Hello Mona" in mail.text

    with settings.changed(unknown_subjects="refuse"):
        mona = client.as_("manager", "alder")
        token = newest_token("mona@example.com")
        assert mona.post("/v1/invitations/accept", {"token": token}).status_code == 200
        assert [user["role"] for user in mona.users()] == ["manager"]


def test_without_a_manager_only_the_tenant_is_made(cloud: LocalCloud) -> None:
    create()
    cloud.run_until_idle()

    assert mailbox.sent() == []
    assert '"name":"Alder Books"' in command("show", "alder")


@pytest.mark.parametrize(
    ("more", "public_url", "field"),
    [
        (("--manager-email", "no address"), "https://api.example.com", "email"),
        (("--manager-email", "mona@example.com"), "", "--public-url"),
    ],
)
def test_a_manager_who_cannot_be_invited_is_said_and_no_tenant_is_made(
    cloud: LocalCloud, more: tuple[str, ...], public_url: str, field: str
) -> None:
    with settings.changed(public_url=public_url), pytest.raises(Invalid) as refused:
        create(*more)

    assert [error.field for error in refused.value.field_errors] == [field]
    with pytest.raises(NotFound):
        command("show", "alder")


def test_a_machine_that_is_bound_enters_with_its_role(cloud: LocalCloud, client: Client) -> None:
    create()
    command("bind", "alder", "--subject", "ci", "--role", "manager")
    command("bind", "--platform", "--subject", "robot")

    with settings.changed(unknown_subjects="refuse"):
        assert client.as_("manager", "alder", sub="ci").users() == []
        assert client.as_("manager", "t1", sub="ci").get("/admin/v1/users").status_code == 403
        robot = client.as_("admin", None, sub="robot")
        assert robot.get("/admin/v1/tenants").status_code == 200


@pytest.mark.parametrize("where", ["alder", "--platform"])
def test_a_machines_access_is_listed_and_ends_within_a_minute(
    cloud: LocalCloud, client: Client, where: str
) -> None:
    create()
    assert command("machines", where) == "No machine may enter there."
    command("bind", where, "--subject", "ci")
    role, tenant, path = (
        ("staff", "alder", "/v1/batches/none")
        if where == "alder"
        else ("admin", None, "/admin/v1/tenants")
    )
    assert command("machines", where) == f'{{"subject":"ci","role":"{role}"}}'
    machine = client.as_(role, tenant, sub="ci")

    with settings.changed(unknown_subjects="refuse"):
        assert machine.get(path).status_code in (200, 404)
        assert "refused within a minute" in command("unbind", where, "--subject", "ci")
        cloud.advance(61)
        assert machine.get(path).status_code == 403
        assert command("machines", where) == "No machine may enter there."
        with pytest.raises(NotFound):
            command("unbind", where, "--subject", "ci")


def test_a_users_login_is_not_ended_as_a_machines(cloud: LocalCloud, client: Client) -> None:
    create("--manager-email", "mona@example.com")
    login = {"email": "mona@example.com", "email_verified": True}
    client.as_("manager", "alder", sub="mona", **login).users()
    with pytest.raises(NotFound):
        command("unbind", "alder", "--subject", "mona")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--subject", "ci"), Invalid),
        (("alder", "--platform", "--subject", "ci"), Invalid),
        (("nowhere", "--subject", "ci"), NotFound),
        (("alder", "--subject", "mona"), Conflict),
    ],
    ids=str,
)
def test_a_binding_that_makes_no_sense_is_refused(
    cloud: LocalCloud, client: Client, words: tuple[str, ...], error: type[AppError]
) -> None:
    create("--manager-email", "mona@example.com")
    login = {"email": "mona@example.com", "email_verified": True}
    client.as_("manager", "alder", sub="mona", **login).users()

    with pytest.raises(error):
        command("bind", *words)
