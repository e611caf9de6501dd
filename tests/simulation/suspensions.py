"""In some seeds the platform suspends a tenant while it is at work, and makes it active again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.books import Suspension
from tests.simulation.clients import http_event
from tests.simulation.evidence import Evidence
from tests.simulation.world import SKEW_SECONDS, Process

if TYPE_CHECKING:
    from tests.simulation.actors import Play

#: In every so many-th seed a tenant is suspended; the others keep their course.
SUSPENDED_EVERY = 7
_TENANT = "t1"
_LENGTHS_SECONDS = (40.0, 400.0, 4000.0)
#: An instance may believe its copy of the tenant's record for a minute, and what has begun goes on
#: until its function's time is up. A process that stood still goes on even later.
_GRACE_SECONDS = 60 + SKEW_SECONDS + 60


def take_place(play: "Play", within_seconds: float) -> None:
    """The platform takes its place in every so many-th seed; it acts within so many seconds."""
    if play.world.seed % SUSPENDED_EVERY == 0:
        play.busy.add("platform")
        play.world.spawn("platform", lambda: _act(play, within_seconds))


def _act(play: "Play", within_seconds: float) -> None:
    rng, process = play.world.random, Process("platform", spared=True)
    for _ in range(rng.randint(1, 2)):
        play.world.pause(rng.uniform(5, within_seconds))
        _change(play, process, "suspended")
        suspension = Suspension(play.world.now)
        play.suspensions.append(suspension)
        play.world.pause(rng.choice(_LENGTHS_SECONDS))
        suspension.ended = play.world.now
        _change(play, process, "active")
        play.weather.counts.faults["tenant suspended"] += 1
    play.busy.discard("platform")


def _change(play: "Play", process: Process, status: str) -> None:
    path, tenant = "/admin/v1/tenants/{tenant_id}", {"tenant_id": _TENANT}
    event = http_event("PATCH", path, {"status": status}, tenant="", key=None, parameters=tenant)
    event["requestContext"]["authorizer"] |= {"role": "admin", "sub": "root"}
    event["tenant"] = None
    answered, body = play.send(process, event)
    if answered != 200:
        raise RuntimeError(f"{_TENANT} could not be made {status}: {answered} {body}")


def nothing_is_sent_for_a_suspended_tenant(evidence: Evidence) -> Iterator[str]:
    play = evidence.play
    for at, job_id in play.weather.sent_at:
        job = evidence.jobs.get(job_id)
        if job is None or job["tenant"] != _TENANT or job_id in play.weather.late_sends:
            continue
        for each in play.suspensions:
            if each.began + _GRACE_SECONDS < at < each.ended:
                yield f"{job_id} was sent {at - each.began:.0f} s after its tenant was suspended"
