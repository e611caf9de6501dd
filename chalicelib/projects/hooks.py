"""What others ask of projects: declared when the app is loaded, answered by what that imports."""

from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.sockets import topics
from chalicelib.kernel.tenants import service as tenants
from chalicelib.people import directory
from chalicelib.projects import rules

tenants.providers.update(rules.PROVIDERS)


@topics.topic("project")
def may_follow(caller: Caller, project_id: str) -> bool:
    """Whoever may see a project may follow how far it is. Raises NotFound for the others."""
    from chalicelib.projects import membership

    membership.find(caller, project_id)
    return True


@directory.when_changed
def follow_person(tx: Transaction, person_id: str) -> None:
    """Whoever changes or leaves the tenant does so in their projects too: in the background."""
    tx.enqueue("projects.follow_person", person_id=person_id)
