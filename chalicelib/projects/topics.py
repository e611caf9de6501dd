"""Who may follow what happens to projects, over WebSockets."""

from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.sockets.topics import topic
from chalicelib.projects import membership


@topic("project", among=membership.find_members)
def may_follow(caller: Caller, project_id: str) -> bool:
    """True for whoever may see the project. Raises NotFound for everyone else."""
    membership.find(caller, project_id)
    return True
