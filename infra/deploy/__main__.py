"""Deploys a stage, and shows each step.

    python -m infra.deploy --stage dev [--alarm-email ops@example.com]

Run it again after any change; what is as it should be stays untouched. To go back, check out an
earlier tag and deploy that. Credentials and region are those of the aws command line.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from infra.deploy import (
    functions,
    gateway,
    mappings,
    project,
    record,
    retained_data,
    seals,
    sockets,
    stack,
    template_bucket,
)
from infra.deploy.account import Account, DeployError
from infra.deploy.command import guarded
from infra.deploy.project import stage_settings
from infra.deploy.required_settings import (
    REQUIRED_SETTINGS,
    UNKNOWN_SUBJECTS,
    unknown_subjects,
)
from infra.deploy.template import template
from infra.doctor.examination import examine, show
from infra.package.build import MEGABYTE

#: Settings of the stack that are given with the command and then remembered by the stack.
STACK_OPTIONS = {
    "alarm_email": "AlarmEmail",
    "sender_domain": "SenderDomain",
    "owns_sender": "OwnsSender",
}
FIRST = '--id alder --name "Alder Books" --manager-email you@example.com'
REPORT_STEP = (
    "see who would be refused: python -m infra.doctor; then set UNKNOWN_SUBJECTS to refuse in "
    ".chalice/config.json, and deploy"
)
REGION_STEP = (
    "for projects: add a region by POST /admin/v1/regions; DEFAULT_REGION names the usual one"
)


class Report:
    """Says each step as it ends, and remembers whether anything changed."""

    def __init__(self) -> None:
        self.changed = False

    def step(self, name: str, changed: str | list[str], unchanged: str = "as it was") -> None:
        changes = ", ".join(changed) if isinstance(changed, list) else changed
        self.changed = self.changed or bool(changes)
        self.show(name, changes or unchanged)

    def show(self, name: str, progress: str) -> None:
        """Says what goes on within a step."""
        print(f"  {name:<10} {progress}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    return guarded(lambda: deploy(given))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.deploy",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--alarm-email", default=os.environ.get("ALARM_EMAIL"))
    parser.add_argument("--sender-domain", default=os.environ.get("SENDER_DOMAIN"))
    parser.add_argument("--owns-sender", choices=["true", "false"])
    parser.add_argument(
        "--setting",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the functions, on top of .chalice/config.json; this time only",
    )
    parser.add_argument(
        "--template-of",
        type=Path,
        metavar="FOLDER",
        help="apply the template of the release in this folder and nothing else, before that "
        "release is deployed from there: the way back to one that knows fewer indexes",
    )
    parser.add_argument("--no-doctor", action="store_true", help="leave out the look afterwards")
    return parser.parse_args(arguments)


def deploy(given: argparse.Namespace) -> int:
    """Every step in order; 0 when the doctor finds nothing that is broken."""
    settings = {**stage_settings(given.stage), **_settings_given(given.setting)}
    account = Account(given.stage)
    place = account.place
    print(f"Stage {place.stage}, account {place.account}, region {place.region}")
    report = Report()
    made = _deploy_stack(account, given, settings, report)
    if given.template_of:
        return 0
    settings = {**_known_of_the_stack(made), **settings, **unknown_subjects(account, settings)}
    if seals.must_wait(account, settings):
        settings[seals.SETTING] = "1"
        report.show("seals", seals.WAITS)
    record_ = _deploy_functions(account, settings, report)
    report.step("queues", mappings.complete(account))
    report.step("sockets", sockets.complete(account, record_, settings))
    address = _complete_gateway(account, settings, record_, report)
    print("Nothing has changed." if not report.changed else "Deployed.")
    print(f"\nAPI: {settings.get('PUBLIC_URL') or address}")
    healthy = given.no_doctor or _examine(account)
    _say_next_steps(given.stage, settings)
    return 0 if healthy else 1


def _deploy_stack(
    account: Account, given: argparse.Namespace, settings: dict[str, str], report: Report
) -> stack.Stack:
    parameters = _stack_parameters(given, settings)
    report.step("bucket", template_bucket.prepare(account))
    if given.template_of:
        wanted = template(account.stage, source=given.template_of / "infra" / "template.yaml")
    else:
        wanted = template(account.stage)
        if retained := retained_data.take_over(account, parameters):
            report.step("data", f"taken over: {', '.join(retained)}")
    made = stack.deploy(account, wanted, parameters, partial(report.show, "indexes"))
    report.step("template", made.changed)
    return made


def _settings_given(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise DeployError(f"--setting takes NAME=VALUE, not {wrong[0]!r}")
    return dict(pair.split("=", 1) for pair in pairs)


def _stack_parameters(given: argparse.Namespace, settings: dict[str, str]) -> dict[str, str]:
    parameters = {"Stage": given.stage}
    if "SENDER_EMAIL" in settings:
        parameters["SenderEmail"] = settings["SENDER_EMAIL"]
    for option, name in STACK_OPTIONS.items():
        if getattr(given, option) is not None:
            parameters[name] = getattr(given, option)
    return parameters


def _known_of_the_stack(made: stack.Stack) -> dict[str, str]:
    """Settings that are addresses of what the stack has made: the functions need not ask."""
    return {"PROVISION_MACHINE_ARN": made.outputs["ProvisionProjectArn"]}


def _deploy_functions(account: Account, settings: dict[str, str], report: Report) -> dict[str, Any]:
    report.step("keys", "made" if record.make_signing_keys(account) else "")
    rendered = project.render(account, settings, _told_later(account, settings))
    size = rendered.package.zip.stat().st_size / MEGABYTE
    deployed, known = functions.deploy(account, rendered)
    report.step(
        "functions", f"deployed, {size:.1f} MB" if deployed else "", f"as they were, {size:.1f} MB"
    )
    return known


def _told_later(account: Account, settings: dict[str, str]) -> dict[str, str]:
    """What the functions are told once it is so: at the first deployment after it."""
    known = {}
    if mappings.all_report(account):
        known[project.QUEUE_SETTING] = "true"
    if address := sockets.endpoint(record.known(account)):
        known[sockets.SETTING] = address
    return {name: value for name, value in known.items() if name not in settings}


def _complete_gateway(
    account: Account, settings: dict[str, str], known: dict[str, Any], report: Report
) -> str:
    api_id = record.resource(known, "rest_api", "rest_api_id")
    address = record.resource(known, "rest_api", "rest_api_url") or ""
    if api_id is None:
        raise DeployError("Chalice has not made the API")
    api_stage = address.rstrip("/").rpartition("/")[2] or "api"
    origins = tuple(filter(None, map(str.strip, settings.get("CORS_ORIGINS", "").split(","))))
    report.step("gateway", gateway.complete(account, api_id, api_stage, origins))
    return address.rstrip("/")


def _examine(account: Account) -> bool:
    findings = examine(account)
    print()
    show(findings)
    return not any(finding.broken for finding in findings)


def _say_next_steps(stage: str, settings: dict[str, str]) -> None:
    missing = [
        f"set {name} in .chalice/config.json: {why}"
        for name, why in REQUIRED_SETTINGS.items()
        if not settings.get(name)
    ]
    steps = [
        *missing,
        "confirm the mail that SES sent to the sender's address, unless it is confirmed",
        f"make the first tenant: STAGE={stage} .venv/bin/python -m infra.ops tenant create {FIRST}",
        *([REPORT_STEP] if settings[UNKNOWN_SUBJECTS] != "refuse" else []),
        *([] if settings.get("DEFAULT_REGION") else [REGION_STEP]),
    ]
    print("\nNext:")
    for number, step in enumerate(steps, 1):
        print(f"  {number}. {step}")


if __name__ == "__main__":
    sys.exit(main())
