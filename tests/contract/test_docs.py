"""The pages that say how to extend the project, followed word for word; what all pages name exists.

The code of a page is put where the page says, into a copy of the project, and the tests that the
page adds run there. `test_docs_together.py` follows all pages in one copy.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.pages import EXTENSIONS, ROOT, blocks, followed, run

TEXTS = sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
#: `kernel/jobs/outbox.py` or `infra/local/`: words in backticks that are a path of this project.
NAMED_PATH = re.compile(r"`([\w.-]+(?:/[\w.-]+)*/?)`")
NAMED_COMMAND = re.compile(r"(?:`|^\$ )(?:[A-Z]+=\S+ )*make ([a-z0-9-]+)", re.MULTILINE)


@pytest.mark.parametrize("page", EXTENSIONS)
def test_a_page_followed_word_for_word_works(page: str, tmp_path: Path) -> None:
    tests = followed(tmp_path / "project", [page])
    assert tests

    done = run(tmp_path / "project", "pytest", "-p", "no:cacheprovider", *tests)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_new_domain_with_its_tests_takes_less_than_100_lines_of_code() -> None:
    code = "".join(b.code for b in blocks("add-a-domain.md") if b.path.endswith(".py"))
    lines = [line for line in code.splitlines() if line.strip() and not line.startswith('"""')]

    assert len(lines) < 100


def prose(text: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", text.read_text(), flags=re.MULTILINE | re.DOTALL)


def paths_named(text: Path) -> Iterator[str]:
    """The paths that a page names, of files and folders that the project itself keeps."""
    tops = {path.name for path in (ROOT, ROOT / "chalicelib") for path in path.iterdir()}
    for named in NAMED_PATH.findall(prose(text)):
        top, *below = named.split("/")
        if below and top in tops - {"build", ".chalice"}:
            yield named


@cache
def made_by_the_pages() -> set[str]:
    """What exists once a page is followed."""
    return {block.path for page in EXTENSIONS for block in blocks(page)}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.name)
def test_every_path_that_a_page_names_exists(text: Path) -> None:
    missing = set(paths_named(text)) - made_by_the_pages()
    missing = {path for path in missing if not (ROOT / path).exists()}

    assert {path for path in missing if not (ROOT / "chalicelib" / path).exists()} == set()


def test_the_pages_name_paths_in_the_way_that_is_looked_for() -> None:
    assert {"kernel/jobs/group_commit.py", "infra/policies/"} <= {
        named for text in TEXTS for named in paths_named(text)
    }


def test_every_command_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {verb for text in TEXTS for verb in NAMED_COMMAND.findall(text.read_text())}

    assert {"run", "deploy"} <= named <= targets
