"""The tenants t1 and t2 with the same kinds of records, grown once for all tests of a module."""

from dataclasses import dataclass

from infra.local.cloud import LocalCloud
from tests.functional.client import Caller, Client
from tests.functional.projects.rows import participate, project
from tests.functional.projects.snapshot import Snapshot

CSV = "name,email,role\nAnn,new@example.com,staff\n"
BOUNCING = "bounce@simulator.amazonses.com"  #: gets onto the suppression list


@dataclass(frozen=True)
class GrownTenants:
    cloud: LocalCloud
    ids: dict[str, str]  #: t2's records, by the path parameter that they may stand for
    _rows: Snapshot

    def put_back(self) -> None:
        """As they were, whatever a test did to them."""
        self._rows.put_back(self.cloud)


def grow(cloud: LocalCloud) -> GrownTenants:
    cloud.reset()
    client = Client(cloud.url, cloud.issuer.token)
    for tenant in ("t1", "t2"):
        _fill(tenant, client.as_("manager", tenant))
    cloud.run_until_idle()
    return GrownTenants(cloud, ids_of(client.as_("manager", "t2")), Snapshot.taken())


def _fill(tenant: str, manager: Caller) -> None:
    manager.create_user(phone="+4915112345678")
    for bouncing in (BOUNCING, f"bounce+{manager.token[-4:]}@simulator.amazonses.com"):
        manager.create_user(email=bouncing)
    manager.create_user("Bob", email="bob@example.com")
    headers = {"Content-Type": "text/csv"}
    manager.send("POST", "/admin/v1/users/import", headers=headers, data=CSV)
    for _ in range(2):
        made = project(tenant, "active")
    for user in manager.users():
        participate(tenant, made, user["id"])


def ids_of(caller: Caller) -> dict[str, str]:
    """One record of each kind; a new kind of record is added here."""
    batches = [job["batch_id"] for job in caller.jobs() if job["batch_id"]]
    return {
        "user_id": caller.users()[0]["id"],
        "job_id": caller.jobs()[0]["id"],
        "notification_id": caller.notifications()[0]["id"],
        "batch_id": batches[0],
        "tenant_id": "t2",
        "provider": "openstack",  # regions are the platform's
        "name": "nowhere",
        "project_id": caller.listed("/admin/v1/projects")[0]["id"],
    }
