"""PartiQL as the application writes it, from the actions and conditions that UpdateItem takes."""

from typing import Any

import pytest

from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.store import batch_update
from chalicelib.kernel.store.batch_update import Change

TABLE = Job.Meta.table_name


def written(actions: list[Any], condition: Any, *, read: bool = False) -> tuple[str, list[Any]]:
    (statement,) = batch_update._statements(
        [Change(Job("t1", "job#1"), actions, condition)], read=read
    )
    return statement["Statement"], statement["Parameters"]


def test_what_is_set_and_removed_comes_before_the_key_and_the_condition_after_it() -> None:
    actions = [Job.status.set("done"), Job.due_at.remove()]

    text, parameters = written(actions, Job.claim_token == "mine")

    assert text == (
        f'UPDATE "{TABLE}" SET "status" = ? REMOVE "due_at"'
        ' WHERE "tenant" = ? AND "sk" = ? AND "claim_token" = ?'
    )
    assert parameters == [{"S": "done"}, {"S": "t1"}, {"S": "job#1"}, {"S": "mine"}]


def test_a_count_is_changed_where_it_is_and_what_is_not_there_is_missing() -> None:
    condition = (Job.status == "queued") & Job.not_before.does_not_exist() & (Job.holds <= 3)
    text, parameters = written(
        [Job.attempts.set(Job.attempts + 1), Job.holds.set(Job.holds - 1)], condition, read=True
    )

    assert text == (
        f'UPDATE "{TABLE}" SET "attempts" = "attempts" + ? SET "holds" = "holds" - ?'
        ' WHERE "tenant" = ? AND "sk" = ?'
        ' AND "status" = ? AND "not_before" IS MISSING AND "holds" <= ? RETURNING ALL NEW *'
    )
    assert parameters == [
        *({"N": "1"}, {"N": "1"}, {"S": "t1"}, {"S": "job#1"}, {"S": "queued"}, {"N": "3"}),
    ]


def test_lists_and_maps_go_as_they_are_stored() -> None:
    _, parameters = written([Job.history.set([{"outcome": "done"}])], Job.status == "running")

    assert parameters[0] == {"L": [{"M": {"outcome": {"S": "done"}}}]}


def test_changes_that_share_their_actions_are_made_of_rows_of_their_own() -> None:
    actions, condition = [Job.status.set("running")], Job.status == "queued"
    rows = [Job("t1", "job#1"), Job("t2", "job#2")]
    first, second = batch_update._statements(
        [Change(row, actions, condition) for row in rows], read=False
    )

    assert first["Statement"] == second["Statement"]
    assert [each["Parameters"][1:3] for each in (first, second)] == [
        [{"S": "t1"}, {"S": "job#1"}],
        [{"S": "t2"}, {"S": "job#2"}],
    ]


@pytest.mark.parametrize(
    "condition",
    [
        (Job.status == "queued") | (Job.status == "running"),
        Job.status.is_in("queued", "running"),
        ~(Job.status == "queued"),
        Job.status.startswith("q"),
    ],
)
def test_a_condition_that_could_be_understood_in_two_ways_is_not_written(condition: Any) -> None:
    with pytest.raises(ValueError, match="no statement"):
        written([Job.status.set("done")], condition)
