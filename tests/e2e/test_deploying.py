"""The project's own command: one deployment whole, a second one that has nothing to do."""

import json
import subprocess
import sys

import pytest

from .conftest import STAGE, Deployment, Issuer, run_deploy
from .ministack import Ministack
from .missing import Missing
from .package import PROJECT

#: What the doctor rightly finds on ministack: missing.py has put its words into the policies, and
#: its CloudFormation forgets two properties of tables.
EMULATORS = (
    "has another policy than",
    "does not delete what has expired",
    "has no point-in-time recovery",
)


def test_a_second_deployment_changes_nothing_and_says_so(
    deployed: Deployment, proxy: Missing, issuer: Issuer
) -> None:
    functions = [_modified(deployed.ministack)]

    done = run_deploy(proxy, issuer, "--no-doctor")

    assert done.returncode == 0, done.stderr
    assert "Nothing has changed." in done.stdout
    assert [_modified(deployed.ministack)] == functions


def _modified(ministack: Ministack) -> dict[str, str]:
    found = ministack.client("lambda").list_functions()["Functions"]
    return {each["FunctionName"]: each["LastModified"] for each in found}


def test_what_the_gateway_answers_by_itself_is_a_problem_like_the_others(
    deployed: Deployment,
) -> None:
    for path, token, status in (
        ("/nothing/here", deployed.issuer.token(), 404),
        ("/admin/v1/users", None, 401),
        ("/admin/v1/users", "garbage", 401),
    ):
        answer = deployed.call("GET", path, token=token)
        assert answer.status == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == status
        assert answer.headers["Access-Control-Allow-Origin"]


def test_every_mapping_reports_failures_and_its_function_knows(deployed: Deployment) -> None:
    client = deployed.ministack.client("lambda")
    mappings = client.list_event_source_mappings()["EventSourceMappings"]

    assert len(mappings) == 4
    for mapping in mappings:
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        function = client.get_function_configuration(FunctionName=mapping["FunctionArn"])
        assert function["Environment"]["Variables"]["PARTIAL_BATCH"] == "true"


def test_every_queue_has_its_most_and_the_api_and_its_authorizer_have_theirs(
    deployed: Deployment,
) -> None:
    client = deployed.ministack.client("lambda")
    mappings = client.list_event_source_mappings()["EventSourceMappings"]
    most = {
        mapping["EventSourceArn"].rpartition("-")[2]: mapping["ScalingConfig"]["MaximumConcurrency"]
        for mapping in mappings
    }
    assert most == {"notify": 20, "work": 20, "bulk": 5, "feedback": 5}
    for function, number in ((f"backburner-{STAGE}", 100), (f"backburner-{STAGE}-authorize", 50)):
        kept = client.get_function_concurrency(FunctionName=function)
        assert kept["ReservedConcurrentExecutions"] == number


def test_the_signing_keys_are_made_once_and_kept_as_a_secret(deployed: Deployment) -> None:
    kept = deployed.ministack.client("ssm").get_parameter(
        Name=f"/backburner/{STAGE}/signing-keys", WithDecryption=True
    )["Parameter"]
    function = deployed.ministack.client("lambda").get_function_configuration(
        FunctionName=f"backburner-{STAGE}"
    )

    assert kept["Type"] == "SecureString"
    assert "SIGNING_KEYS" not in function["Environment"]["Variables"]
    assert kept["Value"] not in str(function)
    assert kept["Value"] not in deployed.deploying


@pytest.mark.parametrize("thing", ["bucket", "functions", "template", "gateway", "queues", "keys"])
def test_each_step_says_what_it_did(deployed: Deployment, thing: str) -> None:
    line = next(line for line in deployed.deploying.splitlines() if line.startswith(f"  {thing}"))
    assert "as it was" not in line


def test_nothing_of_the_deployment_lies_in_the_repository_s_own_config(
    deployed: Deployment,
) -> None:

    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    assert deployed.issuer.url not in str(config)


def test_the_doctor_finds_nothing_broken(deployed: Deployment) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "infra.doctor", "--stage", STAGE],
        check=False,
        cwd=PROJECT,
        env=deployed.environment(),
        capture_output=True,
        text=True,
    )
    broken = [line for line in done.stdout.splitlines() if line.startswith("BROKEN")]
    assert [line for line in broken if not any(each in line for each in EMULATORS)] == [], (
        done.stdout
    )
    assert done.returncode in (0, 1), done.stderr
