"""Records of people. Table `people`, keys (tenant, sk).

sk                 record      found by
person#<id>        Person      get_person, get_people, people_by_id, people_after
email#<address>    EmailGuard  get_email_guard; makes the address unique
login#<subject>    Login       get_login; in the partition "#platform" that of an admin
upload#<id>#<n>    Upload      get_upload
"#unknown", <id>   Unknown     save_unknown; read by the doctor
index name         Person      people_by_name     (tenant, name_key)
index email        Person      people_by_email    (tenant, email_key)
"""

from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from pynamodb.attributes import BinaryAttribute, BooleanAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.kernel import clock
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import records
from chalicelib.kernel.store.paging import Listing
from chalicelib.kernel.store.records import Keyed, Number

_PERSON = "person#"
_EMAIL = "email#"
_LOGIN = "login#"
_UPLOAD = "upload#"
UNKNOWN = "#unknown"  #: partition of logins that are bound to nobody


class NameIndex(GlobalSecondaryIndex[Any]):
    """A tenant's people by name."""

    class Meta:
        index_name = "name"
        projection = AllProjection()

    tenant = UnicodeAttribute(hash_key=True)
    name_key = UnicodeAttribute(range_key=True)


class EmailIndex(GlobalSecondaryIndex[Any]):
    """A tenant's people by e-mail address."""

    class Meta:
        index_name = "email"
        projection = AllProjection()

    tenant = UnicodeAttribute(hash_key=True)
    email_key = UnicodeAttribute(range_key=True)


class PeopleRecord(Keyed):
    """Base of the records in the table of people."""

    class Meta:
        table_name = settings.resource("people")

    by_name = NameIndex()
    by_email = EmailIndex()


class Person(PeopleRecord):
    """A user and the invitation that made them one."""

    name = UnicodeAttribute()
    name_key = UnicodeAttribute()
    email = UnicodeAttribute()
    email_key = UnicodeAttribute()
    phone = UnicodeAttribute(null=True)
    role = UnicodeAttribute()
    status = UnicodeAttribute()  #: rules.Status
    status_before = UnicodeAttribute(null=True)  #: of a deactivated user; reactivation restores it
    version = Number(default=1)  #: rises with each change; sent as the ETag
    subject = UnicodeAttribute(null=True)  #: `sub` of the token with which they log in
    created_at = UnicodeAttribute()
    created_by = UnicodeAttribute()
    invitation_version = Number(default=1)  #: rises with each resend
    invitation_sent_at = Number()  #: epoch seconds at which the last invitation was queued
    invitation_expires_at = Number()  #: epoch seconds

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(_PERSON)


class EmailGuard(PeopleRecord):
    """Makes an e-mail address unique in a tenant: only one user can create its guard."""

    person_id = UnicodeAttribute()


class Login(PeopleRecord):
    """Binds a token's subject to a person, or to the role of a machine.

    It holds only while the person's `subject` is the same: a login is ended by removing that.
    """

    person_id = UnicodeAttribute(null=True)
    home = UnicodeAttribute(null=True)  #: the person's tenant, in the partition "#platform"
    role = UnicodeAttribute(null=True)  #: of a machine


class Unknown(PeopleRecord):
    """A login that is bound to nobody: keys ("#unknown", tenant and subject)."""

    role = UnicodeAttribute()  #: as the token says
    names_somebody = BooleanAttribute()  #: True: by a verified e-mail address or by USER_CLAIM
    seen_at = UnicodeAttribute()
    expires_at = Number()  #: epoch seconds


class Upload(PeopleRecord):
    """One chunk of the rows of an import, compressed; deleted when the chunk's job has ended.

    It does not expire, because a job may wait out an outage of any length.
    """

    rows = BinaryAttribute(legacy_encoding=False)
    expires_at = Number(null=True)  #: set by releases before 2026-12


R = TypeVar("R", bound=PeopleRecord)


def _get(model: type[R], tenant_id: str, key: str) -> R | None:
    """Read consistently: a job runs moments after the write that caused it, and would take a record
    that a weaker read does not show yet for a deleted one.
    """
    return records.read(model, tenant_id, key, consistent=True)


def person(tenant_id: str, person_id: str, **values: Any) -> Person:
    return Person(tenant_id, _PERSON + person_id, **values)


def get_person(tenant_id: str, person_id: str) -> Person | None:
    return _get(Person, tenant_id, _PERSON + person_id) if clock.is_id(person_id) else None


def key_of_person(person_id: str) -> str:
    return _PERSON + person_id


def get_people(tenant_id: str, person_ids: Collection[str]) -> list[Person]:
    """Up to 100 people by id, read consistently."""
    keys = [(tenant_id, _PERSON + person_id) for person_id in person_ids]
    return list(Person.batch_get(keys, consistent_read=True)) if keys else []


def people_after(
    tenant_id: str, after: str | None, only: Condition, size: int
) -> tuple[list[Person], str | None]:
    """People by id beyond `after`, read consistently: (people, id for `after`, or None).

    `size` records are read, and fewer are returned when `only` leaves some out.
    """
    within = Person.sk.between(f"{_PERSON}{after or ''}{'!' if after else ''}", f"{_PERSON}~")
    options = {"filter_condition": only, "page_size": size, "consistent_read": True}
    people, key = records.page(Person, tenant_id, within, **options)
    return people, key["sk"]["S"].removeprefix(_PERSON) if key else None


def email_guard(tenant_id: str, email_key: str, person_id: str = "") -> EmailGuard:
    return EmailGuard(tenant_id, _EMAIL + email_key, person_id=person_id)


def get_email_guard(tenant_id: str, email_key: str) -> EmailGuard | None:
    return _get(EmailGuard, tenant_id, _EMAIL + email_key)


def login(tenant_id: str, subject: str, **values: Any) -> Login:
    return Login(tenant_id, _LOGIN + subject, **values)


def get_login(tenant_id: str, subject: str) -> Login | None:
    return _get(Login, tenant_id, _LOGIN + subject)


def machines_of(tenant_id: str) -> Iterator[tuple[str, str]]:
    """The subjects of the machines that may enter, with their roles."""
    rows = Login.query(tenant_id, Login.sk.startswith(_LOGIN), Login.role.exists())
    return ((str(row.sk).removeprefix(_LOGIN), str(row.role)) for row in rows)


def save_unknown(tenant_id: str, subject: str, **values: Any) -> None:
    Unknown(UNKNOWN, f"{tenant_id}#{subject}", **values).save()


def upload(tenant_id: str, upload_id: str, chunk: int, rows: bytes = b"") -> Upload:
    return Upload(tenant_id, f"{_UPLOAD}{upload_id}#{chunk:04}", rows=rows)


def get_upload(tenant_id: str, upload_id: str, chunk: int) -> Upload | None:
    return _get(Upload, tenant_id, str(upload(tenant_id, upload_id, chunk).sk))


def people_by_id(tenant_id: str, only: Condition | None) -> Listing[Person]:
    """A tenant's people, newest first."""
    return Listing(Person, tenant_id, Person.sk.startswith(_PERSON), only=only, newest_first=True)


def people_by_name(tenant_id: str, prefix: str, only: Condition | None) -> Listing[Person]:
    within = Person.name_key.startswith(prefix)
    return Listing(Person, tenant_id, within, index="name", only=only)


def people_by_email(tenant_id: str, prefix: str, only: Condition | None) -> Listing[Person]:
    within = Person.email_key.startswith(prefix)
    return Listing(Person, tenant_id, within, index="email", only=only)
