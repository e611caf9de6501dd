"""Messages to people."""

from dataclasses import asdict
from typing import Any

from chalicelib.kernel.jobs.registry import Context
from chalicelib.kernel.notify.notices import notice
from chalicelib.people import invitations


@notice(channels=("email", "sms"), guarantee="at_least_once")
def invitation(context: Context, *, person_id: str, version: int, base_url: str) -> dict[str, Any]:
    """The link by which an invited person joins. A second copy is a nuisance, a lost one worse."""
    return asdict(invitations.to_send(context.tenant_id, person_id, version, base_url))
