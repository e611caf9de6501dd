"""Messages to people."""

from typing import Any

import msgspec

from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify.notices import notice
from chalicelib.people import changes
from chalicelib.people.invitations import service as invitations


@notice(channels=("email", "sms"), guarantee="confirm_then_resend")
def invitation(context: Context, *, person_id: str, version: int, base_url: str) -> dict[str, Any]:
    """The link by which an invited person joins. To lose it is worse than to get it twice."""
    values = invitations.to_send(context.tenant_id, person_id, version, base_url)
    return msgspec.structs.asdict(values)


@notice(channels=("email",), guarantee="confirm_then_resend")
def reactivated(context: Context, *, person_id: str) -> dict[str, Any]:
    """Tells a user who was deactivated that they may sign in again."""
    return changes.greeting(context.tenant_id, person_id)
