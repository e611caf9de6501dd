"""The kernel names no domain: what it knows of them comes from their declarations."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chalicelib import manifest
from tests.contract.source import ROOT, Module, modules

#: What one record of a domain is called, where that is not the domain's name without its `s`.
SINGULAR = {"people": "person"}
KERNEL = [module for module in modules("chalicelib") if module.domain == "kernel"]


def domains() -> set[str]:
    folders = {file.parent.name for file in (ROOT / "chalicelib").glob("*/__init__.py")}
    return folders - {"kernel"}


def names_of_domains() -> set[str]:
    return {name for domain in domains() for name in (domain, SINGULAR.get(domain, domain[:-1]))}


def texts(module: Module) -> Iterator[tuple[int, str]]:
    """Names and texts in the code, without docstrings and comments: (line, text)."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    described = {
        id(node.body[0].value)
        for node in ast.walk(module.tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(module.tree):
        for field in ("id", "attr", "arg", "name", "module", "value"):
            text = getattr(node, field, None)
            if isinstance(text, str) and id(node) not in described:
                yield getattr(node, "lineno", 0), text


def domains_named(text: str) -> set[str]:
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower())
    return set(words) & names_of_domains()


@pytest.mark.parametrize("module", KERNEL, ids=lambda module: module.name)
def test_the_kernel_names_no_domain(module: Module) -> None:
    wrong = [f"line {line}: {text}" for line, text in texts(module) if domains_named(text)]

    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        'tx.enqueue("people.invitation")',
        "from chalicelib.projects import models",
        "import chalicelib.people",
        "def f(person_id): ...",
        "class ProjectRow: ...",
        'f"/admin/v1/projects/{id}"',
        "registry.find(name='projects.start')",
    ],
)
def test_a_domain_is_noticed_wherever_it_is_named(code: str) -> None:
    module = Module("chalicelib.kernel.x", ROOT, ast.parse(code))

    assert any(domains_named(text) for _, text in texts(module))


def test_examples_in_docstrings_may_name_a_domain() -> None:
    module = Module("chalicelib.kernel.x", ROOT, ast.parse('"""Such as `people.invitation`."""'))

    assert list(texts(module)) == []


def test_a_tenants_configuration_is_read_without_any_domain() -> None:
    """And so is what the kernel finds by name: who subscribes, and where a topic belongs."""
    code = (
        "import sys\n"
        "from chalicelib.kernel.auth import tenancy\n"
        "from chalicelib.kernel import events\n"
        "from chalicelib.kernel.sockets import topics\n"
        "tenancy.record('t1', 'Alder').serialize()\n"
        f"[events.subscribers(event) for event in {[name for name, _ in manifest.EVENTS]!r}]\n"
        "print(*sorted({name.split('.')[1] for name in sys.modules if name[:11] == 'chalicelib.'}))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert run.stdout.split() == ["kernel", "manifest"]


@pytest.mark.parametrize("kind", [kind for kind, _ in manifest.TOPICS])
def test_a_function_that_has_just_started_finds_who_may_follow_a_topic(kind: str) -> None:
    code = (
        "import sys\nfrom chalicelib.kernel.sockets import topics\n"
        "topics._load(sys.argv[1])\nassert sys.argv[1] in topics.declared()"
    )
    subprocess.run([sys.executable, "-c", code, kind], cwd=ROOT, check=True)
