"""Time to live: what is past it is deleted when the clock is moved, and nothing else is."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from chalice.app import Chalice, Rate

from infra.local import clock, conflicts, faults
from infra.local.faults import Fault
from infra.local.schedules import Schedules
from tests.emulator.conftest import TABLE
from tests.emulator.test_conflicts import held
from tests.emulator.test_transactions import key, read

HOUR, YEAR = 3600, 365 * 86_400


@pytest.fixture(autouse=True)
def _time_to_live(dynamodb: Any) -> Iterator[None]:
    _switch(dynamodb, enabled=True)
    yield
    _switch(dynamodb, enabled=False)


def _switch(dynamodb: Any, *, enabled: bool) -> None:
    specification = {"Enabled": enabled, "AttributeName": "expires_at"}
    dynamodb.update_time_to_live(TableName=TABLE, TimeToLiveSpecification=specification)


def write(dynamodb: Any, sk: str, expires_at: Any) -> None:
    dynamodb.put_item(TableName=TABLE, Item=key(sk) | {"expires_at": expires_at})


def from_now(seconds: float) -> dict[str, str]:
    return {"N": str(int(time.time() + seconds))}


def left(dynamodb: Any) -> set[str]:
    """By a query, which reads the sorted index."""
    answer = dynamodb.query(
        TableName=TABLE,
        KeyConditionExpression="tenant = :t",
        ExpressionAttributeValues={":t": {"S": "t1"}},
    )
    return {item["sk"]["S"] for item in answer["Items"]}


def test_what_is_past_its_time_is_deleted_when_the_clock_moves(dynamodb: Any) -> None:
    write(dynamodb, "soon", from_now(HOUR))
    write(dynamodb, "later", from_now(3 * HOUR))
    dynamodb.put_item(TableName=TABLE, Item=key("lasting"))
    clock.advance(HOUR - 60)
    assert left(dynamodb) == {"soon", "later", "lasting"}
    clock.advance(120)
    assert left(dynamodb) == {"later", "lasting"}
    assert read(dynamodb, "soon") is None


def test_no_time_to_live_but_a_number_of_the_last_five_years_counts(dynamodb: Any) -> None:
    write(dynamodb, "text", {"S": "1"})
    write(dynamodb, "of 1970", {"N": "100"})
    write(dynamodb, "six years ago", from_now(-6 * YEAR))
    write(dynamodb, "four years ago", from_now(-4 * YEAR))
    clock.advance(1)
    assert left(dynamodb) == {"text", "of 1970", "six years ago"}


def test_a_table_without_it_keeps_everything(dynamodb: Any) -> None:
    write(dynamodb, "past", from_now(-HOUR))
    _switch(dynamodb, enabled=False)
    clock.advance(1)
    assert left(dynamodb) == {"past"}


def test_what_a_transaction_holds_is_deleted_another_time(dynamodb: Any) -> None:
    faults.add(Fault("dynamodb", kind="conflicts"))
    write(dynamodb, "held", from_now(-HOUR))
    with held("held"):
        clock.advance(1)
        assert left(dynamodb) == {"held"}
    clock.advance(1)
    assert left(dynamodb) == set()
    assert conflicts.refused() == {}


def test_the_schedules_that_fall_due_find_it_deleted(dynamodb: Any) -> None:
    seen = []
    app = Chalice("app")

    @app.schedule(Rate(1, unit=Rate.HOURS))
    def look(event: Any) -> None:
        seen.append(left(dynamodb))

    schedules = Schedules(app, clock.now())
    write(dynamodb, "soon", from_now(HOUR))
    write(dynamodb, "later", from_now(3 * HOUR))
    schedules.fire_after(lambda: clock.advance(2 * HOUR), clock.now)
    assert seen == [{"later"}]
