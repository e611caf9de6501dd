"""Packs the project; the next `chalice deploy` ships this package.

    python -m infra.package --stage dev --out build/

Also writes the functions' policies for the stage to .chalice/policies/<stage>/, where
.chalice/config.json expects them. Without --account and --region they are valid in every account
and region; `make deploy` fills both in.
"""

import argparse
import sys
from pathlib import Path

from infra.package.build import (
    BUILD,
    MEGABYTE,
    PROJECT,
    Package,
    build,
    offer,
    share_lines,
    stages,
)
from infra.package.content import PackingError
from infra.policies import Place, write_policies


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        package = build(PROJECT, options.out)
        path = offer(package, PROJECT)
    except PackingError as error:
        print(f"Not packed: {error}", file=sys.stderr)
        return 1
    print(summary(package))
    print(f"  for chalice in {path.relative_to(PROJECT)}")
    folder = PROJECT / ".chalice" / "policies" / options.stage
    write_policies(Place(options.stage, options.region, options.account), folder)
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


def summary(package: Package) -> str:
    """The package's size and its largest parts, in a few lines."""
    zipped, unzipped = package.zipped_bytes / MEGABYTE, package.unzipped_bytes / MEGABYTE
    lines = [f"{package.zip.name}: {zipped:.1f} MB, {unzipped:.1f} unpacked, {package.files} files"]
    return "\n".join([*lines, *share_lines(package)])


if __name__ == "__main__":
    sys.exit(main())
