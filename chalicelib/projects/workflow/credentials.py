"""Participants' credentials at the provider, their secrets encrypted for tenant and place."""

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
    """Row of a credential. It stands before the provider makes it, until the provider's is gone."""

    credential_id = UnicodeAttribute()
    cloud_user_id = UnicodeAttribute()
    sealed = BinaryAttribute(legacy_encoding=False)
    created_at = UnicodeAttribute()


def find(tenant_id: str, project_id: str, person_ids: Iterable[str]) -> dict[str, Credential]:
    """The credentials of up to 100 people in a project, by the person's id."""
    keys = [(tenant_id, _key(project_id, each)) for each in person_ids]
    found = Credential.batch_get(keys, consistent_read=True) if keys else ()
    return {str(each.sk).split("#", 2)[2]: each for each in found}


class Changed(Conflict):
    """Another invocation has done with this user, or something else is wanted by now"""


class _Stands(Conflict):
    """There is a credential of an earlier attempt"""


def save(part: Participant, cloud_user_id: str, made: gateway.Credential) -> gateway.Credential:
    """Keeps a credential that is about to be made, unless an earlier one stands: then that one is
    to be made. So all attempts make the same one, and what one of them has left is known.

    Raises Changed unless the user's row is as `part`: nothing is made for who has left.
    """
    tenant_id, key = str(part.tenant), _key(part.project_id, part.id)
    secret = msgspec.json.encode({"access": made.access, "secret": made.secret}).decode()
    new = Credential(
        tenant_id,
        key,
        credential_id=made.id,
        cloud_user_id=cloud_user_id,
        sealed=vault.seal(tenant_id, key, secret),
        created_at=clock.iso(clock.now()),
    )
    tx = WriteSet()
    unchanged_since = Participant.revision == int(part.revision)
    tx.check(Participant, (tenant_id, str(part.sk)), unchanged_since, Changed())
    tx.create(new, _Stands())
    try:
        tx.commit()
    except _Stands:
        if any(isinstance(each, Changed) for each in tx.failed):
            raise Changed from None
        return _opened(Credential.get(tenant_id, key, consistent_read=True))
    return made


def _opened(found: Credential) -> gateway.Credential:
    secret = msgspec.json.decode(
        vault.unseal(str(found.tenant), str(found.sk), found.sealed), type=dict[str, str]
    )
    return gateway.Credential(found.credential_id, secret["access"], secret["secret"])


def row(tenant_id: str, project_id: str, person_id: str) -> Credential:
    """A key to delete by."""
    return Credential(tenant_id, _key(project_id, person_id))


def _key(project_id: str, person_id: str) -> str:
    return f"{_PREFIX}{project_id}#{person_id}"
