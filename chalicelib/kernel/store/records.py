"""The base classes of all records in DynamoDB, and reading a page of them."""

from collections.abc import Sequence
from functools import cache
from typing import Any, TypeVar

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.connection import TableConnection
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, IncludeProjection
from pynamodb.models import Model

from chalicelib.kernel.settings import settings
from chalicelib.kernel.store.connection import connection
from chalicelib.kernel.store.failures import condition_failed

R = TypeVar("R", bound="Record")
K = TypeVar("K", bound="Keyed")
Key = dict[str, Any] | None  #: where a listing goes on, in DynamoDB's form


class Number(NumberAttribute):
    """A number. Whole ones, and ours are, need not go through JSON."""

    def serialize(self, value: Any) -> Any:
        return str(value) if type(value) is int else super().serialize(value)

    def deserialize(self, value: Any) -> Any:
        return int(value) if value.isdecimal() else super().deserialize(value)


class Record(Model):
    """Base of all models. Declare the keys and indexes once per table, in one abstract subclass."""

    def serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:  # noqa: FBT001, FBT002
        """As pynamodb's, which looks at every attribute that a record may have; this looks at
        those that it has, in a third of the time.
        """
        declared = self.get_attributes()
        held = {
            (attribute := declared[name]).attr_name: {attribute.attr_type: written}
            for name, value in self.attribute_values.items()
            if value is not None and (written := declared[name].serialize(value)) is not None
        }
        if _required(type(self)) <= held.keys():
            return held
        return super().serialize(null_check)  # which says what is missing

    @classmethod
    def _get_connection(cls) -> TableConnection:
        table = cls.__dict__.get("_connection")
        if table is None:
            table = super()._get_connection()
            if table.table_name not in connection()._tables:
                connection().add_meta_table(table.get_meta_table())
            table.connection = connection()
            cls._connection = table
        return table


@cache
def _required(model: type[Record]) -> frozenset[str]:
    declared = model.get_attributes().values()
    return frozenset(attribute.attr_name for attribute in declared if not attribute.null)


class Keyed(Record):
    """A record under the keys that all our tables have."""

    tenant = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)

    def change_if(
        self, condition: Condition, actions: Sequence[Action], *, read: bool = False
    ) -> bool:
        """One conditional UpdateItem; False when the condition did not hold, then nothing changed.

        With `read` this object then holds the row as it is now; without, the row is not sent back,
        which is cheaper. Raises UpdateError when the store was down or throttled.
        """
        try:
            if read:
                self.update(list(actions), condition)
            else:
                self._get_connection().update_item(
                    self.tenant, self.sk, actions=actions, condition=condition
                )
        except UpdateError as error:
            if not condition_failed(error):
                raise
            return False
        return True


class DueIndex(GlobalSecondaryIndex[Any]):
    """Waiting jobs by the time at which the sweep pushes them; sparse and sharded."""

    class Meta:
        index_name = "due"
        projection = IncludeProjection(["queue", "type", "due_step_seconds"])

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = Number(range_key=True)


class RecipientIndex(GlobalSecondaryIndex[Any]):
    """Notifications by recipient, in the order of creation."""

    class Meta:
        index_name = "recipient"
        projection = AllProjection()

    recipient_key = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class KernelRecord(Keyed):
    """Base of the records in the kernel's table: jobs, tenants."""

    class Meta:
        table_name = settings.resource("kernel")

    expires_at = Number(null=True)  #: epoch seconds; DynamoDB deletes some days later
    due = DueIndex()
    by_recipient = RecipientIndex()


def read(model: type[K], tenant_id: str, sort_key: str, *, consistent: bool = False) -> K | None:
    """The record under a key, or None; one GetItem."""
    try:
        return model.get(tenant_id, sort_key, consistent_read=consistent)
    except model.DoesNotExist:
        return None


def page(
    model: type[R], hash_key: str, within: Condition | None = None, **options: Any
) -> tuple[list[R], Key]:
    """One Query: (records, key to read on from or None). Options are those of pynamodb's query."""
    found = model.query(hash_key, within, **options).page_iter
    return [model.from_raw_data(item) for item in next(found)["Items"]], found.last_evaluated_key


def key_of(record: Record, index: str | None) -> Key:
    """The key after which a listing that ends with `record` goes on."""
    names = connection().get_meta_table(record.Meta.table_name).get_key_names(index)
    raw = record.serialize(null_check=False)  # an index may hold but some of its attributes
    return {name: raw[name] for name in names}
