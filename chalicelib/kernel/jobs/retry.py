"""What happens after a failure, as a value: pure, so that its test is a table.

Waits double and are capped; jitter spreads jobs that failed together (Brooker, "Exponential
Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import random

import msgspec

#: A wait longer than this leaves the queue: SQS hides a message for hours, but each hiding is a
#: receive, and a deleted message costs nothing.
LONGEST_IN_QUEUE_SECONDS = 900


class Backoff(msgspec.Struct, frozen=True):
    """How long a job waits before its next try."""

    first_seconds: int = 30
    factor: int = 2
    max_seconds: int = 3600


class Again(msgspec.Struct, frozen=True):
    """Another try after a wait."""

    wait_seconds: int


class GiveUp(msgspec.Struct, frozen=True):
    """No further try: the job is dead."""


Decision = Again | GiveUp


def next_wait(policy: Backoff, attempt: int) -> int:
    """Seconds before the try after attempt number `attempt`, which counts from 1."""
    doubled = policy.first_seconds * int(policy.factor ** min(attempt - 1, 30))
    return min(doubled, policy.max_seconds)


def after_failure(policy: Backoff, attempt: int, tries: int) -> Decision:
    """After an unexpected failure of attempt number `attempt` of at most `tries`."""
    return GiveUp() if attempt >= tries else Again(next_wait(policy, attempt))


def after_deferral(policy: Backoff, holds: int, asked_seconds: int | None) -> Again:
    """After "not now" for a reason outside the job: always another try, never an attempt lost.

    `holds` counts the holds so far including this one; `asked_seconds` is the wait that the other
    side named, if it did.
    """
    return Again(next_wait(policy, holds) if asked_seconds is None else asked_seconds)


def with_jitter(wait_seconds: int, chance: float | None = None) -> int:
    """The wait with up to a quarter more. `chance` in [0, 1) decides how much of it."""
    share = random.random() if chance is None else chance
    return wait_seconds + int(wait_seconds * share / 4)
