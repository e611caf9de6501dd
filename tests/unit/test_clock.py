"""Times and ids sort by time."""

from datetime import UTC, datetime, timedelta, timezone

import time_machine

from chalicelib.kernel import clock


def test_ids_of_later_milliseconds_sort_after_earlier_ones() -> None:
    made = []
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as traveller:
        for _ in range(2000):
            made.append(clock.new_id())
            traveller.shift(timedelta(milliseconds=1))

    assert made == sorted(made)


def test_ids_of_far_apart_times_sort_too() -> None:
    moments = [datetime(year, 12, 31, tzinfo=UTC) for year in (1971, 2000, 2026, 2500, 9000)]
    made = []
    for moment in moments:
        with time_machine.travel(moment, tick=False):
            made.append(clock.new_id())

    assert made == sorted(made)


def test_ids_never_repeat_and_are_26_plain_characters() -> None:
    made = {clock.new_id() for _ in range(10_000)}

    assert len(made) == 10_000
    assert {len(each) for each in made} == {26}
    assert set("".join(made)) <= set("0123456789abcdefghjkmnpqrstvwxyz")


def test_times_are_told_in_utc_with_milliseconds() -> None:
    in_berlin = timezone(timedelta(hours=1))

    assert clock.iso(datetime(2026, 11, 22, 11, 15, 30, 123_987, in_berlin)) == (
        "2026-11-22T10:15:30.123Z"
    )
    assert clock.iso_seconds(0) == "1970-01-01T00:00:00.000Z"
    assert clock.now().utcoffset() == timedelta(0)
