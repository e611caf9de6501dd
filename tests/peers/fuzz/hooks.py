"""What schemathesis is told about this API that OpenAPI has no words for.

By contract a key that another request used is 422, a made-up version 412 and a made-up cursor 400,
however valid the rest. So that most requests reach the view all the same, each key is sent once,
and versions and cursors that were made up are rare; what they do when they are right is tested in
tests/functional. Nor has a schema words for what must exist: a well-formed request is sent with a
user who is there, a region, a provider and a time zone that are there, and an address that may be
called. Requests are changed on their way out only: schemathesis judges what it made.
"""

import itertools
import json
from typing import Any
from urllib.parse import urljoin

import requests
import schemathesis

RARELY = 4  #: one made-up version or cursor in so many is sent
FITTING_ADDRESS = "https://cloud.example.com:5000/v3"
SIMULATED = {"provider": "simulated", "region": "local-1"}
_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    well_formed = case.meta is None or case.meta.generation.mode.is_positive

    def on_its_way(request: Any) -> Any:
        number = next(_numbers)
        if well_formed and request.headers.get("Content-Type") == "application/json":
            _name_what_exists(request, number)
        return _with_own_key_and_version(request, number)

    kwargs["auth"] = on_its_way  # requests' own place for a last change of what is sent


def _with_own_key_and_version(request: Any, number: int) -> Any:
    key = request.headers.get("Idempotency-Key")
    if key:
        request.headers["Idempotency-Key"] = _only_once(key, number)
    if "If-Match" in request.headers and number % RARELY:
        request.headers["If-Match"] = "*"
    return request


def _name_what_exists(request: Any, number: int) -> None:
    body = json.loads(request.body)
    if not isinstance(body, dict):
        return
    if "address" in body:
        body["address"] = FITTING_ADDRESS
    elif body.get("provider") or body.get("region"):
        body |= SIMULATED
    if isinstance(defaults := body.get("defaults"), dict):
        known = {"provider": "simulated", "time_zone": "Europe/Vienna"}
        body["defaults"] = defaults | {name: known[name] for name in known if defaults.get(name)}
    if body.get("user_ids"):
        body["user_ids"] = [_new_user(request, number)]
    request.prepare_body(data=json.dumps(body).encode(), files=None)


def _new_user(request: Any, number: int) -> str:
    """The id of a user made by whoever sends the request, in the tenant that it names."""
    sent = {"name": "Ann", "email": f"ann-{number}@example.com", "role": "staff"}
    told = {"Authorization", "X-Tenant-Id"} & set(request.headers)
    answer = requests.post(
        urljoin(request.url, "/admin/v1/users"),
        json={**sent, "send_email": False},
        headers={name: request.headers[name] for name in told},
        timeout=30,
    )
    return str(answer.json()["data"]["user"]["id"]) if answer.status_code == 201 else "nobody"


def _only_once(key: str | bytes, number: int) -> str:
    """The key made different from all others, as long as before.

    One that is not printable is refused however often, and stays so: by a tab where it is not
    ASCII, which the local gateway drops.
    """
    text, own = key if isinstance(key, str) else key.decode("latin-1"), str(number)
    if not text.isascii():
        return f"{own}\t{own}"
    return own + text[len(own) :] if text.isprintable() else text


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    if query and "cursor" in query and next(_numbers) % RARELY:
        del query["cursor"]
    return query


@schemathesis.serializer("application/jsonl", "application/x-ndjson", "application/json-lines")
def one_value_a_line(context: Any, value: Any) -> bytes:
    lines = value if isinstance(value, list) else [value]
    return b"\n".join(
        line.encode(errors="replace") if isinstance(line, str) else json.dumps(line).encode()
        for line in lines
    )
