"""Jobs by name."""

import pytest

from chalicelib.kernel.jobs import registry
from chalicelib.kernel.jobs.registry import Context, Declared
from chalicelib.kernel.jobs.retry import Backoff


def declared(function: registry.Run) -> Declared:
    return Declared("registry.tidy", "work", 1, 1, Backoff(), function)


def made_anew() -> registry.Run:
    """A function as an import makes it, each time another object."""

    def tidy(_: Context) -> None: ...

    return tidy


@pytest.fixture(autouse=True)
def _own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_declared", {})


def test_a_module_that_is_imported_again_declares_its_jobs_again() -> None:
    registry.add(declared(made_anew()))
    again = declared(made_anew())
    registry.add(again)

    assert registry.find("registry.tidy") is again


def test_two_jobs_of_one_name_are_refused() -> None:
    def other(_: Context) -> None: ...

    registry.add(declared(made_anew()))
    with pytest.raises(ValueError, match=r"two jobs are called registry\.tidy"):
        registry.add(declared(other))
