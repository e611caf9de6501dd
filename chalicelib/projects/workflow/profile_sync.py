"""Syncing profiles: when a user changes or is deactivated, their parts in projects change too.

A job goes through somebody's projects and updates each part by the person's current profile and the
rules. A change is saved only if the profile was not changed since it was read, so jobs may be
repeated and run in any order or at the same time. Somebody who was removed from a project, for
whatever reason, returns only by a new request.
"""

from collections.abc import Callable, Iterable

from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.errors import Conflict, Retry
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.people import directory
from chalicelib.people.directory import Profile
from chalicelib.projects import models, rules
from chalicelib.projects.models import Participant, Project
from chalicelib.projects.workflow import participants, runs

_TRIES = 5  #: tries at one part, while others change it, its project or the profile
_COPIED = ("name", "email", "role")  #: attributes that a part has from the profile


def sync_person(tenant_id: str, person_id: str, after: str, has_time: Callable[[], bool]) -> None:
    """Brings somebody's parts in all projects beyond `after` up to date.

    When there is no time left, it queues a job that goes on. Raises Retry.
    """
    for project_id in models.ids_joined(tenant_id, person_id, after):
        try:
            _bring_up_to_date(tenant_id, project_id, person_id)
        except Conflict as conflict:
            raise Retry(conflict.detail, charged=True) from conflict
        if not has_time():
            with Transaction(tenant_id) as tx:
                tx.enqueue("projects.follow_person", person_id=person_id, after=project_id)
            return


def refresh(project: Project, parts: Iterable[Participant]) -> bool:
    """Brings up to 100 parts up to date before a run syncs them; True when some were changed.

    Somebody who became a participant while their profile changed is missed by the profile's job.
    """
    if project.kind == "deprovision":
        return False
    members = {part.id: part for part in parts if part.wanted == "member"}
    people = directory.find_all(str(project.tenant), members).values()
    outdated = [person for person in people if _concerns_provider(members[person.id], person)]
    for person in outdated:
        _bring_up_to_date(str(project.tenant), project.id, person.id)
    return bool(outdated)


def _bring_up_to_date(tenant_id: str, project_id: str, person_id: str) -> None:
    """Raises Conflict when other changes come between in every try."""
    for attempt in range(1, _TRIES + 1):
        person = directory.find(tenant_id, person_id)
        project, part = models.get_with_part(tenant_id, project_id, person_id)
        if person is None or project is None or part is None or not _is_synced(project, part):
            return
        tx = Transaction(tenant_id)
        if not _change(tx, project, part, person):
            return
        directory.require_unchanged(tx, tenant_id, person, Conflict("The person was changed"))
        try:
            tx.commit()
            return
        except Conflict:
            if attempt == _TRIES:
                raise


def _is_synced(project: Project, part: Participant) -> bool:
    """False in a project that is being deleted or is deleted: all its parts end anyway."""
    is_in_use = project.status in rules.ALLOWED["sync profiles"] and project.kind != "deprovision"
    return bool(is_in_use and part.wanted == "member")


def _concerns_provider(part: Participant, person: Profile) -> bool:
    """True when something has to change at the provider.

    A new name or address does not concern it: it knows users by an id.
    """
    return not person.is_present or part.role != participants.candidate(person).role


def _change(tx: Transaction, project: Project, part: Participant, person: Profile) -> bool:
    """Adds the change of the part to `tx`; False when there is nothing to change."""
    if not person.is_present:
        runs.remove_part(tx, project, part, "sync profiles")
        return True
    now = participants.candidate(person)
    new = {
        name: getattr(now, name) for name in _COPIED if getattr(now, name) != getattr(part, name)
    }
    changes: list[Action] = [getattr(Participant, name).set(value) for name, value in new.items()]
    if _concerns_provider(part, person):
        runs.change_part(tx, project, part, changes)
    elif changes:
        changes.append(Participant.changed_at.set(clock.iso(clock.now())))
        tx.update(part, changes, Participant.revision == int(part.revision))
    return bool(changes)
