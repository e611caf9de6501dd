"""What must be true when all is quiet again."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from chalicelib.kernel.auth import vault
from tests.simulation import suspensions, worked
from tests.simulation.books import Row, Tables, arguments
from tests.simulation.evidence import Check, Evidence
from tests.simulation.world import SKEW_SECONDS

if TYPE_CHECKING:
    from tests.simulation.projects.people import AskedProject
    from tests.simulation.projects.schedule import ProjectsPlay

_LIMIT_SECONDS = 300
_AT_REST = ("active", "failed", "deleted")


def _play(evidence: Evidence) -> "ProjectsPlay":
    return cast("ProjectsPlay", evidence.play)


def _projects(evidence: Evidence) -> Iterator[tuple[str, Row]]:
    for (_, sk), row in evidence.tables.projects.items():
        if sk.startswith("project#"):
            yield sk.removeprefix("project#"), row


def _parts(evidence: Evidence, project_id: str) -> Iterator[tuple[str, Row]]:
    for (_, sk), row in evidence.tables.projects.items():
        if sk.startswith(f"participant#{project_id}#"):
            yield sk.rpartition("#")[2], row


def nothing_was_wrong_on_the_way(evidence: Evidence) -> Iterator[str]:
    yield from _play(evidence).watch_.wrong


def every_project_comes_to_rest(evidence: Evidence) -> Iterator[str]:
    """The weather has cleared, and what failed was tried once more: then all is well."""
    yield from _play(evidence).unhealed
    for project_id, row in _projects(evidence):
        if row["status"] not in ("active", "deleted"):
            yield f"{project_id} is {row['status']} in the end: {row.get('error')}"


def no_run_outlives_its_limit(evidence: Evidence) -> Iterator[str]:
    """The first round of the reconciler to which nothing happens ends what is past its limit.

    A run's limit and a round's begin are told by two clocks, which differ by `SKEW_SECONDS`.
    """
    play = _play(evidence)
    for run in (run for runs in play.watch_.runs.values() for run in runs):
        due = run.began + _LIMIT_SECONDS + SKEW_SECONDS
        for each in play.reconciled:
            fair = not each.is_blind and run.project_id not in each.troubled
            if each.began > due and fair:
                if run.ended is None or run.ended > each.ended:
                    yield (
                        f"run {run.number} of {run.project_id} began at {run.began:.0f}, and a "
                        f"round of the reconciler from {each.began:.0f} did not end it"
                    )
                break


def each_run_has_one_start_and_one_execution(evidence: Evidence) -> Iterator[str]:
    starts = Counter(
        (arguments(job)["project_id"], arguments(job)["run"])
        for job in evidence.jobs.values()
        if job["type"] == "projects.start"
    )
    names = {each.name for each in _play(evidence).executions.by_arn.values()}
    for project_id, row in _projects(evidence):
        for run in range(1, row["run"] + 1):
            if starts[project_id, run] != 1:
                yield f"run {run} of {project_id} has {starts[project_id, run]} starts"
    for job in evidence.jobs.values():
        if job["type"] == "projects.start" and job["status"] == "done":
            name = f"{arguments(job)['project_id']}-{arguments(job)['run']}"
            if name not in names:
                yield f"{name} is said to be started, and never was"


def each_end_is_told_once(evidence: Evidence) -> Iterator[str]:
    told = Counter(
        (job["type"], arguments(job)["project_id"], arguments(job)["run"])
        for job in evidence.jobs.values()
        if job["type"] in ("projects.active", "projects.failed")
    )
    wanted: Counter[tuple[str, str, int]] = Counter()
    for run in (run for runs in _play(evidence).watch_.runs.values() for run in runs):
        if run.status == "failed" or (run.status == "active" and run.kind == "provision"):
            wanted[f"projects.{run.status}", run.project_id, run.number] = 1
    for key in told | wanted:
        if told[key] != wanted[key]:
            yield f"{key} was told {told[key]} times"


def what_was_asked_for_is_there(evidence: Evidence) -> Iterator[str]:
    for asked in evidence.asked("project", "users", "removal", "undo"):
        if asked.data is not None:
            for wrong in _unmet(evidence, cast("AskedProject", asked)):
                yield f"{asked.kind} of {cast('AskedProject', asked).project_id}: {wrong}"


def _unmet(evidence: Evidence, asked: "AskedProject") -> Iterator[str]:
    rows = evidence.tables.projects
    project = rows.get((asked.tenant, f"project#{asked.project_id}"))
    if project is None:
        yield "no project"
        return
    if asked.kind == "undo" and project["kind"] != "deprovision":
        yield f"its last run is to {project['kind']}"
    if project["kind"] == "deprovision":
        return
    if asked.kind == "project" and (asked.tenant, f"name#{asked.name.lower()}") not in rows:
        yield "no guard of its name"
    for person in asked.people:
        part = rows.get((asked.tenant, f"participant#{asked.project_id}#{person}"))
        wanted = part["wanted"] if part else "unknown"
        as_asked = wanted == ("gone" if asked.kind == "removal" else "member")
        if not as_asked and not _was_asked_otherwise(evidence, asked, person):
            yield f"{person} is {wanted}"


def _was_asked_otherwise(evidence: Evidence, asked: "AskedProject", person: str) -> bool:
    kinds = ("users", "project") if asked.kind == "removal" else ("removal",)
    others = (cast("AskedProject", each) for each in evidence.asked(*kinds))
    return any(
        each.project_id == asked.project_id and person in each.people
        for each in others
        if each.kind != "project"
    )


def a_key_has_one_project(evidence: Evidence) -> Iterator[str]:
    for asked in evidence.asked("project"):
        if asked.key and 409 in asked.answers:
            yield f"{asked.key}: a repeated request was refused: {asked.answers}"


def the_provider_has_each_thing_once(evidence: Evidence) -> Iterator[str]:
    play = _play(evidence)
    for what, count in play.provider.listing.made.items():
        if count > 1:
            yield f"{what} was made {count} times"
    expected = set()
    for _, row in _projects(evidence):
        if row["status"] != "deleted":
            expected.add(row.get("provider_project_id"))
    if found := set(play.provider.listing.projects) - expected:
        yield f"the provider has {found}, which are nobody's"


def the_provider_has_who_takes_part(evidence: Evidence) -> Iterator[str]:
    for project_id, row in _projects(evidence):
        at_provider = row.get("provider_project_id") or f"the project {project_id}, undone"
        for person, part in _parts(evidence, project_id):
            if (project_id, person) in _play(evidence).watch_.late:
                continue
            for wrong in _wrong_of(evidence, at_provider, project_id, person, part):
                yield f"{person} in {project_id}, {row['status']}: {wrong}"
    yield from _left_over(evidence)


def _wrong_of(
    evidence: Evidence, at_provider: str, project_id: str, person: str, part: Row
) -> Iterator[str]:
    play, listing = _play(evidence), _play(evidence).provider.listing
    user = play.watch_.user_of(person)
    held = listing.held_by(at_provider, user)
    granted = listing.grants.get((at_provider, user), set())
    kept = evidence.tables.projects.get((part["tenant"], f"credential#{project_id}#{person}"))
    if part["state"] == "synced":
        if granted != {part["role"]}:
            yield f"is granted {granted or 'nothing'}"
        if kept is None or set(held) != {kept["credential_id"]}:
            yield f"has the credentials {set(held)}, and we know {kept and kept['credential_id']}"
        elif _secret(part["tenant"], kept) != next(iter(held.values())).secret:
            yield "has a credential that we do not know"
    elif granted or held or kept:
        yield f"is {part['state']} and has {granted}, {set(held)}, and we keep {kept and 'one'}"


def _secret(tenant: str, kept: Row) -> Any:
    import msgspec

    label = vault.Label(tenant_id=tenant, use=vault.CREDENTIAL, name=kept["sk"])
    return msgspec.json.decode(vault.unseal(label, kept["sealed"]))["secret"]


def _left_over(evidence: Evidence) -> Iterator[str]:
    play, listing = _play(evidence), _play(evidence).provider.listing
    late = {play.watch_.user_of(person) for _, person in play.watch_.late}
    for place in listing.grants:
        if place[0] not in listing.projects and place[1] not in late:
            yield f"a grant is left of {place}"
    for credential_id, held in listing.credentials.items():
        if held.project_id not in listing.projects and held.user_id not in late:
            yield f"the credential {credential_id} is left of {held.project_id}"


CHECKS: tuple[Check, ...] = (
    nothing_was_wrong_on_the_way,
    every_project_comes_to_rest,
    no_run_outlives_its_limit,
    each_run_has_one_start_and_one_execution,
    each_end_is_told_once,
    what_was_asked_for_is_there,
    a_key_has_one_project,
    the_provider_has_each_thing_once,
    the_provider_has_who_takes_part,
    worked.every_job_ends,
    worked.a_job_fails_only_when_its_attempts_are_used_up,
    worked.dead_letters_are_copies_of_failed_jobs,
    worked.messages_are_repeated_only_in_counted_windows,
    worked.what_a_worker_keeps_stays_in_its_queue,
    worked.nobody_changes_a_job_that_another_worker_has,
    worked.no_other_tenants_keys_are_touched,
    suspensions.nothing_is_sent_for_a_suspended_tenant,
)


def broken(play: "ProjectsPlay", tables: Tables) -> list[str]:
    """Every invariant that does not hold."""
    evidence = Evidence(play, tables)
    return [f"{check.__name__}: {wrong}" for check in CHECKS for wrong in check(evidence)]
