"""Settings: each variable is read by one section, and what a stage sets is read by somebody."""

import ast
import json

import msgspec
import pytest

from chalicelib.kernel.settings import Section, read
from infra import settings
from infra.deploy.required_settings import REQUIRED_SETTINGS
from tests.contract.source import ROOT, modules

SECTIONS = list(settings.sections())
STAGES = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]


def variables(section: type[Section]) -> list[str]:
    names = [field.name for field in msgspec.structs.fields(section)]
    return [name.upper() for name in names if name != "problems"]


def test_the_kernels_and_the_domains_settings_are_found() -> None:
    found = {section.__module__ for section in SECTIONS}

    assert {"chalicelib.kernel.settings", "chalicelib.projects.settings"} <= found


def test_no_variable_is_read_by_two_sections() -> None:
    readers: dict[str, list[str]] = {}
    for section in SECTIONS:
        for name in variables(section):
            readers.setdefault(name, []).append(section.__module__)
    shared = {name: modules for name, modules in readers.items() if len(modules) > 1}

    assert shared == {}, f"rename the setting in all modules but one: {shared}"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__module__)
def test_every_setting_has_a_default_and_a_kind_that_can_be_read(section: type[Section]) -> None:
    for field in msgspec.structs.fields(section):
        if field.name != "problems":
            name = f"{section.__module__}: {field.name}"
            assert not field.required, f"{name} has no default"
            assert field.type in (str, int, bool), f"{name} must be a str, an int or a bool"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__module__)
def test_every_setting_says_what_it_is_for(section: type[Section]) -> None:
    (module,) = (m for m in modules("chalicelib") if m.name == section.__module__)
    lines = module.path.read_text().splitlines()
    (declared,) = (
        node
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )

    for field in declared.body:
        if isinstance(field, ast.AnnAssign):
            assert " #: " in lines[field.lineno - 1], (
                f"{section.__module__}: say after `#:` what it is for: {ast.unparse(field)}"
            )


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_sets_only_what_is_read(stage: str) -> None:
    known = {name for section in SECTIONS for name in variables(section)}

    assert set(STAGES[stage]["environment_variables"]) | set(REQUIRED_SETTINGS) <= known


def test_what_cannot_be_read_is_reported_whoever_declares_it() -> None:
    found = settings.problems({"LEASE_SECONDS": "soon", "PROVISIONING_SECONDS": "-1"})

    assert [problem.partition("=")[0] for problem in found] == [
        "LEASE_SECONDS",
        "PROVISIONING_SECONDS",
    ]


def test_the_sections_of_a_stage_without_variables_are_their_defaults() -> None:
    for section in SECTIONS:
        assert read(section, {}) == section()
