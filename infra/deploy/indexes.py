"""The order in which tables that hold data gain and lose their indexes: one in every update.

DynamoDB creates or deletes one index of a table at a time, and CloudFormation fails an update of
the stack that changes two indexes of one table. AWS also advises to change nothing else in such an
update, since an index that is under way may outlive its failure. So everything else of a template
is applied first, and then its indexes in updates that each change one index of a table.
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

Indexes are added before any is deleted, since the functions of the release before still run.
"""

import copy
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any, Literal, TypeAlias

import msgspec

from infra.deploy.account import DeployError
from infra.deploy.template import Resource, Template, tables

Indexes: TypeAlias = dict[str, dict[str, Any]]  #: an index's name to its definition
_GSI = "GlobalSecondaryIndexes"


class Change(msgspec.Struct, frozen=True):
    """One index of one table, on its way in or out."""

    kind: Literal["adds", "deletes"]
    table: str  #: its name in the template
    index: str


class Step(msgspec.Struct, frozen=True):
    """One update of the stack."""

    template: Template
    changes: tuple[Change, ...]  #: at most one of each table


def steps(deployed: Template, wanted: Template) -> list[Step]:
    """The updates that lead from the one template to the other; the last applies `wanted` itself.

    Raises DeployError for an index that changes under its name, which AWS cannot do.
    """
    before = tables(deployed)
    kept = {name: table for name, table in tables(wanted).items() if name in before}
    rounds = zip_longest(*(_changes(name, before[name], table) for name, table in kept.items()))
    there = {name: indexes(before[name]) for name in kept}
    done = [Step(_with_indexes(wanted, there, before), ())]
    for changes in (tuple(filter(None, each)) for each in rounds):
        for change in changes:
            _apply(change, there[change.table], indexes(kept[change.table]))
        done.append(Step(_with_indexes(wanted, there, before), changes))
    return done[1:] if done[0].template == deployed else done


def indexes(table: Resource) -> Indexes:
    """The global secondary indexes that a template gives to a table."""
    return {each["IndexName"]: each for each in table["Properties"].get(_GSI, [])}


def as_live(table: Resource, live: Mapping[str, Any]) -> Resource:
    """A table of the template with those indexes that DynamoDB describes, and no other."""
    described = indexes(table)
    names = ("IndexName", "KeySchema", "Projection")
    found = {
        index["IndexName"]: {name: index[name] for name in names} for index in live.get(_GSI, [])
    }
    present = {name: described.get(name, definition) for name, definition in found.items()}
    return _with(table, present, live["AttributeDefinitions"])


def _changes(name: str, before: Resource, after: Resource) -> list[Change]:
    old, new = indexes(before), indexes(after)
    both = old.keys() & new.keys()
    if changed := sorted(each for each in both if _shape(old[each]) != _shape(new[each])):
        raise DeployError(
            f"{name}: the index {changed[0]} differs from the deployed one, and AWS can change "
            "none. Give the new one another name; delete the old one in a later release"
        )
    added = [Change("adds", name, each) for each in new if each not in old]
    return added + [Change("deletes", name, each) for each in old if each not in new]


def _shape(index: Mapping[str, Any]) -> tuple[Any, Any, set[str]]:
    """What of an index is fixed when it is created."""
    projection = index["Projection"]
    others = set(projection.get("NonKeyAttributes", []))
    return index["KeySchema"], projection["ProjectionType"], others


def _apply(change: Change, there: Indexes, wanted: Indexes) -> None:
    if change.kind == "adds":
        there[change.index] = wanted[change.index]
    else:
        del there[change.index]


def _with_indexes(
    wanted: Template, there: Mapping[str, Indexes], before: Mapping[str, Resource]
) -> Template:
    """`wanted`, with the indexes `there` in the tables that are not as far yet."""
    behind = {
        name: _with(table, there[name], before[name]["Properties"]["AttributeDefinitions"])
        for name, table in tables(wanted).items()
        if name in there and there[name].keys() != indexes(table).keys()
    }
    return {**wanted, "Resources": {**wanted["Resources"], **behind}}


def _with(table: Resource, present: Indexes, more: list[dict[str, str]]) -> Resource:
    """The table with these indexes and the attributes that they need; CloudFormation refuses a
    table that defines further ones. `more` are definitions of attributes beside the table's own.
    """
    changed = copy.deepcopy(table)
    properties = changed["Properties"]
    properties[_GSI] = list(present.values())
    if not present:
        del properties[_GSI]
    schemas = [properties["KeySchema"], *(index["KeySchema"] for index in present.values())]
    used = {key["AttributeName"] for schema in schemas for key in schema}
    defined = {each["AttributeName"]: each for each in [*more, *properties["AttributeDefinitions"]]}
    properties["AttributeDefinitions"] = [each for name, each in defined.items() if name in used]
    return changed
