"""Records of people. Table `people`, keys (tenant, sk).

sk                 record      found by
person#<id>        Person      get_person, people_by_id
email#<address>    EmailGuard  (never read: its existence is the rule)
index name         Person      people_by_name     (tenant, name_key)
index email        Person      people_by_email    (tenant, email_key)
"""

from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.expressions.condition import Condition
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from chalicelib.kernel.paging import Listing
from chalicelib.kernel.settings import settings
from chalicelib.kernel.store import Keyed

_PERSON = "person#"
_EMAIL = "email#"


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
    created_at = UnicodeAttribute()
    created_by = UnicodeAttribute()
    invitation_version = NumberAttribute(default=1)  #: rises with each resend
    invitation_expires_at = NumberAttribute()  #: epoch seconds

    @property
    def id(self) -> str:
        return str(self.sk).removeprefix(_PERSON)


class EmailGuard(PeopleRecord):
    """Stands for one e-mail address in a tenant: whoever creates it first has it."""

    person_id = UnicodeAttribute()


def person(tenant_id: str, person_id: str, **values: Any) -> Person:
    return Person(tenant_id, _PERSON + person_id, **values)


def email_guard(tenant_id: str, email_key: str, person_id: str) -> EmailGuard:
    return EmailGuard(tenant_id, _EMAIL + email_key, person_id=person_id)


def get_person(tenant_id: str, person_id: str) -> Person | None:
    try:
        return Person.get(tenant_id, _PERSON + person_id)
    except Person.DoesNotExist:
        return None


def people_by_id(tenant_id: str, only: Condition | None) -> Listing[Person]:
    """A tenant's people, newest first."""
    return Listing(Person, tenant_id, Person.sk.startswith(_PERSON), only=only, newest_first=True)


def people_by_name(tenant_id: str, prefix: str, only: Condition | None) -> Listing[Person]:
    within = Person.name_key.startswith(prefix)
    return Listing(Person, tenant_id, within, index="name", only=only)


def people_by_email(tenant_id: str, prefix: str, only: Condition | None) -> Listing[Person]:
    within = Person.email_key.startswith(prefix)
    return Listing(Person, tenant_id, within, index="email", only=only)
