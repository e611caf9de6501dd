"""OpenStack's Keystone, https://docs.openstack.org/api-ref/identity/v3/

The account is the name of a domain, or "domain/project" for an administrator whose role is in a
project. For a domain alone, each process finds out once which of the two the role is for.

Our managers get Keystone's role `manager` and never `admin`: by Keystone's default policies an
admin of any project is an admin of the whole cloud.
"""

import hashlib
import json
from http import HTTPStatus
from typing import Any

from chalicelib.kernel.outbound.web import Answer
from chalicelib.projects.gateway.connection import F, is_token
from chalicelib.projects.gateway.forms import (
    Domain,
    Grant,
    Id,
    Named,
    OwnProject,
    RegionRow,
    StoredCredential,
    TaggedProject,
    Token,
)
from chalicelib.projects.gateway.identity import USER_PREFIX, Identity, Project, ProjectSpec
from chalicelib.projects.gateway.port import Credential, Down, Refused, Region, Role, Unproved
from chalicelib.projects.gateway.signatures import signed

_EXISTS, _GONE = (HTTPStatus.CONFLICT,), (HTTPStatus.NOT_FOUND,)
_UNPROVABLE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
_LONGEST_TITLE = 40  #: a project's name may have 64 characters, with its mark
_MARK_SHOWN = 16
_ROLES: dict[Role, tuple[str, ...]] = {
    "admin": ("manager", "member"),  # clouds before 2024 have no role `manager`
    "member": ("member", "_member_"),
    "reader": ("reader", "member", "_member_"),
}
Scope = dict[str, Any]
_scopes: dict[tuple[str, str, str], Scope] = {}  #: scope by address, account and user name


class OpenStack(Identity):
    """A connection to a Keystone."""

    _PATH = "/v3"
    _LOGIN_PATH = "/auth/tokens?nocatalog"

    def __init__(self, region: Region) -> None:
        address = region.address.rstrip("/")
        super().__init__(region, address.removesuffix(self._PATH) + self._PATH)
        self._domain_id = ""
        self._checks_signatures = True  #: until the provider says that it does not
        self._role_ids: dict[Role, str] = {}

    def _log_in(self) -> str:
        domain, _, project = self.region.account.partition("/")
        if project:
            return self._log_in_for(
                {"project": {"name": project, "domain": _domain_reference(domain)}}
            )
        account = (self.region.address, self.region.account, self.region.username)
        if account in _scopes:
            try:
                return self._log_in_for(_scopes[account])
            except Refused:
                _scopes.pop(account, None)  # the role may be in another project now
        token = self._log_in_for(None)
        self._web.hide(token)
        scope = self._scope_of(token)
        scoped_token = self._token_for({"methods": ["token"], "token": {"id": token}}, scope)
        _scopes[account] = scope
        return scoped_token

    def _log_in_for(self, scope: Scope | None) -> str:
        self.logins += 1
        user = {
            "name": self.region.username,
            "domain": _domain_reference(self.region.account.partition("/")[0]),
            "password": self.region.password,
        }
        return self._token_for({"methods": ["password"], "password": {"user": user}}, scope)

    def _token_for(self, identity: dict[str, Any], scope: Scope | None) -> str:
        auth = {"identity": identity, **({"scope": scope} if scope else {})}
        answer = self._send("POST", self._LOGIN_PATH, "", body={"auth": auth})
        if answer.status == HTTPStatus.UNAUTHORIZED:
            if "openstack-auth-receipt" in answer.headers:
                raise Refused(f"{self._where} asks our account for a second factor")
            raise Refused(f"{self._where} refuses our log-in: check account, user and password")
        token = self._admitted(answer).headers.get("X-Subject-Token", "")
        if not is_token(token):
            raise Refused(f"{self._where} is not usable: its log-in gives no token")
        self._learn_domain(answer, token)
        return token

    def _learn_domain(self, answer: Answer, _token: str) -> None:
        """Keeps the domain of our account, in which we create projects and users."""
        self._domain_id = self._json(answer, Id, "token", "user", "domain", "id")

    def _scope_of(self, token: str) -> Scope:
        """The scope in which the account has a role: its own domain, else a project in it."""
        if any(each.id == self._domain_id for each in self._own(token, Domain, "domains")):
            return {"domain": {"id": self._domain_id}}
        found = self._own(token, OwnProject, "projects")
        projects = [each for each in found if each.domain_id == self._domain_id]
        if not projects:
            raise Refused(f"{self._where} gives our account no role in its domain")
        project = min(projects, key=lambda each: (each.name != "admin", each.name))
        return {"project": {"id": project.id}}

    def _own(self, token: str, form: type[F], kind: str) -> list[F]:
        answer = self._checked(self._send("GET", f"/auth/{kind}", token))
        return self._json(answer, list[form], kind)  # type: ignore[valid-type]

    def _listed(self, path: str, kind: str, form: type[F], **query: str) -> list[F]:
        answer = self._call("GET", path, query=query)
        return self._json(answer, list[form], kind)  # type: ignore[valid-type]

    def _in_domain(self, path: str, kind: str, form: type[F], **query: str) -> list[F]:
        return self._listed(path, kind, form, domain_id=self._domain(), **query)

    def _domain(self) -> str:
        """The id of the account's domain, which the log-in's answer contains."""
        if not self._domain_id:
            self._use_token(self._log_in())
        return self._domain_id

    def _create(self, path: str, kind: str, values: dict[str, Any]) -> str | None:
        """The new id; None when it exists already."""
        answer = self._call("POST", path, body={kind: values}, also=_EXISTS)
        if answer.status in _EXISTS:
            return None
        return self._json(answer, Id, kind, "id")

    def _spec(self, mark: str, title: str, *, enabled: bool) -> ProjectSpec:
        name = f"{title[:_LONGEST_TITLE].strip()} {mark[:_MARK_SHOWN]}"
        return ProjectSpec(mark, name, title, enabled)

    def _find_project(self, mark: str) -> Project | None:
        """The project with our mark among its tags, whatever the provider lists beside it.

        Servers before Identity API 3.9 know no tags and list all projects.
        """
        tag = _tag(mark)
        listed = self._in_domain("/projects", "projects", TaggedProject, tags=tag)
        ours = [each for each in listed if tag in each.tags]
        first = min(ours, key=lambda each: each.id, default=None)
        return Project(first.id, first.name, first.enabled) if first else None

    def _create_project(self, spec: ProjectSpec) -> str | None:
        values = {"domain_id": self._domain(), "tags": [_tag(spec.mark)], **_attributes(spec)}
        return self._create("/projects", "project", values)

    def _change_project(self, project_id: str, spec: ProjectSpec) -> None:
        self._call("PATCH", f"/projects/{project_id}", body={"project": _attributes(spec)})

    def delete_project(self, project_id: str) -> None:
        self._call("DELETE", f"/projects/{project_id}", also=_GONE)
        self._grants.pop(project_id, None)

    def _create_user(self, login: str, email: str, name: str) -> str | None:
        """Creates a user without a password, who can use only credentials."""
        values = {"name": login, "domain_id": self._domain(), "email": email, "description": name}
        return self._create("/users", "user", values)

    def _list_users(self) -> dict[str, str]:
        users = self._in_domain("/users", "users", Named, name__startswith=USER_PREFIX)
        return {user.name: user.id for user in users if user.name.startswith(USER_PREFIX)}

    def _find_user(self, login: str) -> str | None:
        users = self._in_domain("/users", "users", Named, name=login)
        return next((user.id for user in users if user.name == login), None)

    def _role_names(self) -> dict[Role, str]:
        """The ids of the roles, by which Keystone's grants name them."""
        if not self._role_ids:
            ids = {role.name: role.id for role in self._listed("/roles", "roles", Named)}
            self._role_ids = {role: self._first(names, ids) for role, names in _ROLES.items()}
        return self._role_ids

    def _first(self, names: tuple[str, ...], ids: dict[str, str]) -> str:
        for name in names:
            if name in ids:
                return ids[name]
        raise Refused(f"{self._where} has no role {' or '.join(names)}")

    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        query = {"scope.project.id": project_id}
        granted: dict[str, set[str]] = {}
        for grant in self._listed("/role_assignments", "role_assignments", Grant, **query):
            if grant.user and grant.scope.project and grant.scope.project.id == project_id:
                granted.setdefault(grant.user.id, set()).add(grant.role.id)
        return granted

    def _put_grant(self, project_id: str, user_id: str, role_name: str) -> None:
        self._call("PUT", f"/projects/{project_id}/users/{user_id}/roles/{role_name}")

    def _delete_grant(self, project_id: str, user_id: str, role_name: str) -> None:
        path = f"/projects/{project_id}/users/{user_id}/roles/{role_name}"
        self._call("DELETE", path, also=_GONE)

    def _credential_id(self, access: str) -> str:
        """The id that Keystone derives, so that a credential can be dropped without its secret."""
        return hashlib.sha256(access.encode()).hexdigest()

    def _create_credential(self, project_id: str, user_id: str, credential: Credential) -> bool:
        values = {
            "type": "ec2",
            "user_id": user_id,
            "project_id": project_id,
            "blob": json.dumps({"access": credential.access, "secret": credential.secret}),
        }
        return self._create("/credentials", "credential", values) is not None

    def drop_credential(self, user_id: str, credential_id: str) -> None:  # noqa: ARG002  the port's
        self._call("DELETE", f"/credentials/{credential_id}", also=_GONE)

    def _prove(self, project_id: str, user_id: str, credential: Credential) -> None:
        """Proves the credential by a signed request, whose answer is a token of the user in the
        project. A provider that does not check signatures is asked to show the credential instead.
        """
        if not self._checks_signatures or not self._proved_by_signature(
            project_id, user_id, credential
        ):
            self._read_back(project_id, user_id, credential)

    def _proved_by_signature(self, project_id: str, user_id: str, credential: Credential) -> bool:
        """False if the provider does not check signatures; raises Busy if it refuses this one.

        Keystone answers 503 unless `ec2credential` is among its `[auth] methods`.
        """
        body = {"credentials": signed(credential, self._provider_time())}
        also = (*_UNPROVABLE, HTTPStatus.UNAUTHORIZED)
        answer = self._call("POST", "/ec2tokens", body=body, also=also, final=_UNPROVABLE)
        if answer.status in _UNPROVABLE:
            words = self._words(answer)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "ec2credential" not in words:
                reason = f"{self._where} cannot be reached: {answer.status}"
                raise Down(reason, after_seconds=5)
            self._web.warn("credentials cannot be proved by signatures", words=words)
            self._checks_signatures = False
            return False
        is_answered = answer.status == HTTPStatus.OK
        token = self._json(answer, Token, "token") if is_answered else Token()
        if (token.project.id, token.user.id) != (project_id, user_id):
            raise Unproved(f"{self._where} does not accept the new credential yet", after_seconds=2)
        return True

    def _read_back(self, project_id: str, user_id: str, credential: Credential) -> None:
        answer = self._call("GET", f"/credentials/{credential.id}")
        row = self._json(answer, StoredCredential, "credential")
        shown = (row.user_id, row.project_id, credential.secret in row.blob)
        if shown != (user_id, project_id, True):
            raise Unproved(f"{self._where} does not show the new credential yet", after_seconds=2)

    def list_regions(self) -> list[str]:
        return sorted(region.id for region in self._listed("/regions", "regions", RegionRow))


def _domain_reference(domain: str) -> dict[str, str]:
    """A domain by its name. Keystone's first domain has the id `default` everywhere."""
    return {"id": "default"} if domain.lower() == "default" else {"name": domain}


def _tag(mark: str) -> str:
    return f"backburner-{mark}"


def _attributes(spec: ProjectSpec) -> dict[str, Any]:
    return {"name": spec.name, "description": spec.title, "enabled": spec.enabled}
