"""Writes chalicelib/manifest.py anew from what the domains declare.

    python -m infra.manifest

Run it after adding, moving or removing a route. `make run`, `make package` and `make deploy` do so
first; `make check` fails when the file that is to be committed is not up to date.
"""

import sys

from infra.manifest import renewal
from infra.manifest.content import ManifestError


def main() -> int:
    try:
        changed = renewal.write()
    except ManifestError as error:
        print(f"No manifest: {error}", file=sys.stderr)
        return 1
    print(f"{renewal.FILE} {'is rewritten' if changed else 'is up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
