"""Zadara zCompute's identity service, which is like Keystone with other names and forms.

Documented (https://docs.zadarastorage.com, the public zCompute API guide): the path, the log-in
and its second factor, domains, lists that may be bare arrays, users that are created without a
wrapping object and with a password, grants by the role's name. One region is one cluster's address.

Not verified on a live cluster, since no public document describes them: creating, changing and
deleting projects, the list of grants, access keys and their proof, and 409 for names that exist.
They are modelled on Keystone: this class inherits them, or they are marked below.
"""

import secrets
from http import HTTPStatus

from chalicelib.kernel.outbound.web import Answer
from chalicelib.projects.gateway.connection import F
from chalicelib.projects.gateway.forms import Grant, Named, TaggedProject, UserReference
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
        """Looks the domain up, since the log-in's answer need not contain it."""
        if self._domain_id:
            return
        account = self.region.account.partition("/")[0]
        domains = self._rows(self._checked(self._send("GET", "/domains", token)), Named, "domains")
        ids = [domain.id for domain in domains if domain.name == account]
        if not ids:
            raise Refused(f"{self._where} does not show the account {account} to our user")
        self._domain_id = ids[0]

    def _rows(self, answer: Answer, form: type[F], kind: str) -> list[F]:
        """The rows of a list, which may be a bare array or stand under its name."""
        content = self._json(answer, object)
        listed = content.get(kind) if isinstance(content, dict) else content
        return self._form(listed, list[form])  # type: ignore[valid-type]

    def _listed(self, path: str, kind: str, form: type[F], **query: str) -> list[F]:
        return self._rows(self._call("GET", path, query=query), form, kind)

    def _find_project(self, mark: str) -> Project | None:
        """The project with the mark at the end of its name, since tags are not documented."""
        for row in self._in_domain("/projects", "projects", TaggedProject):
            if row.name.endswith(mark[:_MARK_SHOWN]):
                return Project(row.id, row.name, row.enabled)
        return None

    def _create_user(self, login: str, email: str, name: str) -> str | None:  # noqa: ARG002  no field for it
        """Creates a user with a random password, which is required: 8 characters of three kinds."""
        body = {
            "name": login,
            "email": email,
            "password": f"{secrets.token_urlsafe(32)}aA1!",
            "domain_id": self._domain(),
            "must_change_password": True,
        }
        # Not verified on a live cluster: 409 for a name that exists.
        answer = self._call("POST", "/users", body=body, also=(HTTPStatus.CONFLICT,))
        if answer.status == HTTPStatus.CONFLICT:
            return None
        content = self._json(answer, dict[str, object])
        return self._form(content.get("user", content), UserReference).id

    def _list_users(self) -> dict[str, str]:
        users = self._in_domain("/users", "users", Named)
        return {user.name: user.id for user in users if user.name.startswith(USER_PREFIX)}

    def _role_names(self) -> dict[Role, str]:
        return _ROLES

    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        """The names of the granted roles, by user. Not verified on a live cluster."""
        query = {"scope.project.id": project_id, "include_names": "true"}
        granted: dict[str, set[str]] = {}
        for grant in self._listed("/role_assignments", "role_assignments", Grant, **query):
            place = grant.scope.project  # which its lists may leave out
            if grant.user and (place is None or place.id == project_id):
                granted.setdefault(grant.user.id, set()).add(grant.role.name)
        return granted

    def list_regions(self) -> list[str]:
        """The region of this connection, since one region is one address."""
        return [self.region.name]
