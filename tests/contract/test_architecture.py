"""Who may import whom, how large things may be, and where settings are read.

    app -> api, steps, kernel
    api, jobs, steps, notices -> service -> models -> rules
    service -> gateway -> rules, kernel.web
    kernel -> kernel

`api` is every file that declares routes; `views` are the shapes they show; `service` is every
file of a domain that has no other name here. A domain reaches another only service to service.
"""

import ast
import statistics
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter

import pytest

from tests.contract.source import ROOT, Module, modules

#: domain -> the domains whose service its service may call
DOMAINS_THAT_MEET: dict[str, set[str]] = {"projects": {"people"}}

WAYS_IN = ("api", "jobs", "notices", "steps")
MAY_IMPORT = {
    "api": {"views", "service"},
    "jobs": {"service"},
    "notices": {"service"},
    "steps": {"service"},
    "views": {"models", "rules"},
    "service": {"service", "models", "rules", "gateway"},
    "models": {"rules"},
    "gateway": {"gateway", "rules"},
    "rules": {"rules"},
}
#: What of the kernel the pure parts may name: types, and the one file that speaks HTTP.
KERNEL_FOR = {"rules": {"chalicelib.kernel.tenancy"}, "gateway": {"chalicelib.kernel.web"}}

FORBIDDEN_AT_START = {
    "boto3",
    "requests",
    "jinja2",
    "cryptography",
    "jwt",
    "aws_xray_sdk",
    "moto",
}
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc"}

LONGEST_FILE = 300
LONGEST_APP = 150
MEDIAN_FUNCTION = 8
LONG_FUNCTION = 30


def layer(module: Module) -> str:
    if module.has_routes:
        return "api"
    part = module.part.split(".")[0]  # a part may be a folder
    return part if part in MAY_IMPORT else "service"


def by_name() -> dict[str, Module]:
    return {module.name: module for module in modules("chalicelib")}


def domain_modules() -> list[Module]:
    return [m for m in modules("chalicelib") if m.domain not in ("", "kernel") and m.part]


def arrows(module: Module) -> Iterator[Module]:
    """What a module imports of chalicelib."""
    known = by_name()
    for name in module.imports():
        if name.split(".")[0] == "chalicelib":
            assert name in known, f"{module.name} imports {name}, which does not exist"
            yield known[name]


def test_the_app_imports_routes_steps_and_the_kernel_only() -> None:
    (app,) = modules("app.py")
    ways_in = ("api", "steps")
    domains = [m for m in arrows(app) if m.domain != "kernel" and m.part]
    wrong = [m.name for m in domains if layer(m) not in ways_in]

    assert wrong == []


@pytest.mark.parametrize("module", modules("chalicelib"), ids=lambda module: module.name)
def test_arrows_point_one_way(module: Module) -> None:
    if module.domain == "kernel":
        wrong = [other.name for other in arrows(module) if other.domain != "kernel"]
    else:
        allowed = MAY_IMPORT[layer(module)] if module.part else set()
        wrong = [
            other.name
            for other in arrows(module)
            if other.domain == module.domain and other.part and layer(other) not in allowed
        ]

    assert wrong == []


@pytest.mark.parametrize("module", domain_modules(), ids=lambda module: module.name)
def test_a_domain_reaches_another_only_from_service_to_service(module: Module) -> None:
    wrong = [
        other.name
        for other in arrows(module)
        if other.domain not in ("kernel", module.domain)
        and not (
            layer(module) == layer(other) == "service"
            and other.domain in DOMAINS_THAT_MEET.get(module.domain, set())
        )
    ]

    assert wrong == []


def test_no_two_domains_need_each_other() -> None:
    assert list(TopologicalSorter(DOMAINS_THAT_MEET).static_order()) is not None


@pytest.mark.parametrize("part", sorted(KERNEL_FOR))
def test_the_pure_parts_of_a_domain_take_little_from_the_kernel(part: str) -> None:
    for module in domain_modules():
        if layer(module) == part:
            taken = {other.name for other in arrows(module) if other.domain == "kernel"}
            assert taken <= KERNEL_FOR[part], module.name


def test_rules_know_nothing_but_python_and_what_values_are_made_of() -> None:
    for module in domain_modules():
        if layer(module) == "rules":
            foreign = {
                name.split(".")[0]
                for name in module.imports()
                if name.split(".")[0] not in (*sys.stdlib_module_names, "chalicelib", "msgspec")
            }
            assert foreign == set(), module.name


def test_nothing_that_ships_imports_what_stays_at_home() -> None:
    for module in (*modules("app.py"), *modules("chalicelib")):
        tops = {name.split(".")[0] for name in module.imports()}
        assert tops.isdisjoint({"infra", "tests", "events", "boto3", "moto"}), module.name


def test_no_import_goes_round_in_a_circle() -> None:
    """By packages' own names too, since a circle works only in one order of imports."""
    graph = {m.name: {other.name for other in arrows(m)} - {m.name} for m in modules("chalicelib")}
    top_level = {
        name: {other for other in others if other in _imported_at_top(by_name()[name])}
        for name, others in graph.items()
    }

    assert list(TopologicalSorter(top_level).static_order())


def _imported_at_top(module: Module) -> set[str]:
    body = ast.Module([n for n in module.tree.body if not isinstance(n, ast.If)], [])
    shallow = [n for n in body.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return set(Module(module.name, module.path, ast.Module(list(shallow), [])).imports())


def test_no_import_of_infra_goes_round_in_a_circle() -> None:
    """Importing `a.b` runs `a` too, so a package must not import what imports its modules."""
    names = {module.name for module in modules("infra")}
    graph = {module.name: set(_imported_of(module, names)) for module in modules("infra")}

    assert any(graph.values())
    assert list(TopologicalSorter(graph).static_order())


def _imported_of(module: Module, names: set[str]) -> Iterator[str]:
    """The modules that are run when this one is imported, its own packages left out."""
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in found:
            parts = name.split(".")
            above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
            yield from (
                each for each in above & names if not f"{module.name}.".startswith(f"{each}.")
            )


def test_importing_the_app_stays_light() -> None:
    code = "import sys, app; print(*{name.split('.')[0] for name in sys.modules})"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert set(run.stdout.split()).isdisjoint(FORBIDDEN_AT_START)


def test_values_are_structs_where_nothing_speaks_against_it() -> None:
    """Making a frozen dataclass takes over half a millisecond of a cold start, a struct a 40th."""
    found = {
        module.name.removeprefix("chalicelib.")
        for module in modules("chalicelib")
        if "dataclasses" in module.imports()
    }

    assert found == set()


def test_only_settings_see_the_environment() -> None:
    for module in (*modules("app.py"), *modules("chalicelib")):
        words = {
            word
            for node in ast.walk(module.tree)
            for word in (getattr(node, "attr", None), getattr(node, "id", None))
        }
        if module.name != "chalicelib.kernel.settings":
            assert words.isdisjoint({"environ", "environb", "getenv"}), module.name


def test_no_module_has_a_name_that_says_nothing() -> None:
    for folder in ("chalicelib", "infra", "tests"):
        for module in modules(folder):
            assert VAGUE_NAMES.isdisjoint(module.name.split(".")), module.name


@pytest.mark.parametrize("folder", ["chalicelib", "infra"])
def test_no_file_grows_too_long(folder: str) -> None:
    long = {
        module.name: lines
        for module in modules(folder)
        if (lines := len(module.path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_the_app_is_a_table_of_contents() -> None:
    assert len((ROOT / "app.py").read_text().splitlines()) <= LONGEST_APP


def function_lengths(folder: str) -> list[int]:
    return sorted(
        int(node.end_lineno or 0) - node.lineno + 1
        for module in modules(folder)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("folder", ["chalicelib", "infra"])
def test_functions_are_short(folder: str) -> None:
    lengths = function_lengths(folder)
    short = sum(length <= LONG_FUNCTION for length in lengths) / len(lengths)

    assert statistics.median(lengths) <= MEDIAN_FUNCTION
    assert short >= 0.9
