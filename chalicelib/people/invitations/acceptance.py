"""Accepting an invitation, once, and binding the login of whoever is signed in meanwhile.

Part of the domain's service.
"""

from typing import Any

from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock
from chalicelib.kernel.auth import tenancy
from chalicelib.kernel.auth.tenancy import Caller
from chalicelib.kernel.errors import AppError, Conflict, Forbidden, Gone, NotFound
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.people import access, models, rules
from chalicelib.people.invitations.service import Token
from chalicelib.people.models import Person
from chalicelib.people.rules import Invitation

_UNKNOWN = "This invitation was used, replaced, or never existed"


class AlreadyAccepted(NotFound):
    """This invitation was accepted already"""


class _NotOpen(AppError):
    """The invitation cannot be accepted"""

    STATUS = 404
    RETURNS_EXISTING = True

    def __init__(self) -> None:
        super().__init__(_UNKNOWN)
        self.person: Person | None = None

    def on_conflict(self, raw_item: dict[str, Any]) -> None:
        self.person = Person.from_raw_data(raw_item)


class Acceptance:
    """A transaction that accepts an invitation; of several at the same time only one succeeds.

    Whoever accepted without being signed in, on the page, may still bind a login by the same token.
    The commit raises AlreadyAccepted for a token that was used, NotFound for one that was replaced
    or is unknown, and Gone for one that has expired.
    """

    def __init__(self, token: Token) -> None:
        self._tx = Transaction(token.tenant_id)
        self._token = token
        now = clock.epoch_seconds()
        self._is_current: Condition = (Person.invitation_version == token.version) & (
            Person.invitation_expires_at > now
        )
        self._actions: list[Action] = [
            Person.status.set("active"),
            Person.version.set(Person.version + 1),
        ]
        self._is_open: Condition = Person.status == "invited"

    def bind(self, caller: Caller, person: Person) -> None:
        """Binds the login of whoever accepts to the person, in the same transaction.

        Raises Forbidden for a token of another tenant, and Conflict when the login or the person is
        bound otherwise.
        """
        if caller.home not in ("", self._token.tenant_id):
            raise Forbidden("This token is of another tenant than the invitation")
        if person.subject == caller.subject:
            return
        if person.subject:
            raise Conflict("Another login is bound to this user; accept while signed in with that")
        ended = access.find_ended(self._token.tenant_id, caller.subject)
        actions, is_free = access.binding(self._tx, person, caller.subject, ended)
        self._actions += actions
        self._is_open = Person.status.is_in("invited", "active") & is_free

    def save(self, *arguments: Any) -> None:
        """Adds a record to the transaction, such as the answer stored for an Idempotency-Key."""
        self._tx.save(*arguments)

    def commit(self) -> None:
        person = models.person(self._token.tenant_id, self._token.person_id)
        self._tx.update(person, self._actions, self._is_current & self._is_open, _NotOpen())
        try:
            self._tx.commit()
        except _NotOpen as refused:
            raise _error_for(refused.person, self._token) from refused


def _error_for(person: Person | None, token: Token) -> AppError:
    """Why an invitation cannot be accepted, by its person's row."""
    if person is None or int(person.invitation_version) != token.version:
        return NotFound(_UNKNOWN)
    if person.status == "active":
        return AlreadyAccepted("You can sign in; the invitation is not needed any more")
    if person.status == "invited" and person.invitation_expires_at <= clock.epoch_seconds():
        return Gone("This invitation has expired; ask for a new one")
    if person.status == "invited":
        return Conflict("Another login was bound to this user meanwhile; try again")
    return NotFound(_UNKNOWN)


def preview(token: Token) -> Invitation:
    """The invitation for its page; changes nothing. Raises what `Acceptance.commit` raises."""
    person = models.get_person(token.tenant_id, token.person_id)
    is_open = person is not None and (
        person.status == "invited"
        and int(person.invitation_version) == token.version
        and person.invitation_expires_at > clock.epoch_seconds()
    )
    if person is None or not is_open:
        raise _error_for(person, token)
    tenant_name = tenancy.require_active(token.tenant_id).name
    return Invitation(person.name, tenant_name, "", rules.INVITATION_DAYS)
