"""Packs the project; a `chalice deploy` that follows ships this very package.

    python -m infra.package --stage dev --out build/

Also writes the functions' policies for the stage to .chalice/policies/<stage>/, where
.chalice/config.json names them. Without --account and --region they hold for whichever account
and region the stage is deployed to; `make deploy` fills both in.
"""

import argparse
import sys
from pathlib import Path

from infra.package.build import BUILD, MEGABYTE, PROJECT, Package, build, offer, stages
from infra.package.content import PackingError
from infra.policies import Place, write_policies

SHOWN = 8  #: of the largest parts


def main(arguments: list[str] | None = None) -> int:
    given = _parse(arguments)
    try:
        package = build(PROJECT, given.out)
        place = offer(package, PROJECT)
    except PackingError as error:
        print(f"Not packed: {error}", file=sys.stderr)
        return 1
    print(described(package))
    print(f"  for chalice in {place.relative_to(PROJECT)}")
    folder = PROJECT / ".chalice" / "policies" / given.stage
    write_policies(Place(given.stage, given.region, given.account), folder)
    print(f"  policies in {folder.relative_to(PROJECT)}")
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.package",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--stage", default="dev", choices=sorted(stages()))
    parser.add_argument("--out", type=Path, default=BUILD)
    parser.add_argument("--account", default="*")
    parser.add_argument("--region", default="*")
    return parser.parse_args(arguments)


def described(package: Package) -> str:
    """The package in a few lines: how large, and what makes it so."""
    zipped = package.zip.stat().st_size / MEGABYTE
    unzipped = package.unzipped / MEGABYTE
    lines = [f"{package.zip.name}: {zipped:.1f} MB, {unzipped:.1f} unpacked, {package.files} files"]
    lines += [f"  {size / MEGABYTE:6.2f} MB  {name}" for name, size in package.shares[:SHOWN]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
