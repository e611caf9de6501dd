"""What happens after a failure, as a value of pure functions, so that a table tests them.

Waits double up to a limit, and jitter spreads jobs that failed together (Brooker, "Exponential
Backoff And Jitter", AWS Architecture Blog, 2015).
"""

import random

import msgspec

#: For a longer wait the message is deleted, and the sweep sends a new one. SQS could hide it for
#: hours, but each time it is hidden costs a receive, and a deleted message costs nothing.
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
    """The decision after attempt number `attempt` of at most `tries` failed unexpectedly."""
    return GiveUp() if attempt >= tries else Again(next_wait(policy, attempt))


def after_deferral(policy: Backoff, deferrals: int, requested_seconds: int | None) -> Again:
    """Another try after "not now" for a reason outside the job; it never gives up.

    `deferrals` is the number so far, this one included. `requested_seconds` is the wait that the
    other side asked for, if any.
    """
    return Again(next_wait(policy, deferrals) if requested_seconds is None else requested_seconds)


def with_jitter(wait_seconds: int, chance: float | None = None) -> int:
    """The wait plus up to a quarter of it; `chance` in [0, 1) decides how much."""
    share = random.random() if chance is None else chance
    return wait_seconds + int(wait_seconds * share / 4)
