"""Policies by hand: one a function, of this stage only, and no wider than AWS allows to say."""

import json
from dataclasses import replace
from typing import Any

import pytest

from infra import policies
from infra.policies import Place
from tests.contract.source import ROOT

PLACE = Place("dev", "eu-central-1", "123456789012")
#: Actions for which AWS knows no narrower resource, and why each may stand.
ANYTHING = {
    "sns:Publish": "a phone number is no resource; topics are, and there is no narrower pattern",
}
#: Resources that no stage's name is part of, and why each may stand.
NOT_BY_NAME = {
    ":identity/": "an identity of SES is an address or a domain",
    "/@connections/": "an API has a random id, which Chalice makes after the policies",
}
CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
#: Operators that a use of secrets may be named with; form 1 knows none.
LIMITING = ("StringEquals", "StringEqualsIfExists")
DEPLOYED = [stage for stage in CONFIG["stages"] if stage != "local"]


def functions_of_the_app() -> set[str]:
    """As Chalice names them: the API, the authorizer, and every function that is no route."""
    import app

    made = (
        app.app.event_sources,
        app.app.builtin_auth_handlers,
        app.app.pure_lambda_functions,
    )
    sockets = {handler.name for handler in app.app.websocket_handlers.values()}
    return {"api_handler"} | sockets | {each.name for kind in made for each in kind}


def statements() -> list[tuple[str, dict[str, Any]]]:
    return [
        (function, statement)
        for function in policies.functions()
        for statement in policies.policy(function, PLACE)["Statement"]
    ]


def test_every_function_has_a_policy_and_every_policy_a_function() -> None:
    assert set(policies.functions()) == functions_of_the_app()


@pytest.mark.parametrize("stage", DEPLOYED)
def test_every_function_of_a_stage_uses_its_policy(stage: str) -> None:
    assert CONFIG["autogen_policy"] is False
    told = CONFIG["stages"][stage]["lambda_functions"]
    files = {name: each["iam_policy_file"] for name, each in told.items()}
    assert files == {name: f"policies/{stage}/{name}.json" for name in functions_of_the_app()}
    assert CONFIG["stages"][stage]["environment_variables"]["STAGE"] == stage


def test_no_statement_allows_any_action_or_any_resource() -> None:
    for function, statement in statements():
        assert statement["Effect"] == "Allow"
        assert statement["Sid"]
        for action in statement["Action"]:
            assert "*" not in action, f"{function}: {action}"
        if "*" in statement["Resource"]:
            unargued = set(statement["Action"]) - set(ANYTHING)
            assert not unargued, f"{function}: {unargued} on everything"


def test_every_resource_is_of_one_stage() -> None:
    for function, statement in statements():
        for resource in statement["Resource"]:
            if resource == "*" or any(each in resource for each in NOT_BY_NAME):
                continue
            named = resource + json.dumps(statement.get("Condition", {}))
            ours = ("backburner-dev", ":parameter/backburner/dev/")
            assert any(each in named for each in ours), f"{function}: {resource}"
            assert ":eu-central-1:123456789012:" in resource, f"{function}: {resource}"


def test_a_key_is_used_by_the_stages_own_name_alone() -> None:
    wanted = {"kms:ResourceAliases": "alias/backburner-dev-data"}
    of_keys = [
        (function, statement["Condition"])
        for function, statement in statements()
        if any(action.startswith("kms:") for action in statement["Action"])
    ]
    assert "provision" in {function for function, _ in of_keys}
    for function, condition in of_keys:
        assert condition["ForAnyValue:StringEquals"] == wanted, function


def test_a_key_is_used_for_what_is_named_alone() -> None:
    """A function that may open secrets of all tenants opens those of some uses."""
    for function, statement in statements():
        if any(action.startswith("kms:") for action in statement["Action"]):
            limits = [statement["Condition"].get(each, {}) for each in LIMITING]
            assert any("kms:EncryptionContext:use" in each for each in limits), function


def test_the_api_opens_no_secret_but_while_a_stage_seals_in_form_1() -> None:
    def opens(place: Place) -> list[str]:
        api = policies.policy("api_handler", place)["Statement"]
        return [each["Sid"] for each in api if "kms:Decrypt" in each["Action"]]

    assert opens(PLACE) == []
    assert opens(replace(PLACE, seal_form=1)) == ["SecretsOfFormOne"]


def test_names_of_functions_and_roles_are_those_that_chalice_gives() -> None:
    assert policies.lambda_name("api_handler", "dev") == "backburner-dev"
    assert policies.lambda_name("notify", "dev") == "backburner-dev-notify"
    assert policies.role_name("api_handler", "dev") == "backburner-dev-api_handler"


def test_every_function_may_write_its_own_log_and_no_other() -> None:
    for function in policies.functions():
        (log,) = [
            each
            for each in policies.policy(function, PLACE)["Statement"]
            if "logs:PutLogEvents" in each["Action"]
        ]
        name = policies.lambda_name(function, "dev")
        group = f"arn:aws:logs:eu-central-1:123456789012:log-group:/aws/lambda/{name}:*"
        assert log["Resource"] == [group]


def test_every_function_has_its_log_group_in_the_template() -> None:
    template = (ROOT / "infra" / "template.yaml").read_text()
    for function in policies.functions():
        name = policies.lambda_name(function, "${Stage}")
        assert f"LogGroupName: !Sub /aws/lambda/{name}\n" in template, function


def test_services_are_named_where_a_client_is_asked_for() -> None:
    """So that the package step finds them; `kernel/aws/clients.py` itself passes the name on."""
    from infra.package import botocore_data

    files = {
        path.relative_to(ROOT).as_posix(): path.read_bytes()
        for path in (ROOT / "chalicelib").rglob("*.py")
    }
    assert botocore_data.used_services(files) >= {
        *("dynamodb", "sqs", "sesv2", "sns"),
        *("kms", "ssm", "stepfunctions", "apigatewaymanagementapi"),
    }
