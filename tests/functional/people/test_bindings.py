"""What a login is bound to, when that ends, and what a binding is worth elsewhere.

As on a stage: a login that is bound to nobody is refused.
"""

from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional.client import Caller, Client
from tests.functional.people.invitations import by_form, newest_token
from tests.functional.people.test_access import USERS, accept_signed_in, invited, path_of

pytestmark = [
    pytest.mark.local,
    pytest.mark.usefixtures("as_on_a_stage"),
]  # the settings of a stage are changed
ANN = {"email": "ann@example.com", "email_verified": True}


def status_of(root: Caller, name: str) -> str:
    return str(root.get(path_of(root, name)).json()["data"]["status"])


@pytest.fixture
def boss(cloud: LocalCloud, root: Caller, client: Client) -> Caller:
    """An admin of the platform by a binding, who is a user of t1."""
    invited(cloud, root, "admin", email="boss@example.com")
    caller = client.as_("admin", None, sub="boss").naming("t2")
    assert accept_signed_in(caller, newest_token("boss@example.com")).status_code == 200
    assert caller.get(USERS).status_code == 200
    return caller


# Who signs in has accepted -----------------------------------------------------------------------


def test_who_signs_in_with_the_invited_address_is_active(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root, email="ann@example.com")
    token = newest_token("ann@example.com")
    assert client.as_("manager", sub="ann", **ANN).get(USERS).status_code == 200

    assert status_of(root, "ann") == "active"
    assert by_form(client, token).status_code == 200  # the page: already accepted
    assert root.post(f"{path_of(root, 'ann')}/resend-invitation").status_code == 409


def test_the_only_manager_who_never_used_the_link_is_not_ended(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root, email="ann@example.com")
    assert client.as_("manager", sub="ann", **ANN).get(USERS).status_code == 200
    assert root.delete(path_of(root, "ann")).status_code == 409


def test_whom_an_earlier_release_left_invited_counts_as_a_manager_too(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    from chalicelib.people import models

    user = invited(cloud, root, email="ann@example.com")
    assert client.as_("manager", sub="ann", **ANN).get(USERS).status_code == 200
    person = models.get_person("t1", user["id"])
    assert person is not None
    person.update([models.Person.status.set("invited")])
    assert root.delete(path_of(root, "ann")).status_code == 409


def test_who_accepted_on_the_page_may_bind_a_login_afterwards(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root, email="ann@example.com")
    token = newest_token("ann@example.com")
    assert by_form(client, token).status_code == 200
    ann = client.as_("manager", sub="ann")
    refused = ann.get(USERS)
    assert refused.status_code == 403
    assert "Accept your invitation while you are signed in" in refused.json()["detail"]

    assert accept_signed_in(ann, token).status_code == 200
    assert ann.get(USERS).status_code == 200
    assert accept_signed_in(client.as_("manager", sub="bob"), token).status_code == 409
    assert accept_signed_in(ann, token).status_code == 404


def test_the_token_of_a_user_who_accepted_binds_nobody_once_it_has_expired(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    invited(cloud, root, email="ann@example.com")
    token = newest_token("ann@example.com")
    assert by_form(client, token).status_code == 200
    cloud.advance(8 * 86_400)
    assert accept_signed_in(client.as_("manager", sub="ann"), token).status_code == 404


# Another address ends it -------------------------------------------------------------------------


def test_another_address_ends_the_login_of_an_admin_everywhere(
    cloud: LocalCloud, root: Caller, client: Client, boss: Caller
) -> None:
    changed = root.patch(path_of(root, "boss"), {"email": "new-boss@example.com"})
    assert changed.status_code == 200, changed.text
    cloud.advance(61)
    cloud.run_until_idle()
    fresh = client.as_("admin", None, sub="boss", jti="fresh").naming("t2")
    assert fresh.get(USERS).status_code == 403
    assert fresh.get("/admin/v1/tenants").status_code == 403

    new = client.as_("admin", None, sub="new").naming("t2")
    assert accept_signed_in(new, newest_token("new-boss@example.com")).status_code == 200
    assert new.get(USERS).status_code == 200
    assert fresh.get(USERS).status_code == 403


def test_a_first_login_with_the_old_address_is_not_bound_after_the_change(
    cloud: LocalCloud, root: Caller, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change comes between the login's look at the user and its binding."""
    from chalicelib.people import access

    invited(cloud, root, email="ann@example.com")
    path, usual, changes = path_of(root, "ann"), access.binding, []

    def change_first(*arguments: Any) -> Any:
        if not changes:
            changes.append(root.in_a_session_of_its_own().patch(path, {"email": "new@example.com"}))
        return usual(*arguments)

    monkeypatch.setattr(access, "binding", change_first)
    old = client.as_("manager", sub="old", **ANN)
    assert old.get(USERS).status_code == 403
    assert [change.status_code for change in changes] == [200]
    cloud.advance(86_400)
    assert client.as_("manager", sub="old", jti="2", **ANN).get(USERS).status_code == 403


def test_another_address_ends_a_login_that_the_claim_has_bound(
    cloud: LocalCloud, root: Caller, client: Client
) -> None:
    user = invited(cloud, root, email="ann@example.com")
    with settings.changed(user_claim="our_id"):
        assert client.as_("manager", sub="a", our_id=user["id"]).get(USERS).status_code == 200
        assert root.patch(path_of(root, "ann"), {"email": "new@example.com"}).status_code == 200
        cloud.advance(61)
        again = client.as_("manager", sub="a", our_id=user["id"], jti="2")
        assert again.get(USERS).status_code == 403

        moved = {"email": "new@example.com", "email_verified": True, "our_id": user["id"]}
        assert client.as_("manager", sub="a", jti="3", **moved).get(USERS).status_code == 200


# It counts in its own tenant ---------------------------------------------------------------------


def test_an_admin_who_became_a_manager_of_one_tenant_is_nobody_in_another(
    cloud: LocalCloud, root: Caller, client: Client, boss: Caller
) -> None:
    assert root.patch(path_of(root, "boss"), {"role": "manager"}).status_code == 200
    cloud.advance(61)
    in_t2 = client.as_("admin", "t2", sub="boss", jti="2")
    assert in_t2.get(USERS).status_code == 403
    assert in_t2.create_user(email="x@example.com").status_code == 403
    at_home = client.as_("admin", "t1", sub="boss", jti="3")
    assert at_home.get(USERS).status_code == 200
    assert at_home.get("/admin/v1/tenants").status_code == 403
