"""Importing people over HTTP."""

import msgspec

from chalicelib.kernel.auth.tenancy import MANAGERS, Caller
from chalicelib.kernel.http.routes import Calls, Reply, Request, Routes
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.people.imports import service as imports

routes = Routes()

CSV = "text/csv"
JSON_LINES = ("application/jsonl", "application/x-ndjson", "application/json-lines")
SAMPLES = {CSV: "name,email,phone,role\nAnn Example,ann@example.com,+4915112345678,staff\n"}
MAX_BYTES = 4 * 1024 * 1024


class ImportAccepted(msgspec.Struct, frozen=True, kw_only=True):
    """An import that was stored; the batch shows its progress."""

    batch_id: str


@routes.post(
    "/admin/v1/users/import",
    allow=MANAGERS,
    status=202,
    answers=ImportAccepted,
    media=(CSV, *JSON_LINES),
    samples=SAMPLES,
    max_body_bytes=MAX_BYTES,
    calls=Calls(dynamodb=1, sqs=1),
)
def import_users(caller: Caller, body: bytes, request: Request) -> Reply:
    """Create and invite up to 10,000 users from a CSV file or JSON lines.

    Good rows are imported; the batch names every bad row with its line in the file. Like a single
    user, a row may have `send_email` and `send_sms` (`true` or `false`). Other columns are ignored.
    """
    tx = Transaction(caller.tenant_id)
    sent = request.headers.get("content-type", CSV).partition(";")[0].strip().lower()
    batch = imports.start(tx, caller, body, as_csv=sent == CSV, base_url=request.base_url)
    return Reply(
        ImportAccepted(batch_id=batch.id),
        message="Import accepted; the address in Location shows its progress",
        headers={"Location": f"{request.base_url}/v1/batches/{batch.id}"},
        commit=tx,
    )
