"""What each function does in its daily life, one scenario a habit. A new function is a new entry.

Run in a lane's process, which has the stage's settings and the rights of the account's root: what
a scenario needs is made by the project's own code, and the function does the rest.
"""

import json
import uuid
from typing import Any

from tests.e2e.policies import jobs, projects, requests, sockets
from tests.e2e.policies.lane import Lane, Scenario
from tests.functional.deployed import Deployed

Json = dict[str, Any]


def takes_in_a_bounce(lane: Lane) -> None:
    from chalicelib.kernel.notify.limits import Recipient

    tenant, job_id = _invitation_for_feedback(lane)
    lane.invoke(_bounce(lane, tenant, job_id))
    assert jobs.job_of(tenant, job_id).delivery == "bounced", "the bounce was not noted"
    assert Recipient.get(tenant, "to#email#ann@example.com").suppressed == "bounced"


def hands_back_what_the_store_refuses(lane: Lane) -> None:
    """The store down: the message is handed back as failed, the function does not break off."""
    but = lane.missing
    tenant, job_id = _invitation_for_feedback(lane)
    event = _bounce(lane, tenant, job_id)
    lane.allow(but=but | {"Ledger dynamodb:UpdateItem"})
    try:
        answer = lane.client("lambda").invoke(
            FunctionName=lane.lambda_name, Payload=json.dumps(event)
        )
        told = json.loads(answer["Payload"].read())
    finally:
        lane.allow(but=but)
    assert "FunctionError" not in answer, told
    assert told["batchItemFailures"] == [{"itemIdentifier": event["Records"][0]["messageId"]}]


def _invitation_for_feedback(lane: Lane) -> tuple[str, str]:
    return jobs.invitation(Lane("notify"), "email", "ann@example.com")


def _bounce(lane: Lane, tenant: str, job_id: str) -> Json:
    mail = {"messageId": "0100-1", "tags": {"tenant": [tenant], "job": [job_id]}}
    bounce = {"bounceType": "Permanent", "bouncedRecipients": [{"emailAddress": "ann@example.com"}]}
    event = {"eventType": "Bounce", "mail": mail, "bounce": bounce}
    return lane.event("feedback", json.dumps(event))


def pushes_what_is_due(lane: Lane) -> None:
    """Jobs whose push was lost, one for each queue: pushed, and their times moved on together."""
    _lose_and_sweep(lane, "notify", "work", "bulk")


def pushes_one_job(lane: Lane) -> None:
    """Its time is moved on by a call of its own."""
    _lose_and_sweep(lane, "work")


def _lose_and_sweep(lane: Lane, *queues: str) -> None:
    import app  # noqa: F401
    from chalicelib.kernel import clock
    from chalicelib.kernel.jobs import ledger

    rows = []
    for queue in queues:
        row = ledger.new(lane.tenant(), "people.invitation", {}, queue=queue, tries=3)
        row.due_at = clock.epoch_seconds() - 120
        row.save()
        rows.append(row)
    _sweep(lane)
    for row in rows:
        lane.must_hold(row.queue, row.id)
        assert jobs.job_of(row.tenant, row.id).due_at > clock.epoch_seconds(), "not moved on"


def _sweep(lane: Lane) -> None:
    event = {"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}
    lane.invoke({**event, "id": "1", "account": "", "time": "", "region": "", "resources": []})


def lets_parked_jobs_go(lane: Lane) -> None:
    """The tenant is active again: its job waits where all jobs do, and the note is gone."""
    import app  # noqa: F401
    from chalicelib.kernel import clock
    from chalicelib.kernel.jobs import ledger, parking

    tenant = lane.tenant()
    job = ledger.new(tenant, "people.invitation", {}, queue="work", tries=3)
    job.due_shard = f"{ledger.PARKED}tenant:{tenant}#0"
    job.save()
    parking.Note("#parked", f"tenant:{tenant}#0", noted_at=clock.epoch_seconds() - 3600).save()
    _sweep(lane)
    assert jobs.job_of(tenant, job.id).due_shard == ledger.shard_of(job.id), "not let go"
    _sweep(lane)
    assert not list(parking.Note.query("#parked", parking.Note.sk.startswith(f"tenant:{tenant}")))


def admits_and_binds_a_login(lane: Lane) -> None:
    """The first login binds the token's subject to the invited person."""
    from chalicelib.kernel import clock
    from chalicelib.people import models, rules, service
    from chalicelib.people.service import NewPerson

    tenant, person_id = lane.tenant(), clock.new_id()
    email = f"{uuid.uuid4().hex[:8]}@example.com"
    new = NewPerson("Ann", email, "staff")
    service.new_person(tenant, person_id, new, created_by="root").save()
    models.email_guard(tenant, rules.email_key(email), person_id).save()
    claims = {"sub": f"s-{person_id}", "role": "staff", "tenant_id": tenant}
    token = Deployed(lane.told).token({**claims, "email": email, "email_verified": True})
    answer = lane.invoke(
        {
            "type": "TOKEN",
            "authorizationToken": f"Bearer {token}",
            "methodArn": f"arn:aws:execute-api:{lane.told['region']}:{lane.told['account']}"
            ":abc/api/GET/admin/v1/users",
        }
    )
    assert answer["principalId"] == claims["sub"]
    assert models.get_login(tenant, claims["sub"]) is not None, "the login was not bound"


SCENARIOS: dict[str, list[Scenario]] = {
    "api_handler": [
        requests.invites_changes_and_lists,
        requests.imports_a_file,
        requests.makes_and_changes_a_project,
        requests.lists_the_projects_of_a_member,
        requests.keeps_the_passwords_of_regions,
    ],
    "authorize": [admits_and_binds_a_login],
    "notify": [*jobs.SENDER, *jobs.WORKER, projects.tells_who_made_a_project],
    "work": [
        jobs.works_an_import,
        projects.starts_and_switches_off_a_project,
        projects.logs_in_at_a_provider,
        projects.follows_who_left,
        *jobs.WORKER,  # last: it brings jobs that are none of this function's own
    ],
    "bulk": [jobs.works_an_import, *jobs.SENDER, *jobs.WORKER],
    "feedback": [takes_in_a_bounce, hands_back_what_the_store_refuses],
    "sweep": [pushes_what_is_due, pushes_one_job, lets_parked_jobs_go],
    "reconcile": [projects.ends_what_takes_too_long],
    "provision": [
        projects.makes_a_project,
        projects.makes_a_project_where_there_is_a_key,
        projects.takes_away_from_who_left_meanwhile,
    ],
    "websocket_connect": [sockets.opens_a_socket],
    "websocket_message": [
        sockets.follows_and_leaves_a_project,
        sockets.follows_as_a_manager,
        sockets.forgets_who_asks_and_goes,
    ],
    "websocket_disconnect": [sockets.closes_a_socket],
}
