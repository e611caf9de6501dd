"""The small parts of a local cloud."""

import io
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from chalice.app import Chalice

from chalicelib.kernel.jobs.worker import BatchIncomplete
from infra.local import clock, environment, log
from infra.local.activity import Activity
from infra.local.cloud import UnknownSourceError, refuse_unknown_sources
from infra.local.cloud_state import state_of
from infra.local.executions import Executions
from infra.local.mapping import mappings_of
from infra.local.schedules import Schedules
from tests.local_cloud.world import World

PATIENCE = 20  # seconds; the time limit of every wait


# The app's event sources -------------------------------------------------------------------------


def test_queues_and_schedules_are_supported() -> None:
    app = Chalice("shop")
    app.on_sqs_message(queue="parcels")(lambda event: None)
    app.schedule("rate(1 minute)", name="sweep")(lambda event: None)
    refuse_unknown_sources(app)


@pytest.mark.parametrize(
    ("method", "arguments", "kind"),
    [
        ("on_sns_message", {"topic": "t"}, "SNSEvent"),
        ("on_s3_event", {"bucket": "b"}, "S3Event"),
        ("on_dynamodb_record", {"stream_arn": "a"}, "DynamoDBEvent"),
        ("on_cw_event", {"event_pattern": {}}, "CloudWatchEvent"),
    ],
)
def test_any_other_event_source_is_refused_by_name(
    method: str, arguments: dict[str, Any], kind: str
) -> None:
    app = Chalice("shop")
    getattr(app, method)(name="feed", **arguments)(lambda event: None)
    with pytest.raises(UnknownSourceError, match=f"^feed in app.py waits for a {kind}; "):
        refuse_unknown_sources(app)


def test_a_function_times_out_with_the_visibility_of_a_queue_that_hides_for_less_than_a_minute(
    world: World,
) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.url, Attributes={"VisibilityTimeout": "5"})
    (mapping,) = mappings_of(world.app, world.sqs)
    assert mapping.function_timeout_seconds == 5


# The state ---------------------------------------------------------------------------------------


def idle(world: World, *, external: bool = False) -> bool:
    schedules = Schedules(Chalice("shop"), clock.now())
    return state_of([world.mapping()], schedules, Executions({}), has_external_workers=external)[
        "idle"
    ]


def test_it_is_idle_when_nothing_waits(world: World) -> None:
    assert idle(world)
    world.send("a")
    assert not idle(world)


def test_a_message_hidden_until_its_next_try_does_not_count_as_work(world: World) -> None:
    world.send("a")
    world.sqs.receive_message(QueueUrl=world.url)
    assert idle(world)


def test_a_message_in_flight_may_be_worked_by_another_process(world: World) -> None:
    world.send("a")
    world.sqs.receive_message(QueueUrl=world.url)
    assert not idle(world, external=True)


def test_it_is_not_idle_while_an_invocation_is_under_way(world: World) -> None:
    seen: list[bool] = []
    schedules = Schedules(Chalice("shop"), clock.now())
    mapping = world.mapping()
    world.answer = lambda event: seen.append(
        state_of([mapping], schedules, Executions({}), has_external_workers=False)["idle"]
    )
    world.send("a")
    mapping.poll_once(world.sqs)
    assert seen == [False]


def test_waiting_for_activity_to_end_gives_up_in_time() -> None:
    activity = Activity()
    with activity:
        assert not activity.wait_until_none(0.01)
        waiting = threading.Thread(target=activity.wait_until_none, args=[PATIENCE])
        waiting.start()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert (activity.under_way, activity.begun) == (0, 1)


# The environment ---------------------------------------------------------------------------------


def test_the_shells_own_aws_settings_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {"AWS_PROFILE": "mine", "AWS_ENDPOINT_URL_SQS": "http://x"})
    environment.shut_out_aws()
    assert os.environ.keys() & {"AWS_PROFILE", "AWS_ENDPOINT_URL_SQS"} == set()
    assert os.environ["AWS_DEFAULT_REGION"] == "eu-central-1"


def test_settings_that_hold_the_parts_together_are_the_local_clouds_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables = {"STAGE": "prod", "PUBLIC_URL": "https://live.example", "SMS_ENABLED": "false"}
    monkeypatch.setattr(os, "environ", variables)
    environment.describe("http://127.0.0.1:8000", LEASE_SECONDS="5")
    assert (os.environ["STAGE"], os.environ["PUBLIC_URL"]) == ("local", "http://127.0.0.1:8000")
    assert (os.environ["SMS_ENABLED"], os.environ["LEASE_SECONDS"]) == ("false", "5")


# The log -----------------------------------------------------------------------------------------


def line(message: str, **extra: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", **extra})
    return log.Readable(colour=False).format(record).split("  ", 1)[1]


def test_requests_jobs_and_everything_else_are_one_line() -> None:
    request: dict[str, object] = {
        "status": 201,
        "method": "POST",
        "route": "/v1/x",
        "ms": 9.4,
        "aws_calls": 1,
    }
    assert line("request", **request) == "201 POST   /v1/x  9.4 ms  1 AWS call"
    job: dict[str, object] = {
        "type": "people.invitation",
        "channel": "sms",
        "outcome": "held",
        "attempt": 2,
        "ms": 5,
    }
    assert line("job", **job) == "job people.invitation (sms)  held  attempt 2  5 ms"
    assert line("push left to the sweep", queue="notify") == "push left to the sweep  queue=notify"
    assert line("request") == "request"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.Readable(colour=False))
    logger = logging.getLogger("infra")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (BatchIncomplete("1 of 2 messages wait for another try"), "notify: 1 of 2 messages wait"),
        (ClientError({"Error": {"Code": "Throttled"}}, "SendMessage"), "notify: An error occurred"),
    ],
)
def test_what_is_expected_or_refused_by_aws_is_one_line(
    logged: io.StringIO, error: Exception, text: str
) -> None:
    log.failure("notify", error)
    assert text in logged.getvalue()
    assert logged.getvalue().count("\n") == 1


def raise_it(error: Exception) -> None:
    raise error


def test_a_bug_is_logged_with_its_traceback(logged: io.StringIO) -> None:
    try:
        raise_it(KeyError("parcel"))
    except KeyError as error:
        log.failure("notify", error)
    assert "notify failed: KeyError('parcel')\nTraceback" in logged.getvalue()
