"""One lane: `python -m tests.e2e.policies.lane <function>`, told by POLICY_LANE (JSON).

Prints one JSON line for the whole policy and one for each right: {"right", "failed"}, where
`failed` is what went wrong without it, or null when nothing did.
"""

import base64
import json
import os
import re
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
import urllib3

from infra.policies import Place, lambda_name, policy, role_name
from tests.e2e.missing import adapted

#: Not asked for by the emulator: Lambda itself uses them for the function, or for its log.
NOT_ENFORCED = {
    "logs:CreateLogStream": "the emulator writes logs itself",
    "logs:PutLogEvents": "the emulator writes logs itself",
    "sqs:ReceiveMessage": "the mapping's poller acts without the role",
    "sqs:DeleteMessage": "the mapping's poller acts without the role",
    "sqs:GetQueueAttributes": "the mapping's poller acts without the role",
}
#: Likewise, of one function: what its scenarios cannot bring about.
UNTRIED: dict[str, dict[str, str]] = {}
Json = dict[str, Any]
_WARNING = re.compile('"level":"(WARNING|ERROR)"')


@dataclass
class Lane:
    """A function of the deployed stage, its role, and the account's root beside it."""

    function: str
    told: Json = field(default_factory=lambda: json.loads(os.environ["POLICY_LANE"]))
    missing: frozenset[str] = frozenset()  #: what the role lacks now, as `rights` names it

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.Session().client(service)
        return self._clients[service]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    @cached_property
    def stage(self) -> str:
        return str(self.told["stage"])

    @property
    def lambda_name(self) -> str:
        return lambda_name(self.function, self.stage)

    @cached_property
    def whole(self) -> Json:
        """The policy as it stands in infra/policies."""
        place = Place(self.stage, self.told["region"], self.told["account"])
        return policy(self.function, place)

    def allow(self, *, but: frozenset[str] = frozenset()) -> None:
        """Gives the role its policy without some rights, and starts the function cold."""
        self.missing = but
        statements = [
            {**each, "Action": [a for a in each["Action"] if _right(each, a) not in but]}
            for each in self.whole["Statement"]
        ]
        left = {**self.whole, "Statement": [each for each in statements if each["Action"]]}
        role, client = role_name(self.function, self.stage), self.client("iam")
        (name,) = client.list_role_policies(RoleName=role)["PolicyNames"]
        client.put_role_policy(
            RoleName=role, PolicyName=name, PolicyDocument=json.dumps(adapted(left))
        )
        self._start_cold()

    def _start_cold(self) -> None:
        """What a warm function has already asked for, it would not ask for again.

        Its providers may be at 127.0.0.1, where the scenarios know who answers: nobody.
        """
        client, name = self.client("lambda"), self.lambda_name
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables |= {"POLICY_TRIAL": uuid.uuid4().hex, "PRIVATE_ADDRESSES": "true"}
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )

    def rights(self) -> list[str]:
        """Each action of each statement, as `<statement> <action>`."""
        untried = set(NOT_ENFORCED) | set(UNTRIED.get(self.function, {}))
        return sorted(
            _right(each, action)
            for each in self.whole["Statement"]
            for action in each["Action"]
            if action not in untried
        )

    def invoke(self, event: Json, *, says: str | tuple[str, ...] = ()) -> Any:
        """The function's answer; AssertionError when it fails, or warns but with `says`."""
        expected = [f'"message":"{each}' for each in ((says,) if isinstance(says, str) else says)]
        answer = self.client("lambda").invoke(
            FunctionName=self.lambda_name, Payload=json.dumps(event), LogType="Tail"
        )
        told = json.loads(answer["Payload"].read() or b"null")
        log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
        assert "FunctionError" not in answer, str(told)[:300]
        warned = [line for line in log.splitlines() if _WARNING.search(line)]
        bad = [line for line in warned if not any(each in line for each in expected)]
        assert not bad, bad[0][:300]
        return told

    # Queues, worked by hand

    def queue_url(self, queue: str) -> str:
        name = f"backburner-{self.stage}-{queue}"
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def send(self, queue: str, body: str) -> None:
        self.client("sqs").send_message(QueueUrl=self.queue_url(queue), MessageBody=body)

    def event(self, queue: str, *bodies: str) -> Json:
        """The event that the mapping would make of messages that nobody has to hide."""
        made = {"ReceiptHandle": "none", "MD5OfBody": ""}
        messages = [{**made, "MessageId": str(uuid.uuid4()), "Body": body} for body in bodies]
        return {"Records": [self._record(queue, each) for each in messages]}

    def receive(self, queue: str, wanted: str) -> Json:
        """The event of a message in the queue whose body has `wanted`, as the mapping makes it."""
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            answer = self.client("sqs").receive_message(
                QueueUrl=self.queue_url(queue), MaxNumberOfMessages=10, WaitTimeSeconds=1
            )
            for message in answer.get("Messages", []):
                if wanted in message["Body"]:
                    return {"Records": [self._record(queue, message)]}
        raise AssertionError(f"no message with {wanted} in {queue}")

    def must_hold(self, queue: str, wanted: str) -> None:
        """The queue holds a message whose body has `wanted`; looking receives nothing."""
        name = f"backburner-{self.stage}-{queue}"
        place = f"https://{self.told['connect_to']}/_ministack/sqs/messages"
        pool = urllib3.PoolManager(ca_certs=self.told["certificate"])
        queues = pool.request("GET", place).json()["messages"][self.told["account"]]
        messages = next(
            found for url, found in queues[self.told["region"]].items() if url.endswith(f"/{name}")
        )
        assert any(wanted in str(each) for each in messages), f"{queue} does not hold {wanted}"

    def _record(self, queue: str, message: Json) -> Json:
        place = f"{self.told['region']}:{self.told['account']}"
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message.get("Attributes", {}),
            "messageAttributes": {},
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:{place}:backburner-{self.stage}-{queue}",
            "awsRegion": self.told["region"],
        }

    def tenant(self) -> str:
        """A new tenant."""
        from chalicelib.kernel.auth import tenancy

        id_ = f"p-{uuid.uuid4().hex[:16]}"
        tenancy.record(id_, "Policy Trial").save()
        return id_


def _right(statement: Json, action: str) -> str:
    return f"{statement['Sid']} {action}"


Scenario = Callable[[Lane], None]


def run(lane: Lane, scenarios: list[Scenario]) -> Iterator[Json]:
    """With all rights, and then without each in turn; leaves the whole policy behind."""
    try:
        yield {"right": None, "failed": _first_failure(lane, scenarios, frozenset())}
        for right in lane.rights():
            yield {"right": right, "failed": _first_failure(lane, scenarios, frozenset({right}))}
    finally:
        lane.allow()


def _first_failure(lane: Lane, scenarios: list[Scenario], but: frozenset[str]) -> str | None:
    lane.allow(but=but)
    for scenario in scenarios:
        try:
            scenario(lane)
        except Exception as error:  # noqa: BLE001  a row that is not there is a failure too
            told = (str(error) or type(error).__name__).splitlines()[0][:200]
            return f"{scenario.__name__}: {told}"
    return None


if __name__ == "__main__":
    from tests.e2e.policies.scenarios import SCENARIOS

    for result in run(Lane(sys.argv[1]), SCENARIOS[sys.argv[1]]):
        print(json.dumps(result), flush=True)  # noqa: T201  read by test_policies.py
