"""Many at once: one e-mail address belongs to one user, and what is counted afterwards agrees."""

from collections import Counter
from functools import partial

import pytest

from infra.local import mailbox
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.client import Answer, Caller, at_once

RUNS = 20
FIRST = 3  #: runs of the tests that everybody runs
SAME = 50
DIFFERENT = 50


@pytest.mark.parametrize(
    "run",
    [*range(FIRST), *(pytest.param(n, marks=pytest.mark.thorough) for n in range(FIRST, RUNS))],
)
def test_of_fifty_who_want_one_address_one_gets_it_and_fifty_others_get_theirs(
    cloud: LocalCloud, manager: Caller, run: int
) -> None:
    answers = _race(manager, SAME, DIFFERENT)

    assert Counter(answer.status_code for answer in answers[::2]) == {201: 1, 409: SAME - 1}
    assert Counter(answer.status_code for answer in answers[1::2]) == {201: DIFFERENT}
    accepted = {each.json()["data"]["user"]["id"] for each in answers if each.status_code == 201}
    people, jobs = aws.rows("people"), aws.rows("kernel")
    assert {user["id"] for user in manager.users()} == accepted
    assert {sk for sk in people if sk.startswith("person#")} == {f"person#{i}" for i in accepted}
    assert len([sk for sk in people if sk.startswith("email#")]) == len(accepted)
    assert len(jobs) == len(accepted)
    messages = aws.jobs_named_by(aws.take_messages("notify"))
    assert messages == sorted(sk.removeprefix("job#") for sk in jobs)


def test_after_a_race_each_winner_gets_one_mail_and_no_loser_does(
    cloud: LocalCloud, manager: Caller
) -> None:
    _race(manager, 20, 20)
    cloud.run_until_idle()

    assert Counter(message.to.lower() for message in mailbox.sent()) == {
        "same@example.com": 1,
        **{f"other-{number}@example.com": 1 for number in range(20)},
    }


def _race(manager: Caller, same: int, different: int) -> list[Answer]:
    """Turn about one who wants the address of all and one with an address of their own."""
    wanted = [("Same" if n % 3 else "same") + "@example.com" for n in range(same)]
    single = [f"other-{n}@example.com" for n in range(different)]
    mixed = [email for pair in zip(wanted, single, strict=True) for email in pair]
    callers = [manager.in_a_session_of_its_own() for _ in mixed]
    return at_once(
        *(
            partial(caller.create_user, email=email)
            for caller, email in zip(callers, mixed, strict=True)
        )
    )
