"""Following people: whoever changes or leaves the tenant does so in their projects too.

A job goes through somebody's projects and makes of each part what the person, as they are now, is
in a project by the rules. Each change holds only while the person is as they were read: jobs may
be repeated, and run in any order or side by side. Who is gone stays gone, whyever they are: they
come back only if asked for.
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

_TRIES = 5  #: at one part, while others change it, its project or the person
_TAKEN = ("name", "email", "role")  #: of the person, for the part


def follow(tenant_id: str, person_id: str, after: str, has_time: Callable[[], bool]) -> None:
    """Brings somebody's parts in all projects beyond `after` up to date.

    When there is no time left, another job goes on. Raises Retry.
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


def take_in(project: Project, parts: Iterable[Participant]) -> bool:
    """For a run, just before it syncs up to 100 parts: True when some of them had to change.

    Who became a participant while they were leaving is in no list that their job has seen.
    """
    if project.kind == "deprovision":
        return False
    staying = {each.id: each for each in parts if each.wanted == "member"}
    people = directory.known(str(project.tenant), staying).values()
    late = [each for each in people if _asks_for_more(staying[each.id], each)]
    for each in late:
        _bring_up_to_date(str(project.tenant), project.id, each.id)
    return bool(late)


def _bring_up_to_date(tenant_id: str, project_id: str, person_id: str) -> None:
    """Raises Conflict when others keep coming between."""
    for attempt in range(1, _TRIES + 1):
        person = directory.find(tenant_id, person_id)
        project, part = models.seen_by(tenant_id, project_id, person_id)
        if person is None or project is None or part is None or not _is_followed(project, part):
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


def _is_followed(project: Project, part: Participant) -> bool:
    """Nobody's part is looked at where all is being undone, or is: it ends for everyone."""
    at_work = project.status in rules.ALLOWED["follow its people"] and project.kind != "deprovision"
    return bool(at_work and part.wanted == "member")


def _asks_for_more(part: Participant, person: Profile) -> bool:
    """True when something has to be done at the provider.

    There nobody is told by name or address once they are made: those are only kept.
    """
    return not person.is_present or part.role != participants.candidate(person).role


def _change(tx: Transaction, project: Project, part: Participant, person: Profile) -> bool:
    """Adds to `tx` what becomes of the part; False for nothing."""
    if not person.is_present:
        runs.let_go(tx, project, part, "follow its people")
        return True
    who = participants.candidate(person)
    new = {name: getattr(who, name) for name in _TAKEN if getattr(who, name) != getattr(part, name)}
    news: list[Action] = [getattr(Participant, name).set(value) for name, value in new.items()]
    if _asks_for_more(part, person):
        runs.change_part(tx, project, part, news)
    elif news:
        news.append(Participant.changed_at.set(clock.iso(clock.now())))
        tx.update(part, news, Participant.revision == int(part.revision))
    return bool(news)
