"""The mapping delivers, deletes and brings back as Lambda's event source mapping does."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from chalice.app import Chalice, SQSEvent

from infra.local.mapping import MalformedAnswerError, mappings_of
from infra.local.poller import drain
from tests.local_cloud.world import VISIBILITY_SECONDS, World, failing


def ids(event: SQSEvent) -> list[str]:
    return [record["messageId"] for record in event.to_dict()["Records"]]


def raising(event: SQSEvent) -> object:
    raise LookupError("no such parcel")


# The event --------------------------------------------------------------------------------------


def test_a_record_has_the_form_that_lambda_gives_it(world: World) -> None:
    sent = world.sqs.send_message(
        QueueUrl=world.url,
        MessageBody="{}",
        MessageGroupId="t1",
        MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "parcel"},
            "seal": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
        },
    )
    world.mapping().poll_once(world.sqs)
    (record,) = world.records()
    attributes, handle = record.pop("attributes"), record.pop("receiptHandle")
    record.pop("md5OfMessageAttributes", None)
    assert handle
    assert record == {
        "messageId": sent["MessageId"],
        "body": "{}",
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:{world.account}:parcels",
        "awsRegion": "eu-central-1",
        "messageAttributes": {
            "kind": {
                "stringValue": "parcel",
                "dataType": "String",
                "stringListValues": [],
                "binaryListValues": [],
            },
            "seal": {
                "binaryValue": "AAE=",
                "dataType": "Binary",
                "stringListValues": [],
                "binaryListValues": [],
            },
        },
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["MessageGroupId"] == "t1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(attributes)


def test_the_context_has_the_function_s_name_and_the_remaining_time(world: World) -> None:
    world.send("a")
    world.mapping().poll_once(world.sqs)
    context: Any = world.events[0].context
    assert context.function_name == "shop-local-pack"
    assert context.invoked_function_arn.endswith(f":{world.account}:function:shop-local-pack")
    assert 50_000 < context.get_remaining_time_in_millis() <= 60_000
    world.clock.shift(3600)
    assert context.get_remaining_time_in_millis() > 50_000  # moving the clock does not shorten it


def test_a_batch_holds_at_most_the_batch_size(world: World) -> None:
    world.send(*"abcde")
    mapping = replace(world.mapping(), batch_size=2)
    assert drain([mapping], world.sqs) == 5
    assert sorted(len(batch) for batch in world.delivered()) == [1, 2, 2]


def test_a_batch_of_more_than_ten_is_gathered_within_its_window(world: World) -> None:
    world.send(*map(str, range(25)))
    mapping = replace(world.mapping(), batch_size=20, batching_window_seconds=1)
    assert drain([mapping], world.sqs) == 25
    assert [len(batch) for batch in world.delivered()] == [20, 5]
    assert world.left() == 0


# What becomes of the messages --------------------------------------------------------------------


def test_a_function_that_returns_has_its_batch_deleted(world: World) -> None:
    world.send("a", "b")
    assert world.mapping().poll_once(world.sqs) == 2
    assert world.left() == 0


@pytest.mark.parametrize("report", [False, True])
def test_a_function_that_raises_gets_its_whole_batch_again_when_visibility_ends(
    world: World, *, report: bool
) -> None:
    world.send("a", "b")
    world.answer = raising
    mapping = world.mapping(report=report)
    assert drain([mapping], world.sqs) == 2
    assert [type(error) for error in world.errors] == [LookupError]
    assert world.count("NotVisible") == 2
    world.clock.shift(VISIBILITY_SECONDS + 1)
    assert drain([mapping], world.sqs) == 2
    assert sorted(itertools.chain(*world.delivered())) == ["a", "a", "b", "b"]


def test_the_receive_count_rises_with_each_delivery_until_the_message_is_dead(world: World) -> None:
    world.send("a")
    world.answer = raising
    world.until_nothing_comes_back(world.mapping())
    counts = [record["attributes"]["ApproximateReceiveCount"] for record in world.records()]
    assert counts == ["1", "2", "3", "4"]
    assert (world.left(), world.dead()) == (0, ["a"])


def test_a_function_that_exits_its_process_counts_as_failed(world: World) -> None:
    world.send("a")

    def leaving(event: SQSEvent) -> object:
        raise SystemExit(1)

    world.answer = leaving
    world.mapping().poll_once(world.sqs)
    assert world.left() == 1
    assert [type(error) for error in world.errors] == [SystemExit]


def test_an_answer_that_is_not_json_counts_as_failed(world: World) -> None:
    world.send("a")
    world.answer = lambda event: {"at": datetime.now(UTC)}
    world.mapping().poll_once(world.sqs)
    assert world.left() == 1
    assert isinstance(world.errors[0], TypeError)


def test_only_the_failures_named_come_back_when_the_mapping_reports_them(world: World) -> None:
    world.send("a", "b", "c")
    world.answer = lambda event: failing(ids(event)[1:2])
    world.mapping(report=True).poll_once(world.sqs)
    assert (world.left(), world.errors) == (1, [])


def test_failures_named_are_lost_when_the_mapping_does_not_report_them(world: World) -> None:
    world.send("a", "b")
    world.answer = lambda event: failing(ids(event))
    world.mapping().poll_once(world.sqs)
    assert world.left() == 0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        {"batchItemFailures": []},
        {"batchItemFailures": None},
        {"packed": 2},
    ],
)
def test_an_empty_answer_means_that_all_succeeded(world: World, answer: object) -> None:
    world.send("a", "b")
    world.answer = lambda event: answer
    world.mapping(report=True).poll_once(world.sqs)
    assert world.left() == 0


@pytest.mark.parametrize(
    "answer",
    [
        failing([""]),
        failing([None]),
        failing([7]),
        failing(["of another batch"]),
        {"batchItemFailures": [{"itemIdentifer": "misspelt"}]},
        {"batchItemFailures": ["x"]},
        {"batchItemFailures": "x"},
        {"batchItemFailures": {"x": 1}},
        "failed",
        ["x"],
        7,
    ],
)
def test_a_malformed_answer_means_that_all_failed(world: World, answer: object) -> None:
    world.send("a", "b")
    world.answer = lambda event: answer
    world.mapping(report=True).poll_once(world.sqs)
    assert world.left() == 2
    assert [type(error) for error in world.errors] == [MalformedAnswerError]


def test_one_unknown_id_among_good_ones_fails_the_whole_batch(world: World) -> None:
    world.send("a", "b")
    world.answer = lambda event: failing([ids(event)[0], "of another batch"])
    world.mapping(report=True).poll_once(world.sqs)
    assert world.left() == 2
    assert [type(error) for error in world.errors] == [MalformedAnswerError]


# Draining ----------------------------------------------------------------------------------------


def test_draining_delivers_also_what_a_function_sends_meanwhile(world: World) -> None:
    def passing_on(event: SQSEvent) -> None:
        for record in event:
            world.send(*([str(int(record.body) - 1)] if record.body != "0" else []))

    world.answer = passing_on
    world.send("3")
    assert drain([world.mapping()], world.sqs) == 4
    assert world.delivered() == [["3"], ["2"], ["1"], ["0"]]


def test_draining_an_empty_queue_returns_at_once(world: World) -> None:
    assert drain([world.mapping()], world.sqs) == 0


def test_a_queue_that_cannot_be_reached_is_reported_and_delivers_nothing(world: World) -> None:
    mapping = world.mapping()
    world.sqs.delete_queue(QueueUrl=world.url)
    assert drain([mapping], world.sqs) == 0
    assert [type(error).__name__ for error in world.errors] == ["QueueDoesNotExist"]


def test_messages_that_cannot_be_deleted_are_reported(world: World) -> None:
    world.send("a")
    world.answer = lambda event: world.sqs.delete_queue(QueueUrl=world.url) and None
    assert world.mapping().poll_once(world.sqs) == 1
    (error,) = world.errors
    assert str(error).startswith("not deleted: ")


# What is derived from the app --------------------------------------------------------------------


def test_every_setting_of_the_decorator_reaches_the_mapping(world: World) -> None:
    app = Chalice("shop")
    app.on_sqs_message(
        queue="parcels",
        name="few",
        batch_size=3,
        maximum_concurrency=7,
        maximum_batching_window_in_seconds=2,
    )(lambda event: None)
    app.on_sqs_message(
        queue_arn=f"arn:aws:sqs:eu-central-1:{world.account}:parcels-dead", name="dead"
    )(lambda event: None)
    few, dead = mappings_of(
        app, world.sqs, stage="dev", function_timeout_seconds=20, default_concurrency=4
    )
    assert (few.queue_name, few.queue_url, few.batch_size) == ("parcels", world.url, 3)
    assert (few.concurrency, few.batching_window_seconds) == (7, 2)
    assert (few.function_name, few.visibility_timeout_seconds) == ("shop-dev-few", 360)
    assert (dead.queue_name, dead.batch_size, dead.concurrency) == ("parcels-dead", 1, 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"function_timeout_seconds": 361}, "visibility timeout is shorter"),
        ({"batch_size": 11}, "needs a batching window"),
    ],
)
def test_what_lambda_would_refuse_is_refused(
    world: World, change: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        replace(world.mapping(), **change)  # type: ignore[arg-type]
