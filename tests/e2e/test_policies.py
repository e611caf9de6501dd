"""No policy has an action that could be taken out: `make e2e-policies`."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infra import policies

from .conftest import STAGE, TOLD, Deployment
from .ministack import ACCOUNT, REGION
from .package import PROJECT
from .policies.lane import NOT_ENFORCED, UNTRIED

pytestmark = pytest.mark.policies
#: Lanes of one group run one after the other: without the authorizer nobody calls the API, nor
#: without a connection does anybody send a message.
GROUPS = (
    ("authorize", "api_handler"),
    ("websocket_connect", "websocket_message", "websocket_disconnect"),
)
#: The workflow while policies are tried: an execution that has begun does nothing, for long.
WAITING = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": True}}}
ALONE = [each for each in policies.functions() if not any(each in group for group in GROUPS)]
LANE_SECONDS = 900
MACHINE = f"backburner-{STAGE}-provision-project"
Results = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def results(deployed: Deployment, pytestconfig: pytest.Config) -> Results:
    """What each lane found, all run at once on the one deployment."""
    _stop_what_works_by_itself(deployed)
    groups = [*GROUPS, *((each,) for each in ALONE)]
    with ThreadPoolExecutor(len(groups)) as pool:
        done = list(
            pool.map(lambda group: [(each, _run(deployed, each)) for each in group], groups)
        )
    found = dict(pair for group in done for pair in group)
    pytestconfig.stash.setdefault(TOLD, []).append(_summary(found))
    return found


def _stop_what_works_by_itself(deployed: Deployment) -> None:
    client = deployed.ministack.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    events = deployed.ministack.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    states = deployed.ministack.client("stepfunctions")
    for machine in states.list_state_machines()["stateMachines"]:
        states.update_state_machine(
            stateMachineArn=machine["stateMachineArn"], definition=json.dumps(WAITING)
        )


def _run(deployed: Deployment, function: str) -> list[dict[str, Any]]:
    told = {**deployed.told, "stage": STAGE, "region": REGION, "account": ACCOUNT}
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.policies.lane", function],
        check=False,
        cwd=PROJECT,
        env={
            **deployed.environment(),
            "PATH": os.environ["PATH"],
            "STAGE": STAGE,
            "SIMULATED_REGIONS": "local-1",
            "PRIVATE_ADDRESSES": "true",
            "SOCKET_ENDPOINT": deployed.socket_endpoint,
            "PROVISION_MACHINE_ARN": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE}",
            "PUSH_GRACE_SECONDS": "3600",  # no sweep of another lane takes this lane's jobs
            "POLICY_LANE": json.dumps(told),
        },
        capture_output=True,
        text=True,
        timeout=LANE_SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"right"')]


def _summary(found: Results) -> str:
    lines = ["", "Without this right (statement and action) of the policy, that scenario fails:"]
    for function, results_ in sorted(found.items()):
        for each in results_[1:]:
            scenario = (each["failed"] or "NONE").partition(":")[0]
            lines.append(f"  {function:<20} {each['right']:<42} {scenario}")
    lines.append("Not enforced by the emulator, so not tried:")
    lines += [f"  {action:<41} {why}" for action, why in NOT_ENFORCED.items()]
    if UNTRIED:
        lines.append("Not tried, since no scenario needs it:")
    for function, untried in UNTRIED.items():
        lines += [f"  {function:<18} {action:<30} {why}" for action, why in untried.items()]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("function", policies.functions())
def test_with_its_whole_policy_a_function_does_all_it_should(
    results: Results, function: str
) -> None:
    assert results[function][0] == {"right": None, "failed": None}


@pytest.mark.parametrize("function", policies.functions())
def test_without_any_right_of_its_policy_a_function_fails(results: Results, function: str) -> None:
    assert len(results[function]) > 1
    assert [each["right"] for each in results[function][1:] if not each["failed"]] == []
