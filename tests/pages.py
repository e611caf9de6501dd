"""The pages that say how to extend the project, as code and the places that it goes to."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"(?:^`([^`\n]+)`[^`\n]*:\n)?^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PLACE = re.compile(
    r'(?:#|//) (?P<path>[\w./-]+\.\w+)(?:, (?P<where>at the end|below "(?P<text>.+)"))?$'
)


class Block(NamedTuple):
    """Code of a page, and where it goes."""

    path: str
    where: str | None  #: None for a new file
    code: str


def blocks(page: str) -> list[Block]:
    found = []
    for named, content in FENCE.findall((ROOT / "docs" / page).read_text()):
        if named:
            found.append(Block(named, None, content))
            continue
        first, _, rest = content.partition("\n")
        place = PLACE.match(first)
        assert place, f"{page}: a block does not begin with its place: {first}"
        found.append(Block(place["path"], place["text"] or place["where"], rest))
    return found


def apply(project: Path, block: Block) -> None:
    target = project / block.path
    if block.where is None:
        assert not target.exists(), f"{block.path} exists already"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.code)
    elif block.where == "at the end":
        target.write_text(target.read_text().rstrip() + "\n\n\n" + block.code)
    else:
        lines = target.read_text().splitlines(keepends=True)
        at = next((n for n, line in enumerate(lines) if block.where in line), None)
        assert at is not None, f"{block.path} has no line with {block.where}"
        target.write_text("".join([*lines[: at + 1], block.code, *lines[at + 1 :]]))
