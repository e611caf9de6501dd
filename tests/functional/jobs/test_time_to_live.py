"""What DynamoDB deletes by its time to live, and that nothing which is still needed has one.

The local cloud deletes at once, which is the hardest case: AWS takes up to some days.
"""

import importlib
import pkgutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

import chalicelib
from chalicelib.kernel.store.records import Keyed
from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests import settings
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.batches.batch import figures, seen
from tests.functional.client import Caller, Client
from tests.functional.http.lines import Line, Open, ticket_of
from tests.functional.people.uploads import HEADER, batch_of, upload
from tests.functional.projects import workflow as projects
from tests.functional.sending import events

TWO_MILLION = 2_000_000  #: seconds, 23 days
STEP_SECONDS = 100_000
RETENTION_SECONDS = 30 * 86_400

#: The records with an attribute for a time to live, and which test below keeps one of them alive.
MAY_EXPIRE = {
    **dict.fromkeys(("Batch", "Shard", "Counters", "Errors"), "a batch"),
    "Job": "a job that waits, and one that has ended",
    "Row": "a unique job",
    **dict.fromkeys(("Window", "Upload"), "an import"),
    "Recipient": "an address that bounced",
    "Spending": "the caps of a day",
    "StoredAnswer": "an idempotency key",
    **dict.fromkeys(("Ticket", "Socket", "Follower"), "a socket"),
    "Unknown": "a login of nobody",
    **dict.fromkeys(("Project", "Participant", "NameGuard", "Request"), "a project"),
    # These are never given a time.
    **dict.fromkeys(("TenantRecord", "DataKey", "Rate", "BreakerRecord", "Note"), ""),
    **dict.fromkeys(("RegionRecord", "Credential", "Figures"), ""),
}
_BASES = {"KernelRecord", "Owned", "ProjectsRecord", "_Either"}


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def wait(cloud: LocalCloud, seconds: int = TWO_MILLION) -> None:
    """Lets the time pass in steps, and works after each step what is due."""
    for _ in range(seconds // STEP_SECONDS):
        cloud.advance(STEP_SECONDS)
        cloud.run_until_idle()


def again(client: Client) -> Caller:
    """The manager with a new token."""
    return client.as_("manager")


def kept(prefix: str, table: str = "kernel") -> list[str]:
    return sorted(sk for sk in aws.rows(table) if sk.startswith(prefix))


def _records(of: type[Keyed] = Keyed) -> Iterator[type[Keyed]]:
    for record in of.__subclasses__():
        yield record
        yield from _records(record)


def test_every_record_that_may_expire_has_its_test_here() -> None:
    for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        importlib.import_module(module.name)
    found = {
        record.__name__
        for record in _records()
        if record.__module__.startswith("chalicelib.") and hasattr(record, "expires_at")
    }

    assert found - _BASES == set(MAY_EXPIRE), "a new record: keep one alive in a test here"


def test_a_batch_and_its_errors_wait_for_the_last_member_and_go_long_after_it(
    cloud: LocalCloud, client: Client
) -> None:
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    late = int(time.time()) + TWO_MILLION + 3600
    with Transaction("t1") as tx:
        batch = batches.create(tx, finally_="batches.finally_")
        tx.enqueue("batches.refused", Delivery(batch=batch), label="r")
        tx.enqueue("batches.good", Delivery(batch=batch, not_before=late), label="late")
    wait(cloud)
    assert figures(again(client), batch.id) == ("running", 2, 1, 1, 50)
    wait(cloud, STEP_SECONDS)

    assert figures(again(client), batch.id) == ("done", 2, 2, 1, 100)
    assert [error["detail"] for error in seen(again(client), batch.id)["errors"]] == [
        "this can never work"
    ]
    assert members.ran["finally"] == 1
    wait(cloud, RETENTION_SECONDS - STEP_SECONDS)
    assert seen(again(client), batch.id)["errors"]
    wait(cloud, 2 * STEP_SECONDS)
    assert kept("batch") == []


def test_a_job_that_has_ended_is_shown_for_thirty_days(cloud: LocalCloud, client: Client) -> None:
    again(client).create_user()
    cloud.run_until_idle()
    wait(cloud)
    (job,) = again(client).jobs()
    assert job["status"] == "done"
    wait(cloud, RETENTION_SECONDS - TWO_MILLION + STEP_SECONDS)

    assert again(client).jobs() == []


def test_a_unique_job_for_later_still_runs(cloud: LocalCloud) -> None:
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    late = int(time.time()) + TWO_MILLION
    for _ in range(2):
        with Transaction("t1") as tx:
            tx.enqueue("batches.only", Delivery(not_before=late), label="a")
    wait(cloud, TWO_MILLION - STEP_SECONDS)
    assert members.ran == {}
    wait(cloud, 2 * STEP_SECONDS)

    assert members.ran == {"a": 1}
    assert kept("unique#") == []


def test_an_import_that_nobody_works_for_weeks_is_finished(
    cloud: LocalCloud, client: Client
) -> None:
    rows = "".join(f"Name {n},user{n}@example.com,,staff\n" for n in range(40))
    answer = upload(again(client), HEADER + rows)
    for _ in range(TWO_MILLION // STEP_SECONDS):
        cloud.advance(STEP_SECONDS)
    assert len(kept("upload#", "people")) == 2
    for _ in range(5):
        cloud.run_until_idle()
        cloud.advance(60)

    batch = batch_of(again(client), answer)
    assert (batch["status"], batch["done"], batch["failed"]) == ("done", 40, 0)
    assert len({message.to for message in mailbox.sent()}) == 40
    assert (kept("upload#", "people"), kept("window#")) == ([], [])


def test_an_address_that_bounced_stays_suppressed(cloud: LocalCloud, client: Client) -> None:
    again(client).create_user()
    cloud.run_until_idle()
    (job,) = again(client).jobs()
    events.bring(cloud, events.about("hard-bounce", job["id"]))
    wait(cloud)

    (suppressed,) = again(client).listed("/admin/v1/suppressions")
    assert suppressed["address"] == "ann@example.com"


def test_the_caps_of_a_day_hold_until_it_is_over(cloud: LocalCloud, client: Client) -> None:
    again(client).create_user(phone="+4915112345678")
    cloud.run_until_idle()
    counted = {sk for sk, row in aws.rows("kernel").items() if "expires_at" in row}
    counted -= set(kept("job#"))
    assert len(counted) == 3  # the address, the number, and the SMS of the tenant
    cloud.advance(3600)

    assert counted <= set(kept(""))


def test_an_idempotency_key_answers_for_a_day(cloud: LocalCloud, client: Client) -> None:
    def create() -> Any:
        headers = {"Idempotency-Key": "one"}
        body = {"name": "Ann", "email": "ann@example.com", "role": "staff"}
        return again(client).post("/admin/v1/users", body, headers=headers)

    first = create()
    cloud.advance(86_000)
    assert create().json() == first.json()
    cloud.advance(500)
    assert create().status_code == 409


def test_a_socket_is_known_for_two_hours(cloud: LocalCloud, client: Client, line: Open) -> None:
    caller = again(client)
    project_id = projects.created(caller)
    followed: Line = line(caller)
    followed.ask(subscribe=f"project#{project_id}")
    cloud.advance(7_000)
    assert kept("socket#")
    assert ticket_of(again(client))
    cloud.advance(300)

    assert kept("socket#") == []


def test_an_active_project_and_its_people_stay(cloud: LocalCloud, client: Client) -> None:
    ids = projects.people(3, "customer")
    project_id = projects.created(again(client), user_ids=ids)
    cloud.run_until_idle()
    removed = again(client).delete(projects.path(project_id, "users", ids[0]))
    assert removed.status_code == 202, removed.text
    cloud.run_until_idle()
    wait(cloud)

    shown = projects.status(again(client), project_id)
    assert (shown["status"], shown["progress"]["users"]["total"]) == ("active", 2)


def test_a_login_of_nobody_is_listed_for_a_week(cloud: LocalCloud, client: Client) -> None:
    def met() -> int:
        return len(aws.rows("people", "#unknown"))

    with settings.changed(unknown_subjects="report"):
        client.as_("manager").get("/admin/v1/users")
        cloud.advance(7 * 86_400 - 60)
        assert met() == 1
        cloud.advance(120)
        assert met() == 0
