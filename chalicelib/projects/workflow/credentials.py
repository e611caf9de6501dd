"""Participants' credentials at the provider, with secrets that are encrypted for their row."""

from collections.abc import Iterable

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.auth import vault
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.projects import gateway
from chalicelib.projects.models import Participant, ProjectsRecord

_PREFIX = "credential#"


class Credential(ProjectsRecord):
    """Row of a credential: saved before the provider creates it, deleted after the provider has."""

    credential_id = UnicodeAttribute()
    cloud_user_id = UnicodeAttribute()
    sealed = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def find(tenant_id: str, project_id: str, person_ids: Iterable[str]) -> dict[str, Credential]:
    """The credentials of up to 100 people in a project, by the person's id."""
    keys = [(tenant_id, _key(project_id, person_id)) for person_id in person_ids]
    rows = Credential.batch_get(keys, consistent_read=True) if keys else ()
    return {str(row.sk).split("#", 2)[2]: row for row in rows}


class Changed(Conflict):
    """Another invocation has finished this user, or the user was changed meanwhile"""


class _Exists(Conflict):
    """There is a credential of an earlier attempt"""


def save(
    part: Participant, cloud_user_id: str, credential: gateway.Credential
) -> gateway.Credential:
    """Saves a credential before the provider creates it, and returns the one to create.

    That is the one of an earlier attempt if there is one. So all attempts create the same one, and
    whatever an interrupted attempt left at the provider is known. Raises Changed if the user's row
    has changed since `part` was read: nothing is created for a user who was removed.
    """
    tenant_id, key = str(part.tenant), _key(part.project_id, part.id)
    secret = msgspec.json.encode(
        {"access": credential.access, "secret": credential.secret}
    ).decode()
    new = Credential(
        tenant_id,
        key,
        credential_id=credential.id,
        cloud_user_id=cloud_user_id,
        sealed=vault.seal(_label(tenant_id, key), secret),
        created_at=clock.iso(clock.now()),
    )
    tx = WriteSet()
    unchanged = Participant.revision == int(part.revision)
    tx.check(Participant, (tenant_id, str(part.sk)), unchanged, Changed())
    tx.create(new, _Exists())
    try:
        tx.commit()
    except _Exists:
        if any(isinstance(error, Changed) for error in tx.failed):
            raise Changed from None
        return _unsealed(Credential.get(tenant_id, key, consistent_read=True))
    return credential


def _unsealed(row: Credential) -> gateway.Credential:
    opened = vault.opened(_label(str(row.tenant), str(row.sk)), row, Credential.sealed)
    secret = msgspec.json.decode(opened, type=dict[str, str])
    return gateway.Credential(row.credential_id, secret["access"], secret["secret"])


def _label(tenant_id: str, key: str) -> vault.Label:
    return vault.Label(tenant_id=tenant_id, use=vault.CREDENTIAL, name=key)


def row(tenant_id: str, project_id: str, person_id: str) -> Credential:
    """A row with only its keys, to be deleted."""
    return Credential(tenant_id, _key(project_id, person_id))


def _key(project_id: str, person_id: str) -> str:
    return f"{_PREFIX}{project_id}#{person_id}"
