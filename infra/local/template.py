"""Builds the resources of infra/template.yaml through plain AWS calls on any endpoint.

moto's own CloudFormation silently skips what it does not support: queue policies, subscriptions,
SES, alarms. This loader stops instead and names the resource: at an unknown type, property,
attribute or intrinsic, at a reference to something that does not exist, and in a circle.

A resource is built when something first refers to it, so the order in the file does not matter.
The builders are in resources.py and alarms.py.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml  # type: ignore[import-untyped, unused-ignore]
from boto3 import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import alarms  # noqa: F401  registers its builders
from infra.local.resources import BUILDERS, Properties, Resource, TemplateError, Value

SECTIONS = {
    "AWSTemplateFormatVersion",
    "Description",
    "Metadata",
    "Parameters",
    "Conditions",
    "Resources",
    "Outputs",
}
RESOURCE_KEYS = {
    "Type",
    "Properties",
    "Condition",
    "DependsOn",
    "Metadata",
    "DeletionPolicy",
    "UpdateReplacePolicy",
}
#: libyaml's where there is one, which is ten times as fast.
SafeLoader: Value = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ABSENT = object()  # the value of AWS::NoValue, which removes a property


@dataclass(frozen=True)
class Stack:
    outputs: dict[str, str]
    resources: dict[str, str]  #: physical ids, as `!Ref` gives them, by logical id


def load(
    path: str | Path,
    session: Session,
    parameters: Mapping[str, str] | None = None,
    endpoint_url: str | None = None,
) -> Stack:
    """Builds all resources of the template, none of which may exist. Raises TemplateError."""
    template = parse(Path(path).read_text(encoding="utf-8"))
    _refuse_unknown(template, SECTIONS, "section")
    stack = _Building(template, dict(parameters or {}), session, endpoint_url, Path(path).parent)
    return Stack(resources=stack.resources(), outputs=stack.outputs())


def parse(text: str) -> dict[str, Value]:
    """The template with intrinsics in their long form, as in a JSON template."""
    template: dict[str, Value] = yaml.load(text, Loader=_Yaml)  # noqa: S506  a SafeLoader  # nosec B506
    return template


def _refuse_unknown(entries: Mapping[str, Value], known: set[str], kind: str) -> None:
    if unknown := sorted(set(entries) - known):
        raise TemplateError(f"unknown {kind} {', '.join(unknown)}")


class _Yaml(SafeLoader):  # type: ignore[misc, unused-ignore]
    """YAML with CloudFormation's short forms, and with dates as text, as policies need them."""

    yaml_implicit_resolvers = {
        first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
        for first, pairs in SafeLoader.yaml_implicit_resolvers.items()
    }

    def intrinsic(self, suffix: str, node: yaml.Node) -> dict[str, Value]:
        name = suffix if suffix == "Ref" else f"Fn::{suffix}"
        if isinstance(node, yaml.ScalarNode):
            return {name: self.construct_scalar(node)}
        if isinstance(node, yaml.SequenceNode):
            return {name: self.construct_sequence(node, deep=True)}
        raise TemplateError(f"!{suffix} takes a text or a list")


_Yaml.add_multi_constructor("!", _Yaml.intrinsic)


class _Building:
    """Builds one template into a stack."""

    def __init__(
        self,
        template: dict[str, Value],
        parameters: dict[str, str],
        session: Session,
        endpoint_url: str | None,
        folder: Path,
    ) -> None:
        self._template = template
        self._folder = folder
        self._session = session
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Value] = {}
        self._built: dict[str, Resource] = {}
        self._under_way: list[str] = []
        self._parameters = _parameters(template.get("Parameters", {}), parameters)
        self._intrinsics: dict[str, Callable[..., Value]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::If": self._if,
            "Fn::Equals": lambda left, right: self.resolve(left) == self.resolve(right),
            "Fn::Not": lambda condition: not self.resolve(condition),
            "Fn::Join": lambda between, parts: between.join(map(str, self.resolve(parts))),
            "Fn::Select": lambda index, choices: self.resolve(choices)[int(self.resolve(index))],
        }

    def resources(self) -> dict[str, str]:
        return {
            logical_id: self._resource(logical_id).physical_id
            for logical_id, entry in self._template["Resources"].items()
            if self._is_included(logical_id, entry)
        }

    def outputs(self) -> dict[str, str]:
        return {
            name: str(self._at(name, self.resolve, entry["Value"]))
            for name, entry in self._template.get("Outputs", {}).items()
            if self._is_included(name, entry)
        }

    def resolve(self, value: Value) -> Value:
        if isinstance(value, dict):
            name = next(iter(value), "")
            if len(value) == 1 and (name == "Ref" or name.startswith("Fn::")):
                return self._call(name, value[name])
            pairs = ((key, self.resolve(inner)) for key, inner in value.items())
            return {key: inner for key, inner in pairs if inner is not ABSENT}
        if isinstance(value, list):
            items = (self.resolve(inner) for inner in value)
            return [inner for inner in items if inner is not ABSENT]
        return value

    def _call(self, name: str, argument: Value) -> Value:
        if name not in self._intrinsics:
            raise TemplateError(f"unknown intrinsic {name}")
        try:
            return self._intrinsics[name](*_listed(argument))
        except (ValueError, TypeError, IndexError, AttributeError) as error:
            raise TemplateError(f"{name} cannot read {argument!r}") from error

    def _at(self, logical_id: str, work: Callable[[str], Value], argument: Value) -> Value:
        try:
            return work(argument)
        except (TemplateError, ClientError, BotoCoreError) as error:
            raise TemplateError(f"{logical_id}: {error}") from error

    def _is_included(self, name: str, entry: Mapping[str, Value]) -> bool:
        return "Condition" not in entry or bool(self._at(name, self._condition, entry["Condition"]))

    def _resource(self, logical_id: str) -> Resource:
        if logical_id not in self._built:
            self._built[logical_id] = self._at(logical_id, self._build, logical_id)
        return self._built[logical_id]

    def _build(self, logical_id: str) -> Resource:
        if logical_id in self._under_way:
            raise TemplateError(f"needs itself: {' -> '.join([*self._under_way, logical_id])}")
        entry = self._template["Resources"][logical_id]
        _refuse_unknown(entry, RESOURCE_KEYS, "resource key")
        if entry.get("Type") not in BUILDERS:
            raise TemplateError(f"unknown type {entry.get('Type')}")
        self._under_way.append(logical_id)
        try:
            for needed in _listed(entry.get("DependsOn", [])):
                self._existing(needed)
            properties = Properties(self.resolve(entry.get("Properties", {})), self._folder)
        finally:
            self._under_way.pop()
        resource = BUILDERS[entry["Type"]](self._client, properties)
        properties.refuse_the_rest()
        return resource

    def _existing(self, name: str) -> Resource:
        """The resource of that name, which is built now if it does not exist yet."""
        entry = self._template["Resources"].get(name)
        if entry is None or not self._is_included(name, entry):
            raise TemplateError(f"refers to {name}, which does not exist")
        return self._resource(name)

    def _client(self, service: str) -> Value:
        if service not in self._clients:
            # Whatever the session's default is, botocore has to refuse an unknown nested property
            # instead of leaving it out.
            self._clients[service] = self._session.client(
                service, endpoint_url=self._endpoint_url, config=Config(parameter_validation=True)
            )
        return self._clients[service]

    def _condition(self, name: str) -> bool:
        if name not in self._template.get("Conditions", {}):
            raise TemplateError(f"unknown condition {name}")
        answer = self.resolve(self._template["Conditions"][name])
        if not isinstance(answer, bool):
            raise TemplateError(f"condition {name} is neither true nor false")
        return answer

    def _pseudo(self, name: str) -> Value:
        fixed = {"AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": ABSENT}
        if name == "AWS::Region":
            return self._client("sts").meta.region_name
        if name == "AWS::AccountId":
            return self._client("sts").get_caller_identity()["Account"]
        if name not in fixed:
            raise TemplateError(f"unknown pseudo-parameter {name}")
        return fixed[name]

    def _ref(self, name: str) -> Value:
        if name.startswith("AWS::"):
            return self._pseudo(name)
        if name in self._parameters:
            return self._parameters[name]
        return self._existing(name).physical_id

    def _get_att(self, *path: str) -> str:
        name, attribute = ".".join(path).split(".", 1)
        resource = self._existing(name)
        if attribute not in resource.attributes:
            raise TemplateError(f"{name} has no attribute {attribute}")
        return resource.attributes[attribute]

    def _sub(self, text: str, variables: Mapping[str, Value] | None = None) -> str:
        def replaced(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if variables and name in variables:
                return str(self.resolve(variables[name]))
            return str(self._get_att(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", replaced, text)

    def _if(self, condition: str, then: Value, otherwise: Value) -> Value:
        return self.resolve(then if self._condition(condition) else otherwise)


def _parameters(declared: Mapping[str, Value], chosen: Mapping[str, str]) -> dict[str, str]:
    _refuse_unknown(chosen, set(declared), "parameter")
    values = {}
    for name, rules in declared.items():
        value = chosen.get(name, rules.get("Default"))
        if value is None:
            raise TemplateError(f"parameter {name} has no value")
        if not re.fullmatch(rules.get("AllowedPattern", ".*"), str(value)) or str(
            value
        ) not in rules.get("AllowedValues", [str(value)]):
            raise TemplateError(f"parameter {name} may not be {value!r}")
        values[name] = str(value)
    return values


def _listed(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]
