"""Participants' credentials at the provider, their secrets encrypted for tenant and place."""

from collections.abc import Iterable

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock, vault
from chalicelib.projects import gateway
from chalicelib.projects.models import Project, ProjectsRecord

_PREFIX = "credential#"


class Credential(ProjectsRecord):
    """Row of a credential. It stands from the moment the provider has made it."""

    credential_id = UnicodeAttribute()
    cloud_user_id = UnicodeAttribute()
    sealed = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def find(tenant_id: str, project_id: str, person_ids: Iterable[str]) -> dict[str, Credential]:
    """The credentials of up to 100 people in a project, by the person's id."""
    keys = [(tenant_id, _key(project_id, each)) for each in person_ids]
    found = Credential.batch_get(keys, consistent_read=True) if keys else ()
    return {str(each.sk).split("#", 2)[2]: each for each in found}


def save(project: Project, person_id: str, cloud_user_id: str, made: gateway.Credential) -> None:
    """Keeps a credential just made in place of an earlier one."""
    tenant_id, key = str(project.tenant), _key(project.id, person_id)
    secret = msgspec.json.encode({"access": made.access, "secret": made.secret}).decode()
    Credential(
        tenant_id,
        key,
        credential_id=made.id,
        cloud_user_id=cloud_user_id,
        sealed=vault.seal(tenant_id, key, secret),
        created_at=clock.iso(clock.now()),
    ).save()


def row(tenant_id: str, project_id: str, person_id: str) -> Credential:
    """A key to delete by."""
    return Credential(tenant_id, _key(project_id, person_id))


def _key(project_id: str, person_id: str) -> str:
    return f"{_PREFIX}{project_id}#{person_id}"
