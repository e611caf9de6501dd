"""Builds the package, checks it against its budget and puts it where Chalice looks for it."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from infra.manifest import renewal
from infra.manifest.renewal import ManifestError
from infra.package import archive, botocore_data, bytecode, content, trimming
from infra.package.content import Files, PackingError

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / "build"
MEGABYTE = 1_000_000
SHARES_SHOWN = 8


@dataclass(frozen=True)
class Budget:
    """The largest package that may be built, since a cold start downloads and unpacks all of it.

    Lambda itself allows 50 MB zipped and 250 MB unzipped:
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """

    zipped_bytes: int = 11 * MEGABYTE
    unzipped_bytes: int = 32 * MEGABYTE


BUDGET = Budget()


@dataclass(frozen=True)
class Package:
    """A finished zip."""

    zip: Path
    files: int
    unzipped_bytes: int
    shares: tuple[tuple[str, int], ...]  #: bytes of every top-level package, largest first

    @property
    def zipped_bytes(self) -> int:
        return self.zip.stat().st_size


def build(project: Path, out: Path, budget: Budget = BUDGET) -> Package:
    """Packs the project into `out`.

    Raises PackingError when it cannot be packed or is over its budget; then no package is left.
    """
    _renew_manifest(project)
    files = shipped_files(project, out / "packing")
    path = out / "deployment.zip"
    archive.write(files, path)
    package = Package(path, len(files), sum(map(len, files.values())), _shares(files))
    if package.zipped_bytes > budget.zipped_bytes or package.unzipped_bytes > budget.unzipped_bytes:
        reason = _over_budget(package, budget)
        path.unlink()
        raise PackingError(reason)
    return package


def _renew_manifest(project: Path) -> None:
    try:
        renewal.renew(project)
    except ManifestError as error:
        raise PackingError(str(error)) from error


def _over_budget(package: Package, budget: Budget) -> str:
    sizes = (
        f"the package has {package.zipped_bytes / MEGABYTE:.2f} MB zipped and "
        f"{package.unzipped_bytes / MEGABYTE:.2f} MB unzipped; its budget is "
        f"{budget.zipped_bytes / MEGABYTE:.2f} and {budget.unzipped_bytes / MEGABYTE:.2f}."
    )
    advice = (
        "Leave out what Lambda does not need (LEFT_OUT in infra/package/trimming.py), or raise "
        "BUDGET in infra/package/build.py and measure the cold start with `make bench`."
    )
    return "\n".join([sizes, advice, "The largest parts:", *share_lines(package)])


def share_lines(package: Package) -> list[str]:
    """The largest parts of the package, one line for each."""
    return [f"  {size / MEGABYTE:6.2f} MB  {name}" for name, size in package.shares[:SHARES_SHOWN]]


def shipped_files(project: Path, cache: Path) -> Files:
    """The files of the package, with bytecode and without what nobody reads."""
    files = trimming.trim(botocore_data.prune(content.pack(project, cache)))
    trimming.refuse_missing_imports(files)
    return bytecode.with_bytecode(files)


def offer(package: Package, project: Path) -> Path:
    """Puts the zip where `chalice deploy` looks for one before it builds its own."""
    content.settle_bytecode(project)
    place = content.zip_path(project)
    place.parent.mkdir(parents=True, exist_ok=True)
    for stale in place.parent.glob("*.zip"):
        stale.unlink()
    shutil.copy(package.zip, place)
    return place


def stages(project: Path = PROJECT) -> dict[str, dict[str, object]]:
    """The stages of .chalice/config.json."""
    config = json.loads((project / ".chalice" / "config.json").read_text())
    return dict(config["stages"])


def _shares(files: Files) -> tuple[tuple[str, int], ...]:
    shares: Counter[str] = Counter()
    for name, data in files.items():
        shares[name.partition("/")[0]] += len(data)
    return tuple(shares.most_common())
