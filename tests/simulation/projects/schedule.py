"""The reconciler, and what comes when the weather has cleared: what failed is tried again."""

from dataclasses import dataclass, field
from typing import Any

from chalicelib.kernel.settings import settings
from chalicelib.projects import rules
from infra.local.mapping import LambdaContext
from tests.simulation import meetings, staleness
from tests.simulation.actors import Play
from tests.simulation.calls import Call
from tests.simulation.injection import Weather
from tests.simulation.projects.executions import Executions
from tests.simulation.projects.provider import Provider
from tests.simulation.projects.watching import Watch
from tests.simulation.staleness import Key, Row
from tests.simulation.world import START, Crash, Over, Process

RECONCILE_SECONDS = 60
_FUNCTION_SECONDS = 60
_QUIET_AFTER_SECONDS = 6 * 3600  #: by then everything has ended


class ProjectsWeather(Weather):
    """Also over Step Functions, KMS, and the index of projects under way."""

    OUTAGES = ("dynamodb", "dynamodb.TransactWriteItems", "sqs", "stepfunctions", "kms")
    MOST_CALLS = 40_000

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.on_write: Any = lambda changes: None
        self.rounds: dict[Process, Round] = {}  #: rounds of the reconciler under way

    def _choose(self, call: Call, process: Process) -> str | None:
        fault = super()._choose(call, process)
        if process in self.rounds:
            self.rounds[process].meet(call, fault)
        return fault

    def meet(self, call: Call, process: Process) -> None:
        super().meet(call, process)
        if process in self.rounds:
            self.rounds[process].meet(call, meetings.MET)

    def _execute(self, call: Call, process: Process, *arguments: Any, **options: Any) -> Any:
        keys = _projects_written(call)
        before = {key: staleness.current(key) for key in keys}
        answer = super()._execute(call, process, *arguments, **options)
        self.on_write([(key, before[key], staleness.current(key)) for key in keys])
        return answer

    def _make_older(self, call: Call, answer: dict[str, Any]) -> None:
        super()._make_older(call, answer)
        rng = self.world.random
        if call.body.get("IndexName") == "watch" and self.rate and rng.random() < self.rate:
            moment = self.world.now - rng.uniform(0, 30)
            if self.past.query(call.body, moment, answer, _WATCHED):
                self.counts.faults["old read"] += 1
                self.world.note("old", call.name)
                self.rounds[self._process()].is_blind = True


_WATCHED = staleness.Index(("tenant", "sk", "watch_shard", "watch_at"), "watch_shard", "watch_at")


def _projects_written(call: Call) -> list[Key]:
    if call.operation not in ("UpdateItem", "PutItem", "DeleteItem", "TransactWriteItems"):
        return []
    found = staleness.keys_of(call.operation, call.body)
    return [key for key in found if key[0].endswith("-projects")]


@dataclass
class Round:
    """One round of the reconciler, and what kept it from a project."""

    began: float
    ended: float = 0.0
    is_blind: bool = False  #: it may not have found all
    troubled: set[str] = field(default_factory=set)  #: projects at which something went wrong
    at: str = ""  #: the project that is looked at

    def meet(self, call: Call, fault: str | None) -> None:
        if call.operation == "GetItem":
            sk = call.body["Key"]["sk"]["S"]
            if sk.startswith("project#"):
                self.at = sk.removeprefix("project#")
        if fault and self.at:
            self.troubled.add(self.at)
        elif fault:
            self.is_blind = True


@dataclass
class ProjectsPlay(Play):
    """A run of this flow."""

    reconciled: list[Round] = field(default_factory=list)
    unhealed: list[str] = field(default_factory=list)  #: what was not well after the last retry
    guests: dict[str, list[str]] = field(default_factory=dict)  #: who may be asked to take part
    staff: dict[str, list[str]] = field(default_factory=dict)  #: who takes part by default

    def __post_init__(self) -> None:
        self.executions = Executions(self)
        self.watch_ = Watch(self)
        self.provider = Provider(self, looks_up=self.world.random.random() < 0.6)

    # -- the reconciler -----------------------------------------------------------------------

    def reconcile(self, process: Process) -> None:
        """Each minute, whatever came of the one before."""
        handler = self.stage.app.handler_map["reconcile"]
        due = self.world.now
        while True:
            due += RECONCILE_SECONDS
            self.world.pause(due - self.world.now)
            due = max(due, self.world.now)
            context = LambdaContext("reconcile", "eu-central-1", "123456789012", _FUNCTION_SECONDS)
            crashed = False
            self.begin(process)
            now = self.weather.rounds[process] = Round(self.world.now)
            try:
                handler({"source": "aws.events", "detail-type": "", "detail": {}, "version": "0",
                         "account": "", "time": "", "id": "", "region": "", "resources": []},
                        context)  # fmt: skip
            except Crash:
                crashed = now.is_blind = True
            except Over:
                raise
            except Exception as error:  # noqa: BLE001  the next round goes on
                self.world.note("reconcile failed", type(error).__name__)
            finally:
                self.weather.rounds.pop(process, None)
                self.finish(process, crashed=crashed)
            now.ended = self.world.now
            self.reconciled.append(now)

    def stop_some(self) -> None:
        """Somebody stops executions from outside."""
        rng = self.world.random
        while True:
            self.world.pause(rng.expovariate(1 / 240))
            running = self.executions.running()
            if running and self.weather.rate:
                self.weather.counts.faults["execution stopped"] += 1
                self.executions.end(rng.choice(running), "ABORTED")

    # -- the end ------------------------------------------------------------------------------

    def watch(self) -> None:
        """Clears the weather once the clients have finished; what failed is tried once more."""
        while self.busy:
            self.world.pause(30)
        self.weather.rate = 0.0
        self.provider.refused.clear()
        self._wait_until_quiet()
        self._try_again()
        self._wait_until_quiet()

    def _wait_until_quiet(self) -> None:
        self.world.pause(5)
        while not (self._quiet() and not self.executions.running() and not self._running()):
            if self.world.now > START + _QUIET_AFTER_SECONDS:
                return
            self.world.pause(30)

    def _running(self) -> list[Row]:
        return [row for row in self.projects() if _text(row, "status") not in _AT_REST]

    def everyone(self, tenant: str) -> list[str]:
        """All who may take part in a tenant's projects."""
        root = rules.platform_admin(tenant, settings.platform_admins)
        return [*self.staff[tenant], *self.guests[tenant], root.id]

    def projects(self) -> list[Row]:
        rows = staleness.table("backburner-local-projects").all_items()
        found = [item.to_json()["Attributes"] for item in rows]
        return [row for row in found if row["sk"]["S"].startswith("project#")]

    def _try_again(self) -> None:
        from tests.simulation.projects.people import project_event

        operator = Process("operator", spared=True)
        for row in self.projects():
            if _text(row, "status") == "failed":
                project_id = row["sk"]["S"].removeprefix("project#")
                event = project_event("POST", f"{project_id}/retry", None, row["tenant"]["S"], None)
                status, body = self.send(operator, event)
                if status != 202:
                    self.unhealed.append(f"{project_id}: a retry was answered by {status} {body}")


_AT_REST = ("active", "failed", "suspended", "deleted")


def _text(row: Row, name: str) -> str:
    return str(row.get(name, {}).get("S", ""))
