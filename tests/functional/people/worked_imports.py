"""Imports that are worked to their end, and what they have queued and stored meanwhile."""

from collections import Counter
from typing import Any

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller
from tests.functional.people.uploads import batch_of


def file_with(rows: int) -> str:
    return "name,email,role\n" + "".join(f"N,u{n}@example.com,staff\n" for n in range(rows))


def jobs(kind: str) -> list[dict[str, Any]]:
    kernel = aws.rows("kernel")
    return [row for sk, row in kernel.items() if sk.startswith("job#") and row["type"]["S"] == kind]


def in_hand() -> int:
    """Jobs of the import that have been handed to its queue and have not ended."""
    chunks = [row for row in jobs("people.import_rows") if not _waits_for_its_turn(row)]
    statuses = [row["status"]["S"] for row in (*jobs("people.invitation"), *chunks)]
    return sum(status in ("queued", "running") for status in statuses)


def _waits_for_its_turn(chunk: dict[str, Any]) -> bool:
    return "not_before" in chunk and chunk["holds"]["N"] == "0"


def uploads() -> list[dict[str, Any]]:
    return [row for sk, row in aws.rows("people").items() if sk.startswith("upload#")]


def work_until_ended(cloud: LocalCloud, seconds: int = 3, rounds: int = 100) -> None:
    """Works everything; the clock moves in steps until no job of the tenant is left."""
    for _ in range(rounds):
        cloud.run_until_idle()
        kernel = aws.rows("kernel")
        left = [sk for sk, row in kernel.items() if sk.startswith("job#") and "due_at" in row]
        if not left:
            return
        cloud.advance(seconds)
    raise AssertionError(f"{len(left)} jobs have not ended")


def assert_all_is_done(manager: Caller, answer: Answer, rows: int, *, again: int = 0) -> None:
    """Every row is a user with one mail, or two for at most `again` of them; nothing is left."""
    batch = batch_of(manager, answer)
    assert (batch["status"], batch["done"], batch["errors"]) == ("done", rows, [])
    sent = Counter(each.to for each in mailbox.sent())
    assert len(manager.users()) == len(sent) == rows
    assert sent.total() <= rows + again
    assert uploads() == []
    assert not [sk for sk in aws.rows("kernel") if sk.startswith("window#")]
