"""Events: what is published fits every job that subscribes, and costs one push."""

import ast
import inspect
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from chalicelib import manifest
from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.registry import Declared
from tests.contract.source import import_everything, modules

import_everything()
MOST_SUBSCRIBERS = 10  #: what one SendMessageBatch takes
SUBSCRIPTIONS = [(event, job) for event, jobs in manifest.EVENTS for job in jobs]


class Published(NamedTuple):
    """One `publish` in the code."""

    module: str
    domain: str
    event: str
    arguments: frozenset[str]


def published() -> Iterator[Published]:
    """Those of the domains: the kernel publishes none, and its calls of SNS have this name too."""
    for module in modules("chalicelib"):
        for node in ast.walk(module.tree) if module.domain != "kernel" else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".publish"):
                (event,) = node.args
                assert isinstance(event, ast.Constant), f"{module.name}: write the event out"
                arguments = frozenset(str(keyword.arg) for keyword in node.keywords)
                yield Published(module.name, module.domain, str(event.value), arguments)


def fits(job: Declared, arguments: frozenset[str]) -> bool:
    """True when the job takes all of these arguments and needs no others."""
    takes = [
        each
        for each in inspect.signature(job.run).parameters.values()
        if each.kind is each.KEYWORD_ONLY
    ]
    needs = {each.name for each in takes if each.default is each.empty}
    return needs <= arguments <= {each.name for each in takes}


def test_there_is_something_to_check() -> None:
    assert "people.changed" in {each.event for each in published()}
    assert ("people.changed", "projects.follow_person") in SUBSCRIPTIONS


@pytest.mark.parametrize("each", list(published()), ids=lambda each: each.event)
def test_an_event_is_named_after_the_domain_that_publishes_it(each: Published) -> None:
    assert each.event.partition(".")[0] == each.domain, (
        f"{each.module} publishes {each.event}: name the event after its domain, {each.domain}"
    )


@pytest.mark.parametrize("each", list(published()), ids=lambda each: each.event)
def test_an_event_that_is_published_is_awaited(each: Published) -> None:
    """At run time one that nobody awaits does nothing, so a misspelt name would pass unnoticed."""
    awaited = sorted(event for event, _ in manifest.EVENTS)

    assert each.event in awaited, (
        f"{each.module} publishes {each.event}, which no job awaits; "
        f"awaited are: {', '.join(awaited)}"
    )


@pytest.mark.parametrize(("event", "job"), SUBSCRIPTIONS)
def test_no_job_waits_for_an_event_that_nobody_publishes(event: str, job: str) -> None:
    known = sorted({each.event for each in published()})

    assert event in known, (
        f"{job} waits for {event}, which nobody publishes; published are: {', '.join(known)}"
    )


@pytest.mark.parametrize(("event", "job"), SUBSCRIPTIONS)
def test_a_subscriber_takes_the_arguments_of_its_event(event: str, job: str) -> None:
    for each in published():
        if each.event == event:
            assert fits(registry.find(job), each.arguments), (
                f"{job} must take {', '.join(sorted(each.arguments))} and require nothing else, "
                f"as {each.module} publishes {event} with it"
            )


@pytest.mark.parametrize(("event", "jobs"), manifest.EVENTS)
def test_publishing_costs_one_push_and_no_second_commit(event: str, jobs: tuple[str, ...]) -> None:
    """So the calls that a route declares hold, whoever subscribes.

    A unique job that is queued already is left out by a second commit.
    """
    found = [registry.find(job) for job in jobs]

    queues = {job.name: job.queue for job in found}
    unique = [job.name for job in found if job.unique_for_seconds]

    assert len(found) <= MOST_SUBSCRIBERS, f"{event} has {len(found)} subscribers"
    assert len(set(queues.values())) == 1, f"subscribers of {event} need one queue: {queues}"
    assert not unique, f"subscribers of {event} must not have unique_for_seconds: {unique}"
