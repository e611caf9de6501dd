"""A real browser: Debian's Chromium, driven by Playwright.

Playwright's own browser is a download from elsewhere; Chromium is a package of the system.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: A browser for tests looks nothing up and calls nobody else.
ARGUMENTS = [
    "--no-sandbox",  # of no use for pages of our own, and refused to root
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def make(home: Path, lists: list[Path]) -> None:
    """Playwright into `home`, and Chromium into the system if it has none."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--target", str(home), "-r", str(*lists)], check=True)
    if find() is None:
        _install()


def find() -> str | None:
    """Where the browser is."""
    return next(filter(None, map(shutil.which, NAMES)), None)


def _install() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError("The browser's tests need Chromium: apt-get install chromium")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        subprocess.run(["apt-get", "--quiet", *command], check=True, env=environment)


@contextmanager
def running(home: Path) -> Iterator[Any]:
    """A browser without a window; what Playwright calls one."""
    sys.path.append(str(home))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()
