"""Zadara zCompute's identity service: Keystone's state, other words.

Documented (https://docs.zadarastorage.com, the public zCompute API guide): the path, the log-in
and its second factor, domains, lists that may be bare arrays, users that are made unwrapped and
with a password, grants by the role's name. One region is one cluster's address.

Not verified on a live cluster, since no public document tells: making, changing and deleting
projects, the list of grants, access keys and their proof, and that what exists is answered with
409. They are modelled on Keystone, and are what this class inherits, or marked below.
"""

import secrets
from http import HTTPStatus
from typing import Any

from chalicelib.kernel.outbound.web import Answer
from chalicelib.projects.gateway.identity import USER_PREFIX, Project
from chalicelib.projects.gateway.openstack import OpenStack
from chalicelib.projects.gateway.port import Refused, Role

_ROLES: dict[Role, str] = {"admin": "tenant_admin", "member": "_member_", "reader": "_member_"}
_MARK_SHOWN = 16


class Zadara(OpenStack):
    """A connection to a zCompute cluster."""

    _PATH = "/api/v2/identity"
    _LOGIN_PATH = "/auth"

    def _log_in(self) -> str:
        domain, _, project = self.region.account.partition("/")
        if project:
            return self._log_in_for({"project": {"name": project, "domain": {"name": domain}}})
        return self._log_in_for({"domain": {"name": domain}})

    def _learn_domain(self, _answer: Answer, token: str) -> None:
        """The log-in's body need not tell it."""
        if self._domain_id:
            return
        account = self.region.account.partition("/")[0]
        domains = self._rows(self._judged(self._send("GET", "/domains", token)), "domains")
        found = [str(each["id"]) for each in domains if each["name"] == account]
        if not found:
            raise Refused(f"{self._where} does not show the account {account} to our user")
        self._domain_id = found[0]

    def _rows(self, answer: Answer, kind: str) -> list[dict[str, Any]]:
        """A list, which may stand bare or under its name."""
        content = self._json(answer)
        rows: list[dict[str, Any]] = content if isinstance(content, list) else content[kind]
        return rows

    def _listed(self, path: str, kind: str, **query: str) -> list[dict[str, Any]]:
        return self._rows(self._call("GET", path, query=query), kind)

    def _find_project(self, mark: str) -> Project | None:
        """By the mark at the end of its name: tags are not documented."""
        for each in self._in_domain("/projects", "projects"):
            if str(each["name"]).endswith(mark[:_MARK_SHOWN]):
                return Project(each["id"], each["name"], each.get("enabled", True))
        return None

    def _create_user(self, login: str, email: str, name: str) -> str | None:  # noqa: ARG002  no field for it
        """With a password that nobody knows: it must have one, of 8 characters and three kinds."""
        body = {
            "name": login,
            "email": email,
            "password": f"{secrets.token_urlsafe(32)}aA1!",
            "domain_id": self._domain(),
            "must_change_password": True,
        }
        # Not verified on a live cluster: 409 for a name that is taken.
        answer = self._call("POST", "/users", body=body, also=(HTTPStatus.CONFLICT,))
        if answer.status == HTTPStatus.CONFLICT:
            return None
        content = self._json(answer)
        return str(content.get("user", content)["id"])

    def _list_users(self) -> dict[str, str]:
        found = self._in_domain("/users", "users")
        ours = (each for each in found if str(each["name"]).startswith(USER_PREFIX))
        return {each["name"]: str(each["id"]) for each in ours}

    def _role_words(self) -> dict[Role, str]:
        return _ROLES

    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        """Not verified on a live cluster."""
        query = {"scope.project.id": project_id, "include_names": "true"}
        held: dict[str, set[str]] = {}
        for each in self._listed("/role_assignments", "role_assignments", **query):
            if "user" in each:
                held.setdefault(each["user"]["id"], set()).add(each["role"]["name"])
        return held

    def list_regions(self) -> list[str]:
        """One region is one address: the one that was given."""
        return [self.region.name]
