"""Background work on people."""

from chalicelib.kernel.jobs.registry import Context, Result, job
from chalicelib.people.imports import service as imports


# Ten tries: it runs once for each time that there is room, and a crash of any run costs a try.
@job(queue="bulk", tries=10, timeout_seconds=50, when_ended=imports.end_chunk)
def import_rows(
    context: Context, *, upload_id: str, chunk: int, created_by: str, base_url: str
) -> Result:
    """Create the users of one chunk of an upload. Safe to repeat: an address has only one user."""
    taken = imports.create_chunk(
        context, upload_id, chunk, created_by=created_by, base_url=base_url
    )
    return Result(failed_units=len(taken), errors=tuple(taken))
