"""Leaves out what nobody reads on Lambda, and checks that nothing else is missing."""

import ast
import re
import sys
from collections.abc import Iterator

from infra.package.content import Files, PackingError

#: Patterns of files that are left out, and why they may be.
LEFT_OUT = {
    r"[^/]+\.dist-info/": "names and versions for pip; nothing that ships reads its own",
    r"[^/]+\.data/": "scripts and headers that pip would install elsewhere",
    r"(.+/)?tests?/": "a library's tests",
    r".+\.(pyi|typed|pyx|pxd|c|h)$": "for type checkers and compilers",
    r".+/py\.typed$": "for type checkers",
    r".+\.pyc$": "compiled again by the package step, the same on every machine",
    r"(cffi|pycparser)/": "make bindings; cryptography's are made, and need _cffi_backend alone",
    r"boto3/(data|examples)/": "of boto3's resources; it only comes with Powertools' parameters",
    r"aws_lambda_powertools/event_handler/": "a web framework; ours is Chalice",
    r"aws_lambda_powertools/metrics/provider/datadog/": "metrics for another house",
    r"aws_lambda_powertools/utilities/"
    r"(auth_alpha|batch|circuit_breaker|data_classes|data_masking|feature_flags|idempotency|kafka"
    r"|metadata|parser|streaming|typing|validation)/": "of no use here, or refused: decisions.md",
}
_LEFT_OUT = re.compile("|".join(f"(?:{pattern})" for pattern in LEFT_OUT))
OURS = re.compile(r"app\.py$|chalicelib/")


def trim(files: Files) -> Files:
    """The files without what is left out."""
    return {name: content for name, content in files.items() if not _LEFT_OUT.match(name)}


def refuse_missing_imports(files: Files) -> None:
    """Raises PackingError if the package lacks a module that our code imports.

    Imports inside functions are checked too: they would fail only when a customer needs them.
    """
    missing = sorted(
        f"{name}: {module}"
        for name, content in files.items()
        if OURS.match(name) and name.endswith(".py")
        for module in _imports(content)
        if not _ships(module, files)
    )
    if missing:
        raise PackingError("Imported and not packed:\n  " + "\n  ".join(missing))


def _imports(source: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _ships(module: str, files: Files) -> bool:
    path = module.replace(".", "/")
    if module.partition(".")[0] in sys.stdlib_module_names:
        return True
    return any(name in files for name in (f"{path}.py", f"{path}/__init__.py")) or any(
        name.startswith(f"{path}.") and name.endswith(".so") for name in files
    )
