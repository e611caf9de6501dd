"""What a person's record says about a login, and what is left of a token's authority by it.

A token says who somebody is to the issuer; the record says what they are here. The weaker of the
two counts, so that a deactivation or a demotion takes effect without the issuer's help. Three ask:
the authorizer, whose answers the gateway keeps for `KEEP_SECONDS`; each request of a login that
was unknown then, so that being bound counts at once; and pushes to sockets.

The records belong to a domain, which app.py names.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from chalicelib.kernel.auth.tenancy import ROLES, Caller, Role
from chalicelib.kernel.errors import Forbidden
from chalicelib.kernel.settings import settings

KEEP_SECONDS = (
    60  #: how long an answer is kept: the time in which a change of a record takes effect
)
PLATFORM = (
    "#platform"  #: partition of logins of the platform's admins; no tenant id begins with '#'
)

#: `unknown`: bound to nobody. `ended`: the account was deactivated, or has another login by now.
State = Literal["known", "unknown", "ended"]


class Standing(msgspec.Struct, frozen=True):
    """What the records say about one login."""

    state: State
    role: Role | None = None  #: the record's role; None: as the token says
    user_id: str = ""  #: the user that the login is bound to


UNKNOWN = Standing("unknown")
ENDED = Standing("ended")


class Records(Protocol):
    """Who reads the records of logins."""

    def stand(self, caller: Caller, *, may_bind: bool) -> Standing:
        """What the records say about the caller's login; safe to repeat.

        With `may_bind` the first login that names a user by its token is bound to the user.
        """
        ...

    def note_unknown(self, caller: Caller) -> None:
        """Lets the doctor list a login that is bound to nobody."""
        ...


_find_records: Callable[[], Records]


def use(find_records: Callable[[], Records]) -> None:
    """Sets who reads the records; `find_records` is called whenever they are needed."""
    global _find_records  # noqa: PLW0603  set once, when app.py is imported
    _find_records = find_records


def stand(caller: Caller, *, may_bind: bool = True) -> Standing:
    """What the records say about the caller's login, read now. Raises what the store raises.

    With `may_bind` a login is bound to the user whom its token names, if it is the user's first.
    Those whom PLATFORM_ADMINS names are admins whatever the records say: they are the way back in.
    """
    if caller.role == "admin" and _is_named(caller):
        return Standing("known", "admin")
    return _find_records().stand(caller, may_bind=may_bind)


def _is_named(caller: Caller) -> bool:
    named = settings.listed("platform_admins")
    if caller.subject in named:
        return True
    # Letters beyond ASCII may fold into ASCII ones: such an address is nobody's.
    is_address = "@" in caller.email and caller.email.isascii()
    return is_address and caller.email.lower() in {each.lower() for each in named}


def note_unknown(caller: Caller) -> None:
    """Lets the doctor list this login, which is bound to nobody."""
    if settings.unknown_subjects != "allow":
        _find_records().note_unknown(caller)


def weakened(caller: Caller, standing: Standing) -> Caller:
    """The caller as the user that the login is bound to, with the weaker of both roles."""
    role = max(caller.role, standing.role or caller.role, key=ROLES.index)
    return msgspec.structs.replace(caller, role=role, user_id=standing.user_id)


def admitted(caller: Caller, standing: Standing) -> Caller | None:
    """The caller with what authority is left; None when there is none."""
    if standing.state == "unknown" and settings.unknown_subjects in ("allow", "report"):
        return caller
    return weakened(caller, standing) if standing.state == "known" else None


def admit_again(caller: Caller) -> Caller:
    """The caller whom nothing was left when the gateway asked, if that has changed by now.

    Raises Forbidden when it has not. The token was checked by the authorizer.
    """
    standing = stand(caller)
    found = admitted(caller, standing)
    if found is not None:
        return found
    if standing.state == "ended":
        raise Forbidden("This account was deactivated, or has another e-mail address now")
    raise Forbidden(
        "No user here has this login. Accept your invitation while you are signed in, "
        "or sign in with the e-mail address that was invited"
    )
