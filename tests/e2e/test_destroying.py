"""From a first try that failed to a stage that is gone: what the commands say on the way."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from .conftest import STAGE, Issuer, command_environment, run_deploy
from .ministack import Ministack, install
from .missing import Missing
from .package import PROJECT


@pytest.fixture(scope="module")
def empty() -> Iterator[Ministack]:
    """An account of its own: what is destroyed here, no other test needs."""
    install()
    started = Ministack.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def way_in(empty: Ministack) -> Iterator[Missing]:
    started = Missing(empty)
    yield started
    started.stop()


def destroy(way_in: Missing, *more: str, said: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "infra.destroy", "--stage", STAGE, *more],
        check=False,
        cwd=PROJECT,
        env=command_environment(way_in.url),
        capture_output=True,
        text=True,
        input=said,
        timeout=120,
    )


def test_a_stage_goes_from_a_failed_try_to_nothing_at_all(
    empty: Ministack, way_in: Missing, issuer: Issuer
) -> None:
    dynamodb = empty.client("dynamodb")
    way_in.takes_all_alarms = True

    failed = run_deploy(way_in, issuer, "--no-doctor")
    assert failed.returncode == 2
    assert "HttpErrorsAlarm: " in failed.stderr  # CloudFormation's own reason, by resource
    assert "Traceback" not in failed.stderr
    way_in.takes_all_alarms = False

    half_made = run_deploy(way_in, issuer, "--no-doctor")
    assert half_made.returncode == 2
    assert "is half made (ROLLBACK_COMPLETE" in half_made.stderr
    assert "make destroy" in half_made.stderr

    assert destroy(way_in, "--yes", STAGE).returncode == 0
    deployed = run_deploy(way_in, issuer, "--no-doctor")
    assert deployed.returncode == 0, deployed.stderr
    assert len(empty.client("lambda").list_functions()["Functions"]) > 1

    refused = destroy(way_in, said="prod\n")
    assert refused.returncode == 1
    assert "Nothing was done." in refused.stdout
    assert dynamodb.list_tables()["TableNames"]

    gone = destroy(way_in, said=f"{STAGE}\n")
    assert gone.returncode == 0, gone.stderr
    assert empty.client("lambda").list_functions()["Functions"] == []
    assert dynamodb.list_tables()["TableNames"] == []
    assert empty.client("sqs").list_queues().get("QueueUrls", []) == []
    assert empty.client("apigateway").get_rest_apis()["items"] == []
    assert empty.client("ssm").describe_parameters()["Parameters"] == []
