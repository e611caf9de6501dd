"""The rules of projects, without I/O."""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from chalicelib.kernel.auth.tenancy import Role
from chalicelib.kernel.text import folded

Provider = Literal[
    "openstack",
    "simulated",
    "zadara",
]
PROVIDERS: tuple[str, ...] = get_args(Provider)
SIMULATED: Provider = "simulated"
Status = Literal[
    "pending", "provisioning", "active", "failed", "suspended", "deprovisioning", "deleted"
]
#: The purpose of a run of the workflow. `users` adds no participants by default.
Kind = Literal["provision", "users", "deprovision"]
Action = Literal[
    "retry",
    "suspend",
    "resume",
    "deprovision",
    "change users",
    "rotate credentials",
    "sync profiles",
]
ProjectRole = Literal["admin", "member", "reader"]
Wanted = Literal["member", "gone"]
State = Literal["waiting", "synced", "failed", "removed"]
StepStatus = Literal["waiting", "running", "done", "failed"]

#: The changes of status that are allowed; no others happen.
NEXT: Mapping[Status, frozenset[Status]] = {
    "pending": frozenset({"provisioning", "deprovisioning"}),
    "provisioning": frozenset({"active", "failed"}),
    "active": frozenset({"provisioning", "suspended", "deprovisioning"}),
    "failed": frozenset({"provisioning", "deprovisioning"}),
    "suspended": frozenset({"active", "provisioning", "deprovisioning"}),
    "deprovisioning": frozenset({"deleted", "failed"}),
    "deleted": frozenset(),
}
#: The statuses in which a workflow is running.
RUNNING: tuple[Status, ...] = ("provisioning", "deprovisioning")
#: The statuses in which an action is allowed. Profiles are synced by a job, not by a request.
ALLOWED: Mapping[Action, tuple[Status, ...]] = {
    "retry": ("failed",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "deprovision": ("active", "failed", "suspended"),
    "change users": ("provisioning", "active", "failed"),
    "rotate credentials": ("active",),
    "sync profiles": ("provisioning", "active", "failed", "suspended"),
}
_CAN: Mapping[Action, str] = {
    "retry": "It can be retried",
    "suspend": "It can be suspended",
    "resume": "It can be resumed",
    "deprovision": "It can be deleted",
    "change users": "Its users can be changed",
    "rotate credentials": "The credentials of its users can be rotated",
    "sync profiles": "The profiles of its users can be updated",
}

#: The steps of the workflow as clients see them.
ENSURE_PROJECT = "ensure_project"
ATTACH_PARTICIPANTS = "attach_participants"
SYNC_USERS = "sync_users"
DELETE_PROJECT = "delete_project"
FINISH = "finish"
STEPS: Mapping[Kind, tuple[str, ...]] = {
    "provision": (ENSURE_PROJECT, ATTACH_PARTICIPANTS, SYNC_USERS, FINISH),
    "users": (ENSURE_PROJECT, ATTACH_PARTICIPANTS, SYNC_USERS, FINISH),
    "deprovision": (ATTACH_PARTICIPANTS, SYNC_USERS, DELETE_PROJECT, FINISH),
}
#: The share of each step in a run, in percent; that of SYNC_USERS grows with each user.
_WEIGHTS: Mapping[str, int] = {
    ENSURE_PROJECT: 8,
    ATTACH_PARTICIPANTS: 7,
    SYNC_USERS: 75,
    DELETE_PROJECT: 8,
}
MOST_USER_IDS = 80  #: the most of one request, since a transaction has at most 100 actions
TRIES = 3  #: attempts at one user within a run
ASSUMED_SECONDS = 60  #: the estimated duration of a run without any past runs
RUNS_KEPT = 100  #: past runs of a provider that its estimate is made of

_LONGEST_WHOLE_KEY_BYTES = 900  #: a longer one is cut and gets a digest; a key may have 1,024


def may(status: Status, next_status: Status) -> bool:
    return next_status in NEXT[status]


def why_not(action: Action, status: Status) -> str:
    """Tells a client why the status does not allow `action`, and which statuses do."""
    *others, last = ALLOWED[action]
    allowed = f"{', '.join(others)} or {last}" if others else last
    return f"The project is {status}. {_CAN[action]} only while it is {allowed}."


def role_in_project(role: Role) -> ProjectRole:
    """Admins and managers of the tenant are admins of its projects; customers may only read."""
    if role in ("admin", "manager"):
        return "admin"
    return "member" if role == "staff" else "reader"


def name_key(name: str) -> str:
    """The key of a name. Names have the same key exactly if they differ only in case, in outer
    blanks, or in how accents are composed.
    """
    key = folded(name)
    whole = key.encode()
    if len(whole) <= _LONGEST_WHOLE_KEY_BYTES:
        return key
    beginning = whole[:_LONGEST_WHOLE_KEY_BYTES].decode(errors="ignore")
    return f"{beginning}#{hashlib.sha256(whole).hexdigest()}"


def identifier(name: str, project_id: str) -> str:
    """A unique name for addresses and shells: lower-case letters, digits and hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-")
    return f"{words or 'project'}-{project_id[-8:]}"


def is_identifier(text: str) -> bool:
    """True for a text in the form of an identifier, which is never that of an id."""
    return re.fullmatch(r"[a-z0-9-]{1,40}-[a-z0-9]{8}", text) is not None


class Candidate(msgspec.Struct, frozen=True):
    """Somebody who may become a participant."""

    id: str
    name: str
    email: str
    role: ProjectRole


def platform_admin(tenant_id: str, email: str) -> Candidate:
    """An admin of the platform who is no user of the tenant; their id is made from the address."""
    digest = hashlib.sha256(f"{tenant_id}\n{email.lower()}".encode()).hexdigest()[:24]
    return Candidate(f"admin-{digest}", email.partition("@")[0], email, "admin")


def unique(*groups: Iterable[Candidate]) -> list[Candidate]:
    """The candidates without duplicates: of those with one id or one address, only the first."""
    by_id: dict[str, Candidate] = {}
    addresses: set[str] = set()
    for group in groups:
        for candidate in group:
            if candidate.id not in by_id and candidate.email.lower() not in addresses:
                by_id[candidate.id] = candidate
                addresses.add(candidate.email.lower())
    return list(by_id.values())


class Users(msgspec.Struct, frozen=True):
    """How many users a project has, and how many of them are synced, failed or removed."""

    total: int
    synced: int
    failed: int
    removed: int = 0


def percent(kind: Kind, steps: Mapping[str, StepStatus], users: Users, floor: int) -> int:
    """The progress of a run, `floor` to 99 percent: 100 is left to a run that has succeeded."""
    names = STEPS[kind]
    whole = sum(_WEIGHTS.get(name, 0) for name in names) + 10
    done = sum(
        _WEIGHTS.get(name, 0) * _share(name, steps.get(name, "waiting"), kind, users)
        for name in names
    )
    return max(floor, min(99, int(100 * done / whole)))


def _share(name: str, status: StepStatus, kind: Kind, users: Users) -> float:
    if status == "done":
        return 1.0
    if name != SYNC_USERS or status == "waiting":
        return 0.0
    settled = users.failed + (users.removed if kind == "deprovision" else users.synced)
    return min(1.0, settled / users.total) if users.total else 1.0


class Estimate(msgspec.Struct, frozen=True):
    """How long a run takes: half of the runs, and nine of ten, are done in these times."""

    p50_seconds: int
    p90_seconds: int
    runs: int  #: the number of past runs it was made from; 0: it is only assumed


def estimate(past_seconds: Sequence[int]) -> Estimate:
    """The estimate from past runs, by nearest rank."""
    if not past_seconds:
        return Estimate(ASSUMED_SECONDS, ASSUMED_SECONDS, 0)
    ordered = sorted(past_seconds)
    p50, p90 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9))
    return Estimate(max(1, p50), max(1, p90), len(ordered))


def with_run(past_seconds: Sequence[int], seconds: int) -> list[int]:
    """The past runs and one more; of more than RUNS_KEPT the oldest is dropped."""
    return [*past_seconds, seconds][-RUNS_KEPT:]


def is_settled(kind: Kind, run: int, wanted: Wanted, state: State, tried_in: int) -> bool:
    """True for a participant for whom this run has nothing left to do.

    Somebody who failed in an earlier run is tried again; who failed in this run is not.
    """
    if state == "failed":
        return tried_in >= run
    goal = "removed" if kind == "deprovision" or wanted == "gone" else "synced"
    return state == goal
