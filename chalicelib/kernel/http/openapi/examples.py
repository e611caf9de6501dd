"""Example values for a schema, which a reader can paste and send. Pure."""

from typing import Any

_BY_NAME: dict[str, Any] = {
    "name": "Ann Example",
    "email": "ann@example.com",
    "phone": "+4915112345678",
    "role": "staff",
    "id": "alder-books",
    "sender": "Alder Books",
    "time_zone": "Europe/Berlin",
    "user_ids": ["01m81vfpqa4g492km3ew3kvx3r"],
    "token": "the token of the link in the message",
}


def example_of(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """A value for each property of an object's schema."""
    return {
        name: _value(name, member, schemas) for name, member in schema.get("properties", {}).items()
    }


def _value(name: str, schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    for choice in (schema, *schema.get("anyOf", [])):
        if "$ref" in choice:
            return example_of(schemas[choice["$ref"].rpartition("/")[2]], schemas)
    if schema.get("type") == "array" and "default" in schema:
        return schema["default"]
    for choice in (schema, *schema.get("anyOf", [])):
        if choice.get("examples"):
            return choice["examples"][0]
    if name in _BY_NAME:
        return _BY_NAME[name]
    if "enum" in schema:
        return schema["enum"][0]
    return schema.get("default", "")
