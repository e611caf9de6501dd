"""States of our own account at SES and SNS hold messages like an outage: an operator ends them."""

import pytest

from infra.local import faults, mailbox
from infra.local.cloud import LocalCloud
from infra.local.faults import Fault
from tests.functional.client import Caller

STATES = [
    ("ses", "SendEmail", "MailFromDomainNotVerifiedException"),
    ("ses", "SendEmail", "NotFoundException"),
    ("ses", "SendEmail", "AccessDeniedException"),
    ("ses", "SendEmail", "ExpiredTokenException"),
    ("ses", "SendEmail", "UnrecognizedClientException"),
    ("ses", "SendEmail", "SendingPausedException"),
    ("sns", "Publish", "AuthorizationError"),
    ("sns", "Publish", "ExpiredToken"),
    ("sns", "Publish", "InvalidClientTokenId"),
]
MINUTE = 60
TRIES = 6


@pytest.mark.parametrize(("service", "operation", "code"), STATES, ids=lambda each: each)
def test_a_state_of_the_account_fails_no_message(
    cloud: LocalCloud, manager: Caller, service: str, operation: str, code: str
) -> None:
    is_mail = service == "ses"
    fault = Fault(service, operation, "refuse", code=code, status=400, times=None)
    faults.add(fault)
    manager.create_user(send_email=is_mail, phone=None if is_mail else "+4915112345678")
    for _ in range(TRIES):
        cloud.run_until_idle()
        cloud.advance(20 * MINUTE)
    (waiting,) = manager.notifications()
    assert waiting["status"] == "queued"
    assert waiting["attempts"] == 0
    assert code in str(manager.job(waiting["id"])["history"])

    faults.clear()
    for _ in range(TRIES):
        cloud.advance(20 * MINUTE)
        cloud.run_until_idle()
    assert manager.notifications()[0]["status"] in ("sent", "delivered")
    assert len(mailbox.sent()) == 1
