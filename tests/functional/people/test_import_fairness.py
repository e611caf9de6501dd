"""How long others wait during a long import, with workers running and a deployment's rates."""

from collections.abc import Iterator

import pytest
import requests

from chalicelib.kernel.settings import Settings
from tests.functional.another_process import outbox, serving, sign_in, wait_until
from tests.functional.people.uploads import IMPORT

WORKED_SECONDS = 10  #: until another tenant's row is worked
SENT_SECONDS = 20  #: until its mail is sent
INVITED_SECONDS = 5  #: until somebody who is waiting gets a mail
UNDER_WAY = 100  #: mails of the import that are out, more than a burst


@pytest.fixture
def url() -> Iterator[str]:
    deployed = Settings()
    with serving(
        TENANT_EMAIL_PER_SECOND=str(deployed.tenant_email_per_second),
        TENANT_SMS_PER_SECOND=str(deployed.tenant_sms_per_second),
    ) as address:
        yield address


@pytest.mark.local
@pytest.mark.parametrize("rows", [1_500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_another_tenants_row_and_an_invitation_are_not_behind_a_long_import(
    url: str, rows: int
) -> None:
    long, other = sign_in(url, "t1"), sign_in(url, "t2")
    start(long, url, "".join(f"N,u{number}@example.com,staff\n" for number in range(rows)))
    wait_until(lambda: len(outbox(long, url)) >= UNDER_WAY, "import under way")

    batch_id = start(other, url, "Bob,bob@example.com,staff\n")
    batch = f"{url}/v1/batches/{batch_id}"
    worked = wait_until(lambda: _status(other, batch) == "done", "end of the other import")
    sent = worked + wait_until(lambda: is_sent(other, url, "bob@example.com"), "mail to Bob")
    cid = {"name": "Cid", "email": "cid@example.com", "role": "staff"}
    assert other.post(f"{url}/admin/v1/users", json=cid, timeout=10).status_code == 201
    invited = wait_until(lambda: is_sent(other, url, "cid@example.com"), "mail to Cid")

    assert worked < WORKED_SECONDS
    assert sent < SENT_SECONDS
    assert invited < INVITED_SECONDS
    assert not is_sent(long, url, f"u{rows - 1}@example.com"), "the long import was over"


def start(session: requests.Session, url: str, lines: str) -> str:
    """Starts an import of these lines; the id of its batch."""
    answer = session.post(
        f"{url}{IMPORT}",
        data="name,email,role\n" + lines,
        headers={"Content-Type": "text/csv"},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["data"]["batch_id"])


def _status(session: requests.Session, batch: str) -> str:
    return str(session.get(batch, timeout=10).json()["data"]["status"])


def is_sent(session: requests.Session, url: str, email: str) -> bool:
    return bool(outbox(session, url, to=email))
