"""Against Celery and dramatiq on SQS: calls for a delivered job, and how fast a queue drains.

All three on one emulator (ministack, started for each), jobs that do nothing, ten threads for the
others, Lambda's five pollers of ten threads for ours. Ours claims and marks each job in DynamoDB
besides; the others keep no ledger. Each is run some times, in turns; medians are compared.

Twice: with the emulator as it is, which answers within a millisecond and shares the cores, so that
whoever asks less of it is faster; and AWAY_MILLISECONDS away, which is how a queue is in use.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import trees
from tests.bench.figures import Figure
from tests.e2e import ministack
from tests.e2e.ministack import ACCOUNT, REGION, Ministack

JOBS = 300
ROUNDS = 7
LIMIT_SECONDS = 180
STAGE = "bench"
AWAY_MILLISECONDS = 5  #: of each call; within a region SQS and DynamoDB take 3 to 15
MEASURED = Path(__file__).with_name("measured")


def measured() -> list[Figure]:
    """The figures. Installs what is missing."""
    python = trees.queues()
    trees.ours()
    ministack.install()
    peers = trees.REFERENCES / "queues"
    commands = {
        "ours": [sys.executable, str(MEASURED / "drain.py")],
        "celery": [str(python), str(peers / "drain_celery.py")],
        "dramatiq": [str(python), str(peers / "drain_dramatiq.py")],
    }
    figures: list[Figure] = []
    for away in (0, AWAY_MILLISECONDS):
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                taken[name].append(_drained(name, command, away))
        figures += _figures(taken, away)
    return figures


def _drained(name: str, command: list[str], away: int) -> tuple[float, float]:
    """(seconds, SQS calls) of one run."""
    emulator = Ministack.start()
    try:
        _make_resources(emulator)
        with _distance(emulator, away) as endpoint:
            done = subprocess.run(
                [*command, endpoint, str(JOBS)],
                check=False,
                env=_environment(endpoint) | _libraries(name),
                cwd=trees.PROJECT,
                capture_output=True,
                text=True,
                timeout=LIMIT_SECONDS,
            )
    finally:
        emulator.stop()
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")
    took, made = done.stdout.rpartition("\nRESULT ")[2].split()[:2]
    return float(took), float(made)


@contextmanager
def _distance(emulator: Ministack, away: int) -> Iterator[str]:
    """The address at which the emulator is so far away."""
    if not away:
        yield emulator.endpoint_url
        return
    port = emulator.endpoint_url.rpartition(":")[2]
    with subprocess.Popen(
        [sys.executable, str(MEASURED / "distance.py"), port, str(away)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def _environment(endpoint: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "test",
        "STAGE": STAGE,
        "QUEUE_URL_BASE": f"{endpoint}/{ACCOUNT}",
        "LOG_LEVEL": "ERROR",
    }


def _libraries(name: str) -> dict[str, str]:
    """Ours runs on what ships, the others on the libraries of their own environment."""
    return {"PYTHONPATH": str(trees.BUILD / "ours")} if name == "ours" else {}


def _make_resources(emulator: Ministack) -> None:
    """The queues, and the kernel's table as infra/template.yaml makes it."""
    sqs = emulator.client("sqs")
    for queue in (f"backburner-{STAGE}-work", "celery", "dramatiq"):
        sqs.create_queue(QueueName=queue, Attributes={"VisibilityTimeout": "360"})
    names = {"tenant": "S", "sk": "S", "due_shard": "S", "due_at": "N", "recipient_key": "S"}
    indexes = {"due": ("due_shard", "due_at"), "recipient": ("recipient_key", "sk")}
    emulator.client("dynamodb").create_table(
        TableName=f"backburner-{STAGE}-kernel",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": kind} for name, kind in names.items()
        ],
        KeySchema=_keys("tenant", "sk"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": name,
                "KeySchema": _keys(*keys),
                "Projection": {"ProjectionType": "ALL"},
            }
            for name, keys in indexes.items()
        ],
    )


def _keys(hash_key: str, range_key: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": hash_key, "KeyType": "HASH"},
        {"AttributeName": range_key, "KeyType": "RANGE"},
    ]


def _figures(taken: dict[str, list[tuple[float, float]]], away: int) -> list[Figure]:
    seconds = {name: statistics.median(took for took, _ in each) for name, each in taken.items()}
    calls = {name: statistics.median(made for _, made in each) for name, each in taken.items()}
    better, where = min(calls["celery"], calls["dramatiq"]), f", {away} ms away" if away else ""
    return [
        Figure(f"SQS calls per job ÷ the better of both{where}", calls["ours"] / better, "x", 0.4),
        Figure(
            f"time to drain ÷ tuned Celery{where}", seconds["ours"] / seconds["celery"], "x", 1.0
        ),
        *(
            Figure(
                f"  {name}: draining", JOBS / took, "jobs/s", note=f"{calls[name] / JOBS:.2f} calls"
            )
            for name, took in seconds.items()
        ),
    ]
