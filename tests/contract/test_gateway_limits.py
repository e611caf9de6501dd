"""What API Gateway refuses when it is deployed: too many resources, parameters at one place."""

from collections import defaultdict
from collections.abc import Iterable

import pytest

from chalicelib import manifest

#: Of 300, https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html
MOST_RESOURCES = 280


def paths() -> list[str]:
    return [path for _, routes in manifest.ROUTES for _, path, _, _ in routes]


def resources(paths: Iterable[str]) -> set[str]:
    """Every part of a path is a resource, the root too."""
    found = {"/"}
    for path in paths:
        parts = path.strip("/").split("/")
        found |= {"/" + "/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return found


def rivals(paths: Iterable[str]) -> list[list[str]]:
    """Resources that differ only in the name of a parameter in their last part."""
    siblings: dict[str, set[str]] = defaultdict(set)
    for resource in resources(paths):
        parent, _, name = resource.rpartition("/")
        if name.startswith("{"):
            siblings[parent].add(resource)
    return [sorted(found) for found in siblings.values() if len(found) > 1]


def test_there_is_room_for_more_resources() -> None:
    found = resources(paths())

    assert 30 < len(found) <= MOST_RESOURCES, "split the API before API Gateway refuses it"


def test_no_two_parameters_stand_at_one_place() -> None:
    assert rivals(paths()) == [], "API Gateway refuses the second name: use one"


def test_resources_are_counted_as_api_gateway_counts_them() -> None:
    assert resources(["/a/{id}/b", "/a/{id}", "/c/"]) == {"/", "/a", "/a/{id}", "/a/{id}/b", "/c"}


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["/users/{id}", "/users/{user_id}/x"], [["/users/{id}", "/users/{user_id}"]]),
        (["/users/{id}", "/jobs/{job_id}", "/users/me", "/users/{id}/{part}"], []),
    ],
)
def test_two_parameters_at_one_place_are_found(paths: list[str], found: list[list[str]]) -> None:
    assert rivals(paths) == found
