"""Retry: what happens after a failure, as a table."""

import pytest

from chalicelib.kernel.jobs.retry import (
    LONGEST_IN_QUEUE_SECONDS,
    Again,
    Backoff,
    GiveUp,
    after_deferral,
    after_failure,
    next_wait,
    with_jitter,
)

HALF_MINUTE = Backoff(first_seconds=30, factor=2, max_seconds=3600)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        (1, 30),  # first
        (2, 60),
        (3, 120),  # 30 * 2 * 2
        (7, 1920),
        (8, 3600),  # 3840, capped
        (9, 3600),
        (10_000, 3600),  # no overflow, however often it was held
    ],
)
def test_waits_double_and_are_capped(attempt: int, seconds: int) -> None:
    assert next_wait(HALF_MINUTE, attempt) == seconds


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (Backoff(first_seconds=1, factor=3, max_seconds=100), [1, 3, 9, 27, 81, 100]),
        (Backoff(first_seconds=10, factor=1, max_seconds=100), [10, 10, 10]),
        (Backoff(first_seconds=50, factor=2, max_seconds=20), [20, 20]),
        (Backoff(first_seconds=0), [0, 0, 0]),
    ],
)
def test_a_policy_says_how_it_grows(policy: Backoff, waits: list[int]) -> None:
    assert [next_wait(policy, attempt) for attempt in range(1, len(waits) + 1)] == waits


@pytest.mark.parametrize(
    ("attempt", "tries", "decision"),
    [
        (1, 5, Again(30)),
        (4, 5, Again(240)),
        (5, 5, GiveUp()),  # the last one failed
        (6, 5, GiveUp()),  # counted by its claims, although it never ended
        (1, 1, GiveUp()),
    ],
)
def test_the_last_allowed_failure_gives_up(
    attempt: int, tries: int, decision: Again | GiveUp
) -> None:
    assert after_failure(HALF_MINUTE, attempt, tries) == decision


@pytest.mark.parametrize(
    ("holds", "asked_seconds", "wait_seconds"),
    [
        (1, None, 30),
        (3, None, 120),
        (1_000, None, 3600),  # a hold never ends in giving up
        (3, 5, 5),  # the other side named the wait
        (3, 0, 0),
        (1, 86_400, 86_400),
    ],
)
def test_a_hold_is_always_followed_by_another_try(
    holds: int, asked_seconds: int | None, wait_seconds: int
) -> None:
    assert after_deferral(HALF_MINUTE, holds, asked_seconds) == Again(wait_seconds)


@pytest.mark.parametrize(
    ("wait_seconds", "chance", "seconds"),
    [(100, 0.0, 100), (100, 0.5, 112), (100, 0.999, 124), (0, 0.9, 0), (3, 0.9, 3)],
)
def test_jitter_adds_up_to_a_quarter(wait_seconds: int, chance: float, seconds: int) -> None:
    assert with_jitter(wait_seconds, chance) == seconds


def test_jobs_that_failed_together_do_not_come_back_together() -> None:
    waits = {with_jitter(3600) for _ in range(200)}

    assert len(waits) > 50
    assert 3600 <= min(waits) <= max(waits) <= 4500


def test_a_wait_in_a_queue_is_at_most_what_sqs_delays() -> None:
    assert LONGEST_IN_QUEUE_SECONDS == 900
