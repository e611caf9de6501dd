"""The worker rule on the packaged project, with each kind of event source mapping.

Chalice cannot set ReportBatchItemFailures: the worker must lose nothing and repeat no success
without it, and do the same when the deployment has set it, also after a plain `chalice deploy`,
which leaves the mapping as it is and takes from the functions that they knew.
"""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .growth import TRIAL
from .ministack import ACCOUNT, REGION, Ministack, install, queued, wait_for
from .package import Package, deploy, package

STAGE = "dev"
TENANT = "t1"
#: How often each job of a batch fails: healthy, once, twice, always.
FAILURES = (0, 0, 0, 1, 2, 99)
TRIES = 4
END_SECONDS = 120


@dataclass(frozen=True)
class Trial:
    """The project with one domain more, deployed."""

    project: Path
    ministack: Ministack

    def enqueue(self, *failures: int) -> list[str]:
        """Queues jobs by the project's own code, as a domain would; their ids."""
        done = subprocess.run(
            [sys.executable, TRIAL / "enqueue.py", *map(str, failures)],
            check=True,
            cwd=self.project,
            env={
                "PYTHONPATH": str(self.project),
                "STAGE": STAGE,
                "AWS_ENDPOINT_URL": self.ministack.endpoint_url,
                "AWS_DEFAULT_REGION": REGION,
                "AWS_ACCESS_KEY_ID": ACCOUNT,
                "AWS_SECRET_ACCESS_KEY": "test",
            },
            capture_output=True,
            text=True,
        )
        return done.stdout.splitlines()

    def rows(self, kind: str) -> dict[str, dict[str, Any]]:
        """The kernel's rows of one kind, by the id in their key, as plain values."""
        answer = self.ministack.client("dynamodb").query(
            TableName=f"backburner-{STAGE}-kernel",
            KeyConditionExpression="tenant = :t AND begins_with(sk, :k)",
            ExpressionAttributeValues={":t": {"S": TENANT}, ":k": {"S": f"{kind}#"}},
            ConsistentRead=True,
        )
        return {
            item["sk"]["S"].partition("#")[2]: {k: next(iter(v.values())) for k, v in item.items()}
            for item in answer["Items"]
        }

    def in_queue(self, name: str) -> list[str]:
        return [one["Body"] for one in queued(self.ministack, f"backburner-{STAGE}-{name}")]


@pytest.fixture(scope="module")
def with_trial(
    grown_project: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Package]:
    """A copy of the project with the trial's domain, and its package."""
    return grown_project, package(grown_project, STAGE, tmp_path_factory.mktemp("trial-package"))


@pytest.fixture(
    scope="module",
    params=[{}, {"partial_batch": True}, {"partial_batch": True, "told": False}],
    ids=["plain mapping", "reporting mapping", "reporting mapping, function not told"],
)
def trial(with_trial: tuple[Path, Package], request: pytest.FixtureRequest) -> Iterator[Trial]:
    install()
    project, packed = with_trial
    ministack = Ministack.start()
    try:
        deploy(ministack, packed, STAGE, {}, **request.param)
        yield Trial(project, ministack)
    finally:
        ministack.stop()


def test_a_mixed_batch_loses_nothing_and_repeats_no_success(trial: Trial) -> None:
    ids = trial.enqueue(*FAILURES)

    def all_ended() -> bool:
        rows = trial.rows("job")
        return set(rows) == set(ids) and all("finished_at" in row for row in rows.values())

    try:
        wait_for("end of all jobs", all_ended, END_SECONDS)
    except TimeoutError as error:
        error.add_note(f"{trial.rows('job')}\n{trial.ministack.function_logs(40)}")
        raise
    jobs, runs = trial.rows("job"), trial.rows("trial")
    for job_id, times in zip(ids, FAILURES, strict=True):
        succeeds = times < TRIES
        assert jobs[job_id]["status"] == ("done" if succeeds else "failed")
        assert runs[job_id]["starts"] == str(min(times + 1, TRIES)), times
        assert runs[job_id].get("successes", "0") == str(int(succeeds))
    assert "fails on purpose" in jobs[ids[-1]]["last_error"]
    [dead] = trial.in_queue("work-dead")
    assert ids[-1] in dead
    wait_for("empty queue", lambda: not trial.in_queue("work"), 30)
