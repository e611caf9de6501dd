"""One package for all tests: packed, built, unpacked."""

import zipfile
from pathlib import Path

import pytest

from infra.package import content
from infra.package.build import PROJECT, Package, build
from infra.package.content import Files


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="session")
def package(out: Path) -> Package:
    return build(PROJECT, out)


@pytest.fixture(scope="session")
def shipped(package: Package) -> Files:
    with zipfile.ZipFile(package.zip) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="session")
def packed(package: Package, out: Path) -> Files:
    """What Chalice packed, before the package step changed anything."""
    del package  # after it: then nothing is packed twice
    return content.pack(PROJECT, out / "packing")


@pytest.fixture(scope="session")
def unpacked(package: Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(package.zip) as archive:
        archive.extractall(folder)
    return folder
