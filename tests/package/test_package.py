"""The package: listed, small, compiled and reproducible."""

import importlib.util
import json
import marshal
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import pytest

from infra.package import archive, botocore_data, bytecode, content, model_cut, trimming
from infra.package.build import BUDGET, PROJECT, Budget, Package, build, offer
from infra.package.content import Files, PackingError
from infra.project_copy import renew

#: Everything that ships, by its top-level name. A new dependency is a line here, and a thought.
SHIPPED = {
    "_cffi_backend.cpython-311-x86_64-linux-gnu.so",
    "__pycache__",
    "app.py",
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "certifi",
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
    "pynamodb",
    "requests",
    "s3transfer",
    "six.py",
    "typing_extensions.py",
    "urllib3",
}
FIRST_DATE = (1980, 1, 1, 0, 0, 0)


def test_what_ships_is_listed(shipped: Files) -> None:
    running = f"cpython-{sys.version_info.major}{sys.version_info.minor}"
    names = {name.partition("/")[0] for name in shipped}
    assert names == {name.replace("cpython-311", running) for name in SHIPPED}


def test_its_size_is_that_of_its_files_and_within_the_budget(
    package: Package, shipped: Files
) -> None:
    unzipped_bytes = sum(map(len, shipped.values()))

    assert package.unzipped_bytes == unzipped_bytes == sum(size for _, size in package.shares)
    assert package.zipped_bytes <= BUDGET.zipped_bytes
    assert unzipped_bytes <= BUDGET.unzipped_bytes


@pytest.mark.parametrize("missing_bytes", [{"zipped_bytes": 1}, {"unzipped_bytes": 1}])
def test_a_package_over_its_budget_is_refused_with_what_to_do(
    package: Package, out: Path, tmp_path: Path, missing_bytes: dict[str, int]
) -> None:
    sizes = {"zipped_bytes": package.zipped_bytes, "unzipped_bytes": package.unzipped_bytes}
    too_small = Budget(**{name: size - missing_bytes.get(name, 0) for name, size in sizes.items()})
    shutil.copytree(out / "packing", tmp_path / "packing")

    with pytest.raises(PackingError) as refused:
        build(PROJECT, tmp_path, too_small)

    text = str(refused.value)
    assert "LEFT_OUT in infra/package/trimming.py" in text
    assert "BUDGET in infra/package/build.py" in text
    assert "MB  botocore" in text
    assert not (tmp_path / "deployment.zip").exists()


def test_two_builds_are_equal_byte_for_byte(package: Package, tmp_path: Path) -> None:
    again = build(PROJECT, tmp_path)

    assert again.zip.read_bytes() == package.zip.read_bytes()


def test_every_module_has_bytecode_that_is_loaded_unchecked(shipped: Files) -> None:
    modules = [name for name in shipped if name.endswith(".py")]
    assert "app.py" in modules
    for name in modules:
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
    assert there == botocore_data.used_services(shipped) | {"sqs"}
    assert len(there) < 10


def test_of_a_service_that_is_cut_only_what_policies_allow_ships(shipped: Files) -> None:
    model = json.loads(shipped["botocore/data/ssm/2014-11-06/service-2.json"])

    assert set(model["operations"]) == model_cut.allowed_operations("ssm") == {"GetParameter"}
    assert {"GetParameterRequest", "ParameterNotFound", "PSParameterValue"} <= set(model["shapes"])
    assert len(model["shapes"]) < 30


@pytest.mark.parametrize("method", [b"get_paginator", b"get_waiter"])
def test_nothing_of_ours_asks_for_pages_or_waits_whose_models_do_not_ship(
    shipped: Files, method: bytes
) -> None:
    ours = {
        name: source
        for name, source in shipped.items()
        if trimming.OURS.match(name) and name.endswith(".py")
    }

    assert "app.py" in ours
    assert [name for name, source in ours.items() if method in source] == []


def test_neither_tests_nor_data_of_boto3_nor_sources_of_other_languages_ship(
    shipped: Files,
) -> None:
    unwanted = ("boto3/data/", "infra/", "tests/", "events/")
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
    used = sorted(botocore_data.used_services({"app.py": b"", **_sources()}))
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
    renew(PROJECT, project)
    place = offer(package, project)

    load = "import sys; sys.path.insert(0, sys.argv[1]); import app, chalicelib.kernel.jobs.worker"
    subprocess.run([sys.executable, "-c", load, project], check=True, cwd=out)

    assert content.zip_path(project) == place
    assert place.read_bytes() == package.zip.read_bytes()


def test_an_import_that_would_be_missing_stops_the_build() -> None:
    source = b"def work():\n    import boto3\n"
    files = {"app.py": b"import json\n", "chalicelib/jobs.py": source}
    with pytest.raises(PackingError, match=r"chalicelib/jobs\.py: boto3"):
        trimming.refuse_missing_imports(files)


def test_a_client_whose_service_is_not_written_out_stops_the_build() -> None:
    hidden = b"def work(name):\n    aws.client(name)\n"
    with pytest.raises(PackingError, match=r"chalicelib/jobs\.py:2"):
        botocore_data.used_services({"chalicelib/jobs.py": hidden})


def test_code_that_does_not_compile_stops_the_build() -> None:
    with pytest.raises(PackingError, match=r"app\.py"):
        bytecode.with_bytecode({"app.py": b"def broken(:\n"})


def test_no_half_written_package_is_ever_found(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    archive.write({"a": b"1"}, path)
    before = path.read_bytes()
    unwritable: Files = {"a": b"2", "b": None}  # type: ignore[dict-item]
    with pytest.raises((TypeError, AttributeError)):
        archive.write(unwritable, path)
    assert path.read_bytes() == before


def test_only_aws_s_own_certificates_are_trusted(shipped: Files) -> None:
    bundle = shipped[botocore_data.AUTHORITIES_FILE]
    assert bundle.count(b"BEGIN CERTIFICATE") == 5
    assert b"Amazon Root CA 1" in bundle


@pytest.mark.parametrize("named", ["", "/another.pem"])
def test_connections_to_aws_are_checked_by_them_alone(unpacked: Path, named: str) -> None:
    code = """
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
        [sys.executable, "-I", "-S", "-B", "-c", code, str(unpacked)],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == (named or f"{unpacked}/{botocore_data.AUTHORITIES_FILE}")
