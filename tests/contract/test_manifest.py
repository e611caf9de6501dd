"""The committed list of what the domains declare is what they declare."""

import ast
import os
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from chalicelib.kernel.tenants.defaults import Default
from infra.manifest import content, defaults, modules, renewal
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


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the manifest is made from, which was found up to date."""
    shutil.copytree(ROOT / "chalicelib", tmp_path / "chalicelib")
    # As old as the newest source, not as now: what a test does next is within the same tick.
    sources = renewal._sources(tmp_path / "chalicelib")
    newest = max(path.stat().st_mtime_ns for path in sources if path.name != "manifest.py")
    os.utime(tmp_path / renewal.FILE, ns=(newest, newest))
    assert not renewal.may_be_stale(tmp_path)
    return tmp_path


def test_a_module_that_was_moved_or_deleted_is_noticed(project: Path) -> None:
    (project / "chalicelib" / "projects" / "page.py").unlink()

    assert renewal.may_be_stale(project)


@pytest.mark.parametrize("content", ["", "<<<<<<< HEAD\nROUTES = ()\n", "ROUTES = (((", "\0"])
def test_a_damaged_manifest_is_noticed(project: Path, content: str) -> None:
    (project / renewal.FILE).write_text(content)

    assert renewal.may_be_stale(project)


@pytest.mark.parametrize("name", ["status", "tenant", "time_zone", "region", "time zone"])
def test_a_default_with_a_name_that_is_taken_or_no_name_is_refused(name: str) -> None:
    module = ModuleType("chalicelib.bookings.defaults")
    vars(module)["DEFAULTS"] = (Default(name, str),)

    with pytest.raises(ManifestError, match=rf"the default '?{name}'? in {module.__name__} "):
        defaults.section([*modules.imported(), module], "")


def test_a_module_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def import_module(name: str) -> None:
        raise ValueError(f"no {name} today")

    monkeypatch.setattr(modules.importlib, "import_module", import_module)

    with pytest.raises(ManifestError, match=r"^chalicelib cannot be imported\.\n"):
        modules.imported()
