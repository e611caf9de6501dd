"""Cuts the model of a service down to the operations that a policy allows.

The model of Systems Manager describes 150 operations, and reading it takes more than the call for
the signing keys. An operation that no function's policy allows would be refused by AWS anyway.
Other services keep their whole model: with so few operations in each, a cut saves nothing.
"""

from collections.abc import Iterator
from typing import Any

from infra import policies

CUT = frozenset({"ssm"})


def allowed_operations(service: str) -> frozenset[str]:
    """The operations of a service that the policies name, where the two have the same name."""
    return frozenset(
        name
        for function in policies.functions()
        for statement in policies.policy(function, policies.Place("any"))["Statement"]
        for prefix, _, name in (action.partition(":") for action in statement["Action"])
        if prefix == service
    )


def cut(model: dict[str, Any], operations: frozenset[str]) -> dict[str, Any]:
    """The model with these operations and the shapes that they lead to.

    Raises KeyError for an operation that it does not have.
    """
    kept = {name: model["operations"][name] for name in sorted(operations)}
    shapes: dict[str, Any] = {}
    waiting = list(_shapes_named_in(kept))
    while waiting:
        name = waiting.pop()
        if name not in shapes:
            shapes[name] = model["shapes"][name]
            waiting += _shapes_named_in(shapes[name])
    return {**model, "operations": kept, "shapes": dict(sorted(shapes.items()))}


def _shapes_named_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("shape"), str):
            yield value["shape"]
        for inner in value.values():
            yield from _shapes_named_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _shapes_named_in(inner)
