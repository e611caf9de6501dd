"""The committed list of what the domains declare is what they declare."""

import ast

import pytest

from infra.manifest import content, modules, renewal
from infra.manifest.renewal import ManifestError
from tests.contract.source import ROOT

MANIFEST = ROOT / renewal.FILE


def test_it_lists_what_the_domains_declare() -> None:
    before = MANIFEST.read_text()

    assert before == content.text(modules.imported(), before), renewal.HINT


def test_it_holds_nothing_but_literals() -> None:
    """So that it costs a cold start nothing but a constant."""
    _, *sections = ast.parse(MANIFEST.read_text()).body

    assert sections
    for section in sections:
        assert isinstance(section, ast.AnnAssign)
        assert section.value is not None
        assert isinstance(ast.literal_eval(section.value), tuple)


def test_a_module_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> None:
        raise ValueError(f"no {name} today")

    monkeypatch.setattr(modules.importlib, "import_module", import_module)

    with pytest.raises(ManifestError, match=r"^chalicelib cannot be imported\.\n"):
        modules.imported()
