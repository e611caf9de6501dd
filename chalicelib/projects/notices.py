"""Messages about projects to the people who created them."""

from typing import Any

from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify.notices import notice
from chalicelib.projects import notice_values


@notice(channels=("email",), requested_by_recipient=True)
def active(context: Context, *, project_id: str, run: int) -> dict[str, Any]:
    """The project is ready. Two such mails do less harm than none."""
    return notice_values.of_success(context.tenant_id, project_id, run)


@notice(channels=("email",), requested_by_recipient=True)
def failed(context: Context, *, project_id: str, run: int) -> dict[str, Any]:
    """The run failed, and why. Two such mails do less harm than none."""
    return notice_values.of_failure(context.tenant_id, project_id, run)
