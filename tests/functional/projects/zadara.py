"""A small zCompute: its identity service as far as the public documents tell, and Keystone's
behaviour where they do not. In memory, with an order to fail on.

Documented at https://docs.zadarastorage.com (zCompute API guide, "Identity"): paths under
/api/v2/identity, `POST /auth`, tokens in X-Subject-Token and X-Auth-Token, 401 with
openstack-auth-receipt for a second factor, users created unwrapped, lists that are bare arrays,
`PUT|DELETE /projects/{id}/users/{id}/roles/{name}`, passwords of 8 and more characters with a
letter, a digit and a special one.
"""

import hashlib
import json
import re
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from chalicelib.projects.gateway import Credential, Region
from chalicelib.projects.gateway.signatures import signed
from tests.functional.services import serving

BASE = "/api/v2/identity"
ACCOUNT, USERNAME, PASSWORD = "alder", "operator", "s3cret-of-alder"
ROLES = ("_member_", "tenant_admin")
Answer = tuple[int, Any]
Row = dict[str, Any]
Handler = Callable[..., Answer]
C = TypeVar("C", bound="Cluster")


class Cluster:
    """What the cluster has, by id."""

    def __init__(self) -> None:
        self.url = ""
        self.projects: dict[str, Row] = {}
        self.users: dict[str, Row] = {}
        self.grants: set[tuple[str, str, str]] = set()  #: project, user, role's name
        self.credentials: dict[str, Row] = {}
        self.tokens: set[str] = set()
        self.second_factor = False
        self.wrapped = False  #: lists stand under their name
        self.asked: list[str] = []
        self._routes: list[tuple[str, str, Handler]] = [
            ("GET", "/domains", self._domains),
            ("GET", "/projects", lambda _: (200, self._list("projects", self.projects))),
            ("POST", "/projects", self._create_project),
            ("PATCH", "/projects/([^/]+)", self._change_project),
            ("DELETE", "/projects/([^/]+)", self._delete_project),
            ("GET", "/users", lambda _: (200, self._list("users", self.users))),
            ("POST", "/users", self._create_user),
            ("GET", "/role_assignments", self._assignments),
            ("(PUT|DELETE)", "/projects/([^/]+)/users/([^/]+)/roles/([^/]+)", self._grant),
            ("POST", "/credentials", self._create_credential),
            ("DELETE", "/credentials/([^/]+)", self._drop_credential),
            ("POST", "/ec2tokens", self._validate),
        ]

    def region(self, **others: str) -> Region:
        who = {"account": ACCOUNT, "username": USERNAME, "password": PASSWORD, **others}
        return Region("zadara", "symphony-1", self.url, **who)

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> tuple[Answer, dict[str, str]]:
        address = urlsplit(request.path)
        self.asked.append(f"{request.command} {address.path.removeprefix(BASE)}")
        if address.path == f"{BASE}/auth" and request.command == "POST":
            return self._log_in(body)
        if request.headers.get("X-Auth-Token") not in self.tokens:
            return (401, {"error": {"message": "no token"}}), {}
        for method, path, handler in self._routes:
            found = re.fullmatch(f"{method} {BASE}{path}", f"{request.command} {address.path}")
            if found:
                given = body if body is not None else parse_qs(address.query)
                return handler(given, *found.groups()), {}
        return (404, {"error": {"message": "no such path"}}), {}

    def _log_in(self, body: Any) -> tuple[Answer, dict[str, str]]:
        user = body["auth"]["identity"]["password"]["user"]
        known = {"name": USERNAME, "domain": {"name": ACCOUNT}, "password": PASSWORD}
        if user != known:
            return (401, {"error": {"message": "wrong"}}), {}
        if self.second_factor:
            return (401, {"receipt": {}}), {"openstack-auth-receipt": "r"}
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return (201, {"token": {}}), {"X-Subject-Token": token}

    def _list(self, kind: str, rows: dict[str, Row]) -> Any:
        shown = list(rows.values())
        return {kind: shown} if self.wrapped else shown

    def _domains(self, _: Any) -> Answer:
        return 200, self._list("domains", {"d": {"id": "domain-1", "name": ACCOUNT}})

    def _add(self, rows: dict[str, Row], values: dict[str, Any]) -> dict[str, Any] | None:
        assert values["domain_id"] == "domain-1"
        if any(each["name"] == values["name"] for each in rows.values()):
            return None
        row = {**values, "id": uuid.uuid4().hex}
        rows[row["id"]] = row
        return row

    def _create_project(self, body: Any) -> Answer:
        row = self._add(self.projects, body["project"])
        return (201, {"project": row}) if row else (409, {"error": {"message": "exists"}})

    def _change_project(self, body: Any, project: str) -> Answer:
        self.projects[project].update(body["project"])
        return 200, {"project": self.projects[project]}

    def _delete_project(self, _: Any, project: str) -> Answer:
        return (200, {}) if self.projects.pop(project, None) else (404, {})

    def _create_user(self, body: Any) -> Answer:
        assert "user" not in body, "users are made unwrapped"
        password = body.pop("password")
        kinds = ("[A-Za-z]", "[0-9]", "[^A-Za-z0-9]")
        if len(password) < 8 or not all(re.search(kind, password) for kind in kinds):
            return 400, {"error": {"message": "password too weak"}}
        row = self._add(self.users, body)
        return (201, row) if row else (409, {"error": {"message": "exists"}})

    def _assignments(self, query: Any) -> Answer:
        (project,) = query["scope.project.id"]
        shown = [
            {"user": {"id": user}, "role": {"id": f"id-of-{role}", "name": role}}
            for held_in, user, role in sorted(self.grants)
            if held_in == project
        ]
        return 200, {"role_assignments": shown}

    def _grant(self, _: Any, method: str, project: str, user: str, role: str) -> Answer:
        assert role in ROLES, "roles go by their names"
        if project not in self.projects or user not in self.users:
            return 404, {"error": {"message": "Could not find user"}}
        change = self.grants.add if method == "PUT" else self.grants.discard
        change((project, user, role))
        return 204, None

    def _create_credential(self, body: Any) -> Answer:
        values = body["credential"]
        access = json.loads(values["blob"])["access"]
        key = hashlib.sha256(access.encode()).hexdigest()
        if key in self.credentials:
            return 409, {"error": {"message": "exists"}}
        self.credentials[key] = {**values, "id": key}
        return 201, {"credential": self.credentials[key]}

    def _drop_credential(self, _: Any, key: str) -> Answer:
        return (204, None) if self.credentials.pop(key, None) else (404, {})

    def _validate(self, body: Any) -> Answer:
        given = body["credentials"]
        row = self.credentials.get(hashlib.sha256(given["access"].encode()).hexdigest())
        if row is None or not _is_signed(given, row):
            return 401, {"error": {"message": "wrong signature"}}
        found = {"user": {"id": row["user_id"]}, "project": {"id": row["project_id"]}}
        return 200, {"token": found}


def _is_signed(given: dict[str, Any], row: dict[str, Any]) -> bool:
    blob = json.loads(row["blob"])
    at = datetime.fromisoformat(given["params"]["Timestamp"])
    again = signed(Credential(row["id"], blob["access"], blob["secret"]), at)
    return bool(again["signature"] == given["signature"])


@contextmanager
def running(cluster: C) -> Iterator[C]:
    """The cluster on a free port."""

    def script(request: BaseHTTPRequestHandler, _number: int) -> None:
        # Else the body of an answer waits for the other side to acknowledge its head, for 40 ms.
        request.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = request.body  # type: ignore[attr-defined]
        (status, content), headers = cluster.answer(request, json.loads(sent) if sent else None)
        body = b"" if content is None else json.dumps(content).encode()
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 204:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with serving(script) as server:
        cluster.url = f"http://127.0.0.1:{server.server_port}"
        yield cluster
