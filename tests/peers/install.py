"""Third-party software that the tests of this folder run: `python -m tests.peers.install`.

Each kind stands in `.peers` and is made once per list of its versions.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.peers.browser import chromium
from tests.peers.keystone import server as keystone

HERE = Path(__file__).parent
PEERS = HERE.parents[1] / ".peers"
SCHEMATHESIS = PEERS / "schemathesis"
OIDC = PEERS / "oidc"
KEYSTONE = PEERS / "keystone"
BROWSER = PEERS / "browser"


def install() -> None:
    """Returns at once when everything is there."""
    _once(SCHEMATHESIS, [HERE / "requirements.txt"], _make_venv)
    _once(OIDC, [HERE / "oidc" / name for name in ("package.json", "package-lock.json")], _npm)
    _once(KEYSTONE, [HERE / "keystone" / "requirements.txt"], keystone.make)
    _once(BROWSER, [HERE / "browser" / "requirements.txt"], chromium.make)


def _once(home: Path, lists: list[Path], make: Callable[[Path, list[Path]], None]) -> None:
    content = b"".join(each.read_bytes() for each in lists)
    wanted = hashlib.sha256(content + sys.version.encode()).hexdigest()
    stamp = home / "installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    make(home, lists)
    stamp.write_text(wanted)


def _make_venv(home: Path, lists: list[Path]) -> None:
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, "--quiet", "--no-deps", "-r", str(*lists)], check=True)


def _npm(home: Path, lists: list[Path]) -> None:
    for each in lists:
        shutil.copy(each, home)
    options = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(["npm", "ci", *options], cwd=home, check=True)


if __name__ == "__main__":
    install()
