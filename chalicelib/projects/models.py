"""Records of projects. Table `projects`, keys (tenant, sk).

sk                               record       found by
project#<id>                     Project      get_project, get_projects, projects_of, get_with_part
name#<folded name>               NameGuard    makes the name unique
identifier#<identifier>          NameGuard    guards.id_of
request#<project>#<id>           Request      requests_of
participant#<project>#<person>   Participant  participants_of, find_participants, page_of
credential#<project>#<person>    Credential   credentials.find
figures#<provider>               Figures      durations.find    (tenant "#platform")
index member                     Participant  projects_joined, ids_joined  (tenant#person, project)
index watch                      Project      due_for_check     (shard, time)
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
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
_REQUEST = "request#"
_PARTICIPANT = "participant#"
_SHARDS = 4  #: partitions of the index of running projects


class MemberIndex(GlobalSecondaryIndex[Any]):
    """A person's projects."""

    class Meta:
        index_name = "member"
        projection = KeysOnlyProjection()

    member_key = UnicodeAttribute(hash_key=True)
    project_id = UnicodeAttribute(range_key=True)


class WatchIndex(GlobalSecondaryIndex[Any]):
    """Running projects by the time at which the reconciler checks them; sparse and sharded."""

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
    """A project, the progress of its workflow, and when the reconciler checks it."""

    name = UnicodeAttribute()
    name_key = UnicodeAttribute()
    identifier = UnicodeAttribute()
    description = UnicodeAttribute(default="")
    provider = UnicodeAttribute()
    region = UnicodeAttribute()
    provider_project_id = UnicodeAttribute(null=True)
    status = UnicodeAttribute()  #: rules.Status
    version = Number(default=1)  #: rises with each change, but not with progress; sent as the ETag
    created_at = UnicodeAttribute()
    created_by = UnicodeAttribute()  #: subject of the creator's token
    creator_email = UnicodeAttribute(default="")  #: the verified address in the creator's token
    base_url = UnicodeAttribute(default="")  #: the address that links in its notices start with
    kind = UnicodeAttribute(default="provision")  #: rules.Kind of the last run
    run = Number(default=1)  #: rises with each start of the workflow
    requests = Number(default=0)  #: rises with each requested change of users
    requests_seen = Number(default=0)  #: `requests` when the users were last listed
    attached_to = UnicodeAttribute(null=True)  #: id of the last of the tenant's people attached
    step = UnicodeAttribute(null=True)  #: the running step, or the last one
    steps: MapAttribute[str, Any] = MapAttribute(default=dict)  #: name -> progress.Row
    floor = Number(default=0)  #: the percentage of a run is never shown below this
    users_total = Number(default=0)
    users_synced = Number(default=0)
    users_failed = Number(default=0)
    users_removed = Number(default=0)  #: users removed in this run
    error = UnicodeAttribute(null=True)  #: why the run failed
    started_at = UnicodeAttribute()  #: when the last run began
    completed_at = UnicodeAttribute(null=True)
    estimated_at = UnicodeAttribute()  #: when the last run should be done
    limit_at = Number(default=0)  #: epoch seconds at which the reconciler ends the run
    #: the seconds that the run had left when it was parked; None: it is not parked
    parked_seconds = Number(null=True)
    parked_at = Number(null=True)  #: epoch seconds at which it was parked
    paused_seconds = Number(default=0)  #: for which it was parked since it began
    watch_shard = UnicodeAttribute(null=True)
    watch_at = Number(null=True)  #: epoch seconds of the reconciler's next check

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(_PROJECT)

    @property
    def is_running(self) -> bool:
        return self.status in rules.RUNNING

    @property
    def is_parked(self) -> bool:
        return bool(self.parked_seconds)

    @property
    def users(self) -> rules.Users:
        counts = (self.users_total, self.users_synced, self.users_failed, self.users_removed)
        return rules.Users(*(max(0, int(count)) for count in counts))

    @property
    def percent(self) -> int:
        if self.status in ("active", "suspended", "deleted"):
            return 100
        steps = {name: row["status"] for name, row in self.step_rows.items()}
        return rules.percent(cast("Kind", self.kind), steps, self.users, int(self.floor))

    @property
    def step_rows(self) -> dict[str, Any]:
        return dict(self.steps.as_dict())


class Request(ProjectsRecord):
    """A request to add people, who become participants in the background."""

    person_ids: ListAttribute[Any] = ListAttribute()
    number = Number(default=0)  #: the project's `requests` at the time of the request


class Participant(ProjectsRecord):
    """Somebody who takes part in a project, or did so a short time ago."""

    member_key = UnicodeAttribute(null=True)  #: present while they may see the project
    project_id = UnicodeAttribute()
    name = UnicodeAttribute()
    email = UnicodeAttribute()
    role = UnicodeAttribute()  #: rules.ProjectRole
    wanted = UnicodeAttribute(default="member")  #: rules.Wanted
    left = Number(default=0)  #: the project's `requests` when they were last removed
    state = UnicodeAttribute(default="waiting")  #: rules.State
    revision = Number(default=1)  #: rises with each change; writes are conditional on it
    run = Number(default=0)  #: the last run that tried to sync them
    attempts = Number(default=0)  #: attempts within that run
    error = UnicodeAttribute(null=True)
    cloud_user_id = UnicodeAttribute(null=True)
    turn = Number(default=0)  #: rises with each rotation that is wanted; Credential.turn follows
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
    keys = [(tenant_id, _PROJECT + project_id) for project_id in project_ids]
    return {project.id: project for project in Project.batch_get(keys)} if keys else {}


class _Either(ProjectsRecord):
    """Reads a project and its participants in one call."""

    @classmethod
    def from_raw_data(cls, data: dict[str, Any]) -> Any:
        kind = Project if data["sk"]["S"].startswith(_PROJECT) else Participant
        return kind.from_raw_data(data)


def get_with_part(
    tenant_id: str, project_id: str, person_id: str
) -> tuple[Project | None, Participant | None]:
    """A project and a person's part in it, in one call."""
    if not clock.is_id(project_id):
        return None, None
    part = f"{_PARTICIPANT}{project_id}#{person_id}"
    keys = [(tenant_id, _PROJECT + project_id), (tenant_id, part)]
    rows: Any = {type(row): row for row in _Either.batch_get(keys, consistent_read=True)}
    return rows.get(Project), rows.get(Participant)


def get_parts(tenant_id: str, project_id: str, person_ids: Sequence[str]) -> Iterator[Participant]:
    """The parts of these people in a project, read consistently."""
    keys = [(tenant_id, f"{_PARTICIPANT}{project_id}#{person_id}") for person_id in person_ids]
    return Participant.batch_get(keys, consistent_read=True) if keys else iter(())


def watch_shard(project_id: str) -> str:
    return str(zlib.crc32(project_id.encode()) % _SHARDS)


def due_for_check(now: int) -> Iterator[tuple[str, str]]:
    """(tenant id, project id) of the running projects that the reconciler should check now."""
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
    """The ids beyond `after` of the projects that somebody takes part in, the oldest first."""
    beyond = Participant.project_id > after if after else None
    parts = Participant.query(member_key(tenant_id, person_id), beyond, index_name="member")
    return (str(part.project_id) for part in parts)


def request(tenant_id: str, project_id: str, person_ids: Iterable[str], number: int) -> Request:
    key = f"{_REQUEST}{project_id}#{clock.new_id()}"
    return Request(tenant_id, key, person_ids=list(person_ids), number=number)


def requests_of(tenant_id: str, project_id: str) -> list[Request]:
    """The oldest open requests, the oldest first; at most one page of them."""
    prefix = Request.sk.startswith(f"{_REQUEST}{project_id}#")
    return records.page(Request, tenant_id, prefix, consistent_read=True, page_size=20)[0]


def participant(tenant_id: str, project_id: str, candidate: Candidate) -> Participant:
    """The record of a new participant, not yet saved."""
    return Participant(
        tenant_id,
        f"{_PARTICIPANT}{project_id}#{candidate.id}",
        member_key=member_key(tenant_id, candidate.id),
        project_id=project_id,
        name=candidate.name,
        email=candidate.email,
        role=candidate.role,
        changed_at=clock.iso(clock.now()),
    )


def find_participants(
    tenant_id: str, project_id: str, person_ids: Iterable[str]
) -> dict[str, Participant]:
    """The participants among up to 100 people, by their ids."""
    keys = [(tenant_id, f"{_PARTICIPANT}{project_id}#{person_id}") for person_id in person_ids]
    parts = Participant.batch_get(keys, consistent_read=True) if keys else ()
    return {part.id: part for part in parts}


def participants_of(
    tenant_id: str, project_id: str, first: str = "", last: str = "~", **options: Any
) -> Iterator[Participant]:
    """The participants with ids from `first` to `last`, read consistently."""
    prefix = f"{_PARTICIPANT}{project_id}#"
    within = Participant.sk.between(prefix + first, prefix + last)
    return iter(Participant.query(tenant_id, within, consistent_read=True, **options))


def page_of(tenant_id: str, project_id: str, state: State | None) -> Listing[Participant]:
    """A project's participants in the order of their ids."""
    within = Participant.sk.startswith(f"{_PARTICIPANT}{project_id}#")
    only: Condition | None = Participant.state == state if state else None
    return Listing(Participant, tenant_id, within, only=only)
