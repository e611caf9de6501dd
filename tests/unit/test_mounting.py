"""Routes by name: a module is imported at the first request for one of its routes."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from chalice.app import Chalice

from chalicelib.kernel.http import mounting
from chalicelib.kernel.http.mounting import NotDeclared
from chalicelib.kernel.http.routes import Route
from chalicelib.kernel.loading import Late

SOURCE = """
from chalicelib.kernel.http.routes import Reply, Routes

routes = Routes()


@routes.get("/parcels/{parcel_id}", in_openapi=False)
def get_parcel(parcel_id: str) -> Reply:
    return Reply(parcel_id)
"""
WAITING = """
import tests.unit.test_mounting as test

test.begun.set()
assert test.may_end.wait(30)
"""
PATH = "/parcels/{parcel_id}"
LISTED = (("parcels_api", (("GET", PATH, "get_parcel", False), ("GET", "/gone", "gone", False))),)

begun, may_end = Event(), Event()  #: of the import of a module that waits


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the module of the mounted routes, which does not exist yet."""
    monkeypatch.setattr(mounting, "_modules", {})
    monkeypatch.setattr(mounting, "_found", {})
    monkeypatch.syspath_prepend(tmp_path)
    mounting.mount(Chalice("parcels"), None, LISTED)
    yield tmp_path / "parcels_api.py"
    sys.modules.pop("parcels_api", None)


def test_the_module_is_imported_at_the_first_request(module: Path) -> None:
    module.write_text(SOURCE)
    assert mounting.loaded("GET", PATH) is None
    assert "parcels_api" not in sys.modules

    route = mounting.find("GET", PATH)
    assert route.name == "get_parcel"
    assert mounting.find("GET", PATH) is mounting.loaded("GET", PATH) is route


def test_a_module_that_could_not_be_imported_is_tried_again(module: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="parcels_api"):
        mounting.find("GET", PATH)

    module.write_text(SOURCE)
    assert mounting.find("GET", PATH).name == "get_parcel"


def test_whoever_comes_during_the_import_waits_for_it(module: Path) -> None:
    """Nobody sees a module half of whose routes are declared."""
    module.write_text(WAITING + SOURCE)
    begun.clear()
    may_end.clear()
    has_come = Event()

    def come() -> Route:
        has_come.set()
        return mounting.find("GET", PATH)

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(mounting.find, "GET", PATH)
        assert begun.wait(30)
        second = threads.submit(come)
        assert has_come.wait(30)
        may_end.set()
        assert first.result() is second.result()


def test_a_route_that_the_module_does_not_declare_names_the_way_out(module: Path) -> None:
    module.write_text(SOURCE)

    with pytest.raises(NotDeclared, match=r"declares no GET /gone: run `make manifest`"):
        mounting.find("GET", "/gone")


def test_a_late_module_is_imported_at_its_first_use(module: Path) -> None:
    module.write_text("def weigh() -> int:\n    return 7\n")
    parcels = Late("parcels_api")
    assert "parcels_api" not in sys.modules

    assert parcels.weigh() == 7
    with pytest.raises(AttributeError, match="count"):
        parcels.count()
