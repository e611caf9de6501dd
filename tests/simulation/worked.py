"""Invariants: every job ends and says why, and messages are repeated only where none can know."""

from collections.abc import Iterator

from chalicelib.kernel.jobs.ledger import DELIVERIES, ENDED
from tests.simulation import jobs, queues
from tests.simulation.books import arguments
from tests.simulation.evidence import Evidence

_EVENTS = {"Send": "sent", "Delivery": "delivered"}


def every_job_ends(evidence: Evidence) -> Iterator[str]:
    for job_id, job in evidence.jobs.items():
        if job["status"] not in ENDED:
            yield f"{job['type']} {job_id} is {job['status']} after {job['attempts']} attempts"
        elif job["status"] != "done" and not job.get("last_error"):
            yield f"{job['type']} {job_id} is {job['status']} without a reason"


def a_job_fails_only_when_its_attempts_are_used_up(evidence: Evidence) -> Iterator[str]:
    for job_id, job in evidence.jobs.items():
        early = job["status"] == "failed" and job["attempts"] < job["max_attempts"]
        if early and job.get("last_error") != "this can never work":
            yield (
                f"{job['type']} {job_id} failed after {job['attempts']} of "
                f"{job['max_attempts']} attempts: {job.get('last_error')}"
            )


def a_message_is_skipped_only_when_it_is_not_wanted(evidence: Evidence) -> Iterator[str]:
    persons = {
        job["sk"].removeprefix("job#"): person
        for person in evidence.tables.persons().values()
        for job in evidence.invitations(person)
    }
    for job_id, job in evidence.jobs.items():
        if job["status"] == "skipped" and job_id in persons:
            person, why = persons[job_id], job["last_error"]
            replaced = (
                person["status"] != "invited"
                or arguments(job)["version"] < person["invitation_version"]
            )
            expected = {
                "user-deleted": person["status"] == "deactivated",
                "invitation-replaced": replaced,
            }
            if not expected.get(why, False):
                yield f"{job_id} was skipped: {why}, and {person['email']} is {person['status']}"


def dead_letters_are_copies_of_failed_jobs(evidence: Evidence) -> Iterator[str]:
    for queue in queues.NAMES:
        for body in queues.bodies(f"{queue}-dead"):
            job = next((j for i, j in evidence.jobs.items() if i in body), None)
            if job is None or job["status"] != "failed":
                yield f"{queue}: {body} of a job that is {job and job['status']}"


def done_is_said_only_of_what_was_sent(evidence: Evidence) -> Iterator[str]:
    sent = evidence.play.weather.sent
    for job_id, job in evidence.jobs.items():
        worked = sent[job_id] if job.get("channel") else jobs.runs[job_id]
        known = job.get("channel") or job["type"].startswith("simulation.")
        if job["status"] == "done" and known and not worked:
            yield f"{job['type']} {job_id} is done and was never sent or run"


def messages_are_repeated_only_in_counted_windows(evidence: Evidence) -> Iterator[str]:
    weather = evidence.play.weather
    for job_id, count in weather.sent.items():
        if count - 1 > weather.windows[job_id]:
            yield (
                f"{weather.channels[job_id]} {job_id} was sent {count} times with "
                f"{weather.windows[job_id]} ambiguous windows"
            )


def events_in_time_spare_the_repeat(evidence: Evidence) -> Iterator[str]:
    weather = evidence.play.weather
    if evidence.play.events == "prompt":
        for job_id, count in weather.sent.items():
            told = weather.channels[job_id] == "email" and job_id not in weather.late_sends
            if told and count > 1:
                yield f"email {job_id} was sent {count} times though its event came in time"


def without_events_each_window_costs_one_repeat(evidence: Evidence) -> Iterator[str]:
    weather = evidence.play.weather
    if evidence.play.events == "muted":
        for job_id, count in weather.sent.items():
            job, windows = evidence.jobs[job_id], weather.windows[job_id]
            if job["status"] == "done" and count - 1 != windows:
                yield f"{job['channel']} {job_id}: {windows} windows and {count} messages"


def no_event_is_lost(evidence: Evidence) -> Iterator[str]:
    told: dict[str, int] = {}
    for job_id, event in evidence.play.published:
        told[job_id] = max(told.get(job_id, 0), DELIVERIES.index(_EVENTS[event]))
    for job_id, place in told.items():
        known = evidence.jobs[job_id].get("delivery")
        if known != DELIVERIES[place]:
            yield f"{job_id} is {known}, though SES told that it was {DELIVERIES[place]}"


def what_a_worker_keeps_stays_in_its_queue(evidence: Evidence) -> Iterator[str]:
    yield from evidence.play.lost


def nobody_changes_a_job_that_another_worker_has(evidence: Evidence) -> Iterator[str]:
    yield from evidence.play.weather.intrusions


def no_job_runs_twice_without_a_cause(evidence: Evidence) -> Iterator[str]:
    for job_id, count in jobs.runs.items():
        job = evidence.jobs.get(job_id)
        if job is not None:
            again = sum(entry["outcome"] in ("lost", "error", "held") for entry in job["history"])
            if count - 1 > again:
                yield f"{job['type']} {job_id} ran {count} times with {again} causes"


def no_other_tenants_keys_are_touched(evidence: Evidence) -> Iterator[str]:
    yield from evidence.play.weather.trespasses
