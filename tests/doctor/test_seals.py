"""In which form a stage seals secrets: decided by what the release that runs now can open."""

import json

import pytest

from infra import policies
from infra.deploy import record, seals
from tests.doctor.conftest import STAGE, Stage

NONE: dict[str, str] = {}


def run(stage: Stage, fingerprint: str) -> None:
    """What was deployed last has this fingerprint."""
    record.remember(stage.account, "fingerprint", fingerprint)


def test_over_a_release_that_opens_form_1_only_the_first_deployment_writes_that(
    stage: Stage,
) -> None:
    run(stage, "0" * 64)
    assert seals.must_wait(stage.account, NONE)

    run(stage, seals.marked("1" * 64))
    assert not seals.must_wait(stage.account, NONE)


def test_a_stage_that_went_back_begins_again(stage: Stage) -> None:
    run(stage, seals.marked("1" * 64))
    run(stage, "0" * 64)
    assert seals.must_wait(stage.account, NONE)


def test_a_new_stage_has_nothing_to_go_back_to(stage: Stage) -> None:
    record.forget(stage.account, keys=False)
    assert not seals.must_wait(stage.account, NONE)


@pytest.mark.parametrize("form", ["1", "2"])
def test_the_operators_own_setting_counts(stage: Stage, form: str) -> None:
    run(stage, "0" * 64)
    given = {"SEAL_FORM": form}
    assert not seals.must_wait(stage.account, given)
    assert seals.place(stage.account, given).seal_form == int(form)


def test_the_doctor_wants_the_rights_that_go_with_the_form(stage: Stage) -> None:
    def set_form(form: int, *, rights_of: int) -> None:
        name = policies.lambda_name("api_handler", STAGE)
        client = stage.client("lambda")
        there = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        variables = {**there, "SEAL_FORM": str(form)}
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": variables}
        )
        place = seals.place(stage.account, {"SEAL_FORM": str(rights_of)})
        role = policies.role_name("api_handler", STAGE)
        stage.client("iam").put_role_policy(
            RoleName=role,
            PolicyName=role,
            PolicyDocument=json.dumps(policies.policy("api_handler", place)),
        )

    role = f"role backburner-{STAGE}-api_handler"
    other = [f"{role} has another policy than infra/policies/api_handler.json"]
    set_form(1, rights_of=1)
    assert stage.found() == []
    set_form(2, rights_of=1)
    assert stage.found() == other
    set_form(1, rights_of=2)
    assert stage.found() == other
