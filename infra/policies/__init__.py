"""Who may do what: one policy for each Lambda function, written by hand, nothing generated.

`<function>.json` beside this file is the policy of the function of that name in app.py;
`api_handler` is the one that answers HTTP. ${Stage}, ${Region} and ${AccountId} are filled in when
a stage is packed or deployed, since Chalice takes files as they are. `Sid` says what a statement
is for. "*" stands as a resource only where AWS knows none narrower, which a test keeps.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Place:
    """Where a stage is."""

    stage: str
    region: str = "*"
    account: str = "*"
    partition: str = "aws"


def functions() -> list[str]:
    """The functions that have a policy."""
    return sorted(path.stem for path in HERE.glob("*.json"))


def policy(function: str, place: Place) -> dict[str, Any]:
    """The policy of one function for one stage. Raises KeyError for an unknown parameter."""
    text = (HERE / f"{function}.json").read_text(encoding="utf-8")
    filled = Template(text).substitute(
        Stage=place.stage,
        Region=place.region,
        AccountId=place.account,
        Partition=place.partition,
        Function=lambda_name(function, place.stage),
    )
    document: dict[str, Any] = json.loads(filled)
    return document


def lambda_name(function: str, stage: str) -> str:
    """What Chalice calls a function on Lambda."""
    return f"backburner-{stage}" if function == "api_handler" else f"backburner-{stage}-{function}"


def role_name(function: str, stage: str) -> str:
    """What Chalice calls the role that it makes for a function with a policy of its own."""
    return f"backburner-{stage}-{function}"


def write_policies(place: Place, folder: Path) -> None:
    """Writes every function's policy for a stage into the folder, and nothing else stays there."""
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("*.json"):
        stale.unlink()
    for function in functions():
        text = json.dumps(policy(function, place), indent=2) + "\n"
        (folder / f"{function}.json").write_text(text, encoding="utf-8")
