"""DynamoDB's attribute values on their way in and out.

moto asks ten questions about each value, and five aliases of each name, for every item of every
answer. A value is a dictionary of one entry that goes over the wire as it is, binary apart.
"""

import base64
from collections.abc import Callable
from typing import Any

from moto.core.errors import ErrorLookupFactory
from moto.core.parse import JSONParser
from moto.core.serialize import (
    AttributePickerContext,
    JSONSerializer,
    XFormedAttributePicker,
)

ATTRIBUTE_VALUE = "AttributeValue"
AttributeValue = dict[str, Any]
_ABSENT = object()

_moto_parse_structure: Callable[..., Any] = JSONParser._parse_structure
_moto_serialize_structure: Callable[..., Any] = JSONSerializer._serialize_type_structure
_moto_pick: Callable[..., Any] = XFormedAttributePicker.__call__
_moto_for_service: Callable[..., Any] = ErrorLookupFactory.for_service
_error_lookups = ErrorLookupFactory()


def install() -> None:
    replacements: list[tuple[type, str, Callable[..., Any]]] = [
        (JSONParser, "_parse_structure", _parse_structure),
        (JSONSerializer, "_serialize_type_structure", _serialize_structure),
        (XFormedAttributePicker, "__call__", _pick),
        # moto builds the table of a service's errors anew for each error.
        (ErrorLookupFactory, "for_service", _for_service),
    ]
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)


def _for_service(_: ErrorLookupFactory, service_model: Any) -> Any:
    return _moto_for_service(_error_lookups, service_model)


def _parse_structure(parser: JSONParser, shape: Any, value: Any) -> Any:
    if shape.name == ATTRIBUTE_VALUE and isinstance(value, dict) and len(value) == 1:
        return _parsed(parser, value)
    return _moto_parse_structure(parser, shape, value)


def _parsed(parser: JSONParser, value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    if content is None:
        return {}
    if kind == "M":
        return {"M": {name: _parsed(parser, member) for name, member in content.items()}}
    if kind == "L":
        return {"L": [_parsed(parser, member) for member in content]}
    if kind == "B":
        return {"B": parser._blob_parser(content)}
    if kind == "BS":
        return {"BS": [parser._blob_parser(member) for member in content]}
    return value


def _serialize_structure(
    serializer: JSONSerializer, serialized: Any, value: Any, shape: Any, key: str
) -> None:
    if shape.name == ATTRIBUTE_VALUE and key and isinstance(value, dict) and len(value) == 1:
        serializer._default_serialize(serialized, _on_the_wire(value), shape, key)
    else:
        _moto_serialize_structure(serializer, serialized, value, shape, key)


def _on_the_wire(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": {name: _on_the_wire(member) for name, member in content.items()}}
    if kind == "L":
        return {"L": [_on_the_wire(member) for member in content]}
    if kind == "B":
        return {"B": _base64(content)}
    if kind == "BS":
        return {"BS": [_base64(member) for member in content]}
    return value


def _base64(content: str | bytes) -> str:
    raw = content.encode() if isinstance(content, str) else content
    return base64.b64encode(raw).decode()


def _pick(picker: XFormedAttributePicker, context: AttributePickerContext) -> Any:
    if type(context.obj) is not dict or picker.response_transformers:
        return _moto_pick(picker, context)
    for name in _names(picker, context):
        found = context.obj.get(name, _ABSENT)
        if found is not _ABSENT:
            return found
    return None


def _names(picker: XFormedAttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
    """For a plain dictionary the names to try depend on the shape alone, so it keeps them."""
    known: dict[str, tuple[str, ...]] = context.shape.__dict__.setdefault("_names_to_try", {})
    names = known.get(context.key)
    if names is None:
        names = known[context.key] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    return names
