"""The history of one job: each attempt that failed or had to wait, and how the last one ended."""

from typing import Any

import pytest

from infra.local.cloud import LocalCloud
from tests.functional import sample_jobs
from tests.functional.client import Caller


@pytest.fixture(autouse=True)
def _forget() -> None:
    sample_jobs.forget()


def worked(cloud: LocalCloud, manager: Caller, name: str, **args: Any) -> dict[str, Any]:
    """A job once all its tries are over."""
    (job_id,) = sample_jobs.enqueue((name, {"label": name, **args}))
    for _ in range(4):
        cloud.run_until_idle()
        cloud.advance(400)
    return manager.job(job_id)


@pytest.mark.parametrize(
    ("name", "args", "history"),
    [
        ("count", {}, [(1, "done")]),
        ("fail", {"times": 1}, [(1, "error"), (2, "done")]),
        ("hold", {"times": 1, "seconds": 60}, [(1, "held"), (1, "done")]),
        ("skip", {}, [(1, "skipped")]),
        ("refuse", {}, [(1, "failed")]),
        ("fail", {"times": 9}, [(1, "error"), (2, "error"), (3, "failed")]),
        ("crash", {"times": 1}, [(2, "lost"), (2, "done")]),
    ],
    ids=str,
)
def test_every_attempt_is_told_and_the_end_once(
    cloud: LocalCloud,
    manager: Caller,
    name: str,
    args: dict[str, Any],
    history: list[tuple[int, str]],
) -> None:
    job = worked(cloud, manager, name, **args)

    assert [(entry["attempt"], entry["outcome"]) for entry in job["history"]] == history
    moments = [entry["at"] for entry in job["history"]]
    assert moments == sorted(moments)


def test_the_end_says_why_unless_all_is_well(cloud: LocalCloud, manager: Caller) -> None:
    skipped, done = worked(cloud, manager, "skip"), worked(cloud, manager, "fail", times=1)

    (entry,) = skipped["history"]
    assert (entry["at"], entry["detail"]) == (skipped["finished_at"], "not-wanted")
    assert ["on purpose" in entry["detail"] for entry in done["history"]] == [True, False]


def test_a_job_that_has_not_ended_or_was_cancelled_while_it_waited_has_no_attempt_to_tell(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import completion

    (job_id,) = sample_jobs.enqueue(("count", {"label": "x"}))
    assert manager.job(job_id)["history"] == []
    assert completion.cancel("t1", job_id)
    cloud.run_until_idle()
    assert (manager.job(job_id)["status"], manager.job(job_id)["history"]) == ("cancelled", [])
