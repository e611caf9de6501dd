# ruff: noqa: INP001  runs in the venv of the queues
"""dramatiq on SQS drains jobs that do nothing: python drain_dramatiq.py <endpoint> <jobs>

Threads as many as ours, whole batches prefetched, no claim. Prints the seconds of draining and the
SQS calls made.
"""

import os
import sys
import threading
import time

os.environ["dramatiq_queue_prefetch"] = "10"  # noqa: SIM112  dramatiq's spelling, read at import
import dramatiq
from dramatiq_sqs import SQSBroker

THREADS = 10
endpoint, wanted = sys.argv[1], int(sys.argv[2])
broker = SQSBroker(
    middleware=[],
    visibility_timeout=360,
    endpoint_url=endpoint,
    region_name="eu-central-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
)
dramatiq.set_broker(broker)
calls = {"made": 0}
done: list[float] = []
lock, ended = threading.Lock(), threading.Event()


def count(**_: object) -> None:
    calls["made"] += 1


@dramatiq.actor(queue_name="dramatiq")
def nothing() -> None:
    with lock:
        done.append(time.perf_counter())
        if len(done) == wanted:
            ended.set()


if __name__ == "__main__":
    broker.declare_queue("dramatiq")
    broker._ensure_queue("dramatiq")
    broker.sqs.meta.client.meta.events.register("before-call", count)
    for _ in range(wanted):
        nothing.send()
    worker = dramatiq.Worker(broker, worker_threads=THREADS, worker_timeout=5000)
    worker.start()
    ended.wait(120)
    time.sleep(1)  # the last deletes
    sys.stdout.write(f"\nRESULT {done[-1] - done[0]} {calls['made']}\n")
    sys.stdout.flush()
    os._exit(0)
