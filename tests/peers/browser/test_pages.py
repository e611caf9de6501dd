"""The pages that people see, in a browser."""

import uuid

import requests

from tests.peers.browser.conftest import Manager, Tab
from tests.peers.cloud import Cloud


def test_a_projects_page_fills_in_until_all_is_done(
    local: Cloud, tab: Tab, manager: Manager
) -> None:
    users = [manager.invite(f"{uuid.uuid4().hex}@example.com") for _ in range(3)]
    project = manager.make_project("Alder", *users)
    tab.page.goto(f"{local.url}/projects/{project}#token={manager.token}")

    tab.until("#status", "active")
    assert tab.text("#percent") == "100 %"
    assert tab.text("#name") == "Alder"
    synced, total = tab.text("#users").split(" of ")
    assert int(synced) == int(total) >= len(users)
    steps = tab.text("#steps").splitlines()
    assert len(steps) == 4
    assert all(each.endswith(": done") for each in steps)
    assert tab.page.title() == "active 100 % \u2013 Alder"
    assert tab.complaints == []


def test_the_token_leaves_the_address_and_survives_a_reload(
    local: Cloud, tab: Tab, manager: Manager
) -> None:
    project = manager.make_project(f"Beech {uuid.uuid4().hex[:6]}")
    tab.page.goto(f"{local.url}/projects/{project}#token={manager.token}")
    tab.page.wait_for_selector("#shown", state="visible")
    assert tab.page.url == f"{local.url}/projects/{project}"
    tab.page.reload()
    tab.page.wait_for_selector("#shown", state="visible")
    assert tab.page.is_hidden("#entry")


def test_markup_in_a_name_is_text(local: Cloud, tab: Tab, manager: Manager) -> None:
    name = "<img src=x onerror=alert(1)> {{7*7}}"
    project = manager.make_project(name)
    tab.page.goto(f"{local.url}/projects/{project}#token={manager.token}")
    tab.until("#status", "active")
    assert tab.text("#name") == name
    assert tab.page.query_selector("#name img") is None
    assert tab.complaints == []


def test_a_project_that_failed_says_at_which_step_and_why(
    local: Cloud, tab: Tab, other: Manager
) -> None:
    refused = other.invite(f"refused+{uuid.uuid4().hex}@example.com")
    project = other.make_project(f"Cedar {uuid.uuid4().hex[:6]}", refused)
    tab.page.goto(f"{local.url}/projects/{project}#token={other.token}")
    tab.until("#status", "failed")
    assert "sync_users" in tab.text("#error")
    assert "refuses this" in tab.text("#error")
    assert "1 failed" in tab.text("#users")
    assert "failed" in tab.text("#steps")


def test_without_a_token_it_asks_for_one_and_says_when_it_is_not_accepted(
    local: Cloud, tab: Tab, manager: Manager
) -> None:
    project = manager.make_project(f"Dogwood {uuid.uuid4().hex[:6]}")
    tab.page.goto(f"{local.url}/projects/{project}")
    tab.page.fill("#token", "not a token")
    tab.page.click("button")
    tab.until("#why", "not accepted")
    tab.page.fill("#token", manager.token)
    tab.page.click("button")
    tab.until("#status", "active")
    assert tab.page.is_hidden("#entry")


def test_another_tenants_project_is_not_shown(
    local: Cloud, tab: Tab, manager: Manager, other: Manager
) -> None:
    project = manager.make_project(f"Elm {uuid.uuid4().hex[:6]}")
    tab.page.goto(f"{local.url}/projects/{project}#token={other.token}")
    tab.until("#why", "no project at this address")
    assert tab.page.is_hidden("#shown")


def test_while_the_service_cannot_be_reached_it_says_so_and_goes_on_afterwards(
    local: Cloud, tab: Tab, manager: Manager
) -> None:
    project = manager.make_project(f"Fir {uuid.uuid4().hex[:6]}")
    tab.page.clock.install()  # a poll is seconds away; they pass at once
    tab.page.goto(f"{local.url}/projects/{project}#token={manager.token}")
    tab.page.wait_for_selector("#shown", state="visible")
    tab.page.context.set_offline(True)
    tab.page.clock.run_for(20_000)
    tab.until("#error", "cannot be reached")
    tab.page.context.set_offline(False)
    tab.page.clock.run_for(20_000)
    tab.until("#error", "")


def test_an_invitation_is_accepted_once(local: Cloud, tab: Tab, manager: Manager) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    manager.invite(email)
    tab.page.goto(_link_to(local, tab, email))
    tab.page.click("button")
    tab.page.wait_for_selector("text=Welcome")
    tab.page.goto(_link_to(local, tab, email))
    tab.page.wait_for_selector("text=This invitation has already been accepted")


def _link_to(local: Cloud, tab: Tab, email: str) -> str:
    """The link in the mail, found as a person finds it: on the page of sent mails."""
    tab.page.goto(f"{local.url}/_local/")
    tab.page.wait_for_selector(f"text={email}")
    mails = requests.get(f"{local.url}/_local/outbox", timeout=10).json()
    [text] = [each["text"] for each in mails if each["to"] == email]
    return next(word for word in text.split() if "/invitations/accept?" in word)


def test_the_description_of_the_api_can_be_read(local: Cloud, tab: Tab) -> None:
    tab.page.goto(f"{local.url}/docs")
    tab.until("body", "/admin/v1/projects")
    assert tab.complaints == []
