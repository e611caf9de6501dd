"""Who may import whom, and where settings are read.

    app -> api, steps, kernel
    api, jobs, notices, steps, topics -> service -> models -> rules
    service -> gateway -> rules, kernel.outbound
    service, gateway -> settings; defaults -> rules
    kernel -> kernel, its folders from the upper to the lower ones

The manifest holds nothing but names and may be imported by everyone.
A file's layer is that of its name, or of the folder that it stands in; what has another name is
listed in `LAYERS`. A domain reaches another only from service to service.
"""

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.contract.source import Module, modules

#: domain -> the domains whose service its service may call; a choice, and so pinned here
DOMAINS_THAT_MEET: dict[str, set[str]] = {"projects": {"people"}}

MAY_IMPORT = {
    "api": {"views", "service"},
    "jobs": {"service"},
    "notices": {"service"},
    "steps": {"service"},
    "topics": {"service"},
    "defaults": {"rules"},
    "views": {"models", "rules"},
    "service": {"service", "models", "rules", "gateway", "settings"},
    "models": {"rules"},
    "gateway": {"gateway", "rules", "settings"},
    "rules": {"rules"},
    "settings": set(),
}
#: The layer of each file of a domain that is named after its own noun.
LAYERS = {
    "people": {
        "access": "service",
        "changes": "service",
        "directory": "service",
        "imports.files": "service",
        "imports.rows": "service",
        "invitations.acceptance": "service",
    },
    "projects": {
        "durations": "service",
        "guards": "service",
        "membership": "service",
        "notice_values": "service",
        "page": "api",
        "workflow.attempt": "service",
        "workflow.completion": "service",
        "workflow.credentials": "service",
        "workflow.parking": "service",
        "workflow.participants": "service",
        "workflow.profile_sync": "service",
        "workflow.progress": "service",
        "workflow.provider_project": "service",
        "workflow.reconciler": "service",
        "workflow.runs": "service",
        "workflow.user_batches": "service",
        "workflow.user_sync": "service",
    },
}
#: The kernel's folders and files, the upper ones first: each imports only what stands below it.
KERNEL_FLOORS = (
    {"notify"},
    {"jobs", "sockets", "tenants"},
    {"http"},
    {"auth"},
    {"store"},
    {"signing"},
    {"keyring"},
    {"aws", "outbound"},
    {"telemetry"},
    {"cache", "clock", "errors", "events", "loading", "settings", "templates", "text", "version"},
)
#: What of the kernel the pure parts may name: types, and the one folder that speaks HTTP.
KERNEL_FOR = {
    "rules": {"chalicelib.kernel.auth.tenancy", "chalicelib.kernel.text"},
    "gateway": {"chalicelib.kernel.outbound.web"},
    "settings": {"chalicelib.kernel.settings"},
    "defaults": {"chalicelib.kernel.tenants.defaults"},
}


def layer(module: Module) -> str:
    """The layer of a domain's file; empty for one that nobody has given a layer."""
    *folders, name = module.part.split(".")
    named = next((part for part in (name, *folders) if part in MAY_IMPORT), "")
    return named or LAYERS.get(module.domain, {}).get(module.part, "")


def by_name() -> dict[str, Module]:
    return {module.name: module for module in modules("chalicelib")}


def domain_modules() -> list[Module]:
    """All files of all domains but those that only describe a folder."""
    return [
        m
        for m in modules("chalicelib")
        if m.domain not in ("", "kernel") and m.part and not m.only_describes
    ]


def arrows(module: Module) -> Iterator[Module]:
    """What a module imports of chalicelib, but for the manifest."""
    known = by_name()
    for name in module.imports():
        if name.split(".")[0] == "chalicelib" and name != "chalicelib.manifest":
            assert name in known, f"{module.name} imports {name}, which does not exist"
            yield known[name]


@pytest.mark.parametrize("module", domain_modules(), ids=lambda module: module.name)
def test_every_file_of_a_domain_has_a_layer(module: Module) -> None:
    assert layer(module), (
        f"{module.name}: name it after its layer ({', '.join(MAY_IMPORT)}), "
        f"or add {module.part!r} to LAYERS[{module.domain!r}] in {__name__}"
    )


def test_every_layer_that_is_listed_belongs_to_a_file() -> None:
    listed = {(domain, part) for domain, parts in LAYERS.items() for part in parts}

    assert listed <= {(module.domain, module.part) for module in domain_modules()}


@pytest.mark.parametrize("module", domain_modules(), ids=lambda module: module.name)
def test_routes_are_declared_in_the_layer_api(module: Module) -> None:
    assert not module.has_routes or layer(module) == "api"


def test_the_kernels_folders_import_only_lower_ones() -> None:
    floors = {room: floor for floor, rooms in enumerate(KERNEL_FLOORS) for room in rooms}
    kernel = [m for m in modules("chalicelib") if m.domain == "kernel" and m.part]
    wrong = [
        f"{module.name} imports {other.name}"
        for module in kernel
        for other in arrows(module)
        if _room(other) != _room(module) and floors[_room(other)] <= floors[_room(module)]
    ]

    assert wrong == []


def _room(module: Module) -> str:
    return module.part.split(".")[0]


def abroad(module: Module) -> list[Module]:
    """What a domain's module imports of other domains."""
    return [other for other in arrows(module) if other.domain not in ("kernel", module.domain)]


def test_there_is_something_to_check() -> None:
    assert {"people", "projects"} <= {module.domain for module in domain_modules()}
    assert {layer(module) for module in domain_modules()} == set(MAY_IMPORT)


def test_the_app_imports_routes_steps_and_the_kernel_only() -> None:
    (app,) = modules("app.py")
    domains = [m for m in arrows(app) if m.domain != "kernel" and m.part]

    assert [m.name for m in domains if layer(m) not in ("api", "steps")] == []


@pytest.mark.parametrize("module", modules("chalicelib"), ids=lambda module: module.name)
def test_arrows_point_one_way(module: Module) -> None:
    if module.domain == "kernel":
        wrong = [other.name for other in arrows(module) if other.domain != "kernel"]
        rule = "the kernel may import nothing of a domain"
    else:
        allowed = MAY_IMPORT.get(layer(module), set())
        rule = f"{layer(module)} may import only: {', '.join(sorted(allowed))}"
        wrong = [
            other.name
            for other in arrows(module)
            if other.domain == module.domain
            and not other.only_describes
            and layer(other) not in allowed
        ]

    assert wrong == [], f"{module.name} imports {', '.join(wrong)}; {rule}"


@pytest.mark.parametrize("module", domain_modules(), ids=lambda module: module.name)
def test_a_domain_reaches_another_only_from_service_to_service(module: Module) -> None:
    wrong = [
        f"{module.name} ({layer(module)}) imports {other.name} ({layer(other)})"
        for other in abroad(module)
        if not layer(module) == layer(other) == "service"
    ]

    assert wrong == []


def test_the_domains_that_meet_are_those_that_were_meant_to() -> None:
    meetings = {(m.domain, other.domain) for m in domain_modules() for other in abroad(m)}
    meant = {(domain, met) for domain, others in DOMAINS_THAT_MEET.items() for met in others}
    new = [f'add "{met}" to DOMAINS_THAT_MEET["{domain}"]' for domain, met in meetings - meant]
    old = [f'take "{met}" from DOMAINS_THAT_MEET["{domain}"]' for domain, met in meant - meetings]

    assert [*new, *old] == [], f"If this is meant, say so in {__file__}"


def test_no_two_domains_need_each_other() -> None:
    try:
        TopologicalSorter(DOMAINS_THAT_MEET).prepare()
    except CycleError as circle:
        pytest.fail(f"DOMAINS_THAT_MEET goes round in a circle: {' -> '.join(circle.args[1])}")


@pytest.mark.parametrize("part", sorted(KERNEL_FOR))
def test_the_pure_parts_of_a_domain_take_little_from_the_kernel(part: str) -> None:
    pure = [module for module in domain_modules() if layer(module) == part]

    assert pure
    for module in pure:
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


def test_only_two_folders_of_the_kernel_know_the_sdk_and_http_clients() -> None:
    clients = {"botocore", "boto3", "urllib3", "requests"}
    wrong = [
        module.name
        for module in (*modules("app.py"), *modules("chalicelib"))
        if clients & {name.split(".")[0] for name in module.imports()}
        and not module.name.startswith(("chalicelib.kernel.aws", "chalicelib.kernel.outbound"))
    ]

    assert wrong == []


def test_no_import_goes_round_in_a_circle() -> None:
    """By packages' own names too, since a circle works only in one order of imports."""
    graph = {m.name: {other.name for other in arrows(m)} - {m.name} for m in modules("chalicelib")}
    top_level = {
        name: {other for other in others if other in _imported_at_top(by_name()[name])}
        for name, others in graph.items()
    }

    assert list(TopologicalSorter(top_level).static_order())


def _imported_at_top(module: Module) -> set[str]:
    shallow = [n for n in module.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    return set(Module(module.name, module.path, ast.Module([*shallow], [])).imports())


def test_only_settings_see_the_environment() -> None:
    for module in (*modules("app.py"), *modules("chalicelib")):
        words = {
            word
            for node in ast.walk(module.tree)
            for word in (getattr(node, "attr", None), getattr(node, "id", None))
        }
        if module.name != "chalicelib.kernel.settings":
            assert words.isdisjoint({"environ", "environb", "getenv"}), module.name
