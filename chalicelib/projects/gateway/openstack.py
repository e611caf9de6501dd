"""OpenStack's Keystone, https://docs.openstack.org/api-ref/identity/v3/

The account is a domain, by its name, or "domain/project" for an administrator whose role is in a
project. With a domain alone it is found out once in a process which of the two the role is for.

A manager of ours gets Keystone's role `manager` and never `admin`: with Keystone's usual policies
an admin of any project is one of the whole cloud.
"""

import hashlib
import json
from http import HTTPStatus
from typing import Any

from chalicelib.kernel.outbound.web import Answer
from chalicelib.projects.gateway.identity import USER_PREFIX, Identity, Project, Wanted
from chalicelib.projects.gateway.port import Busy, Credential, Down, Refused, Region, Role
from chalicelib.projects.gateway.signatures import signed

_EXISTS, _GONE = (HTTPStatus.CONFLICT,), (HTTPStatus.NOT_FOUND,)
_UNPROVABLE = (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
_LONGEST_TITLE = 40  #: of the 64 characters that a project's name may have
_MARK_SHOWN = 16
_ROLES: dict[Role, tuple[str, ...]] = {
    "admin": ("manager", "member"),  # clouds before 2024 have no role `manager`
    "member": ("member", "_member_"),
    "reader": ("reader", "member", "_member_"),
}
Scope = dict[str, Any]
_scopes: dict[tuple[str, str, str], Scope] = {}  #: found out, by address, account and user


class OpenStack(Identity):
    """A connection to a Keystone."""

    _PATH = "/v3"
    _LOGIN_PATH = "/auth/tokens?nocatalog"

    def __init__(self, region: Region) -> None:
        address = region.address.rstrip("/")
        super().__init__(region, address.removesuffix(self._PATH) + self._PATH)
        self._domain_id = ""
        self._signs = True  #: until the provider says that it does not try out signatures
        self._words: dict[Role, str] = {}

    def _log_in(self) -> str:
        domain, _, project = self.region.account.partition("/")
        if project:
            return self._log_in_for({"project": {"name": project, "domain": _named(domain)}})
        who = (self.region.address, self.region.account, self.region.username)
        if who in _scopes:
            try:
                return self._log_in_for(_scopes[who])
            except Refused:
                _scopes.pop(who, None)  # perhaps only the role has moved elsewhere
        token = self._log_in_for(None)
        self._web.hide(token)
        scope = self._scope_of(token)
        given = self._token_for({"methods": ["token"], "token": {"id": token}}, scope)
        _scopes[who] = scope
        return given

    def _log_in_for(self, scope: Scope | None) -> str:
        self.logins += 1
        user = {
            "name": self.region.username,
            "domain": _named(self.region.account.partition("/")[0]),
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
        token = self._judged(answer).headers.get("X-Subject-Token", "")
        if not token:
            raise Refused(f"{self._where} is not usable: its log-in gives no token")
        self._learn_domain(answer, token)
        return token

    def _learn_domain(self, answer: Answer, _token: str) -> None:
        """The domain of our account is the one that we make projects and users in."""
        self._domain_id = str(self._json(answer, "token", "user", "domain", "id"))

    def _scope_of(self, token: str) -> Scope:
        """What the account has a role for: its own domain, else a project of it."""
        domains = self._own(token, "domains", "id")
        if domains:
            return {"domain": {"id": self._domain_id}}
        projects = self._own(token, "projects", "domain_id")
        if not projects:
            raise Refused(f"{self._where} gives our account no role in its domain")
        chosen = min(projects, key=lambda each: (each["name"] != "admin", each["name"]))
        return {"project": {"id": chosen["id"]}}

    def _own(self, token: str, kind: str, field: str) -> list[dict[str, Any]]:
        answer = self._judged(self._send("GET", f"/auth/{kind}", token))
        found: list[dict[str, Any]] = self._json(answer, kind)
        return [each for each in found if each[field] == self._domain_id]

    def _listed(self, path: str, kind: str, **query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._json(self._call("GET", path, query=query), kind)
        return found

    def _in_domain(self, path: str, kind: str, **query: str) -> list[dict[str, Any]]:
        return self._listed(path, kind, domain_id=self._domain(), **query)

    def _domain(self) -> str:
        """The id of the account's domain, which the log-in tells."""
        if not self._domain_id:
            self._take(self._log_in())
        return self._domain_id

    def _made(self, path: str, kind: str, values: dict[str, Any]) -> str | None:
        """The id of what was made; None when it exists."""
        answer = self._call("POST", path, body={kind: values}, also=_EXISTS)
        if answer.status in _EXISTS:
            return None
        return str(self._json(answer, kind, "id"))

    def _wanted(self, mark: str, title: str, *, enabled: bool) -> Wanted:
        name = f"{title[:_LONGEST_TITLE].strip()} {mark[:_MARK_SHOWN]}"
        return Wanted(mark, name, title, enabled)

    def _find_project(self, mark: str) -> Project | None:
        found = self._in_domain("/projects", "projects", tags=_tag(mark))
        first = min(found, key=lambda each: str(each["id"]), default=None)
        return Project(first["id"], first["name"], first["enabled"]) if first else None

    def _create_project(self, wanted: Wanted) -> str | None:
        values = {"domain_id": self._domain(), "tags": [_tag(wanted.mark)], **_described(wanted)}
        return self._made("/projects", "project", values)

    def _change_project(self, project_id: str, wanted: Wanted) -> None:
        self._call("PATCH", f"/projects/{project_id}", body={"project": _described(wanted)})

    def delete_project(self, project_id: str) -> None:
        self._call("DELETE", f"/projects/{project_id}", also=_GONE)
        self._grants.pop(project_id, None)

    def _create_user(self, login: str, email: str, name: str) -> str | None:
        """Without a password: it works by its credentials only."""
        values = {"name": login, "domain_id": self._domain(), "email": email, "description": name}
        return self._made("/users", "user", values)

    def _list_users(self) -> dict[str, str]:
        found = self._in_domain("/users", "users", name__startswith=USER_PREFIX)
        return {each["name"]: each["id"] for each in found}

    def _find_user(self, login: str) -> str | None:
        found = self._in_domain("/users", "users", name=login)
        return next((str(each["id"]) for each in found if each["name"] == login), None)

    def _role_words(self) -> dict[Role, str]:
        """Ids, since grants name roles by them."""
        if not self._words:
            ids = {each["name"]: str(each["id"]) for each in self._listed("/roles", "roles")}
            self._words = {role: self._first(names, ids) for role, names in _ROLES.items()}
        return self._words

    def _first(self, names: tuple[str, ...], ids: dict[str, str]) -> str:
        for name in names:
            if name in ids:
                return ids[name]
        raise Refused(f"{self._where} has no role {' or '.join(names)}")

    def _list_grants(self, project_id: str) -> dict[str, set[str]]:
        query = {"scope.project.id": project_id}
        held: dict[str, set[str]] = {}
        for each in self._listed("/role_assignments", "role_assignments", **query):
            if "user" in each:
                held.setdefault(each["user"]["id"], set()).add(each["role"]["id"])
        return held

    def _put_grant(self, project_id: str, user_id: str, word: str) -> None:
        self._call("PUT", f"/projects/{project_id}/users/{user_id}/roles/{word}")

    def _delete_grant(self, project_id: str, user_id: str, word: str) -> None:
        path = f"/projects/{project_id}/users/{user_id}/roles/{word}"
        self._call("DELETE", path, also=_GONE)

    def _credential_id(self, access: str) -> str:
        """As Keystone derives it, so that one of an unknown secret can be dropped."""
        return hashlib.sha256(access.encode()).hexdigest()

    def _create_credential(self, project_id: str, user_id: str, made: Credential) -> bool:
        values = {
            "type": "ec2",
            "user_id": user_id,
            "project_id": project_id,
            "blob": json.dumps({"access": made.access, "secret": made.secret}),
        }
        return self._made("/credentials", "credential", values) is not None

    def drop_credential(self, user_id: str, credential_id: str) -> None:  # noqa: ARG002  the port's
        self._call("DELETE", f"/credentials/{credential_id}", also=_GONE)

    def _prove(self, project_id: str, user_id: str, made: Credential) -> None:
        """By a signed request, which gives a token of the user in the project; where signatures
        cannot be tried out, by reading back what was made.
        """
        if not self._signs or not self._proved_by_signature(project_id, user_id, made):
            self._read_back(project_id, user_id, made)

    def _proved_by_signature(self, project_id: str, user_id: str, made: Credential) -> bool:
        """False where this cannot be asked; raises Busy when the signature is not accepted.

        Keystone answers 503 unless `ec2credential` is among its `[auth] methods`.
        """
        body = {"credentials": signed(made, self._provider_time())}
        also = (*_UNPROVABLE, HTTPStatus.UNAUTHORIZED)
        answer = self._call("POST", "/ec2tokens", body=body, also=also, final=_UNPROVABLE)
        if answer.status in _UNPROVABLE:
            said = self._said(answer)
            if answer.status == HTTPStatus.SERVICE_UNAVAILABLE and "ec2credential" not in said:
                raise Down(f"{self._where} cannot be reached: {said}", after_seconds=5)
            self._web.warn("credentials cannot be proved by signatures", why=said)
            self._signs = False
            return False
        token = self._json(answer, "token") if answer.status == HTTPStatus.OK else {}
        if not _is_of(token, project_id, user_id):
            raise Busy(f"{self._where} does not accept the new credential yet", after_seconds=2)
        return True

    def _read_back(self, project_id: str, user_id: str, made: Credential) -> None:
        found = self._json(self._call("GET", f"/credentials/{made.id}"), "credential")
        stands = (found.get("user_id"), found.get("project_id"), made.secret in found["blob"])
        if stands != (user_id, project_id, True):
            raise Busy(f"{self._where} does not show the new credential yet", after_seconds=2)

    def list_regions(self) -> list[str]:
        return sorted(str(each["id"]) for each in self._listed("/regions", "regions"))


def _named(domain: str) -> dict[str, str]:
    """Keystone's own first domain has the id `default` everywhere, and a name to match."""
    return {"id": "default"} if domain.lower() == "default" else {"name": domain}


def _tag(mark: str) -> str:
    return f"backburner-{mark}"


def _described(wanted: Wanted) -> dict[str, Any]:
    return {"name": wanted.name, "description": wanted.title, "enabled": wanted.enabled}


def _is_of(token: dict[str, Any], project_id: str, user_id: str) -> bool:
    found = (token.get("project", {}).get("id"), token.get("user", {}).get("id"))
    return found == (project_id, user_id)
