"""docs/moto.md is true: moto still has every fault that the page reproduces.

The reproductions run in a process of their own, on moto as its authors released it. When one fails
after an upgrade, moto has probably mended the fault: take out the section and the correction.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "moto.md").read_text()
HEAD, *SECTIONS = re.split(r"^## ", PAGE, flags=re.MULTILINE)
CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = """
import sys, traceback
for number, code in enumerate(sys.stdin.read().split("\\0")):
    names = {}
    try:
        exec(code, names)
        print(number, "holds")
    except Exception:
        print(number, traceback.format_exc().splitlines()[-1] or "fails")
    finally:
        names["mock"].stop()
"""


def title(section: str) -> str:
    return section.partition("\n")[0]


@pytest.fixture(scope="module")
def results() -> dict[str, str]:
    """The result of every reproduction, by the title of its section."""
    (setting,) = CODE.findall(HEAD)
    programs = ["\n".join([setting, *CODE.findall(section)]) for section in SECTIONS]
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\0".join(programs),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    lines = dict(line.split(" ", 1) for line in done.stdout.splitlines() if line[:1].isdigit())
    assert len(lines) == len(SECTIONS), done.stderr[-2000:]
    return {title(section): lines[str(number)] for number, section in enumerate(SECTIONS)}


@pytest.mark.thorough
@pytest.mark.parametrize("name", [title(section) for section in SECTIONS])
def test_moto_still_has_the_fault(results: dict[str, str], name: str) -> None:
    assert results[name] == "holds"


@pytest.mark.parametrize("section", SECTIONS, ids=title)
def test_a_section_names_aws_s_page_a_reproduction_and_the_file_that_corrects_it(
    section: str,
) -> None:
    (file,) = re.findall(
        r"^Corrected in `(infra/local/corrections/\w+\.py)`", section, re.MULTILINE
    )
    pages = re.findall(r"^https://docs\.aws\.amazon\.com/\S+$", section, re.MULTILINE)

    assert pages
    assert CODE.findall(section)
    assert set(pages) & set((ROOT / file).read_text().split())


def test_every_correction_names_the_page_that_it_follows() -> None:
    folder = ROOT / "infra" / "local" / "corrections"
    files = {path.name: path.read_text() for path in folder.glob("*.py")}
    internal = {"__init__.py", "message_store.py", "sqs_queues.py"}  # parts of SQS's correction

    silent = {name for name, text in files.items() if "https://docs.aws.amazon.com/" not in text}

    assert silent == internal
