"""What an error of SES or SNS means for a message: it waits, it has failed, or it is not known."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.kernel.errors import Retry, Unconfirmed
from chalicelib.kernel.notify import providers
from chalicelib.kernel.notify.providers import Down, Refused


def outcome(code: str, status: int = 400, message: str = "") -> type[BaseException]:
    error = ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "SendEmail",
    )

    def call() -> dict[str, Any]:
        raise error

    with pytest.raises(Exception) as raised:  # noqa: PT011  which one is the question
        providers.send("SES", call)
    return type(raised.value)


@pytest.mark.parametrize("code", sorted(providers.DOWN_CODES))
def test_a_state_of_the_account_is_an_outage(code: str) -> None:
    assert outcome(code) is Down


@pytest.mark.parametrize("code", sorted(providers.THROTTLED_CODES))
def test_a_limit_is_a_wait(code: str) -> None:
    assert outcome(code) is Retry


@pytest.mark.parametrize("code", sorted(providers.REFUSED_CODES))
def test_what_is_wrong_with_the_message_ends_it(code: str) -> None:
    assert outcome(code) is Refused


def test_a_sender_that_is_not_verified_is_no_fault_of_the_message() -> None:
    told = "Email address is not verified. The following identities failed the check"
    assert outcome("MessageRejected", message=told) is Retry


def test_no_code_means_two_things() -> None:
    groups = (providers.DOWN_CODES, providers.THROTTLED_CODES, providers.REFUSED_CODES)
    assert len(frozenset().union(*groups)) == sum(map(len, groups))


def test_an_error_of_the_server_leaves_open_whether_it_was_sent() -> None:
    assert outcome("InternalFailure", 500) is Unconfirmed
    assert outcome("Unheard", 503) is Down


def test_a_code_that_nobody_knows_uses_up_an_attempt() -> None:
    assert outcome("Unheard") is ClientError
