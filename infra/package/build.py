"""The package of the project: made, checked against its budget, put where Chalice finds it."""

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from infra.package import archive, bytecode, content, services, trimming
from infra.package.content import Files, PackingError

PROJECT = Path(__file__).parents[2]
BUILD = PROJECT / "build"
MEGABYTE = 1_000_000
UNZIPPED_BUDGET = 32 * MEGABYTE  #: Lambda allows 250; a cold start downloads and unpacks it all
ZIPPED_BUDGET = 11 * MEGABYTE  #: Lambda takes up to 50 in one call


@dataclass(frozen=True)
class Package:
    """A finished zip."""

    zip: Path
    files: int
    unzipped: int  #: bytes
    shares: tuple[tuple[str, int], ...]  #: bytes of each top-level package, largest first


def build(project: Path, out: Path) -> Package:
    """Packs the project into `out`. Raises PackingError, also when it outgrows its budget."""
    files = shipped(project, out / "packing")
    made = out / "deployment.zip"
    archive.write(files, made)
    unzipped = sum(map(len, files.values()))
    if unzipped > UNZIPPED_BUDGET or made.stat().st_size > ZIPPED_BUDGET:
        raise PackingError(
            f"{made.stat().st_size} bytes, {unzipped} unzipped: over the budget of "
            f"{ZIPPED_BUDGET} and {UNZIPPED_BUDGET} in {Path(__file__).name}"
        )
    return Package(made, len(files), unzipped, _shares(files))


def shipped(project: Path, cache: Path) -> Files:
    """What ships, by path."""
    files = trimming.trimmed(services.pruned(content.packed(project, cache)))
    trimming.refuse_missing_imports(files)
    return bytecode.compiled(files)


def offer(package: Package, project: Path) -> Path:
    """Puts the zip where `chalice deploy` in this project looks for one before it makes its own."""
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
    for name, content_ in files.items():
        shares[name.partition("/")[0]] += len(content_)
    return tuple(shares.most_common())
