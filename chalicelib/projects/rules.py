"""What is true of projects, whatever stores or provisions them."""

import hashlib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

import msgspec

from chalicelib.kernel.auth.tenancy import Role

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
#: What a run of the workflow is for. `users` leaves out who takes part by default.
Kind = Literal["provision", "users", "deprovision"]
Action = Literal[
    "retry", "suspend", "resume", "deprovision", "change its users", "follow its people"
]
ProjectRole = Literal["admin", "member", "reader"]
Wanted = Literal["member", "gone"]
State = Literal["waiting", "synced", "failed", "removed"]
StepStatus = Literal["waiting", "running", "done", "failed"]

#: Every change of status that there is. Whatever is not here does not happen.
NEXT: Mapping[Status, frozenset[Status]] = {
    "pending": frozenset({"provisioning", "deprovisioning"}),
    "provisioning": frozenset({"active", "failed"}),
    "active": frozenset({"provisioning", "suspended", "deprovisioning"}),
    "failed": frozenset({"provisioning", "deprovisioning"}),
    "suspended": frozenset({"active", "provisioning", "deprovisioning"}),
    "deprovisioning": frozenset({"deleted", "failed"}),
    "deleted": frozenset(),
}
#: The statuses in which a workflow is at work.
RUNNING: tuple[Status, ...] = ("provisioning", "deprovisioning")
#: From where a person may ask for what; people are followed by a job.
ALLOWED: Mapping[Action, tuple[Status, ...]] = {
    "retry": ("failed",),
    "suspend": ("active",),
    "resume": ("suspended",),
    "deprovision": ("active", "failed", "suspended"),
    "change its users": ("provisioning", "active", "failed"),
    "follow its people": ("provisioning", "active", "failed", "suspended"),
}

STEPS: Mapping[Kind, tuple[str, ...]] = {
    "provision": ("ensure_project", "attach_participants", "sync_users", "finish"),
    "users": ("ensure_project", "attach_participants", "sync_users", "finish"),
    "deprovision": ("attach_participants", "sync_users", "delete_project", "finish"),
}
#: How much of a run each step is, in percent; `sync_users` grows user by user.
_WEIGHTS: Mapping[str, int] = {
    "ensure_project": 8,
    "attach_participants": 7,
    "sync_users": 75,
    "delete_project": 8,
}
MOST_USER_IDS = 80  #: of one request: a check for each stands in one transaction of 100
TRIES = 3  #: of one user within a run
ASSUMED_SECONDS = 60  #: how long a run takes while no past one has taught better
RUNS_KEPT = 100  #: past runs of a provider that its figures are made of

_LONGEST_WHOLE_KEY_BYTES = 900  #: a longer one is cut and gets a digest; a key may have 1,024


def may(status: Status, following: Status) -> bool:
    return following in NEXT[status]


def why_not(action: Action, status: Status) -> str:
    """What a client is told who asks for `action` in a status that does not allow it."""
    return (
        f"The project is {status}. To {action} is possible while it is "
        f"{' or '.join(ALLOWED[action])}"
    )


def role_in_project(role: Role) -> ProjectRole:
    """Who leads the tenant leads its projects; customers look on."""
    if role in ("admin", "manager"):
        return "admin"
    return "member" if role == "staff" else "reader"


def name_key(name: str) -> str:
    """Names that differ only in case, in outer blanks, or in how accents are put together are the
    same; all others have different keys.
    """
    folded = unicodedata.normalize("NFD", name.strip()).casefold()
    key = unicodedata.normalize("NFC", folded)
    whole = key.encode()
    if len(whole) <= _LONGEST_WHOLE_KEY_BYTES:
        return key
    beginning = whole[:_LONGEST_WHOLE_KEY_BYTES].decode(errors="ignore")
    return f"{beginning}#{hashlib.sha256(whole).hexdigest()}"


def identifier(name: str, project_id: str) -> str:
    """A name for addresses and shells: lower-case letters, digits and hyphens, and unique."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].rstrip("-")
    return f"{words or 'project'}-{project_id[-8:]}"


class Candidate(msgspec.Struct, frozen=True):
    """Somebody who shall take part."""

    id: str
    name: str
    email: str
    role: ProjectRole


def platform_admin(tenant_id: str, email: str) -> Candidate:
    """An admin of the platform who is no user of the tenant. Known there by an id of their own."""
    digest = hashlib.sha256(f"{tenant_id}\n{email.lower()}".encode()).hexdigest()[:24]
    return Candidate(f"admin-{digest}", email.partition("@")[0], email, "admin")


def each_once(*groups: Iterable[Candidate]) -> list[Candidate]:
    """All candidates, each person once: the first counts, by id and by e-mail address."""
    found: dict[str, Candidate] = {}
    addresses: set[str] = set()
    for group in groups:
        for each in group:
            if each.id not in found and each.email.lower() not in addresses:
                found[each.id] = each
                addresses.add(each.email.lower())
    return list(found.values())


class Users(msgspec.Struct, frozen=True):
    """How many take part, and how far they are."""

    total: int
    synced: int
    failed: int
    removed: int = 0


def percent(kind: Kind, steps: Mapping[str, StepStatus], users: Users, floor: int) -> int:
    """How far a run is, 0 to 99: 100 is said only once it has ended well. Never below `floor`."""
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
    if name != "sync_users" or status == "waiting":
        return 0.0
    settled = users.failed + (users.removed if kind == "deprovision" else users.synced)
    return min(1.0, settled / users.total) if users.total else 1.0


class Estimate(msgspec.Struct, frozen=True):
    """How long a run takes."""

    p50_seconds: int
    p90_seconds: int
    runs: int  #: past ones that it was learned from; 0: it is only assumed


def estimate(past_seconds: Sequence[int]) -> Estimate:
    """The median and the time in which nine of ten were done, by nearest rank."""
    if not past_seconds:
        return Estimate(ASSUMED_SECONDS, ASSUMED_SECONDS, 0)
    ordered = sorted(past_seconds)
    p50, p90 = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.5, 0.9))
    return Estimate(max(1, p50), max(1, p90), len(ordered))


def with_run(past_seconds: Sequence[int], seconds: int) -> list[int]:
    """The past runs with one more; the oldest drops out."""
    return [*past_seconds, seconds][-RUNS_KEPT:]


def is_settled(kind: Kind, run: int, wanted: Wanted, state: State, tried_in: int) -> bool:
    """True for a participant that this run has nothing left to do for.

    One that failed in an earlier run is tried again; one that failed in this one has had its tries.
    """
    if state == "failed":
        return tried_in >= run
    goal = "removed" if kind == "deprovision" or wanted == "gone" else "synced"
    return state == goal
