"""All rows of the local cloud as they were at a moment, to be put back in no time.

A world that takes a second to grow through the API is grown once and put back for each test.
"""

from dataclasses import dataclass
from typing import Any

from infra.local.cloud import LocalCloud
from tests.functional import aws

PREFIX = "backburner-local-"


@dataclass(frozen=True)
class Snapshot:
    """Of a cloud that is idle: what is on its way is not in it."""

    rows: dict[str, list[dict[str, Any]]]  #: by table

    @classmethod
    def taken(cls) -> "Snapshot":
        names = aws.client("dynamodb").list_tables()["TableNames"]
        return cls({name.removeprefix(PREFIX): _rows(name) for name in names})

    def put_back(self, cloud: LocalCloud) -> None:
        """Nothing else is there then; nothing has been sent."""
        cloud.reset()
        self.put_into_an_empty_cloud()

    def put_into_an_empty_cloud(self) -> None:
        for table, rows in self.rows.items():
            aws.put_rows(table, rows)


def _rows(name: str) -> list[dict[str, Any]]:
    pages = aws.client("dynamodb").get_paginator("scan")
    found = pages.paginate(TableName=name)
    return [row for page in found for row in page["Items"]]
