"""Records of projects. Table `projects`, keys (tenant, sk).

sk                               record       found by
project#<id>                     Project      get_project, get_projects, projects_of, seen_by
name#<folded name>               NameGuard    its existence is the rule
request#<project>#<id>           Request      requests_of
participant#<project>#<person>   Participant  participants_of, find_participants, page_of
credential#<project>#<person>    Credential   credentials.find
figures#<provider>               Figures      figures.find      (tenant "#platform")
index member                     Participant  projects_joined, ids_joined  (tenant#person, project)
index watch                      Project      to_look_at        (shard, time)
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, cast

from pynamodb.attributes import ListAttribute, MapAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from chalicelib.kernel import clock
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.paging import Listing
from chalicelib.kernel.store.records import Keyed, Number
from chalicelib.projects import rules
from chalicelib.projects.rules import Candidate, Kind, State, Status

_PROJECT = "project#"
_NAME = "name#"
_REQUEST = "request#"
_PARTICIPANT = "participant#"
_SHARDS = 4  #: partitions of the index of projects under way


class MemberIndex(GlobalSecondaryIndex[Any]):
    """A person's projects."""

    class Meta:
        index_name = "member"
        projection = KeysOnlyProjection()

    member_key = UnicodeAttribute(hash_key=True)
    project_id = UnicodeAttribute(range_key=True)


class WatchIndex(GlobalSecondaryIndex[Any]):
    """Projects under way, by the time at which the reconciler looks at them; sparse, sharded."""

    class Meta:
        index_name = "watch"
        projection = KeysOnlyProjection()

    watch_shard = UnicodeAttribute(hash_key=True)
    watch_at = Number(range_key=True)


class ProjectsRecord(Keyed):
    """Base of the records in the table of projects."""

    class Meta:
        table_name = settings.resource("projects")

    expires_at = Number(null=True)  #: epoch seconds; DynamoDB deletes some days later
    by_member = MemberIndex()
    by_watch = WatchIndex()


class Project(ProjectsRecord):
    """A project, how far its workflow is, and when the reconciler looks after it."""

    name = UnicodeAttribute()
    name_key = UnicodeAttribute()
    identifier = UnicodeAttribute()
    description = UnicodeAttribute(default="")
    provider = UnicodeAttribute()
    region = UnicodeAttribute()
    provider_project_id = UnicodeAttribute(null=True)
    status = UnicodeAttribute()  #: rules.Status
    version = Number(default=1)  #: rises with each change but progress: the ETag
    created_at = UnicodeAttribute()
    created_by = UnicodeAttribute()  #: subject of the creator's token
    creator_email = UnicodeAttribute(default="")  #: the verified one of the creator's token
    base_url = UnicodeAttribute(default="")  #: address that links in its notices start with
    kind = UnicodeAttribute(default="provision")  #: rules.Kind of the last run
    run = Number(default=1)  #: rises with each start of the workflow
    requests = Number(default=0)  #: rises with each change of users that is asked for
    requests_seen = Number(default=0)  #: what it was when users were last listed
    attached_to = UnicodeAttribute(null=True)  #: whom attaching has come to, in all runs
    step = UnicodeAttribute(null=True)  #: the one at work, or the last one
    steps: MapAttribute[str, Any] = MapAttribute(default=dict)  #: name -> rows of progress.py
    floor = Number(default=0)  #: percent that the run is never shown below
    users_total = Number(default=0)
    users_synced = Number(default=0)
    users_failed = Number(default=0)
    users_removed = Number(default=0)  #: in this run
    error = UnicodeAttribute(null=True)  #: why it failed
    started_at = UnicodeAttribute()  #: of the last run
    completed_at = UnicodeAttribute(null=True)
    estimated_at = UnicodeAttribute()  #: when the last run should be done
    limit_at = Number(default=0)  #: epoch seconds at which a run is ended
    watch_shard = UnicodeAttribute(null=True)
    watch_at = Number(null=True)  #: epoch seconds of the reconciler's next look

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(_PROJECT)

    @property
    def is_running(self) -> bool:
        return self.status in rules.RUNNING

    @property
    def users(self) -> rules.Users:
        counts = (self.users_total, self.users_synced, self.users_failed, self.users_removed)
        return rules.Users(*(max(0, int(each)) for each in counts))

    @property
    def percent(self) -> int:
        if self.status in ("active", "suspended", "deleted"):
            return 100
        steps = {name: each["status"] for name, each in self.step_rows.items()}
        return rules.percent(cast("Kind", self.kind), steps, self.users, int(self.floor))

    @property
    def step_rows(self) -> dict[str, Any]:
        return dict(self.steps.as_dict())


class NameGuard(ProjectsRecord):
    """Stands for one name in a tenant: whoever creates it first has it."""

    project_id = UnicodeAttribute()


class Request(ProjectsRecord):
    """People who shall take part, as asked for; becomes participants in the background."""

    person_ids: ListAttribute[Any] = ListAttribute()
    number = Number(default=0)  #: the project's `requests` when it was asked for


class Participant(ProjectsRecord):
    """Somebody who takes part, or did so not long ago."""

    member_key = UnicodeAttribute(null=True)  #: while they may see the project
    project_id = UnicodeAttribute()
    name = UnicodeAttribute()
    email = UnicodeAttribute()
    role = UnicodeAttribute()  #: rules.ProjectRole
    wanted = UnicodeAttribute(default="member")  #: rules.Wanted
    left = Number(default=0)  #: the project's `requests` when they last had to go
    state = UnicodeAttribute(default="waiting")  #: rules.State
    revision = Number(default=1)  #: rises with each change, so that one of two is late
    run = Number(default=0)  #: the last one that tried
    attempts = Number(default=0)  #: within that run
    error = UnicodeAttribute(null=True)
    cloud_user_id = UnicodeAttribute(null=True)
    changed_at = UnicodeAttribute()

    @property
    def id(self) -> str:
        return str(self.sk).split("#", 2)[2]


def project(tenant_id: str, project_id: str, **values: Any) -> Project:
    return Project(tenant_id, _PROJECT + project_id, **values)


def get_project(tenant_id: str, project_id: str, *, consistent: bool = True) -> Project | None:
    if not clock.is_id(project_id):
        return None
    return records.read(Project, tenant_id, _PROJECT + project_id, consistent=consistent)


def get_projects(tenant_id: str, project_ids: Iterable[str]) -> dict[str, Project]:
    """Up to 100 projects by id, in one call."""
    keys = [(tenant_id, _PROJECT + each) for each in project_ids]
    return {each.id: each for each in Project.batch_get(keys)} if keys else {}


class _Either(ProjectsRecord):
    """Reads a project and its participants in one call."""

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Any:
        kind = Project if data["sk"]["S"].startswith(_PROJECT) else Participant
        return kind.from_raw_data(data)


def seen_by(
    tenant_id: str, project_id: str, person_id: str
) -> tuple[Project | None, Participant | None]:
    """A project and a person's part in it, in one call."""
    if not clock.is_id(project_id):
        return None, None
    part = f"{_PARTICIPANT}{project_id}#{person_id}"
    keys = [(tenant_id, _PROJECT + project_id), (tenant_id, part)]
    found: Any = {type(each): each for each in _Either.batch_get(keys, consistent_read=True)}
    return found.get(Project), found.get(Participant)


def watch_shard(project_id: str) -> str:
    return str(zlib.crc32(project_id.encode()) % _SHARDS)


def to_look_at(now: int) -> Iterator[tuple[str, str]]:
    """(tenant, project) of all that the reconciler should look at by now."""
    for shard in range(_SHARDS):
        for row in Project.query(str(shard), Project.watch_at <= now, index_name="watch"):
            yield str(row.tenant), row.id


def projects_of(tenant_id: str, status: Status | None) -> Listing[Project]:
    """A tenant's projects, newest first."""
    only: Condition | None = Project.status == status if status else None
    within = Project.sk.startswith(_PROJECT)
    return Listing(Project, tenant_id, within, only=only, newest_first=True)


def member_key(tenant_id: str, person_id: str) -> str:
    return f"{tenant_id}#{person_id}"


def projects_joined(tenant_id: str, person_id: str) -> Listing[Participant]:
    """A person's parts in projects, the newest project first."""
    return Listing(Participant, member_key(tenant_id, person_id), index="member", newest_first=True)


def ids_joined(tenant_id: str, person_id: str, after: str) -> Iterator[str]:
    """The projects beyond `after` that somebody takes part in, the oldest first."""
    beyond = Participant.project_id > after if after else None
    found = Participant.query(member_key(tenant_id, person_id), beyond, index_name="member")
    return (str(each.project_id) for each in found)


def name_guard(tenant_id: str, name_key: str, project_id: str) -> NameGuard:
    return NameGuard(tenant_id, _NAME + name_key, project_id=project_id)


def request(tenant_id: str, project_id: str, person_ids: Iterable[str], number: int) -> Request:
    key = f"{_REQUEST}{project_id}#{clock.new_id()}"
    return Request(tenant_id, key, person_ids=list(person_ids), number=number)


def requests_of(tenant_id: str, project_id: str) -> list[Request]:
    """Open requests, the oldest first, not all when there are many."""
    prefix = Request.sk.startswith(f"{_REQUEST}{project_id}#")
    return records.page(Request, tenant_id, prefix, consistent_read=True, page_size=20)[0]


def participant(tenant_id: str, project_id: str, who: Candidate) -> Participant:
    """A new part, as `who` shall have it."""
    return Participant(
        tenant_id,
        f"{_PARTICIPANT}{project_id}#{who.id}",
        member_key=member_key(tenant_id, who.id),
        project_id=project_id,
        name=who.name,
        email=who.email,
        role=who.role,
        changed_at=clock.iso(clock.now()),
    )


def find_participants(
    tenant_id: str, project_id: str, person_ids: Iterable[str]
) -> dict[str, Participant]:
    """Those of up to 100 people who have a part, by their id."""
    keys = [(tenant_id, f"{_PARTICIPANT}{project_id}#{each}") for each in person_ids]
    found = Participant.batch_get(keys, consistent_read=True) if keys else ()
    return {each.id: each for each in found}


def participants_of(
    tenant_id: str, project_id: str, first: str = "", last: str = "~", **options: Any
) -> Iterator[Participant]:
    """Parts of people from `first` to `last`, by id, read consistently."""
    prefix = f"{_PARTICIPANT}{project_id}#"
    within = Participant.sk.between(prefix + first, prefix + last)
    return iter(Participant.query(tenant_id, within, consistent_read=True, **options))


def page_of(tenant_id: str, project_id: str, state: State | None) -> Listing[Participant]:
    """A project's participants by id."""
    within = Participant.sk.startswith(f"{_PARTICIPANT}{project_id}#")
    only: Condition | None = Participant.state == state if state else None
    return Listing(Participant, tenant_id, within, only=only)
