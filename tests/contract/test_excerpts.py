"""Code that a page shows as the project's own is the project's own."""

import re

import pytest

from tests.contract.source import ROOT

PAGES = ("between-domains.md",)
FENCE = re.compile(r"^```python\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXCERPTS = [
    (page, path, code)
    for page in PAGES
    for path, code in FENCE.findall((ROOT / "docs" / page).read_text())
]


def test_every_block_of_these_pages_names_its_file() -> None:
    blocks = sum((ROOT / "docs" / page).read_text().count("\n```python\n") for page in PAGES)

    assert len(EXCERPTS) == blocks > 0


@pytest.mark.parametrize(("page", "path", "code"), EXCERPTS)
def test_an_excerpt_stands_in_the_file_that_it_names(page: str, path: str, code: str) -> None:
    assert code in (ROOT / path).read_text(), f"docs/{page} shows what is not in {path}"
