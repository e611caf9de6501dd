"""Starting, staying inside the process, and the clock of it all."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.local import clock


def test_a_session_made_before_the_emulator_stays_inside_too_and_after_its_end() -> None:
    script = """
import boto3, botocore.exceptions
session = boto3.Session("x", "y")
early = session.client("dynamodb", region_name="eu-central-1")
from infra.local import emulator
emulator.start()
print(early.list_tables()["TableNames"])
emulator.stop()
try:
    early.list_tables()
except botocore.exceptions.EndpointConnectionError as error:
    print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    answer, refused = run.stdout.splitlines()
    assert answer == "[]"
    assert "Could not connect" in refused


def test_the_clock_moves_every_thread_and_keeps_ticking(dynamodb: Any) -> None:
    real = datetime.now(UTC)
    monotonic = time.monotonic()
    clock.advance(86_400)
    clock.advance(3_600)
    seen: list[datetime] = []
    thread = threading.Thread(target=lambda: seen.append(datetime.now(UTC)))
    thread.start()
    thread.join()
    ahead = timedelta(days=1, hours=1)
    assert ahead <= seen[0] - real < ahead + timedelta(seconds=5)
    first, second = time.time(), time.time()
    while second == first:
        second = time.time()
    assert second > first
    assert clock.now() >= seen[0]
    assert time.monotonic() - monotonic < 5
    assert dynamodb.list_tables()["TableNames"]
    clock.stop()
    assert datetime.now(UTC) - real < timedelta(seconds=5)


def test_listeners_hear_of_each_jump_once() -> None:
    jumps: list[float] = []

    def listener() -> None:
        jumps.append(time.time())

    clock.on_jump(listener)
    clock.on_jump(listener)
    clock.advance(10)
    assert len(jumps) == 1
    clock.off_jump(listener)
    clock.advance(10)
    assert len(jumps) == 1


def test_the_clock_does_not_go_back() -> None:
    for seconds in (-1, float("nan")):
        with pytest.raises(ValueError, match="cannot go back"):
            clock.advance(seconds)


def test_many_threads_may_move_the_clock() -> None:
    before = time.time()
    threads = [threading.Thread(target=clock.advance, args=(100,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 2_000 <= time.time() - before < 2_010
