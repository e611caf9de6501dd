"""One local cloud for all tests of a process that need one: there can be no second beside it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from infra.local import environment
from infra.local.cloud import LocalCloud, Options, running
from infra.manifest import renewal
from tests import settings

environment.use_no_proxy_for_this_machine()  # the tests, too, call what they have started here

#: Modules whose tests share what is dear to make: one process runs them all, by the group's name.
TOGETHER = {
    "tests/functional/http/test_two_tenants.py": "two tenants",
    "tests/local_cloud/test_control.py": "programs",
    "tests/local_cloud/test_demo.py": "programs",
    "tests/local_cloud/test_running.py": "programs",
    "tests/local_cloud/test_workers_apart.py": "programs",
}
SHARE = pytest.StashKey[tuple[int, int]]()  #: functional tests against a deployment, of how many


@pytest.fixture(scope="session")
def started(request: pytest.FixtureRequest) -> Iterator[LocalCloud]:
    """One that cannot start ends the whole run, which would only say so a thousand times."""
    with ExitStack() as stack:
        try:
            cloud = stack.enter_context(
                running(Options(work=False, aws_endpoint=False, log_lines=False))
            )
        except BaseException as error:
            request.session.shouldfail = f"The local cloud cannot start: {error!r}"
            raise
        settings.read_again()
        yield cloud


def pytest_sessionstart(session: pytest.Session) -> None:
    """Ends the run at once if a route is missing in the manifest: it would only be answered 404."""
    is_worker = hasattr(session.config, "workerinput")
    if not is_worker and renewal.may_be_stale() and (complaint := renewal.complaint()):
        pytest.exit(complaint, returncode=1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deployment", type=Path, help="of tests/functional: run against this deployment"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against a deployment: without the functional tests that need the local cloud's process."""
    if not config.getoption("deployment"):
        return
    from tests.functional.locality import is_local

    remote = [each for each in items if isinstance(each, pytest.Function) and not is_local(each)]
    config.hook.pytest_deselected(items=[each for each in items if each not in set(remote)])
    config.stash[SHARE] = (len(remote), len(items))
    items[:] = remote


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadgroup`: pytest-xdist 3.8 does not see its own marks under pytest 9.2."""
    if config.getvalue("dist") != "loadgroup":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return TOGETHER.get(nodeid.partition("::")[0], nodeid)

    return Scheduling(config, log)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if share := config.stash.get(SHARE, None):
        ran, of = share
        terminalreporter.write_line(
            f"{ran} of {of} functional tests ran against the deployment ({ran / of:.0%})"
        )
