"""Clients: they ask the API, try again under their key, or give up."""

import itertools
import json
import re
from typing import Any
from urllib.parse import unquote

from tests.simulation.actors import Play
from tests.simulation.books import Asked
from tests.simulation.stage import URL, sent_to
from tests.simulation.world import Crash, Process


class Client:
    """Somebody who manages a tenant's users."""

    def __init__(self, play: Play, name: str, tenant: str, requests: int) -> None:
        self.play = play
        self.name = name
        self.tenant = tenant
        self.requests = requests
        self.process = Process(f"api of {name}", play.world.skew())
        self.users: list[Asked] = []  #: users that were created, as far as the client knows
        self._numbers = itertools.count(1)

    def act(self) -> None:
        rng = self.play.world.random
        kinds = ("create", "create", "create", "import", "resend", "accept", "deactivate", "batch")
        for _ in range(self.requests):
            self.play.world.pause(rng.expovariate(1 / 25))
            kind = rng.choice(kinds)
            if kind in ("resend", "accept", "deactivate") and not self.users:
                kind = "create"
            getattr(self, f"_{kind}")()
        self.play.busy.discard(self.name)

    def _key(self) -> str | None:
        number = next(self._numbers)
        return f"{self.name}-{number}" if self.play.world.random.random() < 0.6 else None

    def _address(self) -> str:
        return f"{self.name}-{next(self._numbers)}@example.com"

    def _ask(self, asked: Asked, method: str, path: str, body: Any = None, **more: Any) -> None:
        event = http_event(method, path, body, tenant=self.tenant, key=asked.key, **more)
        self.play.try_for(self.process, asked, event)

    def _create(self) -> None:
        rng = self.play.world.random
        phone = f"+49151{rng.randrange(10**7, 10**8)}" if rng.random() < 0.5 else None
        asked = Asked("create", self.tenant, self._key(), self._address(), phone)
        body = {"name": "Ann Example", "email": asked.email, "role": "staff", "phone": phone}
        self._ask(asked, "POST", "/admin/v1/users", body)
        if asked.data:
            self.users.append(asked)

    def _import(self) -> None:
        rng = self.play.world.random
        lines, rows = ["name,email,phone,role"], []
        for line in range(2, 2 + rng.randint(2, 5)):
            email = self._address()
            if self.users and rng.random() < 0.3:
                email = rng.choice(self.users).email
            bad = rng.random() < 0.2
            lines.append(f"Bob,{'no address' if bad else email},,staff")
            rows.append((line, "" if bad else email))
        asked = Asked("import", self.tenant, self._key(), rows=rows)
        self._ask(asked, "POST", "/admin/v1/users/import", "\n".join(lines), media="text/csv")

    def _resend(self) -> None:
        of = self.play.world.random.choice(self.users)
        asked = Asked("resend", self.tenant, self._key(), of.email)
        self._ask(asked, "POST", "/admin/v1/users/{user_id}/resend-invitation", user=_id(of))

    def _deactivate(self) -> None:
        of = self.play.world.random.choice(self.users)
        asked = Asked("deactivate", self.tenant, self._key(), of.email)
        self._ask(asked, "DELETE", "/admin/v1/users/{user_id}", user=_id(of))

    def _accept(self) -> None:
        of = self.play.world.random.choice(self.users)
        links = [match for mail in sent_to(of.email) if (match := _LINK.search(mail.text))]
        if links:
            token = unquote(links[-1][1])
            asked = Asked("accept", self.tenant, self._key(), of.email)
            self._ask(asked, "POST", "/v1/invitations/accept", {"token": token}, anonymous=True)

    def _batch(self) -> None:
        """A domain's own code: a batch of sample jobs with what follows it."""
        from chalicelib.kernel.errors import AppError
        from chalicelib.kernel.jobs import batches
        from chalicelib.kernel.jobs.outbox import Delivery, Transaction

        rng, play = self.play.world.random, self.play
        asked = Asked("batch", self.tenant, None)
        play.asked.append(asked)
        members = [_member(rng) for _ in range(rng.randint(2, 5))]
        play.begin(self.process)
        self.process.tenant = self.tenant
        crashed = False
        try:
            with Transaction(self.tenant) as tx:
                then, always = "simulation.after", "simulation.always"
                batch = batches.create(tx, then=then, catch=then, finally_=always)
                for arguments in members:
                    tx.enqueue("simulation.member", Delivery(batch=batch), **arguments)
            asked.data = {"batch_id": batch.id, "members": members}
        except Crash:
            crashed = True
        except (AppError, Exception) as error:  # noqa: BLE001  not acknowledged
            play.world.note("batch refused", type(error).__name__)
        finally:
            play.finish(self.process, crashed=crashed)


_LINK = re.compile(r"/invitations/accept\?token=(\S+)")


def _id(of: Asked) -> str:
    return str((of.data or {})["user"]["id"])


def _member(rng: Any) -> dict[str, Any]:
    roll = rng.random()
    if roll < 0.1:
        return {"never": True}
    if roll < 0.2:
        return {"holds": 1}
    if roll < 0.4:
        return {"takes": rng.randint(30, 50)}
    return {"fails": rng.choice((0, 0, 0, 1, 2))}


def http_event(
    method: str,
    path: str,
    body: Any,
    *,
    tenant: str,
    key: str | None,
    user: str | None = None,
    media: str = "application/json",
    anonymous: bool = False,
    parameters: dict[str, str] | None = None,
) -> dict[str, Any]:
    """What API Gateway hands to the function, the authorizer's answer included."""
    claims = {"sub": f"manager-of-{tenant}", "role": "manager", "tenant_id": tenant, "email": ""}
    parameters = parameters or ({"user_id": user} if user else {})
    resource = path
    for name, value in parameters.items():
        path = path.replace(f"{{{name}}}", value)
    headers = {"content-type": media, "host": URL.partition("//")[2]}
    if key:
        headers["idempotency-key"] = key
    return {
        "tenant": tenant,
        "requestContext": {
            "httpMethod": method,
            "resourcePath": resource,
            "path": path,
            "identity": {"sourceIp": "192.0.2.1"},
            "requestId": "simulated",
            **({} if anonymous else {"authorizer": claims}),
        },
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": {},
        "multiValueQueryStringParameters": None,
        "pathParameters": parameters,
        "stageVariables": None,
        "body": body if isinstance(body, str) else json.dumps(body) if body is not None else "",
        "isBase64Encoded": False,
    }
