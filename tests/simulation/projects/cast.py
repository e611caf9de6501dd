"""Who takes part in a run of this flow, and on what."""

from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

from chalicelib.kernel import clock
from chalicelib.kernel.auth import vault
from chalicelib.people import directory, models, rules
from chalicelib.projects import durations, gateway
from chalicelib.projects.regions import service as regions
from chalicelib.projects.workflow import participants, user_batches, user_sync
from infra.local import mailbox
from tests import settings
from tests.simulation import books, cast, injection, suspensions
from tests.simulation.injection import Treadmill
from tests.simulation.projects import executions, invariants
from tests.simulation.projects.connections import connect
from tests.simulation.projects.people import Manager
from tests.simulation.projects.schedule import ProjectsPlay, ProjectsWeather
from tests.simulation.stage import Stage, memory_of
from tests.simulation.world import Memory, Process, World

#: So that a few users make several batches, pages and transactions.
_SMALL: tuple[tuple[Any, str, int], ...] = (
    (user_batches, "BATCH", 3),
    (user_batches, "MOST_BATCHES", 2),
    (user_sync, "_SAVED_AT_ONCE", 2),
    (participants, "_PAGE", 3),
)
_SETTINGS = {
    "socket_endpoint": "",  # hints only
    "provision_machine_arn": executions.MACHINE_ARN,
    "platform_admins": "root@example.com",
    "recipient_daily_messages": 0,
}
_MEMORY: tuple[Memory, ...] = (
    *memory_of(vault._kept),
    *memory_of(vault._within),
    *memory_of(directory._ids),
    *memory_of(durations._estimates),
    *memory_of(regions._regions),
)


def played(seed: int, rate: float, on: Stage, *, conflicts: bool) -> tuple[ProjectsPlay, list[str]]:
    """One seed: what was played, and what was wrong with it."""
    with ExitStack() as stack:
        world = stack.enter_context(World(seed, on.memory + _MEMORY))
        stack.enter_context(cast.mapped(on, world))
        stack.enter_context(settings.changed(**_SETTINGS))
        for owner, name, value in _SMALL:
            stack.enter_context(patch.object(owner, name, value))
        on.reset(seed)
        play = _begun(ProjectsWeather(world, rate, conflicts=conflicts), on)
        ours = {"simulated": partial(connect, play.provider)}
        stack.enter_context(patch.dict(gateway._PROVIDERS, ours))
        mailbox.on_record(play.plan_events)
        stack.callback(mailbox.off_record, play.plan_events)
        injection.begin(play.weather)
        stack.callback(injection.begin, None)
        try:
            _take_places(play)
            world.run()
        except Treadmill as error:
            return play, [f"it_comes_to_rest: {error}"]
        injection.begin(None)
        return play, invariants.broken(play, books.read())


def _begun(weather: ProjectsWeather, on: Stage) -> ProjectsPlay:
    for remembered, name, fresh in _MEMORY:
        setattr(remembered, name, fresh())
    world = weather.world
    play = ProjectsPlay(world, weather, on, events="prompt")
    weather.services["stepfunctions"] = play.executions.answer
    weather.on_write = play.watch_.see_writes
    play.provider.on_change = play.watch_.see_provider
    for tenant in ("t1", "t2"):
        play.staff[tenant] = _people(tenant, "staff", 2) + _people(tenant, "manager", 1)
        play.guests[tenant] = _people(tenant, "customer", 7)
    if weather.rate:
        shut_out = world.random.sample(sorted(play.guests["t1"]), world.random.choice((0, 0, 1)))
        play.provider.refused.update(shut_out)
    return play


def _people(tenant: str, role: str, count: int) -> list[str]:
    """So many users, past the API."""
    made = []
    for number in range(count):
        email = f"{role}{number}@example.com"
        person = models.person(
            tenant,
            clock.new_id(),
            name=f"{role} {number}",
            name_key=f"{role} {number}",
            email=email,
            email_key=rules.email_key(email),
            role=role,
            status="active",
            created_at=clock.iso(clock.now()),
            created_by="simulation",
            invitation_sent_at=0,
            invitation_expires_at=0,
        )
        person.save()
        models.email_guard(tenant, person.email_key, person.id).save()
        made.append(person.id)
    return made


def _take_places(play: ProjectsPlay) -> None:
    world, rng = play.world, play.world.random
    cast.listen(play)
    for number, tenant in enumerate(("t1", "t2", "t1")[: rng.randint(1, 3)]):
        client = Manager(play, f"c{number}", tenant, rng.randint(3, 8))
        play.busy.add(client.name)
        world.spawn(client.name, client.act)
    cast.take_workers(play)
    reconciler = Process("reconcile", world.skew())
    world.spawn("reconcile", lambda: play.reconcile(reconciler), after=rng.uniform(0, 60))
    world.spawn("vandal", play.stop_some)
    suspensions.take_place(play, within_seconds=300)
    world.spawn("watch", lambda: (play.watch(), world.end()))
