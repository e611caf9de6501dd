"""Messages that can never be carried out: told, put aside, and in nobody's way."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional import aws
from tests.functional.client import Caller
from tests.functional.sending import notices

#: What SQS lets into a body: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_FORBIDDEN = "".join(map(chr, (*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF)))
_WITHOUT = str.maketrans("", "", _FORBIDDEN)


@pytest.mark.parametrize("place", [0, 4, 9])
def test_a_message_that_the_provider_refuses_fails_alone_among_nine_good_ones(
    cloud: LocalCloud, manager: Caller, place: int
) -> None:
    to = [f"u{number}@example.com" for number in range(9)]
    to.insert(place, "poison@example.com\u0007")  # a header that no mail can have
    ids = notices.queue("reminder", *to)
    for _ in range(5):
        cloud.run_until_idle()
        cloud.advance(240)

    good = [id_ for number, id_ in enumerate(ids) if number != place]
    assert Counter(mail.job_id for mail in mailbox.sent()) == Counter(good)
    poison = manager.job(ids[place])
    assert (poison["status"], poison["attempts"]) == ("failed", 1)
    assert "control character" in poison["last_error"].lower()
    assert [each["status"] for each in manager.notifications()].count("failed") == 1
    assert aws.jobs_named_by(aws.take_messages("notify-dead")) == [ids[place]]


def test_one_address_that_ses_refuses_does_not_spoil_the_nine_beside_it(
    cloud: LocalCloud, manager: Caller
) -> None:
    faults.add(Fault("ses", kind="refuse", code="MessageRejected", times=1))
    ids = notices.queue("reminder", *[f"u{number}@example.com" for number in range(10)])
    for _ in range(5):
        cloud.run_until_idle()
        cloud.advance(240)

    told = {job_id: manager.job(job_id) for job_id in ids}
    (failed,) = (job_id for job_id, job in told.items() if job["status"] == "failed")
    assert "MessageRejected" in told[failed]["last_error"]
    assert Counter(mail.job_id for mail in mailbox.sent()) == Counter(set(ids) - {failed})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


def of_a_later_release(version: Any) -> bool:
    """Such a message is parked and not dead."""
    try:
        return int(version) > 1
    except (ValueError, TypeError, OverflowError):
        return False


@st.composite
def bodies(draw: Any) -> str:
    """Bytes, JSON, or one of our messages in which a part is something else."""
    kind = draw(st.sampled_from(["bytes", "json", "message"]))
    if kind == "bytes":
        text = draw(st.binary(min_size=1, max_size=200)).decode("utf-8", "replace")
    elif kind == "json":
        text = json.dumps(draw(JSON))
    else:
        whole = {"v": 1, "type": "people.invitation", "tenant": "t1", "job": "no-such-job"}
        name = draw(st.sampled_from(sorted(whole)))
        strange = JSON.filter(lambda value: not isinstance(value, str))
        text = json.dumps({**whole, name: draw(strange)})
        assume(not of_a_later_release(json.loads(text)["v"]))
    return text.translate(_WITHOUT) or " "


WHATEVER = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(WHATEVER, max_examples=12)
@given(body=bodies())
def test_whatever_a_body_holds_it_is_put_aside_and_the_rest_goes_on(
    cloud: LocalCloud, body: str
) -> None:
    assert_put_aside(cloud, body)


@pytest.mark.thorough
@settings(WHATEVER, max_examples=40)
@given(body=bodies())
def test_whatever_many_bodies_hold_they_are_put_aside_and_the_rest_goes_on(
    cloud: LocalCloud, body: str
) -> None:
    assert_put_aside(cloud, body)


def assert_put_aside(cloud: LocalCloud, body: str) -> None:
    cloud.reset()
    aws.put_message("notify", body)
    notices.queue("code", *[f"u{number}@example.com" for number in range(3)])
    cloud.run_until_idle()

    assert len(mailbox.sent()) == 3
    queue = cloud.state()["queues"]["notify"]
    assert queue["waiting"] == queue["in_flight"] == 0
    dead = aws.take_messages("notify-dead")
    assert dead in ([body], []), "an unknown job of ours is dropped, all else is put aside"
    if dead == []:
        assert json.loads(body)["job"] == "no-such-job"


@pytest.mark.parametrize(
    "parts",
    [
        {"v": float("inf")},
        {"tenant": "x" * 3000},
        {"job": "x" * 2000},
        {"job": "\ud800"},
        {"tenant": "t1\n"},
        {"type": "people.invitation " * 200},
    ],
    ids=lambda parts: next(iter(parts)),
)
def test_a_name_that_the_store_would_refuse_is_put_aside_not_tried_for_days(
    cloud: LocalCloud, parts: dict[str, Any]
) -> None:
    whole = {"v": 1, "type": "people.invitation", "tenant": "t1", "job": "j", **parts}
    body = json.dumps(whole)
    aws.put_message("notify", body)
    cloud.run_until_idle()

    assert aws.take_messages("notify-dead") == [body]
