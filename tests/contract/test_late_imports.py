"""Imports stand at the top of a module; the few inside functions say what they save."""

import ast
import importlib
from collections.abc import Iterator

from tests.contract.source import Module, modules

MOST = 10
#: The only modules that import by a name: each knows it from the manifest or from app.py.
BY_NAME = {
    "chalicelib.kernel.http.mounting",
    "chalicelib.kernel.jobs.registry",
    "chalicelib.kernel.loading",
    "chalicelib.kernel.sockets.topics",
    "chalicelib.kernel.tenants.defaults",
}
Import = ast.Import | ast.ImportFrom


def shipped() -> tuple[Module, ...]:
    return (*modules("app.py"), *modules("chalicelib"))


def late_imports(tree: ast.Module) -> Iterator[Import]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {n for function in functions for n in ast.walk(function) if isinstance(n, Import)}
    return iter(sorted(found, key=lambda node: node.lineno))


def comment(source: str, node: Import) -> str:
    """That of the statement's own line, or the lines of comment right above it."""
    lines = source.splitlines()
    own = lines[node.lineno - 1].partition("#")[2]
    above = []
    for line in reversed(lines[: node.lineno - 1]):
        if not line.strip().startswith("#"):
            break
        above.insert(0, line.strip("# "))
    return own or " ".join(above)


def unexplained(source: str) -> list[int]:
    tree = ast.parse(source)
    return [n.lineno for n in late_imports(tree) if "saves" not in comment(source, n)]


def test_there_are_few() -> None:
    found = [f"{m.name}:{n.lineno}" for m in shipped() for n in late_imports(m.tree)]

    assert 0 < len(found) <= MOST, found


def test_their_comments_say_what_they_save() -> None:
    found = {m.name: lines for m in shipped() if (lines := unexplained(m.path.read_text()))}

    assert found == {}, "write `# late: saves ...` beside or above the import"


def test_an_import_without_such_a_comment_is_found() -> None:
    source = """
import json
def plain():
    import a
def beside():
    from b import c  # late: saves much
def above():
    # Late: it
    # saves much.
    import d
class Inside:
    def method(self):
        def inner():
            # needed here

            import e
"""
    assert unexplained(source) == [4, 16]


def test_nothing_else_is_imported_by_name() -> None:
    found = {m.name for m in shipped() if {"importlib", "importlib.util"} & set(m.imports())}

    assert found == BY_NAME


def test_what_the_app_names_exists() -> None:
    """Neither mypy nor the linter sees what a module that is imported by name has."""
    (app,) = modules("app.py")
    late = app.by_name()
    used = {
        (node.value.id, node.attr)
        for node in ast.walk(app.tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in late
    }

    assert {name for name, _ in used} == set(late) != set()
    for name, attribute in used:
        assert hasattr(importlib.import_module(late[name]), attribute), f"{name}.{attribute}"
