"""What cannot start says why and ends, in a copy of the project that somebody has broken."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from infra.manifest import renewal
from tests.local_cloud.programs import ROOT, Program

pytestmark = pytest.mark.local

#: Within which the text must come. Counted in seconds of the cores that a command uses, which other
#: work on the machine does not prolong; `HANGS` are seconds by the clock.
SOON = 15
HANGS = 100
PARTS = ("app.py", "chalicelib", "infra", "tests", ".chalice", "events", "pyproject.toml")
RUN = ("infra.local", "--port", "0")
DEMO = ("infra.demo",)
ONE_TEST = ("pytest", "tests/functional/tenants/test_tenants.py")
TEST = ("pytest", "-n", "2", "--dist", "loadgroup", "tests/functional", "tests/unit")
Break = Callable[[Path], None]


def a_name_that_is_not_imported(copy: Path) -> None:
    _append(copy / "app.py", "\nforgotten.install(app)\n")


def a_syntax_error_in_a_domain(copy: Path) -> None:
    _append(copy / "chalicelib" / "people" / "service.py", "\ndef broken(:\n")


def an_unknown_type_in_the_template(copy: Path) -> None:
    path = copy / "infra" / "template.yaml"
    broken = path.read_text().replace("\nResources:\n", "\nResources:\n  Broken: {Type: AWS::No}\n")
    path.write_text(broken)


def a_policy_that_is_not_understood(copy: Path) -> None:
    path = copy / "infra" / "policies" / "work.json"
    path.write_text(path.read_text().replace("ForAnyValue:StringEquals", "Null"))


TEXTS: dict[Break, str] = {
    a_name_that_is_not_imported: "NameError: name 'forgotten' is not defined",
    a_syntax_error_in_a_domain: "SyntaxError: invalid syntax",
    an_unknown_type_in_the_template: "Broken: unknown type AWS::No",
    a_policy_that_is_not_understood: "infra/policies/work.json, statement Secrets: ",
}
_breaks = pytest.mark.parametrize("broken", TEXTS, ids=lambda each: each.__name__)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in PARTS:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns(
                "deployments"
            )  # bytecode comes along: it saves seconds
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def output_of_what_fails(copy: Path, *module: str, **environment: str) -> str:
    """What it prints, standard output and errors together; it must fail, and soon."""
    before = _seconds_of_children()
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=copy,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=HANGS,
        check=False,
    )
    assert done.returncode not in (0, None), done.stdout
    assert _seconds_of_children() - before < SOON * (2 if "-n" in module else 1)
    return done.stdout


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


@_breaks
def test_what_is_broken_is_said_at_once(copy: Path, broken: Break) -> None:
    broken(copy)
    assert TEXTS[broken] in output_of_what_fails(copy, *RUN)


@pytest.mark.thorough
@_breaks
@pytest.mark.parametrize("command", [ONE_TEST, DEMO, TEST], ids=["test", "demo", "all tests"])
def test_what_is_broken_is_said_at_once_by_the_others_too(
    copy: Path, broken: Break, command: tuple[str]
) -> None:
    broken(copy)
    assert TEXTS[broken] in output_of_what_fails(copy, *command)


def a_new_route(copy: Path) -> None:
    _append(
        copy / "chalicelib" / "people" / "api.py",
        '\n\n@routes.get("/fresh", in_openapi=False)\ndef show_fresh() -> Reply:\n'
        '    return Reply("here")\n',
    )


def test_a_route_that_was_just_written_is_served(copy: Path) -> None:
    a_new_route(copy)
    program = Program([sys.executable, "-m", *RUN], cwd=copy)
    try:
        url = program.until_printed(r"API +(http://\S+)")[1]
        answer = requests.get(f"{url}/fresh", timeout=HANGS)
    finally:
        program.kill()
    assert answer.json()["data"] == "here"
    assert '"show_fresh"' in (copy / renewal.FILE).read_text()


def test_tests_do_not_start_without_a_route_that_was_just_written(copy: Path) -> None:
    before = (copy / renewal.FILE).read_text()
    a_new_route(copy)

    assert renewal.HINT in output_of_what_fails(copy, *ONE_TEST)
    assert (copy / renewal.FILE).read_text() == before


@pytest.mark.parametrize("moment", [0.0, 0.3, 1.0])
def test_ctrl_c_ends_it_while_it_starts(moment: float) -> None:
    program = Program([sys.executable, "-m", *RUN])
    try:
        time.sleep(moment)  # nothing to wait for: it is about any moment of the start
        program.end(signal.SIGINT)
    finally:
        program.kill()
    assert "Traceback" not in program.output or moment == 0.0  # Python itself was starting


def test_ctrl_c_ends_a_start_that_hangs(copy: Path) -> None:
    _append(copy / "app.py", "\nprint('hangs', flush=True)\nimport threading\n")
    _append(copy / "app.py", "threading.Event().wait()\n")
    program = Program([sys.executable, "-m", *RUN], cwd=copy)
    try:
        program.until_printed("hangs")
        assert program.end(signal.SIGINT) == 128 + signal.SIGINT
    finally:
        program.kill()


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere"
)
def test_a_folder_that_may_not_be_written_to_is_no_obstacle(copy: Path) -> None:
    without_rights = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    folders = [copy, *(each for each in copy.rglob("*") if each.is_dir())]
    _let_write(folders, 0o555)
    try:
        assert subprocess.run([*without_rights, "touch", copy / "x"], check=False).returncode != 0
        done = subprocess.run(
            [*without_rights, sys.executable, "-m", *ONE_TEST],
            cwd=copy,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=HANGS,
            check=False,
        )
    finally:
        _let_write(folders, 0o755)
    assert done.returncode == 0, done.stdout


def _let_write(folders: list[Path], mode: int) -> None:
    for folder in folders:
        folder.chmod(mode)
