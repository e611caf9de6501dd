"""Settling a batch while something else happens to it, and the errors that it leaves."""

from typing import Any

import pytest

from infra.local import faults
from infra.local.cloud import LocalCloud
from tests.functional import aws
from tests.functional.batches import members
from tests.functional.batches.batch import FOLLOWING, figures, followers, start
from tests.functional.client import Caller
from tests.functional.http.store_calls import hooked


@pytest.fixture(autouse=True)
def _forget() -> None:
    members.forget()


def test_a_batch_that_is_cancelled_while_its_last_member_settles_it_ends(
    cloud: LocalCloud, manager: Caller
) -> None:
    from chalicelib.kernel.jobs import batches

    batch_id = start("good", **FOLLOWING)
    left = [batch_id]

    def cancel(**_: Any) -> None:
        while left:
            assert batches.cancel("t1", left.pop())

    with hooked("after-call.dynamodb.Query", cancel):
        cloud.run_until_idle()

    assert figures(manager, batch_id) == ("cancelled", 1, 1, 0, 100)
    row = aws.rows("kernel")[f"batch#{batch_id}"]
    assert {"finished_at", "expires_at"} <= row.keys()
    assert followers() == {}


def test_rows_of_errors_that_have_a_time_of_expiry_cost_no_call_the_next_time(
    cloud: LocalCloud,
) -> None:
    from chalicelib.kernel.jobs import batch_errors
    from chalicelib.kernel.jobs.ledger import Job
    from chalicelib.kernel.jobs.registry import Context

    batch_id = start(*["refused"] * 3)
    cloud.run_until_idle()
    faults.clear()
    batch_errors.expire("t1", batch_id, 1, Context("t1", Job()))

    assert faults.counts().keys() == {"dynamodb.Query"}
