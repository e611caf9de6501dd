"""What other domains call in projects. Registered when the app starts; its imports are late."""

from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.sockets import topics
from chalicelib.kernel.tenants import service as tenants
from chalicelib.people import directory
from chalicelib.projects import rules

tenants.providers.update(rules.PROVIDERS)


@topics.topic("project")
def may_follow(caller: Caller, project_id: str) -> bool:
    """True for whoever may see the project. Raises NotFound for everyone else."""
    from chalicelib.projects import membership

    membership.find(caller, project_id)
    return True


@directory.on_change
def sync_profile(tx: Transaction, person_id: str) -> None:
    """Queues the job that brings somebody's parts in projects up to date with their profile."""
    tx.enqueue("projects.follow_person", person_id=person_id)
