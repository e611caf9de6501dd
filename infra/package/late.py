"""Imports that a library makes while it is loaded and needs in a corner only, moved to that corner.

Nothing but whole import statements moves, each to where its names are first used, and only when
this can be seen to be safe: every use is in the body of a function, nobody else binds the name and
no other module takes it from there. A notice stands where the import stood, as licences ask. Where
a new release of a library looks different, its module ships as it is: slower, never wrong; a test
says so.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from infra.package.content import Files

NOTICE = "# Changed by Backburner's packing: moved to where it is used:"


@dataclass(frozen=True)
class Late:
    """Imports of one module that are moved, and why they may."""

    module: str  #: its path in the package
    imports: tuple[str, ...]  #: as `ast.unparse` writes them
    why: str


_HELP = "only help() reads what botocore writes about a method"
_SEARCH = "no call of ours waits, pages or has parameters that are searched for"
_DATES = "a function's credentials do not expire, and nothing that we read has dates as text"
#: Each way takes at least a millisecond of a cold start's 190, and no usual request goes there.
MOVED = (
    Late(
        "urllib3/http2/__init__.py",
        ("from importlib.metadata import version",),
        "only who switches HTTP/2 on asks for the version of h2, which does not even ship",
    ),
    Late(
        "botocore/docs/__init__.py",
        ("from botocore.docs.service import ServiceDocumenter",),
        _HELP,
    ),
    Late(
        "botocore/docs/docstring.py",
        (
            "from botocore.docs.bcdoc.restdoc import DocumentStructure",
            "from botocore.docs.method import document_model_driven_method",
            "from botocore.docs.paginator import document_paginate_method",
            "from botocore.docs.waiter import document_wait_method",
        ),
        _HELP,
    ),
    Late("botocore/waiter.py", ("import jmespath",), _SEARCH),
    Late("botocore/paginate.py", ("import jmespath",), _SEARCH),
    Late("botocore/regions.py", ("import jmespath",), _SEARCH),
    Late("botocore/utils.py", ("import dateutil.parser",), _DATES),
    Late("botocore/tokens.py", ("import dateutil.parser",), _DATES),
    Late(
        "botocore/credentials.py",
        ("import dateutil.parser", "from dateutil.parser import parse"),
        _DATES,
    ),
    Late(
        "certifi/core.py",
        ("from importlib.resources import as_file, files",),
        "only providers' certificates are checked by these, not AWS's",
    ),
    Late("botocore/configloader.py", ("import configparser",), "a function has no such file"),
)


class Immovable(Exception):
    """An import cannot be seen to be safe to move; says why."""


def deferred(files: Files) -> Files:
    """The files with the imports of `MOVED` moved, where they can be."""
    changed: Files = {}
    for late in MOVED:
        try:
            changed[late.module] = moved(late, files)
        except Immovable:
            continue  # the module ships as its authors wrote it
    return files | changed


def moved(late: Late, files: Files) -> bytes:
    """The module's source with its imports where they are used. Raises Immovable."""
    if late.module not in files:
        raise Immovable("there is no such module")
    source = files[late.module]
    for statement in late.imports:
        source = _moved(source, statement)
        _refuse_takers(late.module, _names(ast.parse(statement).body[0]), files)
    return source


def _moved(source: bytes, statement: str) -> bytes:
    """The source with one import statement moved."""
    tree = ast.parse(source)
    found = [each for each in _at_import(tree.body) if ast.unparse(each) == statement]
    if len(found) != 1:
        raise Immovable(f"it does not say once: {statement}")
    places = _places(tree, found[0])
    lines = source.decode().splitlines(keepends=True)
    indent = " " * found[0].col_offset
    for place in sorted(places, key=_first_line, reverse=True):
        _insert(lines, place, statement)
    lines[found[0].lineno - 1 : found[0].end_lineno] = [f"{indent}{NOTICE} {statement}\n"]
    return "".join(lines).encode()


def _at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs while the module is loaded; of an `if` only what does not stand there alone."""
    for each in body:
        yield each
        if isinstance(each, ast.If):
            for block in (each.body, each.orelse):
                yield from _at_import(block) if len(block) > 1 else ()


def _insert(lines: list[str], place: ast.stmt, statement: str) -> None:
    at = _first_line(place) - 1
    indent = lines[at][: place.col_offset]
    if indent.strip():
        raise Immovable(f"line {at + 1} holds more than one statement")
    lines.insert(at, f"{indent}{statement}\n")


def _first_line(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(each.lineno for each in decorators)])


def _places(tree: ast.Module, statement: ast.stmt) -> list[ast.stmt]:
    """The statements before which the import has to stand: one in each function that uses it."""
    names = _names(statement)
    uses = [node for node in ast.walk(tree) if node is not statement and _mentions(node, names)]
    functions = [each for each in _functions(tree) if _uses(each.body, names)]
    inside = [node for each in functions for node in _uses(each.body, names)]
    if not uses or set(uses) != set(inside) or not all(map(_is_read, uses)):
        raise Immovable(f"used outside of functions, or bound again, or never: {sorted(names)}")
    return [_earliest(each.body, names) for each in functions]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Functions of the module and of its classes, not those within functions."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef):
            yield node
        elif isinstance(node, ast.ClassDef | ast.If | ast.Try):
            yield from _functions(node)


def _earliest(body: list[ast.stmt], names: set[str]) -> ast.stmt:
    """The first statement that uses a name; within an `if` that alone does, the first there."""
    first, *others = [each for each in body if _uses([each], names)]
    if isinstance(first, ast.If) and not others:
        blocks = [block for block in (first.body, first.orelse) if _uses(block, names)]
        if len(blocks) == 1 and len(_uses(blocks[0], names)) == len(_uses([first], names)):
            return _earliest(blocks[0], names)
    return first


def _uses(body: list[ast.stmt], names: set[str]) -> list[ast.AST]:
    return [node for each in body for node in ast.walk(each) if _mentions(node, names)]


def _mentions(node: ast.AST, names: set[str]) -> bool:
    """True for whatever reads or binds one of the names, or spells it out, as `__all__` does."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return not names.isdisjoint(_names(node))
    if isinstance(node, ast.Global | ast.Nonlocal):
        return not names.isdisjoint(node.names)
    if isinstance(node, ast.alias | ast.keyword):
        return False  # part of an import, looked at above; a parameter of what is called
    told = (getattr(node, field, None) for field in ("id", "arg", "name", "value"))
    return any(isinstance(each, str) and each in names for each in told)


def _is_read(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)


def _names(statement: ast.AST) -> set[str]:
    """What an import binds."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        raise Immovable(f"no import: {ast.unparse(statement)}")
    return {alias.asname or alias.name.partition(".")[0] for alias in statement.names}


def _refuse_takers(module: str, names: set[str], files: Files) -> None:
    """Raises Immovable where another module takes one of the names from this one."""
    for name, content in files.items():
        if not name.endswith(".py") or not any(each.encode() in content for each in names):
            continue
        for node in ast.walk(ast.parse(content)):
            if isinstance(node, ast.ImportFrom) and _source(node, name) == _dotted(module):
                taken = names & {alias.name for alias in node.names}
                if taken or node.names[0].name == "*":
                    raise Immovable(f"{name} takes {', '.join(taken) or 'all'} from it")


def _source(node: ast.ImportFrom, importer: str) -> str:
    """The full name of the module that is imported from."""
    package = importer.split("/")[: -node.level] if node.level else []
    return ".".join([*package, *((node.module,) if node.module else ())])


def _dotted(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
