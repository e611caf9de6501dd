"""What ships: listed, small, compiled, and the same each time."""

import importlib.util
import marshal
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from infra.package import archive, bytecode, content, services, trimming
from infra.package.build import PROJECT, UNZIPPED_BUDGET, ZIPPED_BUDGET, Package, build, offer
from infra.package.content import Files, PackingError

#: Everything that ships, by its top-level name. A new dependency is a line here, and a thought.
SHIPPED = {
    "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
    "__pycache__",
    "app.py",
    "botocore",
    "certifi",
    "cffi",
    "chalice",
    "chalicelib",
    "charset_normalizer",
    "cryptography",
    "dateutil",
    "idna",
    "jinja2",
    "jmespath",
    "jwt",
    "markupsafe",
    "msgspec",
    "pycparser",
    "pynamodb",
    "requests",
    "six.py",
    "urllib3",
}
FIRST_DATE = (1980, 1, 1, 0, 0, 0)


def test_what_ships_is_listed(shipped: Files) -> None:
    running = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    found = {name.partition("/")[0] for name in shipped}
    assert found == {name.replace("cpython-311", running) for name in SHIPPED}


def test_it_stays_within_its_budget(package: Package, shipped: Files) -> None:
    assert package.zip.stat().st_size < ZIPPED_BUDGET
    assert sum(map(len, shipped.values())) < UNZIPPED_BUDGET


def test_two_builds_are_equal_byte_for_byte(
    package: Package, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    del tmp_path_factory
    again = build(PROJECT, tmp_path)

    assert again.zip.read_bytes() == package.zip.read_bytes()


def test_every_module_has_bytecode_that_is_loaded_unchecked(shipped: Files) -> None:
    for name in (name for name in shipped if name.endswith(".py")):
        compiled = shipped[importlib.util.cache_from_source(name)]
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(compiled[4:8], "little") == 0b01, name  # by hash, not checked
        code = marshal.loads(compiled[16:])
        assert isinstance(code, types.CodeType)
        assert code.co_filename == f"/var/task/{name}"


def test_all_files_have_one_date_and_can_be_read_by_anyone(package: Package) -> None:
    with zipfile.ZipFile(package.zip) as archive_:
        entries = archive_.infolist()
    assert {entry.date_time for entry in entries} == {FIRST_DATE}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)


def test_of_botocore_s_services_only_those_in_use_ship(shipped: Files) -> None:
    there = {
        name.split("/")[2] for name in shipped if name.startswith("botocore/data/") and "-2" in name
    }
    assert there == services.used(shipped) | {"sqs"}
    assert len(there) < 10


@pytest.mark.parametrize("word", [b"get_paginator", b"get_waiter"])
def test_nothing_of_ours_asks_for_pages_or_waits_whose_models_do_not_ship(
    shipped: Files, word: bytes
) -> None:
    ours = {name: each for name, each in shipped.items() if trimming.OURS.match(name)}

    assert [name for name, each in ours.items() if name.endswith(".py") and word in each] == []


def test_neither_boto3_nor_tests_nor_sources_of_other_languages_ship(shipped: Files) -> None:
    unwanted = ("boto3/", "s3transfer/", "infra/", "tests/", "events/")
    assert [name for name in shipped if name.startswith(unwanted)] == []
    assert [name for name in shipped if name.endswith((".pyi", ".c", ".h"))] == []


def test_every_module_that_ships_can_be_imported_from_the_package_alone(
    unpacked: Path,
) -> None:
    walk = """
import importlib, pkgutil, sys
sys.path.insert(0, sys.argv[1])
import app, chalicelib
for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
    importlib.import_module(module.name)
from chalicelib.kernel import aws
for service in sys.argv[2:]:
    aws.client(service)
"""
    used = sorted(services.used({"app.py": b"", **_sources()}))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", walk, str(unpacked), *used],
        check=False,
        env={"AWS_DEFAULT_REGION": "eu-central-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def _sources() -> Files:
    paths = (PROJECT / "chalicelib").rglob("*.py")
    return {path.relative_to(PROJECT).as_posix(): path.read_bytes() for path in paths}


def test_chalice_finds_the_package_also_after_it_has_loaded_the_app(
    package: Package, out: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    content.renew(PROJECT, project)
    place = offer(package, project)

    load = "import sys; sys.path.insert(0, sys.argv[1]); import app, chalicelib.kernel.jobs.worker"
    subprocess.run([sys.executable, "-c", load, project], check=True, cwd=out)

    assert content.zip_path(project) == place
    assert place.read_bytes() == package.zip.read_bytes()


def test_an_import_that_would_be_missing_stops_the_build() -> None:
    late = b"def work():\n    import boto3\n"
    files = {"app.py": b"import json\n", "chalicelib/jobs.py": late}
    with pytest.raises(PackingError, match=r"chalicelib/jobs\.py: boto3"):
        trimming.refuse_missing_imports(files)


def test_a_client_whose_service_is_not_written_out_stops_the_build() -> None:
    hidden = b"def work(name):\n    aws.client(name)\n"
    with pytest.raises(PackingError, match=r"chalicelib/jobs\.py:2"):
        services.used({"chalicelib/jobs.py": hidden})


def test_code_that_does_not_compile_stops_the_build() -> None:
    with pytest.raises(PackingError, match=r"app\.py"):
        bytecode.compiled({"app.py": b"def broken(:\n"})


def test_no_half_written_package_is_ever_found(tmp_path: Path) -> None:
    files: Files = {"a": b"1", "b": "no bytes"}  # type: ignore[dict-item]
    place = tmp_path / "x.zip"
    archive.write({"a": b"1"}, place)
    before = place.read_bytes()
    with pytest.raises((TypeError, AttributeError)):
        archive.write({**files, "b": None}, place)  # type: ignore[dict-item]
    assert place.read_bytes() == before


def test_only_aws_s_own_certificates_are_trusted(shipped: Files) -> None:
    bundle = shipped[services.AUTHORITIES_FILE]
    assert bundle.count(b"BEGIN CERTIFICATE") == 5
    assert b"Amazon Root CA 1" in bundle


@pytest.mark.parametrize("named", ["", "/another.pem"])
def test_connections_to_aws_are_checked_by_them_alone(unpacked: Path, named: str) -> None:
    told = """
import sys
sys.path.insert(0, sys.argv[1])
from chalicelib.kernel import aws
print(aws.client("dynamodb")._endpoint.http_session._verify)
"""
    environment = {
        "AWS_DEFAULT_REGION": "eu-central-1",
        **({"AWS_CA_BUNDLE": named} if named else {}),
    }
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", told, str(unpacked)],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == (named or f"{unpacked}/{services.AUTHORITIES_FILE}")
