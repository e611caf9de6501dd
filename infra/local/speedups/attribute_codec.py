"""DynamoDB's attribute values: decoded, encoded, copied and measured directly.

For every value of every item moto makes ten checks, and tries five spellings of every name. But a
value is a dictionary with one entry that goes over the wire unchanged, unless it is binary.
"""

import base64
from collections.abc import Callable
from typing import Any

from moto.core.parse import JSONParser
from moto.core.serialize import (
    AttributePickerContext,
    JSONSerializer,
    XFormedAttributePicker,
)
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.utilities import bytesize

from infra.local.patching import replace_all

ATTRIBUTE_VALUE = "AttributeValue"
AttributeValue = dict[str, Any]
_ABSENT = object()

_moto_parse_structure: Callable[..., Any] = JSONParser._parse_structure
_moto_serialize_structure: Callable[..., Any] = JSONSerializer._serialize_type_structure
_moto_pick: Callable[..., Any] = XFormedAttributePicker.__call__
_moto_size: Callable[[DynamoType], int] = DynamoType.size


def install() -> None:
    replace_all(
        [
            (JSONParser, "_parse_structure", _parse_structure),
            (JSONSerializer, "_serialize_type_structure", _serialize_structure),
            (XFormedAttributePicker, "__call__", _pick),
            (DynamoType, "__deepcopy__", _copy),
            (DynamoType, "size", _size),
        ]
    )


def _parse_structure(parser: JSONParser, shape: Any, value: Any) -> Any:
    if shape.name == ATTRIBUTE_VALUE and isinstance(value, dict) and len(value) == 1:
        return _decode(parser, value)
    return _moto_parse_structure(parser, shape, value)


def _decode(parser: JSONParser, value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    if content is None:
        return {}
    if kind == "M":
        return {"M": {name: _decode(parser, member) for name, member in content.items()}}
    if kind == "L":
        return {"L": [_decode(parser, member) for member in content]}
    if kind == "B":
        return {"B": parser._blob_parser(content)}
    if kind == "BS":
        return {"BS": [parser._blob_parser(member) for member in content]}
    return value


def _serialize_structure(
    serializer: JSONSerializer, serialized: Any, value: Any, shape: Any, key: str
) -> None:
    if shape.name == ATTRIBUTE_VALUE and key and isinstance(value, dict) and len(value) == 1:
        serializer._default_serialize(serialized, _encode(value), shape, key)
    else:
        _moto_serialize_structure(serializer, serialized, value, shape, key)


def _encode(value: AttributeValue) -> AttributeValue:
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": {name: _encode(member) for name, member in content.items()}}
    if kind == "L":
        return {"L": [_encode(member) for member in content]}
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
        value = context.obj.get(name, _ABSENT)
        if value is not _ABSENT:
            return value
    return None


def _names(picker: XFormedAttributePicker, context: AttributePickerContext) -> tuple[str, ...]:
    """The names to try; for a plain dictionary they depend on the shape alone, so it keeps them."""
    known: dict[str, tuple[str, ...]] = context.shape.__dict__.setdefault("_names_to_try", {})
    names = known.get(context.key)
    if names is None:
        names = known[context.key] = tuple(dict.fromkeys(picker.get_possible_keys(context)))
    return names


def _copy(value: DynamoType, memo: dict[int, Any]) -> DynamoType:
    """Without deepcopy's search for parts seen before: a value is a tree and shares nothing."""
    twin = object.__new__(type(value))
    twin.type, content = value.type, value.value
    if value.type == "M":
        content = {name: _copy(part, memo) for name, part in content.items()}
    elif isinstance(content, list):
        content = [_copy(part, memo) if isinstance(part, DynamoType) else part for part in content]
    twin.value = content
    return twin


def _size(value: DynamoType) -> int:
    """Without moto's copy of a map and of everything in it."""
    if value.type != "M":
        return _moto_size(value)
    return sum(bytesize(name) + part.size() for name, part in value.value.items())
