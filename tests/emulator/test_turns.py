"""Message groups take turns, as a model of SQS's fair queues: a backlog of one delays no other."""

from typing import Any

from infra.local.corrections import sqs_message
from infra.local.corrections.message_store import MessageStore, StoredMessage
from tests.emulator.conftest import receive


def send(sqs: Any, queue: str, *bodies: str, group: str | None = None) -> None:
    for body in bodies:
        sqs.send_message(
            QueueUrl=queue, MessageBody=body, **({"MessageGroupId": group} if group else {})
        )


def received(sqs: Any, queue: str, count: int = 10, **more: Any) -> list[str]:
    return [message["Body"] for message in receive(sqs, queue, count, **more)]


def test_a_group_with_a_backlog_has_one_turn_for_each_of_the_others(sqs: Any, queue: str) -> None:
    send(sqs, queue, *(f"noisy {n}" for n in range(6)), group="noisy")
    send(sqs, queue, "quiet 0", "quiet 1", group="quiet")
    send(sqs, queue, "late 0", group="late")

    assert received(sqs, queue) == [
        *("noisy 0", "quiet 0", "late 0"),
        *("noisy 1", "quiet 1"),
        *("noisy 2", "noisy 3", "noisy 4", "noisy 5"),
    ]


def test_turns_go_on_from_one_receive_to_the_next(sqs: Any, queue: str) -> None:
    send(sqs, queue, "a0", "a1", "a2", group="a")
    send(sqs, queue, "b0", "b1", "b2", group="b")

    assert [received(sqs, queue, 1) for _ in range(3)] == [["a0"], ["b0"], ["a1"]]
    send(sqs, queue, "c0", group="c")
    assert received(sqs, queue) == ["b1", "a2", "c0", "b2"]


def test_without_groups_the_oldest_comes_first_and_each_is_a_group_of_its_own(
    sqs: Any, queue: str
) -> None:
    send(sqs, queue, "noisy 0", "noisy 1", group="noisy")
    send(sqs, queue, "0", "1", "2")

    assert received(sqs, queue) == ["noisy 0", "0", "1", "2", "noisy 1"]


def test_a_message_that_comes_back_is_behind_the_others_of_its_group(sqs: Any, queue: str) -> None:
    send(sqs, queue, "a0", "a1", group="a")
    send(sqs, queue, "b0", group="b")

    assert received(sqs, queue, 1, VisibilityTimeout=0) == ["a0"]
    assert received(sqs, queue) == ["b0", "a1", "a0"]


def test_messages_that_are_removed_while_they_wait_change_no_turns() -> None:
    store = MessageStore()
    messages = [message(f"{group}{n}", group) for group in "abc" for n in range(100)]
    for each in messages:
        store.add(each)
    for each in messages:
        if each.group_id == "b" or not each.body.endswith("7"):
            store.remove(each)

    taken = [each.body for each in iter(store.take, None)]
    assert taken == [f"{group}{n}" for n in range(7, 100, 10) for group in "ac"]


def message(body: str, group: str) -> StoredMessage:
    made: Any = sqs_message.new_message(body, {}, {}, group)
    made.expires_at = float("inf")
    stored: StoredMessage = made
    return stored
