"""The IAM policies: one for every Lambda function, written by hand.

`<function>.json` beside this file is the policy of the function of that name in app.py;
`api_handler` is the function that answers HTTP. ${Stage}, ${Region} and ${AccountId} are replaced
when a stage is packed or deployed, since Chalice uses the files unchanged. `Sid` says what a
statement is for. The resource "*" is used only where AWS supports nothing narrower, which a test
checks.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).parent
#: The statement that a stage has only while it seals secrets in form 1, see infra/deploy/seals.py.
_OF_FORM_ONE = "SecretsOfFormOne"


@dataclass(frozen=True)
class Place:
    """A stage, its region and its account."""

    stage: str
    region: str = "*"
    account: str = "*"
    partition: str = "aws"
    seal_form: int = 2  #: of the secrets that the stage's functions seal


def functions() -> list[str]:
    """The names of all functions that have a policy."""
    return sorted(path.stem for path in HERE.glob("*.json"))


def policy(function: str, place: Place) -> dict[str, Any]:
    """The policy of a function in a stage. Raises KeyError for an unknown placeholder."""
    text = (HERE / f"{function}.json").read_text(encoding="utf-8")
    filled = Template(text).substitute(
        Stage=place.stage,
        Region=place.region,
        AccountId=place.account,
        Partition=place.partition,
        Function=lambda_name(function, place.stage),
    )
    document: dict[str, Any] = json.loads(filled)
    if place.seal_form != 1:
        kept = [each for each in document["Statement"] if each["Sid"] != _OF_FORM_ONE]
        document["Statement"] = kept
    return document


def lambda_name(function: str, stage: str) -> str:
    """The name that Chalice gives a function on Lambda."""
    return f"backburner-{stage}" if function == "api_handler" else f"backburner-{stage}-{function}"


def role_name(function: str, stage: str) -> str:
    """The name that Chalice gives the role of a function that has its own policy."""
    return f"backburner-{stage}-{function}"


def write_policies(place: Place, folder: Path) -> None:
    """Writes the policies of all functions for a stage, and deletes other ones in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    for function in functions():
        text = json.dumps(policy(function, place), indent=2) + "\n"
        (folder / f"{function}.json").write_text(text, encoding="utf-8")
