"""Log lines and metrics, as a function writes them to its standard output."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.contract.source import ROOT

THREADS, LINES = 8, 500
FROM_THREADS = f"""
import threading
from chalicelib.kernel import telemetry

def work():
    for number in range({LINES}):
        telemetry.emit({{"jobs_done": number, "job_ms": 1.5}}, queue="work")

threads = [threading.Thread(target=work) for _ in range({THREADS})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def written(code: str, **environment: str) -> list[dict[str, Any]]:
    """The lines that a process writes in a deployed stage."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "STAGE": "dev", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_lines_of_metrics_from_many_threads_stay_whole() -> None:
    lines = written(FROM_THREADS)

    assert len(lines) == THREADS * LINES
    assert {tuple(line["_aws"]["CloudWatchMetrics"][0]["Dimensions"][0]) for line in lines} == {
        ("service", "stage", "queue")
    }
    assert sorted({line["jobs_done"][0] for line in lines}) == list(range(LINES))


def test_a_line_has_the_usual_fields_and_the_callers() -> None:
    code = """
from decimal import Decimal
from chalicelib.kernel.telemetry import log
log.info("42", tenant="t1", ms=Decimal("1.5"))
try:
    raise RuntimeError("on purpose")
except RuntimeError:
    log.exception("job raised", job="j1")
"""
    info, raised = written(code)

    assert info == {
        "level": "INFO",
        "location": "<module>:4",
        "message": "42",
        "timestamp": info["timestamp"],
        "service": "backburner",
        "tenant": "t1",
        "ms": 1.5,
    }
    assert info["timestamp"][10] == "T"
    assert info["timestamp"][-1] == "Z"
    assert (raised["level"], raised["job"]) == ("ERROR", "j1")
    assert raised["exception_name"] == "RuntimeError"
    assert raised["exception"].startswith("Traceback")
    assert raised["exception"].endswith("RuntimeError: on purpose")


@pytest.mark.parametrize(
    ("level", "lines"), [("DEBUG", 2), ("INFO", 2), ("WARNING", 1), ("ERROR", 0), ("no level", 2)]
)
def test_the_level_is_a_setting_and_an_unknown_one_is_info(level: str, lines: int) -> None:
    code = "from chalicelib.kernel.telemetry import log; log.info('a'); log.warning('b')"

    assert len(written(code, LOG_LEVEL=level)) == lines


def test_no_metrics_are_no_line() -> None:
    assert written("from chalicelib.kernel import telemetry; telemetry.emit({})") == []
