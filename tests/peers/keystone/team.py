"""People of ours at a real Keystone, and what its own listings say of them."""

from datetime import UTC, datetime

from chalicelib.projects.gateway import Credential, Provider, Role
from chalicelib.projects.gateway.signatures import signed
from tests.peers.keystone.server import Keystone

ROLES: tuple[Role, ...] = ("admin", "member", "reader")
WORDS = {"admin": "manager", "member": "member", "reader": "reader"}


class Team:
    """People of ours, and what one connection after another makes of them."""

    def __init__(self, name: str, size: int) -> None:
        self.key = f"project of {name}"
        self.people = [f"{name} {number}" for number in range(size)]
        self.saved: dict[str, list[Credential]] = {each: [] for each in self.people}
        self.project_id = ""
        self.users: dict[str, str] = {}

    def role_of(self, person: str) -> Role:
        return ROLES[self.people.index(person) % 3]

    def link(self, cloud: Provider, *, name: str = "Alder") -> None:
        self.project_id = cloud.ensure_project(self.key, name)
        for person in self.people:
            self.link_one(cloud, person)

    def link_one(self, cloud: Provider, person: str) -> None:
        user = cloud.ensure_user(person, "ann@example.com", "Ann Example")
        cloud.ensure_grant(self.project_id, user.id, self.role_of(person))
        old = self.saved[person][-1].id if self.saved[person] else None
        cloud.rotate_credential(self.project_id, user.id, self.saved[person].append, old)
        self.users[person] = user.id


def grants(keystone: Keystone, project_id: str) -> dict[str, set[str]]:
    """Names of roles by user, as its own listing shows them."""
    found = keystone.look(f"/role_assignments?scope.project.id={project_id}&include_names")
    held: dict[str, set[str]] = {}
    for each in found["role_assignments"]:
        held.setdefault(each["user"]["id"], set()).add(each["role"]["name"])
    return held


def credentials(keystone: Keystone, user_id: str) -> set[str]:
    found = keystone.look(f"/credentials?user_id={user_id}")["credentials"]
    return {each["id"] for each in found}


def sign_in(keystone: Keystone, credential: Credential) -> int:
    """The status of a request that is signed with the credential."""
    body = {"credentials": signed(credential, datetime.now(UTC))}
    try:
        return keystone.ask("POST", "/ec2tokens", body).status_code
    except AssertionError:
        return 401
