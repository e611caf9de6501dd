"""How much of an account's concurrency is kept free, and how much the queues may take."""

from infra import policies
from infra.deploy import concurrency
from tests.doctor.conftest import STAGE, Stage, answering, limits

NOTHING_KEPT = "nothing is kept free for the API: the account runs {} functions at a time"


def set_quota(stage: Stage, executions: int) -> None:
    """From here on the account runs so many functions at a time."""
    answer = answering(limits(executions))
    # Before the answer of a usual account, which is registered already.
    stage.account.session.events.register_first("before-call.lambda.GetAccountSettings", answer)
    stage.client("lambda").meta.events.register_first(
        "before-call.lambda.GetAccountSettings", answer
    )


def delete_reservations(stage: Stage) -> None:
    for function in concurrency.wanted({}):
        stage.client("lambda").delete_function_concurrency(
            FunctionName=policies.lambda_name(function, STAGE)
        )


def test_a_new_account_reserves_nothing_and_the_doctor_says_what_to_ask_for(stage: Stage) -> None:
    set_quota(stage, 10)
    delete_reservations(stage)

    assert concurrency.reserved(stage.account, {}) == {}
    assert NOTHING_KEPT.format(10) in stage.found()
    assert "ask for 250 under Service Quotas" in " ".join(stage.cures())
    assert any("may take 50 of the 10" in what for what in stage.found())


def test_with_just_enough_the_api_and_the_authorizer_get_theirs(stage: Stage) -> None:
    set_quota(stage, 250)
    assert concurrency.reserved(stage.account, {}) == {"api_handler": 100, "authorize": 50}
    set_quota(stage, 249)
    delete_reservations(stage)
    assert concurrency.reserved(stage.account, {}) == {}


def test_settings_change_how_much_is_kept_and_zero_keeps_nothing(stage: Stage) -> None:
    settings = {"RESERVED_API": "200", "RESERVED_AUTHORIZE": "0"}
    assert concurrency.reserved(stage.account, settings) == {"api_handler": 200}


def test_a_reservation_that_somebody_took_away_is_found(stage: Stage) -> None:
    assert stage.found() == []
    delete_reservations(stage)

    assert stage.found() == [
        "the API does not have the concurrency of its own that its settings say"
    ]
