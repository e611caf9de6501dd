"""Modules of infra import one another in one order only."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter

from tests.contract.source import Module, modules


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
