"""The speedups of queries give the answers that moto gives."""

import itertools
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import Item
from moto.dynamodb.models.table import Table

from infra.local import emulator
from infra.local.speedups import query_planner, sorted_index
from tests.emulator.conftest import TABLE

Query = dict[str, Any]
ROWS = 48


@pytest.fixture
def rows(dynamodb: Any) -> None:
    shuffled = random.Random(7).sample(range(ROWS), ROWS)
    for start in range(0, ROWS, 24):
        requests = [{"PutRequest": {"Item": row(n)}} for n in shuffled[start : start + 24]]
        dynamodb.batch_write_item(RequestItems={TABLE: requests})


def row(number: int) -> dict[str, Any]:
    item: dict[str, Any] = {
        "tenant": {"S": f"t{number % 3}"},
        "sk": {"S": f"{'job' if number % 2 else 'person'}#{number:03}"},
        "n": {"N": str(number)},
        "tags": {"SS": ["a", "b"]},
        "raw": {"B": bytes([number])},
        "deep": {"M": {"list": {"L": [{"S": "é"}, {"BOOL": True}, {"NULL": True}]}}},
    }
    if number % 5:
        item["name_key"] = {"S": f"name{number % 7}"}
    if number % 4:
        item |= {"due_shard": {"S": "s"}, "due_at": {"N": str(number % 11)}, "queue": {"S": "work"}}
    return item


def key(condition: str, index: str | None = None, **values: Any) -> Query:
    query: Query = {
        "TableName": TABLE,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }
    return query | ({"IndexName": index} if index else {})


T1, S = {"S": "t1"}, {"S": "s"}
QUERIES: dict[str, Query] = {
    "a partition": key("tenant = :t", t=T1),
    "an absent partition": key("tenant = :t", t={"S": "none"}),
    "a prefix": key("tenant = :t AND begins_with(sk, :p)", t=T1, p={"S": "person#"}),
    "between": key(
        "tenant = :t AND sk BETWEEN :a AND :b", t=T1, a={"S": "job#0"}, b={"S": "job#05"}
    ),
    "less": key("tenant = :t AND sk < :a", t=T1, a={"S": "job#031"}),
    "at most": key("tenant = :t AND sk <= :a", t=T1, a={"S": "job#031"}),
    "more": key("tenant = :t AND sk > :a", t=T1, a={"S": "job#031"}),
    "at least": key("tenant = :t AND sk >= :a", t=T1, a={"S": "job#031"}),
    "equal": key("tenant = :t AND sk = :a", t=T1, a={"S": "job#031"}),
    "an index": key("tenant = :t", "name", t=T1),
    "an index by prefix": key(
        "tenant = :t AND begins_with(name_key, :p)", "name", t=T1, p={"S": "name3"}
    ),
    "an index by number": key("due_shard = :s AND due_at <= :d", "due", s=S, d={"N": "6"}),
    "an index between numbers": key(
        "due_shard = :s AND due_at BETWEEN :a AND :b", "due", s=S, a={"N": "2"}, b={"N": "10"}
    ),
    "an index as a whole": key("due_shard = :s", "due", s=S),
    "a filter": key("tenant = :t", t=T1, n={"N": "20"}) | {"FilterExpression": "n > :n"},
    "some attributes": key("tenant = :t", t=T1) | {"ProjectionExpression": "sk,deep.list,n"},
    "a count": key("tenant = :t", t=T1) | {"Select": "COUNT"},
}


def pages(dynamodb: Any, query: Query) -> list[Any]:
    """All pages, at most 100, without the metadata, which differs by call."""
    answers: list[Any] = []
    start: dict[str, Any] = {}
    while len(answers) < 100:
        answer = dynamodb.query(**query, **start)
        del answer["ResponseMetadata"]
        answers.append(answer)
        if "LastEvaluatedKey" not in answer:
            return answers
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
    raise AssertionError("The pages do not end")


def all_ways(dynamodb: Any, query: Query) -> list[Any]:
    ways = itertools.product((True, False), ({}, {"Limit": 5}))
    return [pages(dynamodb, query | {"ScanIndexForward": f} | limit) for f, limit in ways]


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_gives_the_same_pages_as_motos(
    dynamodb: Any, rows: None, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    ours = all_ways(dynamodb, query)
    counts = [sum(page["Count"] for page in answer) for answer in ours]
    assert all(counts) or query == QUERIES["an absent partition"]
    monkeypatch.setattr(Table, "query", query_planner._moto_query)
    monkeypatch.setattr(Item, "project", query_planner._moto_project)
    assert ours == all_ways(dynamodb, query)


def test_a_page_ends_at_one_megabyte(dynamodb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        item = {"tenant": {"S": "big"}, "sk": {"S": str(number)}, "text": {"S": "x" * 300_000}}
        dynamodb.put_item(TableName=TABLE, Item=item)
    query = key("tenant = :t", t={"S": "big"})
    ours = pages(dynamodb, query)
    assert [page["Count"] for page in ours] == [3, 3, 2]
    monkeypatch.setattr(Table, "query", query_planner._moto_query)
    assert ours == pages(dynamodb, query)


def test_the_sorted_index_follows_every_kind_of_write(dynamodb: Any, rows: None) -> None:
    chance = random.Random(11)
    for step in range(150):
        item = row(chance.randrange(ROWS))
        place = {name: item[name] for name in ("tenant", "sk")}
        change = {
            "TableName": TABLE,
            "Key": place,
            "UpdateExpression": "SET due_at = :d, due_shard = :s REMOVE name_key",
            "ExpressionAttributeValues": {":d": {"N": str(step)}, ":s": {"S": "s"}},
        }
        never = {"TableName": TABLE, "Key": {"tenant": {"S": "x"}, "sk": {"S": "x"}}}
        match step % 5:
            case 0:
                dynamodb.put_item(TableName=TABLE, Item=item)
            case 1:
                dynamodb.delete_item(TableName=TABLE, Key=place)
            case 2:
                dynamodb.update_item(**change)
            case 3:
                dynamodb.transact_write_items(TransactItems=[{"Update": change}])
            case 4:
                fault = {"UpdateExpression": "ADD n :s", "ExpressionAttributeValues": {":s": S}}
                with pytest.raises(ClientError):
                    dynamodb.transact_write_items(
                        TransactItems=[{"Update": change}, {"Update": never | fault}]
                    )
    table = dynamodb_backends[emulator.ACCOUNT_ID][emulator.REGION].tables[TABLE]
    kept, rebuilt = sorted_index.of(table), sorted_index.SortedIndex(table)
    assert len(rebuilt._partitions) > 3
    for name, partition in rebuilt._partitions.items():
        assert kept._partitions[name].keys == partition.keys
        assert kept._partitions[name].items == partition.items
    emptied = kept._partitions.keys() - rebuilt._partitions.keys()
    assert [kept._partitions[name].items for name in emptied] == [[]] * len(emptied)
    assert kept._places.keys() == rebuilt._places.keys()


def test_a_key_of_an_index_must_have_its_type(dynamodb: Any, rows: None) -> None:
    wrong = row(1) | {"due_at": {"S": "soon"}}
    with pytest.raises(ClientError, match="Type mismatch"):
        dynamodb.put_item(TableName=TABLE, Item=wrong)
    with pytest.raises(ClientError, match="Type mismatch"):
        dynamodb.update_item(
            TableName=TABLE,
            Key={name: wrong[name] for name in ("tenant", "sk")},
            UpdateExpression="SET due_at = :d",
            ExpressionAttributeValues={":d": {"S": "soon"}},
        )
    answer = dynamodb.query(**key("tenant = :t AND sk = :s", t=row(1)["tenant"], s=row(1)["sk"]))
    assert answer["Items"] == [row(1)]


def test_a_deleted_start_key_still_marks_the_beginning_of_the_next_page(
    dynamodb: Any, rows: None
) -> None:
    query = key("tenant = :t", t=T1) | {"Limit": 5}
    first = dynamodb.query(**query)
    following = dynamodb.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    dynamodb.delete_item(TableName=TABLE, Key=first["LastEvaluatedKey"])
    again = dynamodb.query(**query, ExclusiveStartKey=first["LastEvaluatedKey"])
    assert again["Items"] == following["Items"]


def test_an_answer_does_not_change_with_the_item(dynamodb: Any, rows: None) -> None:
    query = key("tenant = :t", "due", t=T1) | {"IndexName": "name", "Limit": 1}
    before = dynamodb.query(**query)["Items"][0]
    dynamodb.update_item(
        TableName=TABLE,
        Key={name: before[name] for name in ("tenant", "sk")},
        UpdateExpression="SET deep.#l[0] = :v REMOVE name_key",
        ExpressionAttributeNames={"#l": "list"},
        ExpressionAttributeValues={":v": {"S": "changed"}},
    )
    assert before["deep"]["M"]["list"]["L"][0] == {"S": "é"}
    assert dynamodb.query(**query)["Items"][0] != before
