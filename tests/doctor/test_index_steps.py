"""How a template that changes several indexes becomes updates that change one of each table."""

from typing import Any

import pytest

from infra.deploy import indexes
from infra.deploy.account import DeployError
from infra.deploy.template import Template


def index(name: str, projection: str = "ALL") -> dict[str, Any]:
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": f"{name}_key", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": projection},
    }


def table(*found: dict[str, Any]) -> dict[str, Any]:
    keys = ["tenant", *(each["KeySchema"][0]["AttributeName"] for each in found)]
    properties: dict[str, Any] = {
        "KeySchema": [{"AttributeName": "tenant", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": e, "AttributeType": "S"} for e in keys],
    }
    if found:
        properties["GlobalSecondaryIndexes"] = list(found)
    return {"Type": "AWS::DynamoDB::Table", "Properties": properties}


def template(**tables: dict[str, Any]) -> Template:
    return {"Resources": {**tables, "Topic": {"Type": "AWS::SNS::Topic"}}}


def names(step: indexes.Step, name: str) -> list[str]:
    return list(indexes.indexes(step.template["Resources"][name]))


def attributes(step: indexes.Step, name: str) -> set[str]:
    properties = step.template["Resources"][name]["Properties"]
    return {each["AttributeName"] for each in properties["AttributeDefinitions"]}


A, B, C, D = map(index, "abcd")


def test_without_a_change_of_indexes_there_is_one_update_of_the_template_itself() -> None:
    wanted = template(T=table(A), New=table(A, B, C))

    assert indexes.steps(template(T=table(A)), wanted) == [indexes.Step(wanted, ())]


def test_each_update_adds_one_index_of_a_table_and_the_last_is_the_template_itself() -> None:
    wanted = template(T=table(A, B, C, D))

    steps = indexes.steps(template(T=table(A)), wanted)

    assert [names(step, "T") for step in steps] == [
        ["a", "b"],
        ["a", "b", "c"],
        ["a", "b", "c", "d"],
    ]
    assert steps[-1].template == wanted
    assert attributes(steps[0], "T") == {"tenant", "a_key", "b_key"}


def test_indexes_are_added_before_others_are_deleted() -> None:
    steps = indexes.steps(template(T=table(A, B)), template(T=table(C)))

    assert [names(step, "T") for step in steps] == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert [step.changes[0].kind for step in steps] == ["adds", "deletes", "deletes"]


def test_several_tables_go_on_side_by_side() -> None:
    before = template(T=table(), U=table(A), V=table(A))
    wanted = template(T=table(A, B), U=table(), V=table(A))

    first, second = indexes.steps(before, wanted)

    assert (names(first, "T"), names(first, "U")) == (["a"], [])
    assert len(first.changes) == 2
    assert [change.table for change in second.changes] == ["T"]
    assert "GlobalSecondaryIndexes" not in first.template["Resources"]["U"]["Properties"]


def test_everything_else_of_the_template_goes_before_the_indexes() -> None:
    before = template(T=table(A))
    wanted = template(T=table(A, B), New=table(C, D))

    first, second = indexes.steps(before, wanted)

    assert first.changes == ()
    assert (names(first, "T"), names(first, "New")) == (["a"], ["c", "d"])
    assert second == indexes.Step(wanted, (indexes.Change("adds", "T", "b"),))


def test_where_a_deployment_broke_off_the_next_goes_on() -> None:
    wanted = template(T=table(A, B, C))
    first, *rest = indexes.steps(template(T=table()), wanted)

    assert indexes.steps(first.template, wanted) == rest
    assert indexes.steps(wanted, wanted) == []


def test_an_index_that_changes_under_its_name_is_refused() -> None:
    changed = template(T=table(index("a", "KEYS_ONLY")))

    with pytest.raises(DeployError, match="T: the index a differs from the deployed one"):
        indexes.steps(template(T=table(A)), changed)


def test_a_table_taken_over_is_described_with_the_indexes_that_it_has() -> None:
    live = {**table(A, D)["Properties"], "TableStatus": "ACTIVE"}
    live["GlobalSecondaryIndexes"] = [
        {**each, "IndexStatus": "ACTIVE", "ItemCount": 7} for each in (A, D)
    ]

    taken = indexes.as_live(table(A, B), live)

    assert indexes.indexes(taken) == {"a": A, "d": D}
    assert attributes(indexes.Step({"Resources": {"T": taken}}, ()), "T") == {
        "tenant",
        "a_key",
        "d_key",
    }
