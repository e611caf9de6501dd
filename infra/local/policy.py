"""A policy as IAM understands it, as far as the policies of this project go.

Whatever is not understood here is refused when the policy is read: a condition that is ignored
would allow what AWS forbids.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from infra.local.rights import Right

Values = tuple[str, ...]
_ELEMENTS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_IF_EXISTS = "IfExists"
_NULL = "Null"
_KEYS = ("kms:ResourceAliases", "kms:RequestAlias", "kms:EncryptionContext:")


class PolicyError(ValueError):
    """A policy with something in it that the local cloud does not understand."""


@dataclass(frozen=True)
class Condition:
    quantifier: str  #: ForAnyValue, ForAllValues, or empty for a key with one value
    operator: str  #: without IfExists
    key: str
    wanted: Values
    if_exists: bool = False

    def holds(self, right: Right) -> bool:
        """A key that the call does not have fulfils ForAllValues and IfExists only, as on AWS.

        Null asks for nothing but that: "true" wants the key to be missing, "false" to be there.
        """
        found = dict(right.context).get(self.key, ())
        if self.operator == _NULL:
            return self.wanted == ("false" if found else "true",)
        if self.if_exists and not found:
            return True
        matching = [
            any(_OPERATORS[self.operator](value, w) for w in self.wanted) for value in found
        ]
        return all(matching) if self.quantifier == "ForAllValues" else any(matching)


@dataclass(frozen=True)
class Statement:
    sid: str
    actions: Values
    resources: Values
    conditions: tuple[Condition, ...]

    def allows(self, right: Right) -> bool:
        return (
            any(_like(right.action.lower(), action.lower()) for action in self.actions)
            and any(_like(right.resource, resource) for resource in self.resources)
            and all(condition.holds(right) for condition in self.conditions)
        )

    def parts(self) -> list["Statement"]:
        """Statements of one action on one resource, which together allow the same."""
        return [
            Statement(self.sid, (action,), (resource,), self.conditions)
            for action in self.actions
            for resource in self.resources
        ]

    def __str__(self) -> str:
        return f"{self.sid}: {', '.join(self.actions)} on {', '.join(self.resources)}"


def read(document: dict[str, Any], name: str) -> tuple[Statement, ...]:
    """The statements of a policy. Raises PolicyError, which names the policy and the statement."""
    statements = []
    for number, content in enumerate(_listed(document.get("Statement", [])), 1):
        sid = content.get("Sid", f"number {number}")
        try:
            statements.append(_statement(content, sid))
        except PolicyError as error:
            raise PolicyError(f"infra/policies/{name}.json, statement {sid}: {error}") from None
    return tuple(statements)


def _statement(content: dict[str, Any], sid: str) -> Statement:
    if unknown := content.keys() - _ELEMENTS:
        raise PolicyError(f"the local cloud does not understand {', '.join(sorted(unknown))}")
    if content.get("Effect") != "Allow":
        raise PolicyError("the local cloud understands the effect Allow only")
    if missing := {"Action", "Resource"} - content.keys():
        raise PolicyError(f"it has no {' and no '.join(sorted(missing))}")
    actions, resources = tuple(_listed(content["Action"])), tuple(_listed(content["Resource"]))
    _refuse_wide_patterns(actions, resources)
    return Statement(sid, actions, resources, tuple(_conditions(content.get("Condition", {}))))


def _refuse_wide_patterns(actions: Values, resources: Values) -> None:
    """AWS matches a wildcard in the first parts of an ARN within one part, and `_like` does not."""
    for action in actions:
        if _has_wildcard(action.partition(":")[0]):
            raise PolicyError(f"the local cloud does not understand the action {action}")
    for resource in resources:
        if resource != "*" and _has_wildcard("".join(resource.split(":")[:5])):
            raise PolicyError(f"the local cloud does not understand the resource {resource}")


def _has_wildcard(text: str) -> bool:
    return "*" in text or "?" in text


def _conditions(content: dict[str, dict[str, Any]]) -> Iterator[Condition]:
    for name, keys in content.items():
        quantifier, _, compared = name.rpartition(":")
        operator = compared.removesuffix(_IF_EXISTS)
        known = name == _NULL or operator in _OPERATORS
        if not known or quantifier not in ("", "ForAnyValue", "ForAllValues"):
            raise PolicyError(f"the local cloud does not understand the operator {name}")
        for key, wanted in keys.items():
            if not key.startswith(_KEYS):
                raise PolicyError(f"the local cloud does not understand the condition key {key}")
            values = tuple(_listed(wanted))
            if name == _NULL and values not in (("true",), ("false",)):
                raise PolicyError(f'{_NULL} takes "true" or "false" for {key}')
            yield Condition(quantifier, operator, key, values, compared != operator)


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]


def _like(value: str, pattern: str) -> bool:
    """IAM's wildcards: `*` for any text, `?` for one character."""
    return value == pattern or _compiled(pattern).fullmatch(value) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": _like,
}
