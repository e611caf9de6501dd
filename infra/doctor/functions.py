"""Lambda: packages, settings, roles, and the queues' mappings."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from botocore.exceptions import ClientError

from infra import policies, settings
from infra.deploy import mappings, seals
from infra.deploy.account import Account, code
from infra.deploy.functions import configuration
from infra.deploy.project import QUEUE_SETTING
from infra.deploy.required_settings import REQUIRED_SETTINGS
from infra.doctor.findings import Finding, advice, broken, check
from infra.doctor.resources import DEPLOY, TIMES_TIMEOUT, queue_attributes

LEASE_SECONDS = 90  #: as in settings, unless the stage says otherwise


@check
def every_function_is_there_and_runs_one_package(account: Account) -> Iterator[Finding]:
    packages = {}
    for function in policies.functions():
        found = configuration(account, function)
        name = policies.lambda_name(function, account.stage)
        if not found:
            yield broken(f"there is no function {name}", DEPLOY, account.page("lambda"))
            continue
        packages[name] = found["CodeSha256"]
        if found.get("State", "Active") != "Active":
            told = f"function {name} is {found['State']}: {found.get('StateReason', '')}"
            yield broken(told, DEPLOY, account.page("lambda"))
    if len(set(packages.values())) > 1:
        told = "the functions run different packages: a deployment broke off"
        yield broken(told, DEPLOY, account.page("lambda"))


@check
def settings_are_complete_and_alike(account: Account) -> Iterator[Finding]:
    page = account.page("lambda")
    for function in policies.functions():
        variables = _variables(account, function)
        if variables is None:
            continue
        if variables.get("STAGE") != account.stage:
            told = f"{function} believes that its stage is {variables.get('STAGE')!r}"
            yield broken(told, DEPLOY, page)
        if "SIGNING_KEYS" in variables:
            told = f"{function} shows signing keys in its environment: an older release's"
            yield broken(told, "take them out of .chalice/config.json, deploy", page)
        if not variables.get("PROVISION_MACHINE_ARN"):
            told = f"{function} has no PROVISION_MACHINE_ARN: no project's workflow can be started"
            yield broken(told, DEPLOY, page)
        yield from _unreadable(function, variables, page)
    api = _variables(account, "authorize") or {}
    for name, why in REQUIRED_SETTINGS.items():
        if api and not api.get(name):
            yield broken(
                f"{name} is not set: {why}", "set it in .chalice/config.json, deploy", page
            )


def _unreadable(function: str, variables: dict[str, str], page: str) -> Iterator[Finding]:
    for problem in settings.problems(variables):
        told = f"{function}: {problem}; its default counts"
        yield broken(told, "correct it in .chalice/config.json, deploy", page)


def _variables(account: Account, function: str) -> dict[str, str] | None:
    found = configuration(account, function)
    if not found:
        return None
    variables: dict[str, str] = found.get("Environment", {}).get("Variables", {})
    return variables


@check
def every_role_has_its_policy_and_no_other(account: Account) -> Iterator[Finding]:
    iam, page = account.client("iam"), account.page("iam", "home")
    for function in policies.functions():
        role = policies.role_name(function, account.stage)
        try:
            names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        except ClientError as error:
            if code(error) != "NoSuchEntity":
                raise
            yield broken(f"there is no role {role}", DEPLOY, page)
            continue
        found = [_document(iam, role, name) for name in names]
        place = seals.place(account, _variables(account, function) or {})
        if found != [policies.policy(function, place)]:
            told = f"role {role} has another policy than infra/policies/{function}.json"
            yield broken(told, DEPLOY, page)
        if iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            yield broken(f"role {role} has further policies attached", "detach them", page)


def _document(iam: Any, role: str, name: str) -> Any:
    """As botocore gives it decoded, and as an emulator may give it, a text."""
    found = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    return json.loads(unquote(found)) if isinstance(found, str) else found


@check
def queues_and_functions_fit_together(account: Account) -> Iterator[Finding]:
    page = account.page("lambda")
    for function, mapping in mappings.of_functions(account):
        found = configuration(account, function)
        knows = (_variables(account, function) or {}).get(QUEUE_SETTING) == "true"
        reports = mappings.reports(mapping)
        if knows and not reports:
            told = f"{function} returns failures to a mapping that loses them"
            yield broken(told, f"at once: {DEPLOY}", page)
        elif not (knows and reports):
            told = f"{function} is without {mappings.FLAG}: slower, and nothing is lost"
            yield advice(told, DEPLOY, page)
        if mapping.get("State") not in ("Enabled", "Enabling", "Creating", "Updating", None):
            told = f"the mapping of {function} is {mapping['State']}: its queue is not worked"
            yield broken(told, "aws lambda update-event-source-mapping --enabled", page)
        yield from _times(account, function, found, mapping)


def _times(
    account: Account, function: str, found: dict[str, Any], mapping: dict[str, Any]
) -> Iterator[Finding]:
    queue = mapping["EventSourceArn"].rpartition(":")[2]
    timeout = int(found["Timeout"])
    attributes = queue_attributes(account, queue)
    hidden = int(attributes["VisibilityTimeout"]) if attributes else 0
    if attributes and hidden < TIMES_TIMEOUT * timeout:
        told = f"queue {queue} hides messages for {hidden} s, under {TIMES_TIMEOUT} x {timeout} s"
        yield broken(told, DEPLOY, account.page("sqs", "v3/home"))
    lease = int((_variables(account, function) or {}).get("LEASE_SECONDS", LEASE_SECONDS))
    if lease < timeout:
        told = f"{function} may run for {timeout} s and leases its jobs for {lease} s"
        yield broken(told, "set LEASE_SECONDS", account.page("lambda"))
