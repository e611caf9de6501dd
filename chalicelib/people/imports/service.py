"""Importing people: the file is stored first, in one transaction, then worked in the background.

The good rows are kept in compressed chunks, one job for each; the request answers when chunks,
jobs and batch are saved. A job creates its users some at a time, each group in a transaction. A
user's id follows from the upload and the line, so a job that is run again sees which users are
its own and goes on where it stopped.
"""

import hashlib
import zlib
from collections.abc import Iterator

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import AppError, Conflict
from chalicelib.kernel.jobs import batches
from chalicelib.kernel.jobs.batches import Joining
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import ErrorView, LineError
from chalicelib.people import models, rules, service
from chalicelib.people.imports import rows
from chalicelib.people.imports.rows import Row
from chalicelib.people.invitations import service as invitations
from chalicelib.people.service import NewPerson

MOST_CHUNKS = 40  #: a chunk, its job, the batch and its errors fit into one transaction of 100
LEAST_IN_CHUNK = 25
_GROUP = 20  #: users created in one transaction: up to four records each, of at most 100
_KEEP_SECONDS = 7 * 86_400


def start(tx: Transaction, by: Caller, body: bytes, *, as_csv: bool, base_url: str) -> Joining:
    """Adds an import to `tx`: its chunks, its jobs and the batch that counts its rows.

    Raises BadRequest or Invalid for a file that cannot be read; bad rows are told by the batch.
    """
    parsed = rows.parse(body, as_csv=as_csv, by=by.role)
    failed = tuple(ErrorView(bad.detail, line=bad.line) for bad in parsed.bad)
    batch = batches.create(tx, failed=failed)
    for number, chunk in enumerate(_chunks(parsed.good)):
        packed = zlib.compress(msgspec.json.encode(chunk))
        expires = clock.epoch_seconds() + _KEEP_SECONDS
        tx.create(models.upload(tx.tenant_id, batch.id, number, packed, expires))
        tx.enqueue(
            "people.import_rows",
            Delivery(batch=batch, units=len(chunk)),
            upload_id=batch.id,
            chunk=number,
            created_by=by.subject,
            base_url=base_url,
        )
    if not parsed.good:
        batch.end()
    return batch


def _chunks(good: list[Row]) -> Iterator[list[Row]]:
    size = max(LEAST_IN_CHUNK, -(-len(good) // MOST_CHUNKS))
    for at in range(0, len(good), size):
        yield good[at : at + size]


class _EmailTaken(AppError):
    """A user with this e-mail address already exists"""

    STATUS = 409
    RETURNS_EXISTING = True

    def __init__(self, row: Row, person_id: str) -> None:
        super().__init__()
        self.row = row
        self.person_id = person_id
        self.ours = False

    def on_conflict(self, raw_item: dict[str, dict[str, str]]) -> None:
        self.ours = raw_item.get("person_id", {}).get("S") == self.person_id


def create_chunk(
    tenant_id: str, upload_id: str, chunk: int, *, created_by: str, base_url: str
) -> list[LineError]:
    """Creates and invites the users of one chunk; returns the rows whose address was taken.

    Safe to repeat and to break off: users that exist already by this upload count as created.
    """
    upload = models.get_upload(tenant_id, upload_id, chunk)
    if upload is None:
        raise Conflict("The uploaded rows are gone; upload the file again")
    todo = msgspec.json.decode(zlib.decompress(upload.rows), type=list[Row])
    taken: list[LineError] = []
    for at in range(0, len(todo), _GROUP):
        group = todo[at : at + _GROUP]
        taken += _create_group(tenant_id, upload_id, group, created_by, base_url)
    return taken


def _create_group(
    tenant_id: str, upload_id: str, group: list[Row], created_by: str, base_url: str
) -> list[LineError]:
    """Creates the users of one transaction; those it fails on are taken out, and it is repeated."""
    errors: list[LineError] = []
    while group:
        tx = Transaction(tenant_id)
        for row in group:
            _add(tx, row, _person_id(upload_id, row.line), created_by, base_url)
        try:
            tx.commit()
            break
        except _EmailTaken:
            refused = [each for each in tx.failed if isinstance(each, _EmailTaken)]
            errors += [LineError(e.row.line, "email exists already") for e in refused if not e.ours]
            lines = {each.row.line for each in refused}
            group = [row for row in group if row.line not in lines]
    return errors


def _add(tx: Transaction, row: Row, person_id: str, created_by: str, base_url: str) -> None:
    role: Role = row.role
    new = NewPerson(row.name, row.email, role, row.phone)
    person = service.new_person(tx.tenant_id, person_id, new, created_by=created_by)
    taken = _EmailTaken(row, person_id)
    tx.create(models.email_guard(tx.tenant_id, rules.email_key(row.email), person_id), taken)
    tx.create(person)
    invitations.queue(
        tx, person, email=row.send_email, sms=row.send_sms, base_url=base_url, queue="bulk"
    )


def _person_id(upload_id: str, line: int) -> str:
    """An id in the order of the upload's time, the same however often the row is worked."""
    digest = hashlib.sha256(f"{upload_id}#{line}".encode()).digest()
    return upload_id[:10] + clock.encode_id(int.from_bytes(digest[:10]), 16)
