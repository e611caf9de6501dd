"""Who takes part: requests and the tenant's own people become participants, each person once.

Requests come first, the oldest first; then, when a project is made, page by page the tenant's
managers and staff and the admins. A row is created on the condition that there is none, in one
transaction with the count and with what marks its source as done: broken off anywhere, the step
goes on where it stopped, in a later run too. The tenant's people are gone through once in a
project's life: the rows of those removed go in time, and nobody else would remember them.
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
from chalicelib.projects.rules import Candidate
from chalicelib.projects.workflow import progress

STEP = "attach_participants"
_DEFAULTS: tuple[Role, ...] = ("admin", "manager", "staff")
_PAGE = 90  #: people of one transaction of at most 100
_ALL = "~"  #: attached_to, when nobody is left


class _Changed(Conflict):
    """Another invocation of this step came between"""


def attach(project: Project, deadline: float) -> bool:
    """Does as much as there is time for; True when there is more. Raises Overtaken."""
    progress.begin(project, STEP)
    while time.monotonic() < deadline:
        if not _attach_some(project):
            progress.end(project, STEP)
            return False
        project = progress.read_run(str(project.tenant), project.id, int(project.run))
    return True


def _attach_some(project: Project) -> bool:
    """One transaction's worth; False when there is nothing left."""
    try:
        requests = models.requests_of(str(project.tenant), project.id)
        if requests:
            _take(project, requests[0])
        elif project.kind == "provision" and project.attached_to != _ALL:
            _attach_page(project)
        else:
            return False
    except _Changed:
        pass  # what the other invocation did is read again
    return True


def _take(project: Project, request: Request) -> None:
    """Turns one request into participants; while all is undone it comes to nothing."""
    tenant_id, ids = str(project.tenant), list(request.person_ids)
    tx = WriteSet()
    added = 0
    if project.kind != "deprovision":
        found = directory.profiles(tenant_id, ids)
        candidates = rules.each_once(candidate(found[each]) for each in ids if each in found)
        added = _add(tx, project, candidates, request)
    tx.delete(request, Request.sk.exists(), _Changed())
    _count(tx, project, Project.users_total.add(added - len(ids)))
    tx.commit()


def _attach_page(project: Project) -> None:
    tenant_id = str(project.tenant)
    people, following = directory.page(tenant_id, _DEFAULTS, project.attached_to, _PAGE)
    admins = [] if following else _platform_admins(tenant_id)
    tx = WriteSet()
    candidates = rules.each_once(map(candidate, people), admins)
    added = _add(tx, project, candidates, None)
    _count(tx, project, Project.users_total.add(added), Project.attached_to.set(following or _ALL))
    tx.commit()


def _platform_admins(tenant_id: str) -> list[Candidate]:
    """The platform's admins by settings, but for those who are users of the tenant."""
    named = settings.listed("platform_admins")
    known = directory.ids_by_email(tenant_id, named)
    return [rules.platform_admin(tenant_id, each) for each in named if each not in known]


def candidate(profile: Profile) -> Candidate:
    """What a user of the tenant is in its projects."""
    role = rules.role_in_project(profile.role)
    return Candidate(profile.id, profile.name, profile.email, role)


def _add(
    tx: WriteSet, project: Project, candidates: Iterable[Candidate], request: Request | None
) -> int:
    """Adds those who take no part yet to `tx`; how many. Who was removed comes back only if asked
    for since.
    """
    tenant_id, wanted = str(project.tenant), {each.id: each for each in candidates}
    present = models.find_participants(tenant_id, project.id, wanted)
    returning = [each for each in present.values() if request and _returns(each, request)]
    for part in returning:
        unchanged = Participant.revision == int(part.revision)
        tx.update(part, _back(part, wanted[part.id]), unchanged, _Changed())
    new = [each for each in wanted.values() if each.id not in present]
    for each in new:
        tx.create(models.participant(tenant_id, project.id, each), _Changed())
    return len(new) + len(returning)


def _returns(part: Participant, request: Request) -> bool:
    return bool(part.wanted == "gone" and int(part.left) <= int(request.number))


def _back(part: Participant, who: Candidate) -> list[Action]:
    """As they are by now: nobody has followed them while they were gone."""
    return [
        Participant.name.set(who.name),
        Participant.email.set(who.email),
        Participant.role.set(who.role),
        Participant.wanted.set("member"),
        Participant.state.set("waiting"),
        Participant.revision.set(int(part.revision) + 1),
        Participant.member_key.set(models.member_key(str(part.tenant), part.id)),
        Participant.changed_at.set(clock.iso(clock.now())),
        Participant.expires_at.remove(),
    ]


def _count(tx: WriteSet, project: Project, *actions: Action) -> None:
    """The floor keeps the percentage where it is while the total grows."""
    floor = Project.floor.set(project.percent)
    unchanged = progress.mine(project) & progress.as_counted(project) & _as_attached(project)
    tx.update(project, [*actions, floor], unchanged, _Changed())


def _as_attached(project: Project) -> Condition:
    """Holds while nobody else has gone on with the tenant's people."""
    last = project.attached_to
    holds: Condition = Project.attached_to.does_not_exist()
    return holds if last is None else Project.attached_to == last
