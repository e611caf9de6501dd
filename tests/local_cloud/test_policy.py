"""A policy allows what IAM allows, and what is not understood of it is refused."""

from typing import Any

import pytest

from infra.local import policy, roles
from infra.local.policy import PolicyError
from infra.local.rights import Right


def statement(**more: Any) -> dict[str, Any]:
    usual = {
        "Sid": "S",
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": ["arn:aws:kms::1:key/*"],
    }
    return {"Statement": [{**usual, **more}]}


def allows(document: dict[str, Any], right: Right) -> bool:
    return roles.allowed(policy.read(document, "trial"), right)


def keyed(**context: tuple[str, ...]) -> Right:
    values = {name.replace("_", ":"): value for name, value in context.items()}
    return Right("kms:Decrypt", "arn:aws:kms::1:key/1", frozenset(values.items()))


def test_action_and_resource_must_both_match() -> None:
    assert allows(statement(), Right("kms:Decrypt", "arn:aws:kms::1:key/1"))
    assert allows(
        statement(Action="KMS:decrypt"),
        Right("kms:Decrypt", "arn:aws:kms::1:key/1"),
    )
    assert not allows(statement(), Right("kms:Encrypt", "arn:aws:kms::1:key/1"))
    assert not allows(statement(), Right("kms:Decrypt", "arn:other/1"))
    assert not allows(
        statement(Resource="arn:aws:kms::1:key/?"),
        Right("kms:Decrypt", "arn:aws:kms::1:key/12"),
    )


@pytest.mark.parametrize(
    ("operator", "wanted", "aliases", "holds"),
    [
        ("ForAnyValue:StringEquals", "alias/a", ("alias/b", "alias/a"), True),
        ("ForAnyValue:StringEquals", "alias/a", ("alias/b",), False),
        ("ForAnyValue:StringEquals", "alias/*", ("alias/a",), False),
        ("ForAnyValue:StringLike", ["alias/x", "alias/*"], ("alias/a",), True),
        ("ForAnyValue:StringEquals", "alias/a", (), False),
        ("ForAllValues:StringEquals", "alias/a", ("alias/b", "alias/a"), False),
        ("StringEquals", "alias/a", ("alias/a",), True),
    ],
)
def test_a_condition_is_judged_as_by_iam(
    operator: str, wanted: Any, aliases: tuple[str, ...], *, holds: bool
) -> None:
    document = statement(Condition={operator: {"kms:ResourceAliases": wanted}})
    assert allows(document, keyed(kms_ResourceAliases=aliases)) is holds


@pytest.mark.parametrize(
    ("condition", "used", "holds"),
    [
        ({"StringEquals": "gateway"}, "gateway", True),
        ({"StringEquals": "gateway"}, "credential", False),
        ({"StringEquals": "gateway"}, None, False),
        ({"StringEqualsIfExists": "gateway"}, "gateway", True),
        ({"StringEqualsIfExists": ["hook", "gateway"]}, "gateway", True),
        ({"StringEqualsIfExists": "gateway"}, "credential", False),
        ({"StringEqualsIfExists": "gateway"}, None, True),
        ({"ForAnyValue:StringEqualsIfExists": "gateway"}, None, True),
        ({"StringLikeIfExists": "gate*"}, "gateway", True),
        ({"Null": "true"}, None, True),
        ({"Null": "true"}, "gateway", False),
        ({"Null": "false"}, None, False),
        ({"Null": "false"}, "gateway", True),
        ({"Null": "false", "StringEquals": "hook"}, "gateway", False),
    ],
    ids=str,
)
def test_a_key_that_a_call_may_lack_is_judged_as_by_iam(
    condition: dict[str, Any], used: str | None, *, holds: bool
) -> None:
    key = "kms:EncryptionContext:use"
    document = statement(Condition={name: {key: wanted} for name, wanted in condition.items()})
    context = frozenset({(key, (used,))} if used else ())
    right = Right("kms:Decrypt", "arn:aws:kms::1:key/1", context)
    assert allows(document, right) is holds


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"Effect": "Deny"}, "the effect Allow only"),
        ({"NotAction": "x"}, "does not understand NotAction"),
        ({"Condition": {"Bool": {"kms:ResourceAliases": "x"}}}, "the operator Bool"),
        ({"Condition": {"BoolIfExists": {"kms:ResourceAliases": "x"}}}, "BoolIfExists"),
        ({"Condition": {"NullIfExists": {"kms:ResourceAliases": "true"}}}, "NullIfExists"),
        ({"Condition": {"ForAnyValue:Null": {"kms:ResourceAliases": "true"}}}, "ForAnyValue:Null"),
        ({"Condition": {"Null": {"kms:ResourceAliases": "x"}}}, 'Null takes "true" or "false"'),
        ({"Condition": {"StringEquals": {"aws:SourceIp": "x"}}}, "key aws:SourceIp"),
        ({"Action": "*:GetItem"}, r"the action \*:GetItem"),
        ({"Resource": "arn:aws:dynamodb:eu-central-1:1*table/x"}, "the resource arn:aws:dynamodb"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(more: dict[str, Any], text: str) -> None:
    with pytest.raises(PolicyError, match=text) as refused:
        policy.read(statement(**more), "work")
    assert str(refused.value).startswith("infra/policies/work.json, statement S: ")


@pytest.mark.parametrize("element", ["Action", "Resource"])
def test_a_statement_without_one_of_its_parts_is_refused_with_its_place(element: str) -> None:
    document = statement()
    del document["Statement"][0][element]

    with pytest.raises(PolicyError, match=f"work.json, statement S: it has no {element}"):
        policy.read(document, "work")
