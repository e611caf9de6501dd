"""How requests and the tenant's own people become participants, everyone once.

Requests come first, the oldest first. When a project is provisioned, the tenant's managers and
staff and the admins follow, page by page. Rows are created on the condition that there is none, in
one transaction with the count and with the mark that their source is done. So an interrupted step
goes on where it stopped, even in a later run. The tenant's people are attached only once in a
project's life: the rows of participants who were removed expire, and after that nothing would keep
them from being attached again.
"""

import time
from collections.abc import Iterable

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.people import directory
from chalicelib.people.directory import Profile
from chalicelib.projects import models, rules
from chalicelib.projects.models import Participant, Project, Request
from chalicelib.projects.rules import ATTACH_PARTICIPANTS, Candidate
from chalicelib.projects.workflow import progress

_DEFAULTS: tuple[Role, ...] = ("admin", "manager", "staff")
_PAGE = 90  #: people of one transaction, which has at most 100 actions
_ALL = "~"  #: value of attached_to once everyone is attached


class _Changed(Conflict):
    """Another invocation of this step came between"""


def attach(project: Project, deadline: float) -> bool:
    """Attaches people until `deadline`; True when there are more. Raises Overtaken."""
    progress.begin(project, ATTACH_PARTICIPANTS)
    while time.monotonic() < deadline:
        if not _attach_some(project):
            progress.end(project, ATTACH_PARTICIPANTS)
            return False
        project = progress.read_run(str(project.tenant), project.id, int(project.run))
    return True


def _attach_some(project: Project) -> bool:
    """Attaches those of one transaction; False when nobody is left."""
    try:
        requests = models.requests_of(str(project.tenant), project.id)
        if requests:
            _attach_requested(project, requests[0])
        elif project.kind == "provision" and project.attached_to != _ALL:
            _attach_page(project)
        else:
            return False
    except _Changed:
        pass  # the next call reads what the other invocation did
    return True


def _attach_requested(project: Project, request: Request) -> None:
    """Turns one request into participants; drops it while the project is being deleted."""
    tenant_id, ids = str(project.tenant), list(request.person_ids)
    tx = WriteSet()
    added = 0
    if project.kind != "deprovision":
        users = directory.find_present(tenant_id, ids)
        candidates = rules.unique(candidate(users[user_id]) for user_id in ids if user_id in users)
        added = _add(tx, project, candidates, request)
    tx.delete(request, Request.sk.exists(), _Changed())
    _count(tx, project, Project.users_total.add(added - len(ids)))
    tx.commit()


def _attach_page(project: Project) -> None:
    tenant_id = str(project.tenant)
    people, next_after = directory.page(tenant_id, _DEFAULTS, project.attached_to, _PAGE)
    admins = [] if next_after else _platform_admins(tenant_id)
    tx = WriteSet()
    candidates = rules.unique(map(candidate, people), admins)
    added = _add(tx, project, candidates, None)
    attached_to = Project.attached_to.set(next_after or _ALL)
    _count(tx, project, Project.users_total.add(added), attached_to)
    tx.commit()


def _platform_admins(tenant_id: str) -> list[Candidate]:
    """The platform's admins by settings, without those who are users of the tenant."""
    addresses = [each for each in settings.listed("platform_admins") if "@" in each]
    users = directory.ids_by_email(tenant_id, addresses)
    return [rules.platform_admin(tenant_id, each) for each in addresses if each not in users]


def candidate(profile: Profile) -> Candidate:
    """A user of the tenant as a candidate, with the role that the rules give."""
    role = rules.role_in_project(profile.role)
    return Candidate(profile.id, profile.name, profile.email, role)


def _add(
    tx: WriteSet, project: Project, candidates: Iterable[Candidate], request: Request | None
) -> int:
    """Adds the candidates who take no part yet to `tx`, and returns their number.

    Somebody who was removed returns only by a request that was made after that.
    """
    tenant_id, by_id = str(project.tenant), {each.id: each for each in candidates}
    present = models.find_participants(tenant_id, project.id, by_id)
    returning = [part for part in present.values() if request and _returns(part, request)]
    for part in returning:
        unchanged = Participant.revision == int(part.revision)
        tx.update(part, _return_actions(part, by_id[part.id]), unchanged, _Changed())
    new = [candidate for candidate in by_id.values() if candidate.id not in present]
    for candidate in new:
        tx.create(models.participant(tenant_id, project.id, candidate), _Changed())
    return len(new) + len(returning)


def _returns(part: Participant, request: Request) -> bool:
    return bool(part.wanted == "gone" and int(part.left) <= int(request.number))


def _return_actions(part: Participant, candidate: Candidate) -> list[Action]:
    """Makes somebody a member again, with their current profile: it was not synced meanwhile."""
    return [
        Participant.name.set(candidate.name),
        Participant.email.set(candidate.email),
        Participant.role.set(candidate.role),
        Participant.wanted.set("member"),
        Participant.state.set("waiting"),
        Participant.turn.set(int(part.turn) + 1),  # what they knew from before must not work
        Participant.revision.set(int(part.revision) + 1),
        Participant.member_key.set(models.member_key(str(part.tenant), part.id)),
        Participant.changed_at.set(clock.iso(clock.now())),
        Participant.expires_at.remove(),
    ]


def _count(tx: WriteSet, project: Project, *actions: Action) -> None:
    """Adds the count to `tx`. The floor keeps the percentage from falling when the total grows."""
    floor = Project.floor.set(project.percent)
    unchanged = progress.current_run(project) & progress.counts_unchanged(project)
    unchanged &= _attached_unchanged(project)
    tx.update(project, [*actions, floor], unchanged, _Changed())


def _attached_unchanged(project: Project) -> Condition:
    """Holds while no other invocation has attached people of the tenant."""
    last = project.attached_to
    none_attached: Condition = Project.attached_to.does_not_exist()
    return none_attached if last is None else Project.attached_to == last
