"""The API's description kept in the repository, and which of its changes would break a client.

    python -m infra.openapi        writes docs/openapi.json, which acknowledges every change

A test compares the file with what the app serves and names the changes that break clients.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from infra.manifest import renewal
from infra.manifest.renewal import ManifestError

SNAPSHOT = Path(__file__).parents[1] / "docs" / "openapi.json"
Json = dict[str, Any]


def current() -> Json:
    """The description that the app serves, without its address."""
    import app  # noqa: F401  mounts the routes
    from chalicelib.kernel.http import mounting
    from chalicelib.kernel.http.openapi.document import document
    from chalicelib.kernel.version import VERSION

    described = document([route for route in mounting.mounted() if route.in_openapi], "", VERSION)
    del described["servers"]
    plain: Json = json.loads(json.dumps(described))
    return plain


def text_of(described: Json) -> str:
    """As the file holds it: in the order of routes, so that a difference reads well."""
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


class Member(NamedTuple):
    """One place in a body: what may stand there."""

    types: frozenset[str]
    choices: frozenset[str]  #: empty: any
    required: bool


Members = dict[str, Member]


def breaking(old: Json, new: Json) -> list[str]:
    """What a client of `old` could rely on and `new` does not keep, one sentence each."""
    return [
        f"{method.upper()} {path}: {told}"
        for path, operations in old["paths"].items()
        for method, operation in operations.items()
        for told in _broken(operation, new["paths"].get(path, {}).get(method), old, new)
    ]


def _broken(before: Json, now: Json | None, old: Json, new: Json) -> Iterator[str]:
    if now is None:
        yield "is gone"
        return
    yield from _requests(_parameters(before, old), _parameters(now, new))
    taken = _content(now.get("requestBody", {}), new)
    for media, members in _content(before.get("requestBody", {}), old).items():
        if media in taken:
            yield from _requests(members, taken[media])
        else:
            yield f"{media} is no longer taken"
    for status, answer in before["responses"].items():
        if status.startswith("2"):
            told = _content(now["responses"].get(status, {}), new)
            if status not in now["responses"]:
                yield f"no longer answers {status}"
            for media, members in _content(answer, old).items():
                yield from _answers(members, told.get(media, {}))


def _requests(before: Members, now: Members) -> Iterator[str]:
    for name, member in now.items():
        if member.required and not (name in before and before[name].required):
            yield f"{name} is required now"
    for name, member in before.items():
        if name not in now:
            yield f"{name} is no longer taken"
        elif lost := _narrowed(member, now[name]):
            yield f"{name} is no longer taken as {', '.join(sorted(lost))}"


def _narrowed(before: Member, now: Member) -> frozenset[str]:
    """Types and values that could be sent before."""
    if now.choices and not before.choices:
        return frozenset({"any value"})
    return (before.types - now.types) | (before.choices - now.choices if now.choices else set())


def _answers(before: Members, now: Members) -> Iterator[str]:
    for name, member in before.items():
        if name not in now:
            yield f"the answer's {name} is gone"
        elif member.required and not now[name].required:
            yield f"the answer's {name} may be missing now"
        elif more := now[name].types - member.types:
            yield f"the answer's {name} may be {', '.join(sorted(more))} now"


def _parameters(operation: Json, document: Json) -> Members:
    found: Members = {}
    for each in operation.get("parameters", []):
        place = f"{each['in']} {each['name']}"
        required = bool(each.get("required"))
        found |= dict(_members(each.get("schema", {}), document, place, required=required))
    return found


def _content(described: Json, document: Json) -> dict[str, Members]:
    """The members of a body, by media type."""
    return {
        media: dict(_members(content.get("schema", {}), document, media, required=True))
        for media, content in described.get("content", {}).items()
    }


def _members(
    schema: Json, document: Json, at: str, *, required: bool, inside: tuple[str, ...] = ()
) -> Iterator[tuple[str, Member]]:
    """Every place of a schema by its path such as `application/json.data.user.name`."""
    kinds = list(_kinds(schema, document, inside))
    yield (
        at,
        Member(
            frozenset(kind for each, _ in kinds for kind in _types(each)),
            frozenset(word for each, _ in kinds for word in _choices(each)),
            required,
        ),
    )
    for each, names in kinds:
        for name, member in each.get("properties", {}).items():
            needed = required and name in each.get("required", ())
            yield from _members(member, document, f"{at}.{name}", required=needed, inside=names)
        if "items" in each:
            yield from _members(each["items"], document, f"{at}[]", required=required, inside=names)


def _kinds(
    schema: Json, document: Json, inside: tuple[str, ...]
) -> Iterator[tuple[Json, tuple[str, ...]]]:
    """What a schema stands for, each with the named schemas on the way; no name twice."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in inside:
            yield from _kinds(document["components"]["schemas"][name], document, (*inside, name))
    elif "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _kinds(each, document, inside)
    else:
        yield schema, inside


def _types(schema: Json) -> list[str]:
    kind = schema.get("type")
    if kind is None:
        return []
    return kind if isinstance(kind, list) else [kind]


def _choices(schema: Json) -> list[str]:
    return [str(each) for each in schema.get("enum", [])]


def main() -> int:
    try:
        renewal.renew()
    except ManifestError as error:
        print(error, file=sys.stderr)
        return 1
    described = current()
    if SNAPSHOT.exists():
        for told in breaking(json.loads(SNAPSHOT.read_text()), described):
            print(f"breaks clients: {told}")
    text = text_of(described)
    changed = not SNAPSHOT.exists() or SNAPSHOT.read_text() != text
    SNAPSHOT.write_text(text)
    state = "is rewritten" if changed else "is up to date"
    print(f"docs/{SNAPSHOT.name} {state}: {len(described['paths'])} paths")
    return 0


if __name__ == "__main__":
    sys.exit(main())
