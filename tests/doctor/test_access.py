"""The doctor says who may enter a stage without being a user, and a deployment keeps what it is."""

import pytest

from infra.deploy.account import Account
from infra.deploy.required_settings import unknown_subjects
from tests.doctor.conftest import SETTINGS, STAGE, Stage


def meet(stage: Stage, subject: str, *, names_somebody: bool) -> None:
    values = {
        "tenant": {"S": "#unknown"},
        "sk": {"S": f"t1#{subject}"},
        "names_somebody": {"BOOL": names_somebody},
    }
    stage.client("dynamodb").put_item(TableName=f"backburner-{STAGE}-people", Item=values)


def test_logins_that_would_be_refused_are_listed(stage: Stage) -> None:
    stage.set_environment("authorize", UNKNOWN_SUBJECTS="report")
    meet(stage, "ann", names_somebody=True)
    meet(stage, "bob", names_somebody=False)

    let_in, listed = stage.found()
    assert "UNKNOWN_SUBJECTS is report" in let_in
    assert listed == "these logins would be refused, by tenant and subject: t1#ann, t1#bob"


def test_tokens_that_name_nobody_are_said(stage: Stage) -> None:
    meet(stage, "bob", names_somebody=False)

    refused, nameless = stage.found()
    assert refused == "these logins are refused, by tenant and subject: t1#bob"
    assert "neither a verified e-mail address nor the claim USER_CLAIM" in nameless
    assert stage.broken() == []


def test_a_word_that_is_none_is_broken(stage: Stage) -> None:
    stage.set_environment("authorize", UNKNOWN_SUBJECTS="permit")

    (found,) = stage.broken()
    assert "UNKNOWN_SUBJECTS is 'permit'" in found


def test_a_new_stage_refuses_and_one_that_is_there_reports_until_it_is_decided(
    stage: Stage, account: Account
) -> None:
    assert unknown_subjects(account, {}) == {"UNKNOWN_SUBJECTS": "refuse"}
    assert unknown_subjects(stage.account, {}) == {"UNKNOWN_SUBJECTS": "refuse"}

    variables = {name: value for name, value in SETTINGS.items() if name != "UNKNOWN_SUBJECTS"}
    stage.client("lambda").update_function_configuration(
        FunctionName=f"backburner-{STAGE}-authorize", Environment={"Variables": variables}
    )
    assert unknown_subjects(stage.account, {}) == {"UNKNOWN_SUBJECTS": "report"}


@pytest.mark.parametrize("decided", ["refuse", "report", "allow"])
def test_what_the_stage_s_settings_say_counts(stage: Stage, decided: str) -> None:
    assert unknown_subjects(stage.account, {"UNKNOWN_SUBJECTS": decided}) == {}
