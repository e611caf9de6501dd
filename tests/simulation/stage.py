"""The application with its tables and queues, built once a process and emptied for each seed."""

import importlib
import logging
import os
import random
import threading
import uuid
from concurrent.futures import Future
from functools import cache
from typing import Any, Self

import boto3
from moto.moto_api._internal import mock_random

from infra.local import emulator, environment, mailbox, template
from infra.local.cloud import TEMPLATE, TENANTS
from infra.local.mapping import Mapping, mappings_of
from tests import settings
from tests.simulation import injection, jobs
from tests.simulation.world import Memory

URL = "https://api.example.com"
#: Two shards hold as much as eight do, and a sweep reads them with fewer calls.
SETTINGS = {"DUE_SHARDS": "2", "LOG_LEVEL": "CRITICAL"}


class Stage:
    """What a run plays on; there is one in a process."""

    def __init__(self) -> None:
        environment.shut_out_aws()
        emulator.start()
        session = boto3.Session()
        parameters = {"Stage": environment.STAGE, "SenderEmail": environment.sender()}
        stack = template.load(TEMPLATE, session, parameters)
        queues = stack.outputs["NotifyQueueUrl"].rpartition("/")[0]
        environment.describe(URL, QUEUE_URL_BASE=queues, **SETTINGS)
        injection.install()
        self.sqs = session.client("sqs")
        self.sqs._endpoint.without_faults = True  # stands for Lambda's own pollers
        settings.read_again()
        self.app = importlib.import_module("app").app
        self.memory = self._memory()
        self.mappings = {
            each.queue_name.rpartition("-")[2]: each for each in mappings_of(self.app, self.sqs)
        }

    def _memory(self) -> tuple[Memory, ...]:
        """All that a process of the application remembers between two calls."""
        from chalicelib.kernel import keyring
        from chalicelib.kernel.auth import tenancy
        from chalicelib.kernel.notify import breaker
        from chalicelib.kernel.store import batch_update

        keyring.use(lambda: "simulated")  # no call of AWS: nothing of it is played here
        return (
            (batch_update, "_paused_until", int),
            (self.app, "current_request", lambda: None),
            *memory_of(tenancy._tenants),
            (breaker, "_seen", dict),
            (breaker, "_lock", threading.Lock),
        )

    def reset(self, seed: int) -> None:
        """Empty, with its tenants, and with a seed under all that is left to chance."""
        from chalicelib.kernel import telemetry
        from chalicelib.kernel.auth import tenancy
        from chalicelib.kernel.jobs import sweep, worker

        telemetry.log.setLevel(logging.CRITICAL)
        injection.begin(None)
        emulator.reset_data()
        jobs.runs.clear()
        chance.seed(seed)
        worker.ThreadPoolExecutor = InLine
        sweep.ThreadPoolExecutor = AtOnce
        settings.change(worker_threads=1, sweep_threads=1)
        for tenant_id, name in TENANTS.items():
            tenancy.record(tenant_id, name).save()

    def mapping(self, queue: str) -> Mapping:
        return self.mappings[queue]


class Chance:
    """Seeds what the application and the emulator draw: ids, tokens, waits."""

    def __init__(self) -> None:
        self._random = random.Random()

    def seed(self, seed: int) -> None:
        self._random.seed(seed)
        random.seed(seed)
        mock_random.seed(seed)

    def urandom(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def install(self) -> None:
        os.urandom = self.urandom
        uuid.os.urandom = self.urandom
        random._urandom = self.urandom


chance = Chance()


class AtOnce:
    """Stands for a pool of threads: works each task when it is handed in."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments))
        return done

    def shutdown(self, **_: Any) -> None: ...


class InLine(AtOnce):
    """Stands for a worker's pool, whose tasks are records."""

    begins: Any = staticmethod(lambda record: None)  #: called before each record
    ends: Any = staticmethod(lambda record, outcome: None)  #: and after it

    def submit(self, work: Any, *arguments: Any) -> Future[Any]:
        InLine.begins(arguments[0])
        done = super().submit(work, *arguments)
        InLine.ends(arguments[0], done.result())
        return done


def memory_of(remembered: Any) -> tuple[Memory, ...]:
    """What a process of the application keeps in this cache."""
    fresh = {"_entries": dict, "_loading": dict, "_lock": threading.Lock}
    return tuple((remembered, name, begin) for name, begin in fresh.items())


@cache
def stage() -> Stage:
    chance.install()
    return Stage()


def sent_to(address: str) -> list[mailbox.Sent]:
    """The messages to one address, oldest first."""
    return [message for message in mailbox._sent if message.to == address]
