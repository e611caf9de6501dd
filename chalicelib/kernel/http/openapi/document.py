"""The OpenAPI 3.1 document, made from the routes and the structs they name. Pure.

Nothing is written twice: paths, parameters, bodies and answers come from the routes, texts from
docstrings, and constraints of values from the metadata of the structs.
"""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from chalicelib.kernel.http.openapi.examples import example_of
from chalicelib.kernel.http.problems import Problem
from chalicelib.kernel.http.routes import Route
from chalicelib.kernel.store.paging import PageQuery

Json = dict[str, Any]
_REF = "#/components/schemas/{name}"
_ALWAYS = (400, 405, 413, 500, 503)
_JSON = "application/json"
_PAGE = "text/html"
_PRINTABLE = "^[!-~]([ -~]*[!-~])?$"  # HTTP strips blanks around a header's value


def _text_header(description: str) -> Json:
    return {"schema": {"type": "string"}, "description": description}


_HEADERS: Json = {
    "X-Request-Id": _text_header("Names this request in the logs"),
    "Server-Timing": _text_header("Times and numbers of calls"),
}
_LOCATION = {"Location": _text_header("Address of the new record, or of the progress of the work")}
_RETRY_AFTER = {"Retry-After": _text_header("Seconds to wait before trying again")}
_ETAG = {"ETag": _text_header("Version of the record, for If-Match and If-None-Match")}
_POLL_AGAIN = {
    "Retry-After": _text_header("Seconds to wait before asking again, while work goes on")
}
_STATUS_HEADERS: Mapping[int, Json] = {
    201: _LOCATION,
    202: _LOCATION,
    401: {"WWW-Authenticate": _text_header("Bearer")},
    405: {"Allow": _text_header("Methods that this path answers")},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def document(routes: Iterable[Route], server: str, version: str) -> Json:
    """The whole document; `server` is the address in front of the paths."""
    declared = list(routes)
    _, schemas = msgspec.json.schema_components(_types(declared), ref_template=_REF)
    paths: dict[str, Json] = {}
    for route in declared:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Backburner",
            "version": version,
            "description": "A business backend that answers at once and never loses the slow work.",
        },
        "servers": [{"url": server}],
        "paths": paths,
        "components": {
            "schemas": {name: _portable(schema) for name, schema in schemas.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _types(routes: list[Route]) -> list[Any]:
    shown = [route.answers for route in routes if route.answers is not None]
    bodies = [route.parameters.get("body") for route in routes]
    queries = [route.parameters.get("query") for route in routes]
    extra = [kind for route in routes for kind in route.extra.values()]
    structs = [kind for kind in (*bodies, *queries) if kind is not None and kind is not bytes]
    return [Problem, PageQuery, *shown, *structs, *extra]


def _portable(schema: Any) -> Any:
    """The schema with its patterns in JavaScript's form: it writes `$` where Python has `\\Z`, and
    its syntax for named groups differs.
    """
    if isinstance(schema, dict):
        return {
            name: re.sub(r"\?P<\w+>", "", value).replace(r"\Z", "$")
            if name == "pattern"
            else _portable(value)
            for name, value in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema


def _operation(route: Route, schemas: Json) -> Json:
    summary, _, rest = (route.view.__doc__ or route.name).strip().partition("\n")
    first, _, more = summary.partition(". ")
    operation: Json = {
        "operationId": route.name,
        "summary": first.rstrip("."),
        "parameters": _parameters(route, schemas),
        "responses": _responses(route),
        "x-aws-calls-at-most": {"dynamodb": route.calls.dynamodb, "sqs": route.calls.sqs},
    }
    description = " ".join(f"{more} {' '.join(rest.split())}".split())
    if description:
        operation["description"] = description
    if route.allow:
        operation["security"] = [{"bearer": []}]
        operation["x-roles"] = list(route.allow)
    if "body" in route.parameters:
        operation["requestBody"] = _request_body(route, schemas)
    return operation


def _parameters(route: Route, schemas: Json) -> list[Json]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _text(1, 100)}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    query = route.parameters.get("query")
    if query is not None:
        parameters += _query_parameters(schemas[query.__name__])
    if route.allow and not route.platform:
        description = "Id of the tenant; read only from the requests of admins"
        parameters.append(_header("X-Tenant-Id", description))
    if route.changes:
        description = "A repeated request with the same key gets the same answer and has one effect"
        rules = {"pattern": _PRINTABLE, **_text(1, 255)}
        parameters.append(_header("Idempotency-Key", description, **rules))
    if route.takes_if_match:
        parameters.append(_header("If-Match", "Change the record only if this is its ETag"))
    if _reads_one(route):
        parameters.append(_header("If-None-Match", "Answer 304 if this is still the ETag"))
    return parameters


def _query_parameters(schema: Json) -> list[Json]:
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _not_null(rules)}
        for name, rules in schema["properties"].items()
    ]


def _not_null(schema: Json) -> Json:
    """The schema without null: a query parameter is sent with a value or left out."""
    portable: Json = _portable(schema)
    choices = [choice for choice in portable.get("anyOf", []) if choice != {"type": "null"}]
    if choices:
        portable = choices[0]
    if "enum" in portable:
        values = [value for value in portable["enum"] if value is not None]
        portable = {**portable, "enum": values}
    return {name: value for name, value in portable.items() if value is not None}


def _header(name: str, description: str, **rules: Any) -> Json:
    """An optional header. An ETag may be any text: one that is not ours just does not match."""
    schema = {"type": "string", **rules}
    return {"name": name, "in": "header", "description": description, "schema": schema}


def _text(least: int, most: int) -> Json:
    return {"type": "string", "minLength": least, "maxLength": most}


def _reads_one(route: Route) -> bool:
    return route.method == "GET" and route.answers is not None and not route.paginated


def _request_body(route: Route, schemas: Json) -> Json:
    shape = route.parameters["body"]
    if shape is bytes:
        content: Json = {media: _file(route.samples.get(media)) for media in route.media}
    else:
        schema = {"$ref": _REF.format(name=shape.__name__)}
        example = example_of(schemas[shape.__name__], schemas)
        content = {media: {"schema": schema, "example": example} for media in route.media}
    return {"required": True, "content": content}


def _file(sample: str | None) -> Json:
    shown: Json = {"schema": {"type": "string", "minLength": 1}}
    return shown if sample is None else {**shown, "example": sample}


def _responses(route: Route) -> Json:
    answers: Json = {str(route.status): _success(route)}
    if _reads_one(route):
        headers = {**_HEADERS, **_state_headers(route)}
        answers["304"] = {"description": "Not modified", "headers": headers}
    for status in sorted(_errors(route)):
        if str(status) not in answers:
            answers[str(status)] = _error(status, page=route.answers is None)
    return answers


def _errors(route: Route) -> set[int]:
    statuses = {*_ALWAYS, *route.errors}
    if "{" in route.path:
        statuses.add(404)
    if route.allow:
        statuses |= {401, 403}
    if "query" in route.parameters or route.changes:
        statuses.add(422)
    if "body" in route.parameters:
        statuses.add(415)
    if route.changes:
        statuses |= {409, 412}
    return statuses


def _success(route: Route) -> Json:
    answer = {"description": HTTPStatus(route.status).phrase, "headers": _success_headers(route)}
    if route.answers is None:
        return {**answer, "content": {_PAGE: {"schema": {"type": "string"}}}}
    shown = {"$ref": _REF.format(name=route.answers.__name__)}
    properties: Json = {
        "success": {"const": True},
        "message": {"type": "string"},
        "data": {"type": "array", "items": shown} if route.paginated else shown,
    }
    if route.paginated:
        properties["meta"] = {
            "type": "object",
            "properties": {
                "per_page": {"type": "integer"},
                "next_cursor": {"type": ["string", "null"]},
            },
            "required": ["per_page", "next_cursor"],
        }
    for name, kind in route.extra.items():
        properties[name] = msgspec.json.schema(kind)
    needed = [name for name in properties if name != "message"]
    schema = {"type": "object", "properties": properties, "required": needed}
    return {**answer, "content": {_JSON: {"schema": schema}}}


def _success_headers(route: Route) -> Json:
    headers = {**_HEADERS, **_STATUS_HEADERS.get(route.status, {})}
    if route.changes:
        headers["Idempotent-Replayed"] = _text_header(
            "true: this is the stored answer to an earlier request with this key"
        )
    if route.paginated:
        headers["Link"] = _text_header("Address of the next page")
    elif route.answers is not None:
        headers |= _state_headers(route)
    return headers


def _state_headers(route: Route) -> Json:
    return {**_ETAG, **_POLL_AGAIN} if route.polled else _ETAG


def _error(status: int, *, page: bool) -> Json:
    content: Json = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    if page:
        content[_PAGE] = {"schema": {"type": "string"}}
    headers = {**_HEADERS, **_STATUS_HEADERS.get(status, {})}
    return {"description": HTTPStatus(status).phrase, "headers": headers, "content": content}
