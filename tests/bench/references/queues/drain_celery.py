# ruff: noqa: INP001  runs in the venv of the queues
"""Celery drains jobs that do nothing: python drain_celery.py <endpoint> <jobs>

Tuned: threads as many as ours, a prefetch of whole batches, no results, no gossip, acknowledged
when received, that is without any claim. Prints the seconds of draining and the SQS calls made.
"""

import os
import sys
import threading
import time
from urllib.parse import urlsplit

from celery import Celery
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection

THREADS = 10
endpoint, wanted = sys.argv[1], int(sys.argv[2])
parts = urlsplit(endpoint)
app = Celery("bench", broker=f"sqs://test:test@{parts.hostname}:{parts.port}")
app.conf.update(
    broker_transport_options={
        "is_secure": False,
        "region": "eu-central-1",
        "visibility_timeout": 360,
        "wait_time_seconds": 5,
        "polling_interval": 0,
        "predefined_queues": {"celery": {"url": f"{endpoint}/123456789012/celery"}},
    },
    task_ignore_result=True,
    worker_prefetch_multiplier=10,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)
calls = {"made": 0}
done: list[float] = []
lock = threading.Lock()
original = AsyncSQSConnection.make_request


def counted(self, operation, *args, **kwargs):
    """Kombu's own receives and deletes go this way, not through botocore's hooks."""
    calls["made"] += 1
    return original(self, operation, *args, **kwargs)


@app.task
def nothing() -> None:
    with lock:
        done.append(time.perf_counter())
        if len(done) == wanted:
            threading.Timer(1.0, finish).start()  # the last deletes


def finish() -> None:
    told = f"\nRESULT {done[-1] - done[0]} {calls['made']}\n"
    os.write(1, told.encode())  # Celery takes sys.stdout for its log
    os._exit(0)


def count_botocore() -> None:
    import botocore.endpoint

    send = botocore.endpoint.Endpoint.make_request

    def make_request(self, model, request):
        calls["made"] += 1
        return send(self, model, request)

    botocore.endpoint.Endpoint.make_request = make_request


if __name__ == "__main__":
    count_botocore()
    AsyncSQSConnection.make_request = counted
    for _ in range(wanted):
        nothing.delay()
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "ERROR"]
    app.worker_main(["worker", "--pool=threads", "-c", str(THREADS), *quiet])
