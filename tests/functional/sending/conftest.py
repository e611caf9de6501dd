"""Limits set for a test, and when messages went out in virtual time."""

import time
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import pytest
from msgspec.structs import replace

from infra.local import mailbox
from infra.local.cloud import LocalCloud

#: Between taking a turn and the provider's taking the message real time passes.
SLACK_SECONDS = 2
Configure = Callable[..., None]


@pytest.fixture
def configure(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Sets what the limits are."""
    from chalicelib.kernel.notify import limits

    def change(**values: Any) -> None:
        monkeypatch.setattr(limits, "settings", replace(limits.settings, **values))

    return change


@pytest.fixture
def sending_times(cloud: LocalCloud) -> Iterator[dict[str, list[float]]]:
    """When messages were taken by SES and SNS, by tenant and channel, in virtual time."""
    times: dict[str, list[float]] = {}

    def note(sent: mailbox.Sent) -> None:
        times.setdefault(f"{sent.tenant_id} {sent.channel}", []).append(time.time())

    mailbox.on_record(note)
    yield times
    mailbox.off_record(note)


def assert_within_rate(times: list[float], per_second: float, burst: int) -> None:
    """In no window were there more than the burst and what the rate brings in its time.

    That is j - i + 1 <= burst + rate * (t_j - t_i) for all i <= j, hence with x = n - rate * t
    no x_j may exceed the least x before it by burst - 1.
    """
    excess = [number - per_second * at for number, at in enumerate(sorted(times))]
    worst = max(now - least for now, least in zip(excess, accumulate(excess, min), strict=True))
    assert worst + 1 <= burst + per_second * SLACK_SECONDS
