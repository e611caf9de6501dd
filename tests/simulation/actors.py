"""Who plays: clients, workers, the sweep, SES with its events."""

import heapq
import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any

from infra.local import mail_events, mailbox
from infra.local.mapping import LambdaContext
from tests.simulation import queues, staleness
from tests.simulation.books import Asked, Suspension
from tests.simulation.injection import Weather
from tests.simulation.stage import Stage
from tests.simulation.world import START, Actor, Crash, Over, Process, World

FUNCTION_SECONDS = 60
_QUIET_AFTER_SECONDS = 2 * 86_400  #: by then everything has ended


@dataclass
class Play:
    """One run: who plays on what, and what is known of it."""

    world: World
    weather: Weather
    stage: Stage
    events: str  #: prompt, muted or loose: when SES tells of mails
    asked: list[Asked] = field(default_factory=list)
    busy: set[str] = field(default_factory=set)  #: clients that have not finished
    idle: set[Actor] = field(default_factory=set)  #: workers that wait for a message
    published: list[tuple[str, str]] = field(default_factory=list)  #: job, event
    coming: list[Any] = field(default_factory=list)  #: events on their way, by moment
    under_way: int = 0  #: invocations
    lost: list[str] = field(default_factory=list)  #: messages that were to come back
    suspensions: list[Suspension] = field(default_factory=list)
    _serial: Any = field(default_factory=itertools.count)

    # -- functions ----------------------------------------------------------------------------

    def begin(self, process: Process) -> None:
        """An invocation begins."""
        process.ends_at = self.world.now + FUNCTION_SECONDS
        process.tenant, process.working, process.stood_still = None, None, False
        process.let_go = False
        process.kept.clear()
        process.tokens.clear()
        self.under_way += 1
        self.world.inside(process)

    def finish(self, process: Process, *, crashed: bool) -> None:
        if self.world.over:
            return
        self.under_way -= 1
        self.weather.finish_send(process)
        process.working = None
        self.world.inside(None)
        process.ends_at = float("inf")
        if crashed:
            self.world.note("crashed", process.name)
            process.forget(self.world.skew())

    def crash_between(self, process: Process) -> None:
        """A process may also die when no call is under way."""
        rng = self.world.random
        if not process.spared and rng.random() < self.weather.rate / 10:
            self.weather.counts.faults["dead between calls"] += 1
            raise Crash("between calls")

    # -- clients ------------------------------------------------------------------------------

    def send(self, process: Process, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """One HTTP request: (status, body); status 0 when no answer came."""
        context = LambdaContext("api", "eu-central-1", "123456789012", FUNCTION_SECONDS)
        self.begin(process)
        process.tenant = event["tenant"]
        crashed = False
        try:
            answer = self.stage.app(event, context)
            self.crash_between(process)
        except Crash:
            crashed = True
            return 0, {}
        finally:
            self.finish(process, crashed=crashed)
        status, body = int(answer["statusCode"]), json.loads(answer["body"] or "{}")
        self.world.note("answered", status)
        if not process.spared and self.world.random.random() < self.weather.rate / 4:
            self.weather.counts.faults["client got no answer"] += 1
            return 0, {}
        return status, body

    def try_for(self, process: Process, asked: Asked, event: dict[str, Any]) -> None:
        """Asks until it is answered, or gives up."""
        rng = self.world.random
        self.asked.append(asked)
        while True:
            asked.tries += 1
            status, body = self.send(process, event)
            asked.answers.append(status)
            if 200 <= status < 300:
                asked.data = body.get("data") or {}
                return
            if (400 <= status < 500 and status != 409) or asked.tries >= 6 or rng.random() < 0.35:
                return
            self.world.pause(rng.uniform(0.2, 20))

    # -- workers ------------------------------------------------------------------------------

    def message_came(self) -> None:
        for actor in sorted(self.idle, key=lambda each: each.name):
            self.world.wake(actor, self.world.random.uniform(0, 0.3))
        self.idle.clear()

    def wait_for_message(self, names: tuple[str, ...]) -> None:
        moments = [at for name in names if (at := queues.next_visible_at(name)) is not None]
        longest = min([*moments, self.world.now + 900]) - self.world.now
        actor = self.world.current
        self.idle.add(actor)
        self.world.pause(max(0.01, longest))
        self.idle.discard(actor)

    def work(self, process: Process, names: tuple[str, ...]) -> None:
        """Lambda's poller and the function that it calls."""
        rng = self.world.random
        while True:
            ready = [name for name in names if queues.waiting(name)]
            if not ready:
                self.wait_for_message(names)
                continue
            queue = rng.choice(ready)
            self._trouble(queue, process)
            self._poll(process, queue)
            self.world.pause(rng.uniform(0.01, 0.5))

    def _trouble(self, queue: str, process: Process) -> None:
        """What the queue itself does to its messages."""
        rng, rate, now = self.world.random, self.weather.rate, self.world.now
        counts = self.weather.counts.faults
        queues.shuffle(queue, rng)
        if not rate or (process.spared and self.events == "prompt"):
            return
        if rng.random() < rate and queues.repeat_one(queue, rng, now):
            counts["message repeated"] += 1
        if rng.random() < rate / 4 and queues.delay_one(queue, rng, now, rng.uniform(1, 300)):
            counts["message delayed"] += 1

    def _poll(self, process: Process, queue: str) -> None:
        rng = self.world.random
        crashes: list[BaseException] = []

        def failed(_: str, error: BaseException) -> None:
            if isinstance(error, Crash):
                crashes.append(error)
            elif not isinstance(error, Exception):
                raise error

        def function(event: Any, context: Any) -> Any:
            if not process.spared and rng.random() < self.weather.rate / 10:
                self.weather.counts.faults["receive lost"] += 1
                raise Crash("receive lost")
            self.begin(process)
            try:
                answer = mapping.function(event, context)
                self.crash_between(process)
                return answer
            except Crash as crash:
                crashes.append(crash)
                raise
            finally:
                self.finish(process, crashed=bool(crashes))

        mapping = self.stage.mapping(queue)
        called = replace(mapping, function=function, on_error=failed, batch_size=rng.randint(1, 10))
        called.poll_once(self.stage.sqs)
        gone = [each for each in process.kept if queues.store(queue).get(each) is None]
        if gone and not (process.stood_still or process.let_go):
            self.lost.append(
                f"{len(gone)} messages which {process.name} kept are gone from {queue}"
            )
        process.kept.clear()

    # -- the sweep ----------------------------------------------------------------------------

    def sweep(self, process: Process) -> None:
        """Once a minute; when all is quiet the minutes in which nothing is due are left out."""
        handler = self.stage.app.handler_map["sweep"]
        while True:
            self.world.pause(self._next_sweep())
            context = LambdaContext("sweep", "eu-central-1", "123456789012", FUNCTION_SECONDS)
            self.begin(process)
            crashed = False
            try:
                handler({"source": "aws.events", "detail-type": "", "detail": {}, "version": "0",
                         "account": "", "time": "", "id": "", "region": "", "resources": []},
                        context)  # fmt: skip
            except Crash:
                crashed = True
            except Over:
                raise
            except Exception as error:  # noqa: BLE001  the next minute's sweep goes on
                self.world.note("sweep failed", type(error).__name__)
            finally:
                self.finish(process, crashed=crashed)

    def _next_sweep(self) -> float:
        if self.busy:
            return 60.0
        due = [at for at in _due_moments() if at is not None]
        ahead = (min(due) if due else self.world.now) - self.world.now + 20
        return max(60.0, ahead // 60 * 60)

    # -- SES ----------------------------------------------------------------------------------

    def plan_events(self, mail: mailbox.Sent) -> None:
        """Called for each message that was accepted: what SES will tell of it, and when."""
        if mail.channel != "email" or mail.job_id is None or self.events == "muted":
            return
        rng = self.world.random
        latest = 40.0 if self.events == "prompt" else 500.0
        for event in mail_events.events_of(mail):
            for _ in range(2 if rng.random() < 0.2 else 1):
                at = self.world.now + rng.uniform(0.1, latest)
                heapq.heappush(self.coming, (at, next(self._serial), event))

    def tell_events(self) -> None:
        while True:
            at = self.coming[0][0] if self.coming else self.world.now + 10
            self.world.pause(min(10.0, max(0.1, at - self.world.now)))
            while self.coming and self.coming[0][0] <= self.world.now:
                event = heapq.heappop(self.coming)[2]
                self.published.append((event["mail"]["tags"]["job"][0], event["eventType"]))
                queues.put("feedback", json.dumps(event), now=self.world.now)
                self.message_came()

    # -- the end ------------------------------------------------------------------------------

    def watch(self) -> None:
        """Clears the weather once the clients have finished, and ends the run when all is quiet."""
        while self.busy:
            self.world.pause(30)
        self.weather.rate = 0.0
        while not self._quiet():
            if self.world.now > START + _QUIET_AFTER_SECONDS:
                return
            self.world.pause(60)

    def _quiet(self) -> bool:
        waits = any(True for _ in _due_moments())
        left = self.coming or self.under_way
        return not (waits or left or any(queues.unfinished(name) for name in queues.NAMES))


def _due_moments() -> Any:
    """When the waiting jobs are due."""
    for item in staleness.table("backburner-local-kernel").all_items():
        due = item.attrs.get("due_at")
        if due is not None:
            yield float(due.value)
