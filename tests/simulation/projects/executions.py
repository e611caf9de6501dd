"""Step Functions below the SDK: executions in virtual time, of functions that may die at any time.

An execution is an actor, and so is each item of a Map and each invocation of a function. What has
ended an execution from outside is noticed wherever it waits; what a function has begun goes on.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse  # type: ignore[import-untyped, unused-ignore]
from botocore.endpoint import convert_to_response_dict  # type: ignore[import-untyped, unused-ignore]

from infra.local import cloud, fault_answers
from infra.local.emulator import ACCOUNT_ID, REGION
from infra.local.fault_answers import Error
from infra.local.mapping import LambdaContext
from tests.simulation.calls import Answer, Call
from tests.simulation.projects.language import Host, Machine, read
from tests.simulation.projects.paths import StateError
from tests.simulation.world import Actor, Crash, Over, Process

if TYPE_CHECKING:
    from tests.simulation.projects.schedule import ProjectsPlay

FILE = Path(cloud.TEMPLATE).parent / "statemachines" / "provision-project.asl.json"
NAME = "backburner-local-provision-project"
MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT_ID}:stateMachine:{NAME}"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:backburner-local-provision"
FUNCTION_SECONDS = 60
#: What may happen to an invocation itself, by how often among all that goes wrong with one.
TROUBLES = {"throttled": 4, "died at once": 4, "answer lost": 3, "called twice": 6}


class Ended(BaseException):
    """The execution is over: nothing more of it happens."""


@dataclass(eq=False)
class Execution:
    """One run of the machine."""

    name: str
    given: str
    began: float
    ends_at: float
    status: str = "RUNNING"
    waiting: set[Actor] = field(default_factory=set)

    @property
    def arn(self) -> str:
        return f"{MACHINE_ARN.replace(':stateMachine:', ':execution:')}:{self.name}"


@dataclass(eq=False)
class Invocation:
    """A call of a function, whose caller may have stopped waiting for it."""

    answer: Any = None
    error: StateError | None = None
    done: bool = False
    caller: Actor | None = None
    waiting: set[Actor] = field(default_factory=set)  #: of the execution that the caller is of


class Branch:
    """What a machine runs on: an execution, or one item of a Map in it."""

    def __init__(self, all_: "Executions", mine: Execution, is_off: Callable[[], bool]) -> None:
        self.all, self.mine, self.is_off = all_, mine, is_off

    def enter(self, state: str) -> None:
        self.all.world.note("state", self.mine.name[-8:], state)
        self.wait(self.all.world.random.uniform(0.01, 0.05))

    def sleep(self, seconds: float) -> None:
        self.wait(seconds)

    def jitter(self, seconds: float) -> float:
        return self.all.world.random.uniform(0, seconds)

    def wait(self, seconds: float, is_done: Callable[[], bool] = lambda: False) -> bool:
        """Until something is done, or the time is over; raises Ended when all is."""
        world, until = self.all.world, self.all.world.now + seconds
        while not is_done():
            self.check()
            if world.now >= until:
                return False
            actor = world.current
            self.mine.waiting.add(actor)
            world.pause(min(until, self.mine.ends_at) - world.now)
            self.mine.waiting.discard(actor)
        self.check()
        return True

    def check(self) -> None:
        if self.mine.status == "RUNNING" and self.all.world.now >= self.mine.ends_at:
            self.all.end(self.mine, "TIMED_OUT")
        if self.mine.status != "RUNNING" or self.is_off():
            raise Ended

    def invoke(self, resource: str, payload: Any, seconds: float) -> Any:
        if resource != FUNCTION_ARN:
            raise StateError("Lambda.ResourceNotFoundException", resource)
        called = self.all.call(payload, self.mine.waiting)
        if not self.wait(seconds, lambda: called.done):
            raise StateError("States.Timeout")
        if called.error is not None:
            raise called.error
        return called.answer

    def side_by_side(
        self, items: list[Any], most: int, work: Callable[[Host, Any], Any]
    ) -> list[Any]:
        world, answers = self.all.world, dict[int, Any]()
        left, errors, caller = list(enumerate(items)), list[StateError](), world.current

        def play() -> None:
            branch = Branch(self.all, self.mine, lambda: bool(errors) or self.is_off())
            try:
                while left:
                    number, item = left.pop(0)
                    answers[number] = work(branch, item)
            except StateError as error:
                errors.append(error)
            except Ended:
                return
            if caller in self.mine.waiting:
                world.wake(caller)

        for number in range(min(most, len(items))):
            world.spawn(f"{world.current.name}.{number}", play)
        self.wait(float("inf"), lambda: bool(errors) or len(answers) == len(items))
        if errors:
            raise errors[0]
        return [answers[number] for number in range(len(items))]


class Executions:
    """Step Functions, and Lambda as it is called from there."""

    def __init__(self, play: "ProjectsPlay") -> None:
        self.play, self.world = play, play.world
        self.machine: Machine = read(FILE, {"ProvisionFunction": FUNCTION_ARN})
        self.by_arn: dict[str, Execution] = {}
        self.function = play.stage.app.handler_map["provision"]
        self.began: dict[Process, float] = {}  #: when each process took its newest call
        self._warm: list[Process] = []  #: processes that wait for their next call
        self._processes = self._calls = 0

    # -- the service --------------------------------------------------------------------------

    def answer(self, call: Call, endpoint: Any, model: Any) -> Answer:
        """What the service answers to the SDK."""
        ways = {
            "StartExecution": self._start,
            "DescribeExecution": self._describe,
            "StopExecution": self._stop,
        }
        found = ways[call.operation](call.body)
        if isinstance(found, Error):
            return fault_answers.respond(found, endpoint, model)
        return _respond(found, endpoint, model)

    def _start(self, body: Any) -> Any:
        if body["stateMachineArn"] != MACHINE_ARN:
            return Error("StateMachineDoesNotExist", 400, "No such machine")
        made = Execution(body["name"], body["input"], self.world.now, 0.0)
        known = self.by_arn.get(made.arn)
        if known is None:
            made.ends_at = self.world.now + self.machine.seconds
            self.by_arn[made.arn] = made
            self.world.spawn(f"x{len(self.by_arn)}", lambda: self._run(made))
            known = made
        elif known.status != "RUNNING" or known.given != made.given:
            return Error("ExecutionAlreadyExists", 400, "Execution Already Exists")
        return {"executionArn": known.arn, "startDate": known.began}

    def _describe(self, body: Any) -> Any:
        found = self.by_arn.get(body["executionArn"])
        if found is None:
            return Error("ExecutionDoesNotExist", 400, "Execution Does Not Exist")
        about = {"executionArn": found.arn, "stateMachineArn": MACHINE_ARN, "name": found.name}
        return {**about, "status": found.status, "startDate": found.began, "input": found.given}

    def _stop(self, body: Any) -> Any:
        found = self.by_arn.get(body["executionArn"])
        if found is None:
            return Error("ExecutionDoesNotExist", 400, "Execution Does Not Exist")
        if found.status == "RUNNING":
            self.end(found, "ABORTED")
        return {"stopDate": self.world.now}

    # -- executions ---------------------------------------------------------------------------

    def running(self) -> list[Execution]:
        return [each for each in self.by_arn.values() if each.status == "RUNNING"]

    def end(self, execution: Execution, status: str) -> None:
        """What waits in it wakes up and finds that it is over."""
        execution.status = status
        self.world.note("execution", execution.name[-8:], status)
        for actor in sorted(execution.waiting - {self.world.current}, key=lambda each: each.name):
            self.world.wake(actor)
        execution.waiting.clear()

    def _run(self, execution: Execution) -> None:
        branch = Branch(self, execution, lambda: False)
        try:
            self.machine.run(branch, json.loads(execution.given))
        except StateError as error:
            self.world.note("failed", error.name)
            self.end(execution, "FAILED")
        except Ended:
            return
        else:
            self.end(execution, "SUCCEEDED")

    # -- functions ----------------------------------------------------------------------------

    def call(self, payload: Any, waiting: set[Actor]) -> Invocation:
        """Calls the function; who calls waits, or no longer."""
        rng, weather = self.world.random, self.play.weather
        called = Invocation(caller=self.world.current, waiting=waiting)
        trouble = None
        if rng.random() < weather.rate / 2:
            trouble = rng.choices(list(TROUBLES), list(TROUBLES.values()))[0]
            weather.counts.faults[f"function {trouble}"] += 1
        if trouble in ("throttled", "died at once"):
            called.done = True
            name = "TooManyRequestsException" if trouble == "throttled" else "Unknown"
            called.error = StateError(f"Lambda.{name}")
            return called
        self._spawn(payload, Invocation() if trouble == "answer lost" else called, 0.0)
        if trouble == "called twice":
            self._spawn(payload, Invocation(), rng.choice((0.0, rng.uniform(0, 20))))
        return called

    def _spawn(self, payload: Any, called: Invocation, after: float) -> None:
        self._calls += 1
        name = f"f{self._calls}"
        self.world.spawn(name, lambda: self._work(json.dumps(payload), called), after=after)

    def _work(self, text: str, called: Invocation) -> None:
        process, crashed = self._take_process(), False
        event = json.loads(text)
        self.play.begin(process)
        self.began[process] = self.world.now
        process.tenant = event["tenant"]
        context = LambdaContext("provision", REGION, ACCOUNT_ID, FUNCTION_SECONDS)
        try:
            called.answer = json.loads(json.dumps(self.function(event, context)))
            self.play.crash_between(process)
            self.play.weather._die_of_age(process, None)
        except Crash as crash:
            crashed = True
            called.error = StateError("Lambda.Unknown", str(crash))
        except Over:
            raise
        except Exception as error:  # noqa: BLE001  told to the machine, as Lambda does
            called.error = StateError(type(error).__name__, str(error))
        finally:
            self.play.finish(process, crashed=crashed)
        if not crashed:
            self._warm.append(process)
        self._tell(called, event["step"])

    def _take_process(self) -> Process:
        if self._warm and self.world.random.random() < 0.8:
            return self._warm.pop(self.world.random.randrange(len(self._warm)))
        self._processes += 1
        return Process(f"provision {self._processes}", self.world.skew())

    def _tell(self, called: Invocation, step: str) -> None:
        error = called.error and (called.error.name, called.error.cause)
        self.world.note("function", step, error or called.answer)
        called.done = True
        if called.caller in called.waiting:
            self.world.wake(called.caller)


def _respond(body: Any, endpoint: Any, model: Any) -> Answer:
    """An answer of a service in JSON, read by botocore's own parser."""
    headers = {"content-type": "application/x-amz-json-1.0"}
    raw = fault_answers._Raw(json.dumps(body).encode())
    response = AWSResponse(endpoint.host, 200, headers, raw)
    details = convert_to_response_dict(response, model)
    protocol = model.service_model.resolved_protocol
    parser = endpoint._response_parser_factory.create_parser(protocol)
    return (response, parser.parse(details, model.output_shape)), None
