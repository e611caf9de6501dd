"""Files of people that are uploaded, and what their batch tells."""

from typing import Any

from infra.local.cloud import LocalCloud
from tests.functional.client import Answer, Caller

IMPORT = "/admin/v1/users/import"
HEADER = "name,email,phone,role\n"


def upload(caller: Caller, data: bytes | str, media: str = "text/csv") -> Answer:
    body = data.encode() if isinstance(data, str) else data
    return caller.send("POST", IMPORT, headers={"Content-Type": media}, data=body)


def imported(
    cloud: LocalCloud, caller: Caller, data: bytes | str, media: str = "text/csv"
) -> dict[str, Any]:
    """The batch of this file once it was worked."""
    answer = upload(caller, data, media)
    assert answer.status_code == 202, answer.text
    cloud.run_until_idle()
    return batch_of(caller, answer)


def batch_of(caller: Caller, answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = caller.get(f"/v1/batches/{answer.json()['data']['batch_id']}").json()
    return found["data"]  # type: ignore[no-any-return]


def errors_by_line(batch: dict[str, Any]) -> dict[int, str]:
    """The errors that the batch shows, by line."""
    return {error["line"]: error["detail"] for error in batch["errors"]}


def emails(caller: Caller) -> list[str]:
    return sorted(user["email"] for user in caller.users())
