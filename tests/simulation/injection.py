"""What can happen to an AWS call, decided where botocore turns a request into a response.

That is below the SDK's retries, so the SDK and the code above it behave as they would for real.
Each call is also a point at which another actor may go on.

A send is ambiguous when its sender cannot know that it was sent: its answer was lost, or what
should have marked the job did not get through. Such windows are counted by job, since they are the
only excuse for a second message.
"""

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from botocore.endpoint import Endpoint
from botocore.exceptions import ReadTimeoutError
from botocore.retries import quota

from chalicelib.kernel.aws import clients
from infra.local import fault_answers, mailbox
from tests.simulation import meetings
from tests.simulation.calls import (
    FAULTS,
    OUTAGES_OF_MESSAGES,
    WRITES,
    Answer,
    Call,
    Counts,
    Service,
)
from tests.simulation.staleness import Past, Row, current, keys_of
from tests.simulation.world import START, Crash, Process, World

_READS = frozenset({"GetItem", "Query", "BatchGetItem", "Scan"})
_IN_JSON = frozenset({"dynamodb", "stepfunctions"})  #: services whose requests are looked into
_BROKEN = fault_answers.Error("InternalFailure", 500, "An internal failure")

#: Calls after which a run is taken for one that never ends.
MOST_CALLS = 8_000


class Treadmill(BaseException):
    """The run goes on and on."""


class Weather:
    """Decides and counts what happens to the calls of one run."""

    OUTAGES = OUTAGES_OF_MESSAGES
    MOST_CALLS = MOST_CALLS

    def __init__(self, world: World, rate: float, *, conflicts: bool = False) -> None:
        self.world = world
        self.rate = rate  #: share of tries to which something happens; 0: all is well
        self.conflicts = conflicts  #: transactions take time, and what meets one is refused
        self.counts = Counts()
        self.sent: Counter[str] = Counter()  #: by job
        self.windows: Counter[str] = Counter()  #: by job
        self.workers: list[Process] = []
        self.intrusions: list[str] = []  #: jobs taken from a worker that had them
        self.late_sends: set[str] = set()  #: jobs sent by a process that had been standing still
        self.sent_at: list[tuple[float, str]] = []  #: moment and job
        self.channels: dict[str, str] = {}  #: by job
        self.trespasses: list[str] = []  #: keys of other tenants that were touched
        self.past = Past()
        self.outages = [self._outage() for _ in range(world.random.choice((0, 1, 2)))]
        self.on_message: Callable[[], None] = lambda: None
        self.services: dict[str, Service] = {}  #: those that are not the emulator's

    # -- one call -----------------------------------------------------------------------------

    def answer(self, call: Call, url: str, execute: Callable[[], Answer], refuse: Any) -> Answer:
        process = self._process()
        self.counts.calls += 1
        if self.counts.calls > self.MOST_CALLS:
            raise Treadmill(f"seed {self.world.seed} does not come to rest")
        self.trespasses += call.trespasses(process.tenant)
        fault = meetings.after_a_lost_answer(call, process, self._choose(call, process))
        process.stood_still = process.stood_still or fault == "frozen"
        self.world.pause(self._duration(fault))
        self._die_of_age(process, fault)
        self.world.note(call.name, fault or "")
        if fault:
            self.counts.faults[fault] += 1
            process.troubled = process.troubled or process.unmarked is not None
        if fault == "dead before":
            raise Crash(call.name)
        if fault in ("refused", "throttled", "outage"):
            return self._refusal(fault, call, refuse)
        if fault == "other":
            return self._other(call, process, execute, refuse)
        return self._executed(call, process, fault, url, execute)

    def _executed(
        self,
        call: Call,
        process: Process,
        fault: str | None,
        url: str,
        execute: Callable[[], Answer],
    ) -> Answer:
        with meetings.taking_time(self, call, process):
            answer = self._execute(call, process, execute, troubled=bool(fault))
        if fault == "frozen" and call.sends and process.unmarked:
            self.late_sends.add(process.unmarked)
        if fault == "dead after":
            raise Crash(call.name)
        if fault == "answer lost":
            process.let_go = process.let_go or call.operation == "ChangeMessageVisibilityBatch"
            self.world.pause(clients.LIMITS.get(call.service, clients.DEFAULT_LIMITS)[2])
            return None, ReadTimeoutError(endpoint_url=url)
        return answer

    def meet(self, _: Call, process: Process) -> None:
        """The call, or a part of it, was refused since it met a transaction."""
        process.troubled = process.troubled or process.unmarked is not None

    def _choose(self, call: Call, process: Process) -> str | None:
        rng = self.world.random
        if process.spared or not self.rate:
            return None
        if self._is_out(call):
            return "outage"
        if rng.random() >= self.rate:
            return None
        return rng.choices(list(FAULTS), list(FAULTS.values()))[0]

    def _outage(self) -> tuple[str, float, float]:
        rng = self.world.random
        begins = START + rng.uniform(0, 300)
        return rng.choice(self.OUTAGES), begins, begins + rng.uniform(5, 60)

    def _is_out(self, call: Call) -> bool:
        names, now = (call.service, call.name), self.world.now
        return any(name in names and begins < now < ends for name, begins, ends in self.outages)

    def _duration(self, fault: str | None) -> float:
        rng = self.world.random
        if fault == "slow":
            return rng.uniform(1, 20)
        if fault == "frozen":
            return rng.uniform(60, 400)
        return rng.uniform(0.002, 0.05)

    def _die_of_age(self, process: Process, fault: str | None) -> None:
        """Lambda kills what overstays; a process that stood still is thawed and goes on."""
        if fault == "frozen":
            process.ends_at = max(process.ends_at, self.world.now + 30)
        elif self.world.now > process.ends_at:
            self.counts.faults["killed at its time-out"] += 1
            raise Crash("time-out")

    def _refusal(self, fault: str, call: Call, refuse: Any) -> Answer:
        if fault == "throttled":
            return refuse(fault_answers.throttling(call.service))
        return refuse(fault_answers.UNAVAILABLE)

    def _other(
        self, call: Call, process: Process, execute: Callable[[], Answer], refuse: Any
    ) -> Answer:
        if call.operation == "TransactWriteItems":
            error = fault_answers.Error("TransactionCanceledException", 400, "conflict")
            (response, parsed), _ = refuse(error)
            reasons = [{"Code": "TransactionConflict"} for _ in call.body["TransactItems"]]
            return (response, parsed | {"CancellationReasons": reasons}), None
        if self.world.random.random() < 0.5:
            self._execute(call, process, execute, troubled=True)
        return refuse(_BROKEN)

    # -- carrying it out ----------------------------------------------------------------------

    def _execute(
        self, call: Call, process: Process, execute: Callable[[], Answer], *, troubled: bool
    ) -> Answer:
        """By the service's own clock, which is right."""
        before = {}
        if call.operation in WRITES:
            keys = keys_of(call.operation, call.body)
            before = {key: self.past.keep(key, self.world.now) for key in keys}
        if call.sends:
            self.finish_send(process)
        sent_before = len(mailbox._sent)
        self.world.set_clock()
        answer = execute()
        self.world.set_clock(process.offset)
        for message in mailbox._sent[sent_before:]:
            self._note_send(process, str(message.job_id), message.channel, troubled=troubled)
        for key, row in before.items():
            if row is not None and key[2].startswith("job#"):
                self._note_change(process, key[2].removeprefix("job#"), row, current(key) or {})
        if call.service == "sqs" and call.operation.startswith("SendMessage"):
            self.on_message()
        if call.operation in _READS and answer[0] is not None:
            self._make_older(call, answer[0][1])
        return answer

    def _note_send(self, process: Process, job: str, channel: str, *, troubled: bool) -> None:
        self.sent[job] += 1
        self.sent_at.append((self.world.now, job))
        self.channels[job] = channel
        self.counts.sends[channel] += 1
        process.unmarked, process.troubled = job, troubled
        self.world.note("sent", channel, job[-6:])

    def _note_change(self, process: Process, job: str, before: Row, after: Row) -> None:
        if after.get("finished_at") and not before.get("finished_at") and process.unmarked == job:
            process.unmarked = None  # this very write has marked it
        if before["status"] != {"S": "running"}:
            self._note_claim(process, after)
            return
        held, token = _text(before, "claim_token"), _text(after, "claim_token")
        if token != held and _text(after, "status") == "running":
            self._note_takeover(process, job, held)
            self._note_claim(process, after)
        elif _text(after, "status") != "running" and held not in process.tokens:
            self.intrusions.append(f"{process.name} ended {job} which another worker had claimed")

    def _note_claim(self, process: Process, after: Row) -> None:
        if _text(after, "status") == "running":
            process.tokens.add(_text(after, "claim_token"))

    def _note_takeover(self, process: Process, job: str, held: str) -> None:
        for other in self.workers:
            alive = other.ends_at > self.world.now and not other.stood_still
            at_it = other.working == job and held in other.tokens
            if alive and at_it and other is not process:
                self.intrusions.append(f"{process.name} took {job} while {other.name} was at it")

    def finish_send(self, process: Process) -> None:
        """What this process sent and has not marked by now stays unmarked."""
        if process.unmarked and process.troubled:
            self.windows[process.unmarked] += 1
            self.counts.windows[self.channels[process.unmarked]] += 1
            self.world.note("ambiguous", process.unmarked[-6:])
        process.unmarked, process.troubled = None, False

    def _make_older(self, call: Call, answer: dict[str, Any]) -> None:
        rng, now = self.world.random, self.world.now
        if not self.rate or call.body.get("ConsistentRead"):
            return
        older = False
        if call.operation == "GetItem" and rng.random() < self.rate:
            (key,) = keys_of("GetItem", call.body)
            older = self.past.get(key, now - rng.uniform(0, 2), answer)
        elif call.body.get("IndexName") == "due" and rng.random() < 2 * self.rate:
            older = self.past.query_due(call.body, now - rng.uniform(0, 60), answer)
        if older:
            self.counts.faults["old read"] += 1
            self.world.note("old", call.name)

    def _process(self) -> Process:
        actor = self.world.current
        if actor is None or actor.process is None:
            raise RuntimeError("a call outside a process")
        return actor.process


def _text(row: Row, name: str) -> str:
    return str(row.get(name, {}).get("S", ""))


weather: Weather | None = None  #: of the run under way
_quotas: list[Any] = []  #: the SDK's retry quotas, which outlive a run


def install() -> None:
    """Once a process, before the application has any client."""
    below = Endpoint._do_get_response
    make_quota = quota.RetryQuota.__init__

    def do_get_response(endpoint: Any, request: Any, model: Any, context: Any) -> Any:
        now = weather
        if now is None or now.world.current is None or getattr(endpoint, "without_faults", False):
            return below(endpoint, request, model, context)
        service = model.service_model.service_name
        call = Call(service, model.name, json.loads(request.body) if service in _IN_JSON else {})
        ours = now.services.get(service)
        return now.answer(
            call,
            request.url,
            lambda: (
                ours(call, endpoint, model) if ours else below(endpoint, request, model, context)
            ),
            lambda error: fault_answers.respond(error, endpoint, model),
        )

    def remembered(self: Any, *arguments: Any, **options: Any) -> None:
        make_quota(self, *arguments, **options)
        _quotas.append(self)

    Endpoint._do_get_response = do_get_response
    quota.RetryQuota.__init__ = remembered


def begin(now: Weather | None) -> None:
    """From here on this is the weather; None: fine."""
    global weather  # noqa: PLW0603  there is one in a process
    weather = now
    meetings.begin(are_on=now is not None and now.conflicts)
    for each in _quotas:
        each._available_capacity = each._max_capacity
