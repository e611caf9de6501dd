"""A stage as a Chalice project of its own: build/stages/<stage>/.

A copy of what ships, with the stage's settings and policies filled in, and the package in place.
Instead of settings put on the functions after `chalice deploy`: Chalice sets a function's whole
environment, so there would be a moment with half of them in each deployment.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra import policies
from infra.deploy import concurrency, seals
from infra.deploy.account import Account, DeployError
from infra.package.build import BUILD, PROJECT, Package, build, offer
from infra.project_copy import renew

QUEUE_SETTING = "PARTIAL_BATCH"  #: told to the functions once their mappings have the flag


@dataclass(frozen=True)
class StageProject:
    """The rendered project."""

    folder: Path
    package: Package
    fingerprint: str  #: of everything that `chalice deploy` would deploy

    @property
    def record(self) -> Path:
        """Where Chalice writes what it has deployed."""
        return self.folder / ".chalice" / "deployed" / f"{self.stage}.json"

    @property
    def stage(self) -> str:
        return self.folder.name


def stage_settings(stage: str) -> dict[str, str]:
    """The stage's environment in .chalice/config.json. Raises DeployError for an unknown stage."""
    stages = _config()["stages"]
    if stage not in stages:
        raise DeployError(
            f"No stage {stage!r} in .chalice/config.json, only {', '.join(stages)}: "
            "copy one of them there under the new name"
        )
    settings: dict[str, str] = dict(stages[stage].get("environment_variables", {}))
    if settings.get("STAGE") != stage:
        raise DeployError(f"The stage {stage!r} in .chalice/config.json says another STAGE")
    return settings


def _config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads((PROJECT / ".chalice" / "config.json").read_text())
    return config


def render(account: Account, settings: Mapping[str, str], later: Mapping[str, str]) -> StageProject:
    """Packs the project and writes the stage's own; both as before when nothing has changed.

    `later` are settings that the first deployment gives the functions afterwards: that they are
    there from the start now is nothing new to deploy.
    """
    package = build(PROJECT, BUILD)
    folder = prepare(account.stage)
    place = seals.place(account, settings)
    policies.write_policies(place, folder / ".chalice" / "policies" / account.stage)
    reserved = concurrency.reserved(account, settings)
    known = _write_config(folder, account.stage, settings, later, reserved)
    offer(package, folder)
    offer(package, PROJECT)
    return StageProject(folder, package, _fingerprint(package, folder, account.stage, known))


def prepare(stage: str) -> Path:
    """The stage's folder with what ships, as it is now, and the settings that anybody may know."""
    folder = BUILD / "stages" / stage
    renew(PROJECT, folder)
    _write_config(folder, stage, stage_settings(stage), {}, {})
    return folder


def _write_config(
    folder: Path,
    stage: str,
    settings: Mapping[str, str],
    later: Mapping[str, str],
    reserved: Mapping[str, int],
) -> str:
    """Writes the config; returns the part of it that decides whether anything is new."""
    config = _config()
    own = config["stages"][stage]
    own["environment_variables"] = dict(sorted(settings.items()))
    for function, number in reserved.items():
        own["lambda_functions"].setdefault(function, {})["reserved_concurrency"] = number
    config["stages"] = {stage: own}
    known = json.dumps(config, sort_keys=True)
    own["environment_variables"] |= later
    file = folder / ".chalice" / "config.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(config, indent=2), encoding="utf-8")
    return known


def _fingerprint(package: Package, folder: Path, stage: str, config: str) -> str:
    digest = hashlib.sha256(config.encode())
    digest.update(package.zip.read_bytes())
    for file in sorted((folder / ".chalice" / "policies" / stage).glob("*.json")):
        digest.update(file.read_bytes())
    return seals.marked(digest.hexdigest())
