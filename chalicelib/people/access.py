"""What a login may do here: the user that it is bound to, and how it is bound.

A token's subject is bound to one user: when the user accepts the invitation while signed in, or at
the first login whose verified e-mail address, or whose claim USER_CLAIM, is the user's; whoever was
still invited is active from then on. A user's binding is never replaced, and it ends when the
user's e-mail address is changed. A machine's subject is bound to a role by `tenant bind`. Part of
the domain's service.
"""

from typing import cast

from pynamodb.exceptions import PutError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from chalicelib.kernel import clock, telemetry
from chalicelib.kernel.auth.identity import ENDED, PLATFORM, UNKNOWN, Standing
from chalicelib.kernel.auth.tenancy import Caller, Role
from chalicelib.kernel.errors import Conflict, NotFound
from chalicelib.kernel.jobs.outbox import Transaction
from chalicelib.kernel.store import failures
from chalicelib.kernel.store.write_set import WriteSet
from chalicelib.people import models, rules
from chalicelib.people.models import Login, Person

UNKNOWN_SECONDS = 7 * 86_400  #: how long the doctor lists a login that is bound to nobody


def stand(caller: Caller, *, may_bind: bool = True) -> Standing:
    """What the records say about the caller's login; safe to repeat.

    With `may_bind` the first login that names a user by its token is bound to the user.
    """
    if caller.role != "admin":
        return _stand_in_tenant(caller, may_bind)
    standing = _stand_on_platform(caller.subject)
    # Whoever is no admin of the platform, or not any more, may still be a user of their tenant.
    return standing if standing.role == "admin" else _stand_in_tenant(caller, may_bind, standing)


def _stand_on_platform(subject: str) -> Standing:
    login = models.get_login(PLATFORM, subject)
    if login is None:
        return UNKNOWN
    if login.role:
        return Standing("known", cast("Role", login.role))
    person = models.get_person(str(login.home), str(login.person_id))
    is_bound = person is not None and person.subject == subject
    return _standing_of(person, subject) if person is not None and is_bound else ENDED


def _stand_in_tenant(
    caller: Caller,
    may_bind: bool,  # noqa: FBT001
    otherwise: Standing = UNKNOWN,
) -> Standing:
    """What the records of the tenant that the token names say; `otherwise` if it names none."""
    if not caller.home:
        return otherwise
    login = models.get_login(caller.home, caller.subject)
    if login is not None and login.role:
        return Standing("known", cast("Role", login.role))
    if login is not None:
        bound = models.get_person(caller.home, str(login.person_id))
        if bound is not None and bound.subject == caller.subject:
            return _standing_of(bound, caller.subject)
    person = _named_by(caller, login)
    if person is None:
        return ENDED if login else UNKNOWN
    if may_bind and not person.subject and not _bind(caller, person, login):
        return _stand_in_tenant(caller, may_bind=False)  # the user was changed meanwhile
    return _standing_of(person, caller.subject)


def _standing_of(person: Person, subject: str) -> Standing:
    """Another login of the same address may do what the user may, but is not bound to the user."""
    if person.status == "deactivated":
        return ENDED
    is_bound = person.subject == subject
    return Standing("known", cast("Role", person.role), person.id if is_bound else "")


def _named_by(caller: Caller, login: Login | None) -> Person | None:
    """The user whom the token names by the claim, or by a verified e-mail address.

    The claim does not bring back a login that another address has ended; the new address does.
    """
    person_id = caller.claimed_id
    if not person_id or (login is not None and login.person_id == person_id):
        person_id = _with_address(caller.home, caller.email)
    return models.get_person(caller.home, person_id) if person_id else None


def _with_address(tenant_id: str, email: str) -> str:
    guard = models.get_email_guard(tenant_id, rules.email_key(email)) if email else None
    return guard.person_id if guard else ""


def _bind(caller: Caller, person: Person, login: Login | None) -> bool:
    """Binds the login to the person; False if either was bound, or the person changed, meanwhile.

    Whoever signs in with the invited address has accepted by that.
    """
    tx = Transaction(caller.home)
    actions, is_free = binding(tx, person, caller.subject, login)
    if person.status == "invited":
        actions += [Person.status.set("active"), Person.version.set(Person.version + 1)]
    is_same = (Person.email_key == person.email_key) & (Person.status == person.status)
    tx.update(person, actions, is_same & is_free)
    try:
        tx.commit()
    except Conflict:
        return False
    person.subject = caller.subject
    return True


def binding(
    tx: WriteSet, person: Person, subject: str, login: Login | None
) -> tuple[list[Action], Condition]:
    """Adds the row of a login to `tx`; returns the actions on the person's row and their condition.

    `login` is the row as it was read, whose binding has ended. The commit raises Conflict when the
    login was bound meanwhile.
    """
    row = models.login(str(person.tenant), subject, person_id=person.id)
    unchanged = Login.sk.does_not_exist() if login is None else Login.person_id == login.person_id
    tx.save(row, unchanged, Conflict("This login belongs to another user"))
    if person.role == "admin":
        # Tokens of the platform's admins need not name a tenant.
        home = models.login(PLATFORM, subject, person_id=person.id, home=str(person.tenant))
        tx.save(home, Login.role.does_not_exist(), Conflict("This login is a machine's"))
    is_free: Condition = Person.subject.does_not_exist() | (Person.subject == subject)
    return [Person.subject.set(subject)], is_free


def find_ended(tenant_id: str, subject: str) -> Login | None:
    """The row of a login that may be bound to somebody else by now; None for one without a row.

    Raises Conflict while it is bound.
    """
    login = models.get_login(tenant_id, subject)
    if login is None:
        return None
    bound = None if login.role else models.get_person(tenant_id, str(login.person_id))
    if login.role or (bound is not None and bound.subject == subject):
        raise Conflict("This login belongs to another user of the tenant; sign in as yourself")
    return login


def bind_machine(tenant_id: str, subject: str, role: Role) -> None:
    """Binds a machine's login to a role, or changes that. Raises Conflict for a user's login."""
    row = models.login(tenant_id, subject, role=role)
    try:
        row.save(Login.sk.does_not_exist() | Login.role.exists())
    except PutError as error:
        if not failures.condition_failed(error):
            raise
        raise Conflict("This login is bound to a user") from error


def unbind_machine(tenant_id: str, subject: str) -> None:
    """Ends a machine's access. Raises NotFound for a subject that is bound to no role."""
    if not models.login(tenant_id, subject).delete_if(Login.role.exists()):
        raise NotFound("No machine with this subject may enter there")


def note_unknown(caller: Caller) -> None:
    """Lets the doctor list a login that is bound to nobody. A failure is only logged."""
    try:
        models.save_unknown(
            caller.home,
            caller.subject,
            role=caller.role,
            names_somebody=bool(caller.email or caller.claimed_id),
            seen_at=clock.iso(clock.now()),
            expires_at=clock.epoch_seconds() + UNKNOWN_SECONDS,
        )
    except PutError as error:
        telemetry.log.warning("unknown login not noted", error=type(error).__name__)
