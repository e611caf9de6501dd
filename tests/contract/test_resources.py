"""The template is what the models, the queues and the functions stand on."""

import json
from typing import Any

import pytest
import yaml
from chalice.app import SQSEventConfig

from chalicelib.kernel.jobs import registry
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.records import Keyed
from tests.contract.source import ROOT, import_everything

import_everything()


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as {tag: value}."""


def _short_form(loader: Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        text = str(loader.construct_scalar(node))
        return text.replace("${Stage}", "local") if tag == "Sub" else {tag: text}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    raise TypeError(node)


Loader.add_multi_constructor("!", _short_form)
TEMPLATE = yaml.load((ROOT / "infra" / "template.yaml").read_text(), Loader)


def resources(kind: str) -> list[dict[str, Any]]:
    return [each["Properties"] for each in TEMPLATE["Resources"].values() if each["Type"] == kind]


def tables() -> dict[str, dict[str, Any]]:
    return {each["TableName"]: each for each in resources("AWS::DynamoDB::Table")}


def queues() -> dict[str, dict[str, Any]]:
    return {each["QueueName"]: each for each in resources("AWS::SQS::Queue")}


def models(base: type[Keyed] = Keyed) -> list[type[Keyed]]:
    """Every model of ours that has a table."""
    ours = (child for child in base.__subclasses__() if child.__module__.startswith("chalicelib."))
    below = [model for child in ours for model in models(child)]
    return ([base] if hasattr(base, "Meta") and base is not Keyed else []) + below


def test_there_is_a_model_for_each_table_and_a_table_for_each_model() -> None:
    modelled, in_template = {model.Meta.table_name: model for model in models()}, set(tables())
    no_table = [
        f"{model.__module__}.{model.__name__}: there is no table {name}"
        for name, model in modelled.items()
        if name not in in_template
    ]
    no_model = [f"table {name} has no model" for name in in_template - set(modelled)]

    assert [*no_table, *no_model] == [], "tables are declared in infra/template.yaml"


@pytest.mark.parametrize("model", models(), ids=lambda model: model.__name__)
def test_a_models_keys_and_indexes_are_the_tables(model: type[Keyed]) -> None:
    table, schema = tables()[model.Meta.table_name], model._get_schema()

    assert _keys(table["KeySchema"]) == _keys(schema["key_schema"])
    wanted = {
        index["index_name"]: (_keys(index["key_schema"]), _projection(index["projection"]))
        for index in schema["global_secondary_indexes"]
    }
    assert {
        index["IndexName"]: (_keys(index["KeySchema"]), _projection(index["Projection"]))
        for index in table.get("GlobalSecondaryIndexes", [])
    } == wanted
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    for each in schema["attribute_definitions"]:
        assert types[each["AttributeName"]] == each["AttributeType"]


def _keys(schema: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(each["AttributeName"], each["KeyType"]) for each in schema}


def _projection(projection: dict[str, Any]) -> tuple[str, frozenset[str]]:
    return projection["ProjectionType"], frozenset(projection.get("NonKeyAttributes") or ())


def test_no_two_models_of_a_table_store_one_attribute_in_two_types() -> None:
    seen: dict[tuple[str, str], str] = {}
    for model in models():
        for name, attribute in model.get_attributes().items():
            kind = seen.setdefault((model.Meta.table_name, name), attribute.attr_type)
            assert kind == attribute.attr_type, f"{model.__name__}.{name}"


def test_every_table_deletes_what_has_expired() -> None:
    for table in tables().values():
        assert table["TimeToLiveSpecification"] == {
            "AttributeName": "expires_at",
            "Enabled": True,
        }


def test_the_queues_are_those_of_the_registry_and_of_the_apps_functions() -> None:
    import app

    wanted = {settings.resource(queue) for queue in (*registry.QUEUES, "feedback")}
    worked = {each.queue for each in app.app.event_sources if isinstance(each, SQSEventConfig)}

    assert worked == wanted
    assert {name for name in queues() if not name.endswith("-dead")} == wanted
    assert {name for name in queues() if name.endswith("-dead")} == {f"{n}-dead" for n in wanted}


@pytest.mark.parametrize("queue", registry.QUEUES)
def test_a_queue_keeps_messages_long_enough_and_its_dead_letters_longer(queue: str) -> None:
    source = queues()[settings.resource(queue)]
    dead = queues()[settings.resource(f"{queue}-dead")]

    assert source["MessageRetentionPeriod"] < dead["MessageRetentionPeriod"] == 14 * 86_400
    assert source["RedrivePolicy"]["maxReceiveCount"] == 1000
    assert source["VisibilityTimeout"] == {"Ref": "QueueVisibilitySeconds"}


def test_messages_stay_hidden_for_six_times_the_functions_timeout() -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    visible_after = TEMPLATE["Parameters"]["QueueVisibilitySeconds"]["Default"]

    assert visible_after >= 6 * config["lambda_timeout"]
    assert settings.lease_seconds >= config["lambda_timeout"]
