"""What the template says of a stage, with its names filled in."""

from collections.abc import Iterator
from typing import Any

from infra.deploy.account import Account
from infra.deploy.template import TEMPLATE
from infra.local.template import parse


def resources(account: Account, kind: str) -> Iterator[dict[str, Any]]:
    """The properties of every resource of a type; references to others stay as they are."""
    template = parse(TEMPLATE.read_text(encoding="utf-8"))
    values = _values(account, template)
    for resource in template["Resources"].values():
        if resource["Type"] == kind:
            yield _filled(resource["Properties"], values)


def _values(account: Account, template: dict[str, Any]) -> dict[str, str]:
    defaults = {
        name: str(told["Default"])
        for name, told in template["Parameters"].items()
        if "Default" in told
    }
    place = account.place
    return {
        **defaults,
        "Stage": account.stage,
        "AWS::Region": place.region,
        "AWS::AccountId": place.account,
        "AWS::Partition": place.partition,
    }


def _filled(value: Any, values: dict[str, str]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"Fn::Sub"} and isinstance(value["Fn::Sub"], str):
            text = value["Fn::Sub"]
            for name, known in values.items():
                text = text.replace(f"${{{name}}}", known)
            return text
        if set(value) == {"Ref"} and value["Ref"] in values:
            return values[value["Ref"]]
        return {key: _filled(inner, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, values) for inner in value]
    return value
