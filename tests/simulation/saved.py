"""Invariants: what was acknowledged is there, nothing is torn, and the figures add up."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from chalicelib.people.imports import service as imports
from tests.simulation.books import Asked, arguments
from tests.simulation.evidence import Evidence


def acknowledged_work_is_saved(evidence: Evidence) -> Iterator[str]:
    for asked in evidence.play.asked:
        if asked.data is not None:
            for wrong in _CONFIRM[asked.kind](evidence, asked, asked.data):
                yield f"{asked.kind} of {asked.email or asked.data}: {wrong}"


def _created(evidence: Evidence, asked: Asked, data: dict[str, Any]) -> Iterator[str]:
    person = evidence.tables.people.get((asked.tenant, f"person#{data['user']['id']}"))
    guard = evidence.tables.people.get((asked.tenant, f"email#{asked.email}"))
    if person is None:
        yield "no user"
    elif guard is None or guard["person_id"] != data["user"]["id"]:
        yield "no guard"
    else:
        channels = {job["channel"] for job in evidence.invitations(person)}
        if channels != ({"email", "sms"} if asked.phone else {"email"}):
            yield f"messages on {channels} only"


def _imported(evidence: Evidence, asked: Asked, data: dict[str, Any]) -> Iterator[str]:
    yield from _has_batch(evidence, asked, data)
    good = any(email for _, email in asked.rows)
    jobs = [job for job in evidence.jobs.values() if job.get("batch_id") == data["batch_id"]]
    if good and not jobs:
        yield "no job"


def _has_batch(evidence: Evidence, asked: Asked, data: dict[str, Any]) -> Iterator[str]:
    if (asked.tenant, f"batch#{data['batch_id']}") not in evidence.tables.kernel:
        yield "no batch"


def _batched(evidence: Evidence, asked: Asked, data: dict[str, Any]) -> Iterator[str]:
    yield from _has_batch(evidence, asked, data)
    members = [job for job in evidence.jobs.values() if job.get("batch_id") == data["batch_id"]]
    if len(members) != len(data["members"]):
        yield f"{len(members)} of {len(data['members'])} jobs"


def _resent(evidence: Evidence, asked: Asked, _: dict[str, Any]) -> Iterator[str]:
    if evidence.by_email[asked.tenant, asked.email]["invitation_version"] < 2:
        yield "no new invitation"


def _accepted(evidence: Evidence, asked: Asked, _: dict[str, Any]) -> Iterator[str]:
    if evidence.by_email[asked.tenant, asked.email]["status"] == "invited":
        yield "still invited"


def _deactivated(evidence: Evidence, asked: Asked, _: dict[str, Any]) -> Iterator[str]:
    if evidence.by_email[asked.tenant, asked.email]["status"] != "deactivated":
        yield "not deactivated"


_CONFIRM: dict[str, Callable[..., Iterator[str]]] = {
    "create": _created,
    "import": _imported,
    "batch": _batched,
    "resend": _resent,
    "accept": _accepted,
    "deactivate": _deactivated,
}


def every_acknowledged_key_has_its_answer(evidence: Evidence) -> Iterator[str]:
    stored = Counter(tenant for tenant, sk in evidence.tables.kernel if sk.startswith("idem#"))
    stored["t"] = sum(1 for _, sk in evidence.tables.kernel if sk.startswith("idem#"))
    wanted = Counter[str]()
    for asked in evidence.play.asked:
        if asked.key and asked.acknowledged:
            wanted["t"] += 1
            if asked.kind != "accept":  # nobody's token: its answer is kept apart
                wanted[asked.tenant] += 1
    for tenant, count in wanted.items():
        if stored[tenant] < count:
            yield f"{count} keys were acknowledged, {stored[tenant]} answers are stored"


def user_guard_and_messages_come_together(evidence: Evidence) -> Iterator[str]:
    people = evidence.tables.people
    persons = evidence.tables.persons()
    for person in persons.values():
        guard = people.get((person["tenant"], f"email#{person['email_key']}"))
        if guard is None or f"person#{guard['person_id']}" != person["sk"]:
            yield f"{person['email']} has no guard of its own"
        channels = ["email", "sms"] if person.get("phone") else ["email"]
        wanted = Counter(
            (version, channel)
            for version in range(1, person["invitation_version"] + 1)
            for channel in channels
        )
        found = Counter(
            (arguments(job)["version"], job["channel"]) for job in evidence.invitations(person)
        )
        if found != wanted:
            yield f"{person['email']} has the messages {dict(found)}"
    for (_, sk), row in people.items():
        if sk.startswith("email#") and row["person_id"] not in persons:
            yield f"{sk} guards nobody"


def a_key_has_one_effect(evidence: Evidence) -> Iterator[str]:
    most: Counter[tuple[str, str]] = Counter()
    for asked in evidence.asked("resend"):
        most[asked.tenant, asked.email] += 1 if asked.key else asked.tries
    for key, person in evidence.by_email.items():
        if person["invitation_version"] - 1 > most[key]:
            yield f"{key} was invited again {person['invitation_version'] - 1} times"
    for asked in evidence.asked("create"):
        if asked.key and 409 in asked.answers:
            yield f"{asked.email}: a repeated request was refused: {asked.answers}"


def batches_add_up(evidence: Evidence) -> Iterator[str]:
    for batch_id, batch in evidence.tables.batches().items():
        members = [job for job in evidence.jobs.values() if job.get("batch_id") == batch_id]
        told = evidence.tables.kernel.get((batch["tenant"], f"batch-errors#{batch_id}#0"))
        if batch["done"] != batch["total"] or (members and batch["status"] == "open"):
            yield f"{batch_id} is {batch['status']} with {batch['done']} of {batch['total']} done"
        failed = sum(job["units"] for job in members if job["status"] == "failed")
        plain = not told and all(job["type"] == "simulation.member" for job in members)
        if plain and batch["failed"] != failed:
            yield f"{batch_id} counts {batch['failed']} failed members, {failed} failed"


def imports_count_the_users_they_made(evidence: Evidence) -> Iterator[str]:
    for asked in evidence.asked("import"):
        if asked.data is None:
            continue
        batch = evidence.tables.batches()[asked.data["batch_id"]]
        made = _made(evidence, asked, asked.data["batch_id"])
        jobs = [j for j in evidence.jobs.values() if j.get("batch_id") == asked.data["batch_id"]]
        if batch["total"] != len(asked.rows):
            yield f"{asked.data} counts {batch['total']} of {len(asked.rows)} rows"
        elif (
            all(job["status"] == "done" for job in jobs)
            and made + batch["failed"] != batch["total"]
        ):
            yield f"{asked.data} made {made} users of {batch['total']}, {batch['failed']} failed"


def _made(evidence: Evidence, asked: Asked, upload_id: str) -> int:
    made = 0
    for line, email in asked.rows:
        person = evidence.by_email.get((asked.tenant, email))
        made += bool(person and person["sk"] == f"person#{imports._person_id(upload_id, line)}")
    return made


def what_follows_a_batch_is_queued_once(evidence: Evidence) -> Iterator[str]:
    followed: Counter[tuple[str, str]] = Counter()
    for job in evidence.jobs.values():
        if job["type"] in ("simulation.after", "simulation.always"):
            followed[arguments(job)["batch_id"], job["type"]] += 1
    for asked in evidence.asked("batch"):
        if asked.data:
            for name in ("simulation.after", "simulation.always"):
                if followed[asked.data["batch_id"], name] != 1:
                    yield f"{name} of {asked.data['batch_id']}: {followed}"
