"""Jobs, notices, templates and sample events name each other, and every name leads somewhere."""

import ast
import hashlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chalice.app import LambdaFunction, ScheduledEventConfig, SQSEventConfig
from jinja2.meta import find_undeclared_variables

from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.jobs.registry import Declared
from chalicelib.kernel.notify import render, sms
from chalicelib.kernel.notify.notices import enqueue as enqueue_notice
from chalicelib.kernel.settings import settings
from chalicelib.kernel.templates import environment
from tests.contract.source import ROOT, import_everything, modules

import_everything()

EVENTS = ROOT / "events"
#: Parameters of `enqueue` itself, which are no arguments of the job.
OF_ENQUEUE = {
    *inspect.signature(enqueue_notice).parameters,
    *inspect.signature(Transaction.enqueue).parameters,
}
PARTS = {"email": render.EMAIL_PARTS, "sms": render.SMS_PARTS}

HOSTILE = "Ann\n<b>Example</b> {{7*7}}"
#: What templates get for these names, whose kind or length matters; for any other it is HOSTILE.
VALUES: dict[str, Any] = {
    "link": f"https://backburner.example/api/invitations/accept?token={'x' * 90}",
    "days": 7,
    "users": 50,
}


def declared() -> list[Declared]:
    """Every job and notice of chalicelib."""
    packages = {module.domain for module in modules("chalicelib")}
    everything = registry._declared.values()
    return [each for each in everything if each.name.partition(".")[0] in packages]


def notices() -> list[Declared]:
    return [each for each in declared() if each.channels]


def named(item: Any) -> str:
    return item.name if isinstance(item, Declared) else str(item)


def enqueued() -> Iterator[tuple[str, str, ast.Call]]:
    """(module, job's name, call) of every `enqueue` with a name written out."""
    for module in modules("chalicelib"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("enqueue"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                        yield module.name, argument.value, node


def test_there_is_something_to_check() -> None:
    assert {"people.invitation"} <= {each.name for each in declared()}
    assert {"people.invitation"} <= {name for _, name, _ in enqueued()}


def test_every_enqueued_name_is_declared_and_gets_the_arguments_it_takes() -> None:
    for module, name, call in enqueued():
        job = registry.find(name)
        function = getattr(job.run, "build", job.run)
        takes = [
            each
            for each in inspect.signature(function).parameters.values()
            if each.kind is each.KEYWORD_ONLY
        ]
        given = {keyword.arg for keyword in call.keywords} - OF_ENQUEUE
        assert given == {each.name for each in takes if each.default is each.empty} | (
            given & {each.name for each in takes}
        ), f"{module} enqueues {name} with {given}"


def test_a_worker_that_has_just_started_finds_every_job_by_its_name() -> None:
    """Nothing is imported there yet: a job stands in its domain's `jobs` or `notices`."""
    names = [each.name for each in declared()]
    code = f"import sys, {registry.__name__} as jobs; [jobs.find(name) for name in sys.argv[1:]]"
    run = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("job", declared(), ids=named)
def test_every_job_has_a_queue_and_ends_within_its_lease(job: Declared) -> None:
    assert job.queue in registry.QUEUES
    assert job.tries >= 1
    assert 0 < job.timeout_seconds <= 60 <= settings.lease_seconds


@pytest.mark.parametrize("notice", notices(), ids=named)
def test_every_notice_has_the_templates_of_its_channels_and_no_others(notice: Declared) -> None:
    domain, _, name = notice.name.partition(".")
    folder = ROOT / "chalicelib" / domain / "templates" / name
    wanted = {part for channel in notice.channels for part in PARTS[channel]}

    assert {path.name for path in folder.iterdir()} == wanted


@pytest.mark.parametrize("notice", notices(), ids=named)
def test_templates_render_values_as_text(notice: Declared) -> None:
    domain, _, name = notice.name.partition(".")
    package = f"chalicelib.{domain}"

    if "email" in notice.channels:
        mail = render.email(package, name, values_of(package, name, render.EMAIL_PARTS))
        assert mail.subject
        assert "\n" not in mail.subject
        assert "<b>" not in mail.html
        assert "49" not in mail.text
    if "sms" in notice.channels:
        text = render.sms(package, name, values_of(package, name, render.SMS_PARTS))
        assert "\n" not in text
        assert sms.segments(text).count <= settings.sms_max_segments


def values_of(package: str, notice: str, parts: tuple[str, ...]) -> dict[str, Any]:
    """A value for each name that these templates use: a new notice is rendered with no edit here.

    The name of what is no text, such as a list that a template goes through, belongs in VALUES.
    """
    templates = environment(package)
    names: set[str] = set()
    for part in parts:
        source = (ROOT / package.replace(".", "/") / "templates" / notice / part).read_text()
        names |= find_undeclared_variables(templates.parse(source))
    return {name: VALUES.get(name, HOSTILE) for name in names}


def functions() -> dict[str, type]:
    """The app's functions that events start, and the kind of their event."""
    import app

    kinds = (SQSEventConfig, ScheduledEventConfig)
    found = {each.name: type(each) for each in app.app.event_sources if isinstance(each, kinds)}
    found |= {each.name: type(each) for each in app.app.websocket_handlers.values()}
    return found | {each.name: LambdaFunction for each in app.app.pure_lambda_functions}


def samples() -> list[Path]:
    return sorted(EVENTS.glob("*/*.json"))


def sample_name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("function", sorted(functions()))
def test_every_function_that_events_start_has_a_sample_event(function: str) -> None:
    assert list((EVENTS / function).glob("*.json"))


def test_no_sample_event_is_of_a_function_that_is_gone() -> None:
    by_http = {"api_handler", "authorize"}
    assert {path.parent.name for path in samples()} <= set(functions()) | by_http


@pytest.mark.parametrize("job", declared(), ids=named)
def test_every_job_has_a_sample_event_in_its_queues_folder(job: Declared) -> None:
    path = EVENTS / job.queue / f"{job.name}.json"
    assert path.exists(), f"{path.relative_to(ROOT)}: this sample event is missing"
    event = json.loads(path.read_text())
    message = json.loads(event["Records"][0]["body"])

    assert message["type"] == job.name
    assert set(message) == {"v", "type", "tenant", "job"}


@pytest.mark.parametrize("path", samples(), ids=sample_name)
def test_a_sample_event_has_the_shape_that_lambda_gives(path: Path) -> None:
    event = json.loads(path.read_text())
    if path.parent.name == "api_handler":
        assert {"httpMethod", "resource", "headers", "requestContext"} <= set(event)
        return
    if path.parent.name == "authorize":
        assert set(event) == {"type", "methodArn", "authorizationToken"}
        return
    if functions()[path.parent.name] is ScheduledEventConfig:
        assert set(event) == {
            "version",
            "id",
            "detail-type",
            "source",
            "account",
            "time",
            "region",
            "resources",
            "detail",
        }
        return
    if functions()[path.parent.name] is LambdaFunction:
        assert {"step", "tenant", "project", "run", "kind", "retry"} <= set(event)
        assert event["step"] == path.stem.replace("-", "_")
        return
    if path.parent.name.startswith("websocket_"):
        assert {"connectionId", "routeKey", "apiId", "stage"} <= set(event["requestContext"])
        return
    assert set(event) - {"job"} == {"Records"}  # job: what the test makes for it
    for record in event["Records"]:
        assert set(record) == {
            "messageId",
            "receiptHandle",
            "body",
            "attributes",
            "messageAttributes",
            "md5OfBody",
            "eventSource",
            "eventSourceARN",
            "awsRegion",
        }
        right = hashlib.md5(record["body"].encode()).hexdigest()
        assert record["md5OfBody"] == right, f"{path.relative_to(ROOT)}: md5OfBody must be {right}"
        assert record["eventSourceARN"].endswith(f"-{path.parent.name}")
        assert {"ApproximateReceiveCount", "SentTimestamp"} <= set(record["attributes"])
