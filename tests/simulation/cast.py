"""Who takes part in a run, and what is noted when a worker begins with a message."""

import contextlib
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from chalicelib.kernel.jobs.attempt import Outcome
from tests import settings
from tests.simulation import suspensions
from tests.simulation.actors import Play
from tests.simulation.clients import Client
from tests.simulation.stage import InLine, Stage
from tests.simulation.world import Process, World

_WORKED = ("notify", "work", "bulk")


def tenant_of(record: dict[str, Any]) -> str | None:
    """Whose keys the work on this message may touch."""
    body = json.loads(record["body"])
    if "mail" in body:
        return str(body["mail"]["tags"]["tenant"][0])
    return str(body["tenant"]) if body.get("type") else None


def take_places(play: Play) -> None:
    """Everybody takes their place."""
    world, rng = play.world, play.world.random
    listen(play)
    for number, tenant in enumerate(("t1", "t2", "t1")[: rng.randint(2, 3)]):
        client = Client(play, f"c{number}", tenant, rng.randint(2, 5))
        play.busy.add(client.name)
        world.spawn(client.name, client.act)
    take_workers(play)
    suspensions.take_place(play, within_seconds=120)
    world.spawn("watch", lambda: (play.watch(), world.end()))


def listen(play: Play) -> None:
    """What is noted when a worker begins with a message, and when it has done with it."""
    world = play.world

    def record_begins(record: dict[str, Any]) -> None:
        actor = world.current
        if actor is not None and actor.process is not None:
            play.weather.finish_send(actor.process)
            actor.process.tenant = tenant_of(record)
            actor.process.working = json.loads(record["body"]).get("job")

    def record_ends(record: dict[str, Any], outcome: Outcome) -> None:
        actor = world.current
        if actor is not None and actor.process is not None and not outcome.delete:
            actor.process.kept.append(record["messageId"])

    InLine.begins, InLine.ends = record_begins, record_ends
    play.weather.on_message = play.message_came


def take_workers(play: Play) -> None:
    """Workers, the sweep, and SES with who listens to it."""
    world, rng = play.world, play.world.random
    for number in range(2):
        process = Process(f"worker {number}", world.skew())
        play.weather.workers.append(process)
        world.spawn(f"w{number}", lambda process=process: play.work(process, _WORKED))
    sweeper, listener = Process("sweep", world.skew()), Process("feedback", world.skew())
    listener.spared = play.events == "prompt"
    world.spawn("sweep", lambda: play.sweep(sweeper), after=rng.uniform(0, 60))
    world.spawn("feedback", lambda: play.work(listener, ("feedback",)))
    world.spawn("ses", play.tell_events)


def reports_failures(rng: random.Random) -> tuple[bool, bool]:
    """Whether the function is told that its mapping reports failed items, and whether it does."""
    reports = rng.random() < 0.5
    return reports, reports


@contextlib.contextmanager
def mapped(on: Stage, world: World) -> Iterator[None]:
    """Half of the runs have mappings as Chalice makes them, half report failed items."""
    believed, reports = reports_failures(world.random)
    settings.change(partial_batch=believed)
    usual = on.mappings
    on.mappings = {
        name: replace(each, report_batch_item_failures=reports) for name, each in usual.items()
    }
    yield
    on.mappings = usual
