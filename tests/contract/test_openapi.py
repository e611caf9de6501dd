"""The API's description: valid, whole, and changed only knowingly."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from infra.openapi import SNAPSHOT, breaking, current

Json = dict[str, Any]
#: Routes that the description leaves out: browsers read them, and no client does.
UNDESCRIBED = {"/openapi.json", "/docs", "/projects/{project_id}"}


@pytest.fixture(scope="module")
def described() -> Json:
    return current()


def test_the_description_is_valid_openapi(described: Json) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_it_describes_every_mounted_route_and_nothing_else(described: Json) -> None:
    from chalicelib.kernel.http import mounting

    assert {
        (method.upper(), path) for path, each in described["paths"].items() for method in each
    } == {(route.method, route.path) for route in mounting.mounted() if route.in_openapi}
    left_out = {route.path for route in mounting.mounted() if not route.in_openapi}
    assert left_out == UNDESCRIBED, f"UNDESCRIBED in {__file__} lists routes with in_openapi=False"


def test_every_operation_has_a_name_a_summary_and_its_roles(described: Json) -> None:
    from chalicelib.kernel.http import mounting

    operations = [each for path in described["paths"].values() for each in path.values()]
    names = [each["operationId"] for each in operations]
    assert len(set(names)) == len(names)
    without = [each["operationId"] for each in operations if each["summary"] == each["operationId"]]
    assert without == [], "the first line of a view's docstring is its summary"
    for route in mounting.mounted():
        if route.in_openapi:
            operation = described["paths"][route.path][route.method.lower()]
            assert operation.get("x-roles", []) == list(route.allow)
            assert ("security" in operation) is bool(route.allow)


def test_every_body_has_an_example_that_its_schema_takes(described: Json) -> None:
    """A file, which is a plain text to its schema, has one in one of its media types."""
    import jsonschema

    bodies = list(_bodies(described))
    assert {"POST /admin/v1/users", "POST /admin/v1/users/import"} <= {name for name, _ in bodies}
    for name, content in bodies:
        shown = [each for each in content.values() if "example" in each]
        lacking = [media for media, each in content.items() if "example" not in each]
        assert shown, f"{name}: declare samples={{...}} beside the route"
        assert not any("$ref" in content[media]["schema"] for media in lacking), name
        for each in shown:
            schema = {**each["schema"], "components": described["components"]}
            jsonschema.validate(each["example"], schema)


def _bodies(described: Json) -> Iterator[tuple[str, Json]]:
    """(route, what its body may be by media type) of every route that takes one."""
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                yield f"{method.upper()} {path}", operation["requestBody"]["content"]


def test_every_pattern_is_written_as_javascript_reads_it_too(described: Json) -> None:
    patterns = list(_patterns(described))

    assert len(patterns) > 10
    assert [each for each in patterns if r"\Z" in each or "(?P" in each] == []


def _patterns(part: Any) -> Iterator[str]:
    if isinstance(part, dict) and isinstance(part.get("pattern"), str):
        yield part["pattern"]
    inside = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for each in inside:
        yield from _patterns(each)


def test_it_is_the_one_that_the_repository_keeps(described: Json) -> None:
    kept = json.loads(SNAPSHOT.read_text())
    if described == kept:
        return
    broken = breaking(kept, described)
    effect = (
        "These changes break clients:\n  " + "\n  ".join(broken)
        if broken
        else "Nothing that a client could rely on is lost: it is an addition."
    )
    pytest.fail(
        f"The API differs from docs/openapi.json; `make openapi` acknowledges it.\n{effect}"
    )


OLD: Json = {
    "paths": {
        "/users": {
            "post": {
                "parameters": [
                    {"name": "dry", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/New"}}
                    }
                },
                "responses": {
                    "201": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": {
                                        "data": {
                                            "type": "array",
                                            "items": {"$ref": "#/components/schemas/User"},
                                        },
                                        "message": {"type": "string"},
                                    },
                                    "required": ["data"],
                                }
                            }
                        }
                    },
                    "409": {},
                },
            },
            "get": {"responses": {"200": {}}},
        },
        "/jobs": {"get": {"responses": {"200": {}}}},
    },
    "components": {
        "schemas": {
            "New": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "role": {"enum": ["staff", "manager"]},
                    "phone": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                },
                "required": ["name"],
            },
            "User": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "phone": {"type": ["string", "null"]},
                    "boss": {"anyOf": [{"$ref": "#/components/schemas/User"}, {"type": "null"}]},
                },
                "required": ["id"],
            },
        }
    },
}


def post(document: Json) -> Json:
    found: Json = document["paths"]["/users"]["post"]
    return found


def schema(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def answer(document: Json) -> Json:
    found: Json = post(document)["responses"]["201"]["content"]["application/json"]["schema"]
    return found


Edit = Callable[[Json], Any]
BREAKING: dict[str, Edit] = {
    "GET /jobs: is gone": lambda new: new["paths"].pop("/jobs"),
    "GET /users: is gone": lambda new: new["paths"]["/users"].pop("get"),
    "POST /users: no longer answers 201": lambda new: post(new)["responses"].update(
        {"200": post(new)["responses"].pop("201")}
    ),
    "the answer's application/json.data[].id is gone": lambda new: schema(new, "User")[
        "properties"
    ].pop("id"),
    "the answer's application/json.message is gone": lambda new: answer(new)["properties"].pop(
        "message"
    ),
    "the answer's application/json.data[].id may be missing": lambda new: schema(new, "User")[
        "required"
    ].remove("id"),
    "the answer's application/json.data[].id may be integer": lambda new: schema(new, "User")[
        "properties"
    ].update(id={"type": "integer"}),
    "the answer's application/json.data[].id may be null": lambda new: schema(new, "User")[
        "properties"
    ].update(id={"type": ["string", "null"]}),
    "application/json.role is required": lambda new: schema(new, "New")["required"].append("role"),
    "application/json.team is required": lambda new: (
        schema(new, "New")["properties"].update(team={"type": "string"}),
        schema(new, "New")["required"].append("team"),
    ),
    "application/json.role is no longer taken as manager": lambda new: schema(new, "New")[
        "properties"
    ].update(role={"enum": ["staff"]}),
    "application/json.name is no longer taken as any value": lambda new: schema(new, "New")[
        "properties"
    ].update(name={"type": "string", "enum": ["Ann"]}),
    "application/json.phone is no longer taken as null": lambda new: schema(new, "New")[
        "properties"
    ].update(phone={"type": "string"}),
    "application/json.phone is no longer taken": lambda new: schema(new, "New")["properties"].pop(
        "phone"
    ),
    "query dry is no longer taken": lambda new: post(new)["parameters"].pop(0),
    "query dry is required": lambda new: post(new)["parameters"][0].update(required=True),
    "application/json is no longer taken": lambda new: post(new)["requestBody"].update(
        content={"text/csv": {"schema": {"type": "string"}}}
    ),
}
ADDING: dict[str, Edit] = {
    "nothing": lambda new: None,
    "a path": lambda new: new["paths"].update({"/more": {"get": {"responses": {"200": {}}}}}),
    "a method": lambda new: new["paths"]["/jobs"].update({"post": {"responses": {"202": {}}}}),
    "an optional parameter": lambda new: post(new)["parameters"].append(
        {"name": "more", "in": "query", "schema": {"type": "string"}}
    ),
    "an optional member of the request": lambda new: schema(new, "New")["properties"].update(
        team={"type": "string"}
    ),
    "a member of the answer": lambda new: schema(new, "User")["properties"].update(
        team={"type": "string"}
    ),
    "a member that is now always in the answer": lambda new: schema(new, "User")["required"].append(
        "phone"
    ),
    "a value of a request": lambda new: schema(new, "New")["properties"]["role"]["enum"].append(
        "customer"
    ),
    "a member that need not be sent any more": lambda new: schema(new, "New")["required"].remove(
        "name"
    ),
    "a media type": lambda new: post(new)["requestBody"]["content"].update(
        {"text/csv": {"schema": {"type": "string"}}}
    ),
    "an error": lambda new: post(new)["responses"].update({"429": {}}),
    "a description": lambda new: post(new).update(summary="Create a user"),
}


@pytest.mark.parametrize("told", BREAKING)
def test_a_change_that_breaks_clients_is_named(told: str) -> None:
    new = copy.deepcopy(OLD)
    BREAKING[told](new)

    found = breaking(OLD, new)
    assert any(told in each for each in found), found


@pytest.mark.parametrize("what", ADDING)
def test_an_addition_breaks_nobody(what: str) -> None:
    new = copy.deepcopy(OLD)
    ADDING[what](new)

    assert breaking(OLD, new) == []
