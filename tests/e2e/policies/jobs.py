"""Jobs: what the functions that work a queue do with theirs, one scenario a habit."""

import json
import uuid
from typing import Any

from tests.e2e.policies.lane import Lane, Scenario

Json = dict[str, Any]


def _imported(lane: Lane) -> tuple[str, str, str, list[Any]]:
    """(tenant, batch, queued job, all jobs) of a new import of three rows, one of them taken."""
    import app  # noqa: F401  declares the jobs
    from chalicelib.kernel.auth.tenancy import Caller as By
    from chalicelib.kernel.jobs.outbox import Transaction
    from chalicelib.people import models, rules
    from chalicelib.people.imports import service as imports

    tenant = lane.tenant()
    taken = f"taken-{uuid.uuid4().hex[:8]}@example.com"
    models.email_guard(tenant, rules.email_key(taken), "somebody").save()
    rows = f"name,email,phone,role\nA,a@example.com,+4915112345678,staff\nB,{taken},,staff\n"
    with Transaction(tenant) as tx:
        by = By("root", "manager", tenant)
        batch = imports.start(tx, by, rows.encode(), as_csv=True, base_url="https://x.example")
        (job,) = tx._jobs
        _mark(tx, job)
        batch.batch.finally_ = "people.import_rows"  # any job: it is queued when the batch ends
    return tenant, batch.id, job.id, [job]


def _mark(tx: Any, job: Any) -> None:
    """Makes the job a unique one, of which a copy waits."""
    from chalicelib.kernel.jobs import unique

    unique.mark(tx, job)
    tx.create(unique.Row(job.tenant, f"{job.unique_key}#copy"))


def works_an_import(lane: Lane) -> None:
    """A chunk of rows: users, guards and their invitations; batch, lock, window and errors."""
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.unique import Row
    from chalicelib.kernel.jobs.windows import Window
    from chalicelib.kernel.store import records
    from chalicelib.people import models

    tenant, batch_id, job_id, (job,) = _imported(lane)
    lane.invoke(_message(lane, "people.import_rows", tenant, job_id))

    done = job_of(tenant, job_id)
    assert done.status == "done", done.last_error
    batch = batches.get(tenant, batch_id, consistent=True)
    assert batch is not None
    assert batch.batch.status == "done", batch.batch.status
    assert batches.errors_of(batch.batch)
    assert models.get_upload(tenant, batch_id, 0) is None, "the rows were not deleted"
    window = records.read(Window, tenant, f"window#{batch_id}", consistent=True)
    assert window is None, "the window was not deleted"
    left = [row.sk for row in Row.query(tenant, Row.sk.startswith(job.unique_key))]
    assert not left, "the marker was not deleted"


def job_of(tenant: str, job_id: str) -> Any:
    """The job's row as it is now."""
    from chalicelib.kernel.jobs import ledger

    found = ledger.get(tenant, job_id, consistent=True)
    assert found is not None
    return found


def _body(type_: str, tenant: str, job_id: str) -> str:
    return json.dumps({"v": 1, "type": type_, "tenant": tenant, "job": job_id})


def _message(lane: Lane, type_: str, tenant: str, job_id: str) -> Json:
    """The event that brings a job to the lane's function, whatever queue it was made for."""
    return lane.event(lane.function, _body(type_, tenant, job_id))


def invitation(lane: Lane, channel: str, recipient: str) -> tuple[str, str]:
    """(tenant, job) of a queued invitation, in a batch of its own and with a lock."""
    import app  # noqa: F401
    from chalicelib.kernel import clock
    from chalicelib.kernel.jobs import batches
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction
    from chalicelib.people import service
    from chalicelib.people.service import NewPerson

    tenant, person_id = lane.tenant(), clock.new_id()
    new = NewPerson("Ann", "ann@example.com", "staff")
    service.new_person(tenant, person_id, new, created_by="root").save()
    with Transaction(tenant) as tx:
        batch = batches.create(tx, finally_="people.import_rows")
        how = Delivery(channel=channel, recipient=recipient, queue=lane.function, batch=batch)
        job = tx.enqueue(
            "people.invitation", how, person_id=person_id, version=1, base_url="https://x.example"
        )
        _mark(tx, job)
    return tenant, job.id


def _sends(lane: Lane, channel: str, recipient: str) -> None:

    tenant, job_id = invitation(lane, channel, recipient)
    lane.invoke(_message(lane, "people.invitation", tenant, job_id))
    done = job_of(tenant, job_id)
    assert done.status == "done", (done.status, done.last_error)
    assert done.provider_message_id


def sends_a_mail(lane: Lane) -> None:
    _sends(lane, "email", "ann@example.com")


def sends_an_sms(lane: Lane) -> None:
    _sends(lane, "sms", "+4915112345678")


def reports_a_member_that_failed(lane: Lane) -> None:
    """An address that SES would refuse for good: told by the batch, copied to the dead letters."""
    tenant, job_id = invitation(lane, "email", "ann\n@example.com")
    lane.invoke(_message(lane, "people.invitation", tenant, job_id), says="job failed")
    assert job_of(tenant, job_id).status == "failed"
    lane.must_hold(f"{lane.function}-dead", job_id)


def hides_a_message_until_its_time(lane: Lane) -> None:
    """A job whose time has not come: seen again then, and not after the queue's own six minutes."""
    import app  # noqa: F401
    from chalicelib.kernel import clock
    from chalicelib.kernel.jobs.ledger import Job

    tenant = lane.tenant()
    job_id = clock.new_id()
    Job(
        tenant,
        f"job#{job_id}",
        type="people.invitation",
        queue=lane.function,
        status="queued",
        max_attempts=3,
        not_before=clock.epoch_seconds() + 8,
        created_at=clock.iso(clock.now()),
    ).save()
    lane.send(lane.function, _body("people.invitation", tenant, job_id))
    answer = lane.invoke(lane.receive(lane.function, job_id))
    assert answer["batchItemFailures"], "the message was not kept"
    lane.receive(lane.function, job_id)


def buries_what_it_cannot_read(lane: Lane) -> None:
    body = f"no message {uuid.uuid4().hex}"
    lane.invoke(lane.event(lane.function, body), says="unreadable message")
    lane.must_hold(f"{lane.function}-dead", body)


def takes_over_after_a_crash(lane: Lane) -> None:
    """A job left running beyond its lease is read, taken and ended."""
    from chalicelib.kernel.jobs.ledger import Job

    tenant, job_id = invitation(lane, "email", "ann@example.com")
    job = Job(tenant, f"job#{job_id}")
    job.update([Job.status.set("running"), Job.claim_token.set("dead"), Job.lease_until.set(1)])
    lane.invoke(_message(lane, "people.invitation", tenant, job_id))
    assert job_of(tenant, job_id).claim_token != "dead", "not taken over"


def takes_several_at_once(lane: Lane) -> None:
    """Jobs that wait for their first attempt: claimed in one call, their ends noted likewise.

    What such a call does not make is made one by one, so without the right to it all goes well but
    for a warning, which `invoke` does not expect. It comes once a minute from a process: that of
    the lane is new, and no scenario before brings several messages.
    """
    import app  # noqa: F401
    from chalicelib.kernel.jobs.outbox import Delivery, Transaction

    tenant = lane.tenant()
    how = Delivery(channel="email", recipient="ann@example.com", queue=lane.function)
    with Transaction(tenant) as tx:
        ids = [
            tx.enqueue(
                "people.invitation", how, person_id="gone", version=1, base_url="https://x.example"
            ).id
            for _ in range(3)
        ]
    bodies = [_body("people.invitation", tenant, id_) for id_ in ids]
    lane.invoke(lane.event(lane.function, *bodies))
    ended = [job_of(tenant, id_) for id_ in ids]
    assert {(job.status, job.last_error, job.attempts) for job in ended} == {
        ("skipped", "user-deleted", 1)
    }
    assert len({job.claim_token for job in ended}) == 1, "not claimed together"


WORKER: list[Scenario] = [
    buries_what_it_cannot_read,
    hides_a_message_until_its_time,
    takes_several_at_once,
]
SENDER: list[Scenario] = [
    sends_a_mail,
    sends_an_sms,
    takes_over_after_a_crash,
    reports_a_member_that_failed,
]
