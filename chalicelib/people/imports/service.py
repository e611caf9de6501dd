"""Importing people: the file is stored in one transaction, and imported in the background.

The good rows are stored in compressed chunks with a job for each chunk. The request is answered
when chunks, jobs and batch are saved. The jobs take turns (`kernel/jobs/windows.py`), so that an
import never fills its queue. A job creates its users in groups, each in one transaction, which also
notes how far it has come, and waits while too many invitations are still to be sent. When it runs
again it goes on there.
"""

import hashlib
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from chalicelib.kernel import clock
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import AppError, Conflict
from chalicelib.kernel.jobs import batches, windows
from chalicelib.kernel.jobs.batches import Joining
from chalicelib.kernel.jobs.ledger import Job
from chalicelib.kernel.jobs.outbox import Delivery, Transaction
from chalicelib.kernel.jobs.registry import Context, ErrorView, LineError
from chalicelib.kernel.jobs.windows import Turn
from chalicelib.people import models, rules, service
from chalicelib.people.imports import rows
from chalicelib.people.imports.rows import Row
from chalicelib.people.invitations import service as invitations
from chalicelib.people.service import NewPerson

LEAST_IN_CHUNK = 25
_GROUP = 20  #: users of one transaction: up to four records each, the window, at most 100 in all
_MOST_CHUNK_BYTES = 350_000  #: compressed; an item in DynamoDB may have 400 KB


def start(tx: Transaction, by: Caller, body: bytes, *, as_csv: bool, base_url: str) -> Joining:
    """Adds an import to `tx`: its chunks, its jobs and the batch that counts its rows.

    Raises BadRequest or Invalid for a file that cannot be read. The batch names the bad rows.
    """
    parsed = rows.parse(body, as_csv=as_csv, by=by.role)
    failed = tuple(ErrorView(row.detail, line=row.line) for row in parsed.bad)
    batch = batches.create(tx, failed=failed)
    jobs = []
    for number, (size, packed) in enumerate(_chunks(parsed.good)):
        tx.create(models.upload(tx.tenant_id, batch.id, number, packed))
        job = tx.enqueue(
            "people.import_rows",
            Delivery(batch=batch, units=size, not_before=windows.comes_at(number)),
            upload_id=batch.id,
            chunk=number,
            created_by=by.subject,
            base_url=base_url,
        )
        jobs.append(job)
    if jobs:
        windows.create(tx, batch.id, jobs)
    else:
        batch.end()
    return batch


def _chunks(good: list[Row]) -> Iterator[tuple[int, bytes]]:
    """The rows in compressed chunks: how many there are in it, and the chunk."""
    size = max(LEAST_IN_CHUNK, -(-len(good) // windows.MOST_PARTS))
    for at in range(0, len(good), size):
        yield from _packed(good[at : at + size])


def _packed(chunk: list[Row]) -> Iterator[tuple[int, bytes]]:
    """The chunk, halved until each part fits into an item."""
    packed = zlib.compress(msgspec.json.encode(chunk))
    if len(packed) <= _MOST_CHUNK_BYTES or len(chunk) == 1:
        yield len(chunk), packed
        return
    half = len(chunk) // 2
    yield from _packed(chunk[:half])
    yield from _packed(chunk[half:])


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
    context: Context, upload_id: str, chunk: int, *, created_by: str, base_url: str
) -> list[LineError]:
    """Creates and invites the users of one chunk; returns the rows whose address was taken.

    Raises Retry when it has to wait, for its turn or for room in its queue. Safe to repeat and to
    interrupt: a run goes on where the one before it stopped, and of two at once one gives way.
    """
    turn = windows.enter(context.job)
    upload = models.get_upload(context.tenant_id, upload_id, chunk)
    if upload is None:
        raise Conflict("The uploaded rows have expired; upload the file again")
    chunk_rows = msgspec.json.decode(zlib.decompress(upload.rows), type=list[Row])
    while turn.done < len(chunk_rows):
        group = chunk_rows[turn.done : turn.done + _GROUP]
        turn = windows.make_room(turn, sum(map(_messages, group)), context)
        turn = _create_group(turn, upload_id, group, created_by, base_url)
    return [LineError(line, "email exists already") for line in turn.refused]


def end_chunk(job: Job) -> None:
    """Deletes the rows of a chunk whose job has ended, and gives the next chunk its turn."""
    named = job.arguments
    models.upload(str(job.tenant), named["upload_id"], named["chunk"]).delete()
    windows.pass_on(job)


def _messages(row: Row) -> int:
    return row.send_email + (row.send_sms and row.phone is not None)


def _create_group(
    turn: Turn, upload_id: str, group: list[Row], created_by: str, base_url: str
) -> Turn:
    """Creates users in one transaction, which is repeated without the rows that it fails on."""
    left, foreign = list(group), list[int]()
    while True:
        tx, jobs = Transaction(str(turn.job.tenant)), list[Job]()
        for row in left:
            jobs += _add(tx, row, _person_id(upload_id, row.line), created_by, base_url)
        after = windows.advance(turn, tx, len(group), jobs, foreign)
        try:
            tx.commit()
        except _EmailTaken:
            refused = [error for error in tx.failed if isinstance(error, _EmailTaken)]
            foreign += [error.row.line for error in refused if not error.is_ours]
            lines = {error.row.line for error in refused}
            left = [row for row in left if row.line not in lines]
        else:
            return after


def _add(
    tx: Transaction, row: Row, person_id: str, created_by: str, base_url: str
) -> Iterable[Job]:
    """Adds a user with their invitation to `tx`; the jobs that send it."""
    role: Role = row.role
    new = NewPerson(row.name, row.email, role, row.phone)
    person = service.new_person(tx.tenant_id, person_id, new, created_by=created_by)
    taken = _EmailTaken(row, person_id)
    tx.create(models.email_guard(tx.tenant_id, rules.email_key(row.email), person_id), taken)
    tx.create(person)
    return invitations.queue(
        tx, person, email=row.send_email, sms=row.send_sms, base_url=base_url, queue="bulk"
    ).values()


def _person_id(upload_id: str, line: int) -> str:
    """The id of a row's user: always the same one, and ordered by the time of the upload."""
    digest = hashlib.sha256(f"{upload_id}#{line}".encode()).digest()
    return upload_id[:10] + clock.encode_id(int.from_bytes(digest[:10]), 16)
