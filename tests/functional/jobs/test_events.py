"""Events: what follows from a change is saved with it, for each job that subscribes."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import manifest
from chalicelib.kernel import aws as app_aws
from chalicelib.kernel.auth.tenancy import DIRECTORY, TenantRecord
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.jobs.outbox import Transaction
from infra.local import faults
from infra.local.cloud import LocalCloud
from tests.functional import aws, sample_jobs
from tests.functional.client import Caller
from tests.functional.sample_jobs import Dead

FOLLOWS = "projects.follow_person"


@pytest.fixture(autouse=True)
def _parcels(monkeypatch: pytest.MonkeyPatch, cloud: LocalCloud) -> None:
    """As if these jobs were a domain's, and the manifest listed them."""
    subscribers = ("functional.stamp", "functional.weigh")
    monkeypatch.setattr(manifest, "EVENTS", (*manifest.EVENTS, ("parcel.sent", subscribers)))
    sample_jobs.forget()


@contextlib.contextmanager
def dying_before_the_push() -> Iterator[None]:
    """The process ends after its commit: nothing reaches SQS, and nothing can be tidied up."""

    def end(**_: Any) -> None:
        raise Dead

    hooks = app_aws.client("sqs").meta.events
    hooks.register("before-call.sqs.SendMessageBatch", end)
    try:
        with pytest.raises(Dead):
            yield
    finally:
        hooks.unregister("before-call.sqs.SendMessageBatch", end)


def queued(manager: Caller) -> list[str]:
    return sorted(job["type"] for job in manager.jobs())


def test_an_event_with_two_subscribers_puts_two_jobs(cloud: LocalCloud, manager: Caller) -> None:
    with Transaction("t1") as tx:
        tx.publish("parcel.sent", label="a")
    assert queued(manager) == ["functional.stamp", "functional.weigh"]
    cloud.run_until_idle()

    assert sample_jobs.successes == {"a stamped": 1, "a weighed": 1}


def test_however_many_subscribe_publishing_costs_no_call_but_one_push(cloud: LocalCloud) -> None:
    faults.clear()
    with Transaction("t1") as tx:
        tx.enqueue("functional.count", label="b")
        tx.publish("parcel.sent", label="a")
        tx.publish("parcel.sent", label="b")

    made = {call: tries["through"] for call, tries in faults.counts().items()}
    assert made == {"dynamodb.TransactWriteItems": 1, "sqs.SendMessageBatch": 1}


def test_an_event_that_nobody_awaits_is_no_job(cloud: LocalCloud, manager: Caller) -> None:
    with Transaction("t1") as tx:
        tx.publish("parcel.lost", label="a")

    assert queued(manager) == []


def test_nothing_follows_from_a_change_that_is_refused(cloud: LocalCloud, manager: Caller) -> None:
    tx = Transaction("t1")
    tx.check(TenantRecord, (DIRECTORY, "nobody"), TenantRecord.sk.exists(), Conflict("gone"))
    tx.publish("parcel.sent", label="a")
    with pytest.raises(Conflict, match="gone"):
        tx.commit()

    assert queued(manager) == []
    assert aws.take_messages("work") == []


def test_a_process_that_dies_between_commit_and_push_leaves_the_jobs_to_the_sweep(
    cloud: LocalCloud, manager: Caller
) -> None:
    with dying_before_the_push(), Transaction("t1") as tx:
        tx.publish("parcel.sent", label="a")
    cloud.run_until_idle()
    assert sample_jobs.successes == {}
    assert queued(manager) == ["functional.stamp", "functional.weigh"]
    cloud.advance(121)
    cloud.run_until_idle()

    assert sample_jobs.successes == {"a stamped": 1, "a weighed": 1}


def test_a_changed_profile_is_followed_and_a_refused_change_is_not(
    cloud: LocalCloud, manager: Caller
) -> None:
    user_id = manager.create_user("Ann").json()["data"]["user"]["id"]
    path = f"/admin/v1/users/{user_id}"
    stale = {"If-Match": '"v99"'}
    assert manager.patch(path, {"name": "Bob"}, headers=stale).status_code == 412
    assert manager.patch(path, {"phone": "+4915112345678"}).status_code == 200
    assert FOLLOWS not in queued(manager)

    assert manager.patch(path, {"name": "Bob"}).status_code == 200
    assert queued(manager).count(FOLLOWS) == 1
