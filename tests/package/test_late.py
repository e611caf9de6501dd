"""Imports of libraries that are moved in what ships: where they can be, and everything works."""

import difflib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.package import late
from infra.package.content import Files
from infra.package.late import Immovable, Late

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "STAGE": "test",
}
#: What a cold start loaded only because of imports that are moved.
SPARED = {
    "botocore.docs.method",
    "botocore.docs.service",
    "configparser",
    "dateutil.parser",
    "html.parser",
    "importlib.metadata",
    "importlib.resources",
    "jmespath",
    "zipfile",
}
START = "import app; from chalicelib.kernel import aws; aws.client('dynamodb'); aws.client('sqs')\n"


def run(unpacked: Path, code: str, **environment: str) -> str:
    """What the code prints in a process that knows the package alone."""
    begin = "import sys; sys.path.insert(0, sys.argv[1])\n"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", begin + code, str(unpacked)],
        check=False,
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("each", late.MOVED, ids=lambda each: each.module)
def test_each_import_is_moved_in_what_ships(each: Late, packed: Files, shipped: Files) -> None:
    try:
        expected = late.moved(each, packed)
    except Immovable as reason:
        pytest.fail(
            f"{each.module} now ships as its authors wrote it, which is slower: {reason}. "
            "See what its release changed: MOVED in infra/package/late.py follows, or loses a line"
        )
    assert shipped[each.module] == expected


@pytest.mark.parametrize("each", late.MOVED, ids=lambda each: each.module)
def test_nothing_but_the_import_moves(each: Late, packed: Files, shipped: Files) -> None:
    before, after = (files[each.module].decode().splitlines() for files in (packed, shipped))
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]

    gone = [line[2:].strip() for line in changed if line[0] == "-"]
    come = {line[2:].strip() for line in changed if line[0] == "+"}

    assert gone == list(each.imports)
    assert come == {*each.imports, *(f"{late.NOTICE} {line}" for line in each.imports)}


def test_no_other_module_of_a_library_is_changed(packed: Files, shipped: Files) -> None:
    changed = {name for name in shipped if name in packed and shipped[name] != packed[name]}
    modules = {name for name in changed if name.endswith(".py")}

    assert modules == {each.module for each in late.MOVED}


def test_a_cold_start_is_spared_what_they_load(unpacked: Path) -> None:
    loaded = run(unpacked, f"{START}print(*sys.modules)").split()

    assert SPARED.isdisjoint(loaded)


def test_help_of_a_client_is_written(unpacked: Path) -> None:
    code = START + (
        "from botocore.docs.docstring import WaiterDocstring\n"
        "import botocore.docs\n"
        "print(aws.client('sqs').send_message.__doc__)\n"
        "assert botocore.docs.generate_docs and WaiterDocstring\n"
    )

    assert "**Request Syntax**" in run(unpacked, code)


def test_a_waiter_and_a_paginator_find_their_answer(unpacked: Path) -> None:
    code = """
from botocore.paginate import Paginator
from botocore.waiter import SingleWaiterConfig, Waiter
accept = {"state": "success", "matcher": "path", "argument": "a.b", "expected": 1}
config = SingleWaiterConfig(
    {"operation": "X", "delay": 0, "maxAttempts": 1, "acceptors": [accept]}
)
Waiter("x", config, lambda **given: {"a": {"b": 1}}).wait()
class Model:
    input_shape = None
settings = {"result_key": "a.b", "input_token": "next", "output_token": "next"}
pages = Paginator(lambda **given: {"a": {"b": [1, 2]}}, settings, Model()).paginate()
print(list(pages.search("a.b[]")), pages.build_full_result())
"""
    assert run(unpacked, code) == "[1, 2] {'a': {'b': [1, 2]}}\n"


def test_dates_are_read(unpacked: Path) -> None:
    code = """
from botocore.credentials import RefreshableCredentials
from botocore.utils import parse_timestamp
print(parse_timestamp("Sat, 28 Nov 2026 03:04:05 GMT").isoformat())
print(RefreshableCredentials._expiry_datetime("2026-11-28T03:04:05Z").isoformat())
"""
    assert run(unpacked, code) == "2026-11-28T03:04:05+00:00\n" * 2


def test_a_file_of_settings_is_read(unpacked: Path, tmp_path: Path) -> None:
    settings = tmp_path / "config"
    settings.write_text("[default]\nregion = eu-west-1\n")
    code = "import botocore.session\nprint(botocore.session.Session().full_config['profiles'])"

    told = run(unpacked, code, AWS_CONFIG_FILE=str(settings), HOME=os.devnull)

    assert told == "{'default': {'region': 'eu-west-1'}}\n"


def test_the_certificates_of_others_are_found(unpacked: Path) -> None:
    code = "import certifi; print(certifi.where()); assert len(certifi.contents()) > 100_000"

    assert run(unpacked, code) == f"{unpacked}/certifi/cacert.pem\n"


def test_who_switches_http_2_on_is_told_that_it_does_not_ship(unpacked: Path) -> None:
    code = """
import urllib3.http2
try:
    urllib3.http2.inject_into_urllib3()
except ImportError as error:
    print(type(error).__name__)
"""
    assert run(unpacked, code) == "PackageNotFoundError\n"


USED = b"def work():\n    return b.c\n"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"from a import b, c\n" + USED, "does not say once"),
        (b"from a import b\nfrom a import b\n" + USED, "does not say once"),
        (b"from a import b\nX = b.c\n" + USED, "used outside"),
        (b"from a import b\ndef work(x=b.c):\n    return b.c\n", "used outside"),
        (b"from a import b\nclass X:\n    y = b.c\n" + USED, "used outside"),
        (b"from a import b\ndef work(x: b.c):\n    return b.c\n", "used outside"),
        (b"from a import b\n__all__ = ['b']\n" + USED, "used outside"),
        (b"from a import b\ndef work():\n    global b\n    return b.c\n", "bound again"),
        (b"from a import b\ndef work():\n    b = 1\n    return b.c\n", "bound again"),
        (b"from a import b\ndef work(b):\n    return b.c\n", "bound again"),
        (b"from a import b\n" + USED + b"import b\n", "bound again"),
        (b"from a import b\n", "never"),
        (b"if 1:\n    from a import b\n" + USED, "does not say once"),
        (b"from a import b\ndef work(): return b.c\n", "more than one statement"),
    ],
)
def test_what_cannot_be_seen_to_be_safe_ships_as_it_is(
    source: bytes, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = Late("x/y.py", ("from a import b",), "a test")
    monkeypatch.setattr(late, "MOVED", (each,))
    files: Files = {"x/y.py": source}

    assert late.deferred(files) == files
    with pytest.raises(Immovable, match=reason):
        late.moved(each, files)


@pytest.mark.parametrize(
    ("taker", "source"),
    [
        ("z.py", b"from x.y import b\n"),
        ("x/z.py", b"from .y import b\n"),
        ("x/y.pyc.py", b"from x.y import *  # and b\n"),
    ],
)
def test_an_import_that_another_module_takes_from_there_stays(taker: str, source: bytes) -> None:
    each = Late("x/y.py", ("from a import b",), "a test")

    with pytest.raises(Immovable, match="takes"):
        late.moved(each, {"x/y.py": b"from a import b\n" + USED, taker: source})


def test_a_module_that_is_gone_is_no_trouble() -> None:
    assert late.deferred({"app.py": b""}) == {"app.py": b""}


def test_it_stands_before_its_first_use_also_in_methods_and_branches() -> None:
    source = b'''"""Words."""
from a import (  # here
    b,
)
class X:
    def work(self, x):
        "Words."
        if x:
            y = 1
            def inner():
                return b.c
            return inner
'''
    moved = late.moved(Late("x.py", ("from a import b",), "a test"), {"x.py": source})

    assert (
        moved.decode()
        == f'''"""Words."""
{late.NOTICE} from a import b
class X:
    def work(self, x):
        "Words."
        if x:
            y = 1
            from a import b
            def inner():
                return b.c
            return inner
'''
    )
