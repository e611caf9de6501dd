"""Importing people: the file is stored in one transaction, and imported in the background.

The good rows are stored in compressed chunks with a job for each chunk. The request is answered
when chunks, jobs and batch are saved. A job creates its users in groups, each in one transaction.
The id of a user is derived from the upload and the line, so a job that runs again recognizes the
users that it has created and goes on where it stopped.
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
_GROUP = 20  #: users of one transaction: up to four records each, and at most 100 in all
_KEEP_SECONDS = 7 * 86_400


def start(tx: Transaction, by: Caller, body: bytes, *, as_csv: bool, base_url: str) -> Joining:
    """Adds an import to `tx`: its chunks, its jobs and the batch that counts its rows.

    Raises BadRequest or Invalid for a file that cannot be read. The batch names the bad rows.
    """
    parsed = rows.parse(body, as_csv=as_csv, by=by.role)
    failed = tuple(ErrorView(row.detail, line=row.line) for row in parsed.bad)
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
        self.is_ours = False

    def on_conflict(self, raw_item: dict[str, dict[str, str]]) -> None:
        self.is_ours = raw_item.get("person_id", {}).get("S") == self.person_id


def create_chunk(
    tenant_id: str, upload_id: str, chunk: int, *, created_by: str, base_url: str
) -> list[LineError]:
    """Creates and invites the users of one chunk; returns the rows whose address was taken.

    Safe to repeat and to interrupt: users that this upload created before count as created.
    """
    upload = models.get_upload(tenant_id, upload_id, chunk)
    if upload is None:
        raise Conflict("The uploaded rows have expired; upload the file again")
    rows_to_create = msgspec.json.decode(zlib.decompress(upload.rows), type=list[Row])
    taken: list[LineError] = []
    for at in range(0, len(rows_to_create), _GROUP):
        group = rows_to_create[at : at + _GROUP]
        taken += _create_group(tenant_id, upload_id, group, created_by, base_url)
    return taken


def _create_group(
    tenant_id: str, upload_id: str, group: list[Row], created_by: str, base_url: str
) -> list[LineError]:
    """Creates users in one transaction, which is repeated without the rows that it fails on."""
    errors: list[LineError] = []
    while group:
        tx = Transaction(tenant_id)
        for row in group:
            _add(tx, row, _person_id(upload_id, row.line), created_by, base_url)
        try:
            tx.commit()
            break
        except _EmailTaken:
            refused = [error for error in tx.failed if isinstance(error, _EmailTaken)]
            foreign = [error.row for error in refused if not error.is_ours]
            errors += [LineError(row.line, "email exists already") for row in foreign]
            lines = {error.row.line for error in refused}
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
    """The id of a row's user: always the same one, and ordered by the time of the upload."""
    digest = hashlib.sha256(f"{upload_id}#{line}".encode()).digest()
    return upload_id[:10] + clock.encode_id(int.from_bytes(digest[:10]), 16)
