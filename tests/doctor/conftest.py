"""A stage as it should be, on moto, for a test to break in one place."""

import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from infra import policies
from infra.deploy import concurrency, record, stack, template_bucket
from infra.deploy.account import Account
from infra.deploy.mappings import FLAG
from infra.deploy.template import TEMPLATE
from infra.doctor.examination import examine
from infra.local import emulator, template
from tests import accounts

STAGE = "dev"
QUEUES = ("notify", "work", "bulk", "feedback")
SENDER = "no-reply@example.com"
SETTINGS = {
    "STAGE": STAGE,
    "ISSUER": "https://issuer.example.com",
    "AUDIENCE": "backburner",
    "JWKS_URL": "https://issuer.example.com/jwks",
    "SENDER_EMAIL": SENDER,
    "UNKNOWN_SUBJECTS": "refuse",
    "PROVISION_MACHINE_ARN": f"arn:aws:states:eu-central-1:123456789012:stateMachine:{STAGE}",
}
TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})
_numbers = itertools.count(710_000_000_001)


@dataclass
class Stage:
    """A deployed stage in an account of its own."""

    account: Account

    def client(self, service: str) -> Any:
        return self.account.client(service)

    def found(self) -> list[str]:
        """What the doctor finds, in its words."""
        return [finding.what for finding in examine(self.account)]

    def cures(self) -> list[str]:
        """What the doctor says should be done."""
        return [finding.cure for finding in examine(self.account)]

    def broken(self) -> list[str]:
        return [finding.what for finding in examine(self.account) if finding.broken]

    def queue_url(self, name: str) -> str:
        url = self.client("sqs").get_queue_url(QueueName=f"backburner-{STAGE}-{name}")["QueueUrl"]
        return str(url)

    @property
    def bucket(self) -> str:
        """The bucket of templates."""
        return template_bucket.bucket_name(self.account)

    def set_environment(self, function: str, **variables: str) -> None:
        self.client("lambda").update_function_configuration(
            FunctionName=policies.lambda_name(function, STAGE),
            Environment={"Variables": {**_environment(function), **variables}},
        )


def _environment(function: str) -> dict[str, str]:
    return {**SETTINGS, **({"PARTIAL_BATCH": "true"} if function in QUEUES else {})}


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A stage for one test."""
    with made() as stage:
        yield stage


@pytest.fixture
def account() -> Iterator[Account]:
    """An account that nothing was deployed to."""
    with _new_account() as account:
        yield account


@contextmanager
def made() -> Iterator[Stage]:
    """A stage as it should be."""
    with _new_account() as account:
        yield _stage(account)


@contextmanager
def _new_account() -> Iterator[Account]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", emulator.REGION)
        emulator.start()
        try:
            yield Account(STAGE, accounts.enter(str(next(_numbers))))
        finally:
            emulator.stop()


def _stage(account: Account) -> Stage:
    for call, answer in UNKNOWN_TO_MOTO.items():
        account.session.events.register(f"before-call.{call}", answering(answer))
    account.session.events.register("after-call.cloudformation.GetTemplate", _whole_template)
    account.session.events.register("after-call.sesv2.GetEmailIdentity", _verified)
    parameters = {"Stage": STAGE, "AlarmEmail": "ops@example.com"}
    template_bucket.prepare(account)
    template.load(TEMPLATE, account.session, parameters)
    record.make_signing_keys(account)
    account.client("cloudformation").create_stack(
        StackName=stack.stack_name(STAGE), TemplateBody=_SMALL
    )
    for function in policies.functions():
        _make(account, function)
    return Stage(account)


def limits(executions: int) -> dict[str, Any]:
    """What Lambda says of an account in which the API has its 150 executions, if it can."""
    unreserved = executions - 150 if executions >= 250 else executions
    return {
        "AccountLimit": {
            "ConcurrentExecutions": executions,
            "UnreservedConcurrentExecutions": unreserved,
        }
    }


#: What AWS says of an account in use.
UNKNOWN_TO_MOTO = {
    "sesv2.GetAccount": {
        "ProductionAccessEnabled": True,
        "SendingEnabled": True,
        "SendQuota": {"MaxSendRate": 50.0},
    },
    "lambda.GetAccountSettings": limits(1000),
}


def answering(answer: dict[str, Any]) -> Callable[..., Any]:
    """What a handler of `before-call` gives, botocore takes in place of the call's own answer."""
    response = AWSResponse("https://aws", 200, {}, None)
    return lambda **_: (response, {**answer, "ResponseMetadata": {}})


def _verified(parsed: dict[str, Any], **_: Any) -> None:
    if "Error" not in parsed:
        parsed["VerifiedForSendingStatus"] = True


def _whole_template(parsed: dict[str, Any], **_: Any) -> None:
    parsed["TemplateBody"] = stack.template_body(STAGE)


#: moto would make half of the whole one a second time; the resources stand there already.
_SMALL = json.dumps(
    {"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "x"}}}},
    separators=(",", ":"),
)


def _make(account: Account, function: str) -> None:
    """Role, function and mapping, as Chalice and the deployment make them."""
    iam, role = account.client("iam"), policies.role_name(function, STAGE)
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
    document = json.dumps(policies.policy(function, account.place))
    iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=document)
    account.client("lambda").create_function(
        FunctionName=policies.lambda_name(function, STAGE),
        Role=arn,
        Runtime="python3.11",
        Handler=f"app.{function}",
        Timeout=60,
        Code={"ZipFile": _zip()},
        Environment={"Variables": _environment(function)},
    )
    if number := concurrency.wanted({}).get(function):
        account.client("lambda").put_function_concurrency(
            FunctionName=policies.lambda_name(function, STAGE), ReservedConcurrentExecutions=number
        )
    if function in QUEUES:
        place = account.place
        account.client("lambda").create_event_source_mapping(
            FunctionName=policies.lambda_name(function, STAGE),
            EventSourceArn=f"arn:aws:sqs:{place.region}:{place.account}:backburner-{STAGE}-{function}",
            FunctionResponseTypes=[FLAG],
        )


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), "")
    return buffer.getvalue()
