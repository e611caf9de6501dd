"""The project's source as the contract tests read it."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import chalicelib

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Module:
    name: str  #: dotted, such as chalicelib.people.api
    path: Path
    tree: ast.Module

    @property
    def domain(self) -> str:
        """`people` for chalicelib.people.api, `kernel` for the kernel, else empty."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "chalicelib" and len(parts) > 1 else ""

    @property
    def part(self) -> str:
        """`api` for chalicelib.people.api; empty for the package itself."""
        return ".".join(self.name.split(".")[2:])

    @property
    def only_describes(self) -> bool:
        """True of an `__init__.py` that holds nothing but a description of its folder."""
        return self.path.name == "__init__.py" and len(self.tree.body) <= 1

    @property
    def has_routes(self) -> bool:
        return any(
            isinstance(node, ast.Assign) and ast.unparse(node) == "routes = Routes()"
            for node in self.tree.body
        )

    def by_name(self) -> dict[str, str]:
        """What this one imports by name, such as `steps = Late("chalicelib.projects.steps")`."""
        return {
            str(node.targets[0].id): str(node.value.args[0].value)
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "Late"
            and isinstance(node.value.args[0], ast.Constant)
        }

    def imports(self) -> Iterator[str]:
        """Dotted names of all modules that are imported, also late, by name, for types only."""
        yield from self.by_name().values()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} imports relatively"
                yield from (
                    _module_or(f"{node.module}.{alias.name}", str(node.module))
                    for alias in node.names
                )


def _module_or(name: str, package: str) -> str:
    return name if name in _names() else package


@cache
def _names() -> frozenset[str]:
    return frozenset(_dotted(path) for path in (ROOT / "chalicelib").rglob("*.py"))


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(folder: str) -> tuple[Module, ...]:
    """All modules under a folder of the project, or the one file."""
    top = ROOT / folder
    paths = sorted(top.rglob("*.py")) if top.is_dir() else [top]
    return tuple(Module(_dotted(path), path, ast.parse(path.read_text())) for path in paths)


def import_everything() -> None:
    """Imports all of chalicelib, so that its jobs, notices, routes and models are declared."""
    for found in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        importlib.import_module(found.name)
