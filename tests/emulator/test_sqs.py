"""SQS: what a worker relies on, in virtual time."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local import clock
from infra.local.corrections import sqs_queues
from tests.emulator.conftest import receive


def dead(queue: str) -> str:
    return queue + "-dead"


def test_a_received_message_is_hidden_until_its_visibility_ends(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    assert [m["Body"] for m in receive(sqs, queue)] == ["one"]
    assert receive(sqs, queue) == []
    clock.advance(359)
    assert receive(sqs, queue) == []
    clock.advance(2)
    again = receive(sqs, queue)
    assert again[0]["Attributes"]["ApproximateReceiveCount"] == "2"


def test_each_message_keeps_its_own_visibility(sqs: Any, queue: str) -> None:
    for body in ("short", "long"):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    handles = {m["Body"]: m["ReceiptHandle"] for m in receive(sqs, queue)}
    for body, seconds in (("short", 10), ("long", 900)):
        sqs.change_message_visibility(
            QueueUrl=queue, ReceiptHandle=handles[body], VisibilityTimeout=seconds
        )
    clock.advance(11)
    assert [m["Body"] for m in receive(sqs, queue)] == ["short"]
    clock.advance(890)
    assert {m["Body"] for m in receive(sqs, queue)} == {"short", "long"}


def test_visibility_zero_shows_the_message_at_once(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    handle = receive(sqs, queue)[0]["ReceiptHandle"]
    sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=0)
    assert len(receive(sqs, queue)) == 1


def test_a_stale_handle_deletes_nothing_and_changes_nothing(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    stale = receive(sqs, queue)[0]["ReceiptHandle"]
    clock.advance(361)
    fresh = receive(sqs, queue)[0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=stale)
    assert sqs_queues.queue_counts("jobs") == (0, 1, 0)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=stale, VisibilityTimeout=0)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=fresh)
    assert sqs_queues.queue_counts("jobs") == (0, 0, 0)


def test_a_deleted_message_may_be_deleted_again_but_not_hidden(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    handle = receive(sqs, queue)[0]["ReceiptHandle"]
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=9)


def test_the_newest_handle_still_deletes_after_its_visibility_ended(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    handle = receive(sqs, queue)[0]["ReceiptHandle"]
    clock.advance(400)
    with pytest.raises(ClientError, match="MessageNotInflight"):
        sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=9)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    assert receive(sqs, queue) == []


def test_a_handle_of_another_queue_or_of_none_is_invalid(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=dead(queue), MessageBody="one")
    foreign = receive(sqs, dead(queue))[0]["ReceiptHandle"]
    for handle in (foreign, "nonsense"):
        with pytest.raises(ClientError, match="ReceiptHandleIsInvalid"):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=handle)


def test_hiding_for_longer_than_12_hours_since_the_receive_is_refused(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    clock.advance(86_400)
    handle = receive(sqs, queue)[0]["ReceiptHandle"]
    change = {"QueueUrl": queue, "ReceiptHandle": handle, "VisibilityTimeout": 43_200}
    sqs.change_message_visibility(**change)
    clock.advance(3_600)
    with pytest.raises(ClientError, match="beyond the limit"):
        sqs.change_message_visibility(**change)


def test_a_delayed_message_shows_after_its_delay(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=900)
    assert sqs_queues.queue_counts("jobs") == (0, 0, 1)
    clock.advance(899)
    assert receive(sqs, queue) == []
    clock.advance(2)
    assert len(receive(sqs, queue)) == 1


def test_a_receive_returns_group_times_count_and_attributes(sqs: Any, queue: str) -> None:
    before = int(time.time() * 1000)
    attributes = {"trace": {"DataType": "String", "StringValue": "abc"}}
    sent = sqs.send_message(
        QueueUrl=queue, MessageBody="one", MessageGroupId="t1", MessageAttributes=attributes
    )
    clock.advance(60)
    message = receive(sqs, queue)[0]
    shown = message["Attributes"]
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert shown["MessageGroupId"] == "t1"
    assert before <= int(shown["SentTimestamp"]) < before + 5_000
    assert int(shown["ApproximateFirstReceiveTimestamp"]) >= before + 60_000
    clock.advance(361)
    second = receive(sqs, queue)[0]["Attributes"]
    assert second["SentTimestamp"] == shown["SentTimestamp"]
    assert second["ApproximateFirstReceiveTimestamp"] == shown["ApproximateFirstReceiveTimestamp"]


def test_a_worn_out_message_moves_to_the_dead_letters_as_it_was(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one", MessageGroupId="t1")
    for _ in range(3):
        first = receive(sqs, queue)[0]
        clock.advance(361)
    assert receive(sqs, queue) == []
    message = receive(sqs, dead(queue))[0]
    for name in ("MessageId", "Body"):
        assert message[name] == first[name]
    for name in ("SentTimestamp", "MessageGroupId"):
        assert message["Attributes"][name] == first["Attributes"][name]


def test_retention_counts_from_the_first_send_also_among_dead_letters(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    clock.advance(345_500)
    for _ in range(3):
        assert receive(sqs, queue, VisibilityTimeout=1)
        clock.advance(2)
    assert receive(sqs, queue) == []
    clock.advance(1_209_600 - 345_500 - 60)
    assert sqs_queues.queue_counts("jobs-dead").waiting == 1
    clock.advance(60)
    assert sqs_queues.queue_counts("jobs-dead") == (0, 0, 0)


def test_a_message_past_its_retention_is_gone(sqs: Any, queue: str) -> None:
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    clock.advance(345_601)
    assert receive(sqs, queue) == []


def test_a_batch_of_11_or_of_more_than_1_mib_is_refused_whole(sqs: Any, queue: str) -> None:
    def send(number: int, size: int) -> None:
        entries = [{"Id": str(n), "MessageBody": "x" * size} for n in range(number)]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    with pytest.raises(ClientError, match="TooManyEntries"):
        send(11, 1)
    with pytest.raises(ClientError, match="BatchRequestTooLong"):
        send(2, 524_289)
    assert sqs_queues.queue_counts("jobs") == (0, 0, 0)
    send(2, 524_288)


def test_one_bad_entry_fails_alone(sqs: Any, queue: str) -> None:
    answer = sqs.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": "good", "MessageBody": "x"}, {"Id": "bad", "MessageBody": "x\x00"}],
    )
    assert [e["Id"] for e in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"]) for e in answer["Failed"]] == [("bad", "InvalidMessageContents")]


def test_batches_of_deletes_and_changes_answer_entry_by_entry(sqs: Any, queue: str) -> None:
    for body in "ab":
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    first, second = receive(sqs, queue)
    entries = [
        {"Id": "ok", "ReceiptHandle": first["ReceiptHandle"], "VisibilityTimeout": 0},
        {"Id": "no", "ReceiptHandle": "nonsense", "VisibilityTimeout": 0},
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=queue, Entries=entries)
    assert [e["Id"] for e in answer["Successful"]] == ["ok"]
    assert [e["Id"] for e in answer["Failed"]] == ["no"]
    answer = sqs.delete_message_batch(
        QueueUrl=queue,
        Entries=[
            {"Id": "ok", "ReceiptHandle": second["ReceiptHandle"]},
            {"Id": "no", "ReceiptHandle": "nonsense"},
        ],
    )
    assert [e["Id"] for e in answer["Successful"]] == ["ok"]
    assert sqs_queues.queue_counts("jobs") == (1, 0, 0)


def test_purge_empties_the_queue_and_its_attributes_count_messages(sqs: Any, queue: str) -> None:
    for n in range(3):
        sqs.send_message(QueueUrl=queue, MessageBody=str(n), DelaySeconds=60 if n == 2 else 0)
    receive(sqs, queue, count=1)
    numbers = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert numbers["ApproximateNumberOfMessages"] == "1"
    assert numbers["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert numbers["ApproximateNumberOfMessagesDelayed"] == "1"
    sqs.purge_queue(QueueUrl=queue)
    assert sqs_queues.queue_counts("jobs") == (0, 0, 0)


def test_no_message_is_given_to_two_receivers(sqs: Any, queue: str) -> None:
    for start in range(0, 200, 10):
        entries = [{"Id": str(n), "MessageBody": str(start + n)} for n in range(10)]
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)

    def drain(_: int) -> list[str]:
        bodies: list[str] = []
        while messages := receive(sqs, queue):
            bodies += [m["Body"] for m in messages]
        return bodies

    with ThreadPoolExecutor(8) as pool:
        got = [body for bodies in pool.map(drain, range(8)) for body in bodies]
    assert sorted(map(int, got)) == list(range(200))


def test_a_fifo_queue_is_refused(sqs: Any) -> None:
    with pytest.raises(ClientError, match="UnsupportedOperation"):
        sqs.create_queue(QueueName="jobs.fifo", Attributes={"FifoQueue": "true"})
