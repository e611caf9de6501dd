"""Tenants from the command line: the first one is made here, since the API needs one to be used."""

import argparse
from typing import Any

import msgspec

from chalicelib.kernel.auth.tenancy import TenantRecord
from chalicelib.kernel.http.validation import convert_query
from chalicelib.kernel.store.paging import PageQuery
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.kernel.tenants import service
from chalicelib.kernel.tenants.api import NewTenant


def add_commands(what: Any) -> None:
    """Adds `tenant create|list|show|suspend|resume`."""
    tenant = what.add_parser("tenant", help="create, list, show, suspend, resume tenants")
    actions = tenant.add_subparsers(required=True, metavar="ACTION")
    create_parser = actions.add_parser("create", help="make a tenant")
    create_parser.add_argument(
        "--id", help="lower-case letters, digits, hyphens; made up if left out"
    )
    create_parser.add_argument("--name", required=True)
    create_parser.add_argument("--sender", default="", help="name shown as sender of its mails")
    create_parser.set_defaults(command=create)
    actions.add_parser("list", help="all tenants").set_defaults(command=list_all)
    for word, told, command in (
        ("show", "one tenant", show),
        ("suspend", "refuse its requests, within a minute", suspend),
        ("resume", "accept its requests again", resume),
    ):
        parser = actions.add_parser(word, help=told)
        parser.add_argument("id")
        parser.set_defaults(command=command)


def create(given: argparse.Namespace) -> str:
    """Makes a tenant; the same rules as the API's."""
    sent = {"name": given.name} | ({"id": given.id} if given.id else {})
    new = convert_query(sent, NewTenant)
    tx = WriteSet()
    row = service.create(tx, new.id, new.name, {"sender": given.sender})
    tx.commit()
    return f"Created.\n{_line(row)}"


def list_all(_: argparse.Namespace) -> str:
    lines: list[str] = []
    cursor: str | None = None
    while True:
        page = service.list_all(PageQuery(per_page=100, cursor=cursor))
        lines += [_line(row) for row in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return "\n".join(lines) or "There are no tenants yet."


def show(given: argparse.Namespace) -> str:
    return _line(service.get(given.id))


def suspend(given: argparse.Namespace) -> str:
    return _set_status(given.id, "suspended")


def resume(given: argparse.Namespace) -> str:
    return _set_status(given.id, "active")


def _set_status(tenant_id: str, status: str) -> str:
    tx = WriteSet()
    row = service.change(tx, tenant_id, {"status": status}, None)
    tx.commit()
    return _line(row)


def _line(row: TenantRecord) -> str:
    shown = {"id": row.sk, "name": row.name, "status": row.status, "sender": row.sender}
    return msgspec.json.encode(shown).decode()
