"""A local cloud and a browser beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from tests.peers import cloud
from tests.peers.browser import chromium
from tests.peers.cloud import Cloud
from tests.peers.install import BROWSER

PATIENCE_MS = 20_000


@dataclass
class Tab:
    """A page of the browser, and what it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def until(self, selector: str, text: str) -> None:
        """Waits until a part of the page has this text in it; all of it, for an empty one."""
        from playwright.sync_api import expect

        part = expect(self.page.locator(selector))
        if text:
            part.to_contain_text(text, timeout=PATIENCE_MS)
        else:
            part.to_have_text("", timeout=PATIENCE_MS)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))


@dataclass(frozen=True)
class Manager:
    """A manager of a tenant over HTTP."""

    cloud: Cloud
    token: str

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.post(f"{self.cloud.url}{path}", json=body, headers=headers, timeout=30)
        assert answer.ok, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def invite(self, email: str, name: str = "Ann") -> str:
        """The id of a new user."""
        body = {"name": name, "email": email, "role": "staff"}
        return str(self.post("/admin/v1/users", body)["user"]["id"])

    def make_project(self, name: str, *user_ids: str) -> str:
        body = {"name": name, "user_ids": list(user_ids)}
        return str(self.post("/admin/v1/projects", body)["id"])


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with cloud.running(tmp_path_factory.mktemp("cloud") / "log") as started:
        yield started


@pytest.fixture(scope="session")
def browser(_installed: None) -> Iterator[Any]:
    with chromium.running(BROWSER) as started:
        yield started


@pytest.fixture
def tab(browser: Any) -> Iterator[Tab]:
    """A page of a browser that remembers nothing."""
    context = browser.new_context()
    yield Tab(context.new_page())
    context.close()


@pytest.fixture
def manager(local: Cloud) -> Manager:
    return Manager(local, local.token(role="manager", tenant_id="t1", sub="manager-1"))


@pytest.fixture
def other(local: Cloud) -> Manager:
    """A manager of another tenant."""
    return Manager(local, local.token(role="manager", tenant_id="t2", sub="manager-2"))
