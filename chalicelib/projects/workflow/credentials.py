"""Participants' credentials at the provider, with secrets that are encrypted for their row.

A rotation is three writes of the row: the next credential beside the present one, before it is
created; the next one in its place, once it is proved; and no old one, once that is deleted. So
after a crash the row names one that works, and all that may be left at the provider.
"""

from collections.abc import Iterable

import msgspec
from pynamodb.attributes import BinaryAttribute, UnicodeAttribute

from chalicelib.kernel import clock
from chalicelib.kernel.auth import vault
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.store import records
from chalicelib.kernel.store.records import Number
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
    turn = Number(default=0)  #: the participant's `turn` when it was made
    next_id = UnicodeAttribute(null=True)  #: a credential that is not proved yet
    next_sealed = BinaryAttribute(legacy_encoding=False, null=True)
    old_id = UnicodeAttribute(null=True)  #: a credential that is to be deleted


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
    new = Credential(
        tenant_id,
        key,
        credential_id=credential.id,
        cloud_user_id=cloud_user_id,
        sealed=_sealed(tenant_id, key, credential),
        created_at=clock.iso(clock.now()),
        turn=int(part.turn),
    )
    tx = _unless_changed(part)
    tx.create(new, _Exists())
    return credential if _is_first(tx) else _opened(_read(part))


def save_next(
    part: Participant, row: Credential, credential: gateway.Credential
) -> gateway.Credential:
    """Saves the credential that is to replace the one in `row`, and returns the one to create.

    Like `save`, it returns that of an earlier attempt if there is one, and raises Changed.
    """
    tenant_id, key = str(row.tenant), str(row.sk)
    beside = [
        Credential.next_id.set(credential.id),
        Credential.next_sealed.set(_sealed(tenant_id, key, credential)),
        Credential.old_id.remove(),  # it was deleted just now, if there was one
    ]
    is_alone = (Credential.credential_id == row.credential_id) & Credential.next_id.does_not_exist()
    tx = _unless_changed(part)
    tx.update(row, beside, is_alone, _Exists())
    if _is_first(tx):
        return credential
    present = _read(part)
    return _opened(present) if present.next_id is None else _opened_next(present)


def promote(part: Participant, credential: gateway.Credential) -> None:
    """Puts the proved credential in the place of the one before, which is then to be deleted.

    Safe to repeat. Raises Changed if another one has its place, or the user's row has changed.
    """
    row = _read(part)
    if row.credential_id == credential.id:
        return
    if row.next_id != credential.id:
        raise Changed
    tx = _unless_changed(part)
    actions = [
        Credential.credential_id.set(credential.id),
        Credential.sealed.set(row.next_sealed),
        Credential.turn.set(int(part.turn)),
        Credential.old_id.set(str(row.credential_id)),
        Credential.next_id.remove(),
        Credential.next_sealed.remove(),
    ]
    tx.update(row, actions, Credential.next_sealed == row.next_sealed, _Exists())
    if not _is_first(tx) and _read(part).credential_id != credential.id:
        raise Changed


def forget(part: Participant, old_id: str) -> None:
    """Notes that the old credential is deleted. Safe to repeat."""
    row = Credential(str(part.tenant), _key(part.project_id, part.id))
    row.change_if(Credential.old_id == old_id, [Credential.old_id.remove()])


def ids_of(row: Credential) -> list[str]:
    """All that the provider may have of this user in this project, what works last."""
    return [str(each) for each in (row.old_id, row.next_id, row.credential_id) if each]


def _unless_changed(part: Participant) -> WriteSet:
    tx = WriteSet()
    unchanged = Participant.revision == int(part.revision)
    tx.check(Participant, (str(part.tenant), str(part.sk)), unchanged, Changed())
    return tx


def _is_first(tx: WriteSet) -> bool:
    """Commits; False when another attempt was first. Raises Changed."""
    try:
        tx.commit()
    except _Exists:
        if any(isinstance(error, Changed) for error in tx.failed):
            raise Changed from None
        return False
    return True


def _read(part: Participant) -> Credential:
    row = records.read(
        Credential, str(part.tenant), _key(part.project_id, part.id), consistent=True
    )
    if row is None:
        raise Changed
    return row


def _sealed(tenant_id: str, key: str, credential: gateway.Credential) -> bytes:
    secret = msgspec.json.encode({"access": credential.access, "secret": credential.secret})
    return vault.seal(_label(tenant_id, key), secret.decode())


def _opened(row: Credential) -> gateway.Credential:
    return _unsealed(row, Credential.sealed, str(row.credential_id))


def _opened_next(row: Credential) -> gateway.Credential:
    return _unsealed(row, Credential.next_sealed, str(row.next_id))


def _unsealed(row: Credential, at: BinaryAttribute, credential_id: str) -> gateway.Credential:
    opened = vault.opened(_label(str(row.tenant), str(row.sk)), row, at)
    secret = msgspec.json.decode(opened, type=dict[str, str])
    return gateway.Credential(credential_id, secret["access"], secret["secret"])


def _label(tenant_id: str, key: str) -> vault.Label:
    return vault.Label(tenant_id=tenant_id, use=vault.CREDENTIAL, name=key)


def row(tenant_id: str, project_id: str, person_id: str) -> Credential:
    """A row with only its keys, to be deleted."""
    return Credential(tenant_id, _key(project_id, person_id))


def _key(project_id: str, person_id: str) -> str:
    return f"{_PREFIX}{project_id}#{person_id}"
