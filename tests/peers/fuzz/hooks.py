"""What schemathesis is told about this API that OpenAPI has no words for.

By API.md a key that another request used is 422, a made-up version 412 and a made-up cursor 400,
however valid the rest. So that most requests reach the view all the same, each key is sent once,
and versions and cursors that were made up are rare; what they do when they are right is tested in
tests/functional. Requests are changed on their way out only: schemathesis judges what it made.
"""

import itertools
import json
from typing import Any

import schemathesis

RARELY = 4  #: one made-up version or cursor in so many is sent
_numbers = itertools.count(1)


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
    kwargs["auth"] = _on_its_way  # requests' own place for a last change of what is sent


def _on_its_way(request: Any) -> Any:
    number = next(_numbers)
    key = request.headers.get("Idempotency-Key")
    if key:
        request.headers["Idempotency-Key"] = _only_once(key, number)
    if "If-Match" in request.headers and number % RARELY:
        request.headers["If-Match"] = "*"
    return request


def _only_once(key: str | bytes, number: int) -> str:
    """The key made different from all others, as long as before.

    One that is not printable stays so: by a tab, as the local gateway drops what is not ASCII.
    """
    text, own = key if isinstance(key, str) else key.decode("latin-1"), str(number)
    return own + text[len(own) :] if text.isascii() else f"{own}\t{own}"


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
